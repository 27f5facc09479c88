"""Ladders are published in versions that never change."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from loyalty.kit.errors import InvalidInputError, NotFoundError
from tests.db.tiers.conftest import Club, at, make_ladder
from tiers.policies import KeepForever
from tiers.tables import ladder_version_table
from tiers.versions import get_published, list_published, policy_at
from tiers.windows import LifetimeWindow


async def test_a_published_ladder_reads_back_as_it_was(club: Club) -> None:
    ladder = make_ladder(grace_days=30, downgrade="to_matching")
    published = await club.publish(ladder)
    assert (published.version, published.policy) == (1, ladder.policy())
    found = await get_published(club.connection, programme_id=club.programme.id, version=1)
    assert found == published


async def test_the_same_ladder_is_not_published_twice(club: Club) -> None:
    first = await club.publish(make_ladder())
    assert await club.publish(make_ladder()) == first
    assert len(await list_published(club.connection, programme_id=club.programme.id)) == 1


async def test_each_version_is_in_force_until_the_next(club: Club) -> None:
    await club.publish(make_ladder(), effective_at=at("2025-01-01"))
    await club.publish(make_ladder(grace_days=10), effective_at=at("2025-06-01"))
    await club.publish(make_ladder(grace_days=20), effective_at=at("2025-09-01"))

    days = ["2020-01-01", "2025-01-01", "2025-05-31", "2025-06-01", "2025-08-31", "2025-09-01", "2030-01-01"]
    versions = []
    for day in days:
        found = await policy_at(club.connection, programme_id=club.programme.id, moment=at(day))
        assert found is not None
        versions.append(found.version)

    assert versions == [1, 1, 1, 2, 2, 3, 3]
    listed = await list_published(club.connection, programme_id=club.programme.id)
    assert [each.version for each in listed] == [3, 2, 1]


async def test_a_version_follows_the_one_before_it(club: Club) -> None:
    await club.publish(make_ladder(), effective_at=at("2025-06-01"))
    with pytest.raises(InvalidInputError) as refused:
        await club.publish(make_ladder(grace_days=10), effective_at=at("2025-06-01"))
    assert refused.value.field == "effective_at"


async def test_a_programme_may_have_several_ladders(club: Club) -> None:
    await club.publish(make_ladder())
    await club.publish(make_ladder(code="travel", window=LifetimeWindow()))
    found = await policy_at(
        club.connection, programme_id=club.programme.id, moment=at("2025-01-01"), ladder_code="travel"
    )
    assert found is not None
    assert found.policy.keep == KeepForever()


async def test_an_unknown_version_is_refused(club: Club) -> None:
    with pytest.raises(NotFoundError):
        await get_published(club.connection, programme_id=club.programme.id, version=1)


@pytest.mark.parametrize(
    "statement",
    [update(ladder_version_table).values(definition={}), delete(ladder_version_table)],
    ids=["update", "delete"],
)
async def test_the_database_refuses_to_change_a_published_version(club: Club, statement: object) -> None:
    await club.publish(make_ladder())
    with pytest.raises(DBAPIError, match="never changed"):
        await club.connection.execute(statement)  # type: ignore[call-overload]
