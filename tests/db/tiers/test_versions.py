"""Policies as versions: drafts that two people edit, publication that can be taken back, and who did what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError
from tests.db.tiers.conftest import Club, make_ladder
from tiers import versions
from tiers.policies import TierPolicy
from tiers.versions import StaleRevisionError, StoredVersion

POLICY = make_ladder().policy()
EASIER = msgspec.structs.replace(POLICY, grace_days=30)


class Desk:
    """Somebody who works on a club's policies."""

    def __init__(self, club: Club, by: str = "li.na") -> None:
        self.connection = club.connection
        self.key: dict[str, Any] = {"programme_id": club.programme.id}
        self.by = by

    async def draft(self, policy: TierPolicy = POLICY) -> StoredVersion:
        return await versions.create_draft(self.connection, **self.key, policy=policy, title="Spring", by=self.by)

    async def edit(self, draft: StoredVersion, policy: TierPolicy) -> StoredVersion:
        return await versions.edit_draft(
            self.connection,
            **self.key,
            version=draft.version,
            revision=draft.revision,
            policy=policy,
            title="Spring",
            by=self.by,
        )

    async def publish(self, draft: StoredVersion, *, days: int | None = None) -> StoredVersion:
        at = utc_now() + timedelta(days=days) if days is not None else None
        return await versions.publish_draft(
            self.connection, **self.key, version=draft.version, by=self.by, effective_at=at
        )

    async def states(self) -> list[tuple[int, str]]:
        found = await versions.list_versions(self.connection, **self.key)
        return [(each.version, each.state) for each in found]


async def test_of_two_who_edit_a_draft_the_second_is_told_and_nothing_is_lost(club: Club) -> None:
    desk, other = Desk(club), Desk(club, "wang.wei")
    seen = await desk.draft()
    await desk.edit(seen, EASIER)
    with pytest.raises(StaleRevisionError) as refused:
        await other.edit(seen, msgspec.structs.replace(POLICY, grace_days=7))
    assert refused.value.members == {"revision": 2}
    kept = await versions.get_version(club.connection, **desk.key, version=1)
    assert (kept.policy, kept.revision) == (EASIER, 2)


async def test_a_publication_can_be_taken_back_until_its_day_and_never_after(club: Club) -> None:
    desk = Desk(club)
    await desk.publish(await desk.draft())
    second = await desk.draft(EASIER)
    await desk.publish(second, days=3)
    assert await desk.states() == [(2, "scheduled"), (1, "in_force")]

    await versions.withdraw(club.connection, **desk.key, version=2, by="li.na")
    assert await desk.states() == [(2, "draft"), (1, "in_force")]
    with pytest.raises(ConflictError):
        await versions.withdraw(club.connection, **desk.key, version=1, by="li.na")

    await desk.publish(await versions.get_version(club.connection, **desk.key, version=2))
    assert await desk.states() == [(2, "in_force"), (1, "replaced")]
    with pytest.raises(ConflictError):
        await desk.edit(second, POLICY)


async def test_the_version_before_takes_the_place_of_one_that_is_retired_and_the_last_one_stays(club: Club) -> None:
    desk = Desk(club)
    await desk.publish(await desk.draft())
    await desk.publish(await desk.draft(EASIER))
    await versions.retire(club.connection, **desk.key, version=2, by="li.na")
    assert await desk.states() == [(2, "retired"), (1, "in_force")]
    with pytest.raises(ConflictError):
        await versions.retire(club.connection, **desk.key, version=1, by="li.na")


async def test_what_was_done_is_written_down_with_who_did_it_and_what_it_changed(club: Club) -> None:
    desk = Desk(club)
    draft = await desk.edit(await desk.draft(), EASIER)
    await desk.publish(draft)
    events = await versions.list_events(club.connection, **desk.key)
    assert [(event.action, event.done_by) for event in events] == [
        ("published", "li.na"),
        ("edited", "li.na"),
        ("created", "li.na"),
    ]
    assert {path: tuple(change) for path, change in events[1].changes.items()} == {"grace_days": (0, 30)}
