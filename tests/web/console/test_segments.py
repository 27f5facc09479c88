"""Segments in the hands of a CRM manager: put together in sentences without a script, counted, saved, handed out."""

from __future__ import annotations

import re
from typing import Any

from loyalty.campaigns.segments.segment import get_version, list_segments, list_versions
from loyalty.campaigns.segments.tags import tags_of
from loyalty.kit.db import transaction
from loyalty.kit.rules import AllOf, AnyOf, Compare
from loyalty.web.security.staff_actions import list_actions
from tests.web.console.conftest import Life
from tests.web.house import House
from tests.web.member.conftest import Browser


async def test_a_segment_is_put_together_counted_saved_and_handed_out(
    house: House, manager: Browser, life: Life
) -> None:
    await manager.get("/console/segments")
    await manager.send("/console/segments", name="Regulars")
    async with transaction(house.engine) as connection:
        (segment,) = await list_segments(connection, programme_id=house.programme.id)
    page = f"/console/segments/{segment.public_id}"
    await manager.get(page)
    assert "Without a condition it is every member." in manager.words

    size = {"r.size": "0", "r.join": "all"}
    await manager.send(page, **size, **{"number": "0", "r.new": "orders", "do": "add:r"})
    one = {
        "r.join": "all",
        "r.size": "1",
        "r.0.field": "orders",
        "r.0.days": "90",
        "r.0.channel": "",
        "r.0.test": "ge",
        "r.0.value": "1",
    }
    answer = await manager.send(f"{page}/count", **one)
    assert re.fullmatch(r"\d+ of \d+ members", answer.json()["count"])
    assert answer.json()["said"] == "Orders in the last 90 days is at least 1"
    await manager.get(page)
    await manager.send(page, **one, number="1", do="group:r")
    two = one | {"r.size": "2", "r.1.join": "any", "r.1.size": "0"}
    await manager.send(page, **two, **{"number": "2", "r.1.new": "tag", "do": "add:r.1"})
    three = two | {"r.1.size": "1", "r.1.0.field": "tag", "r.1.0.name": "VIP", "r.1.0.test": "yes"}
    await manager.send(page, **three, **{"number": "3", "r.1.new": "points", "do": "add:r.1"})
    four = three | {"r.1.size": "2", "r.1.1.field": "points", "r.1.1.test": "ge", "r.1.1.value": ""}

    refused = await manager.send(page, **four, number="4", do="save")
    assert refused.status_code == 422  # how many points?
    await manager.get(page)
    assert "Something is missing here" in manager.words
    four["r.1.1.value"] = "0"
    await manager.send(page, **four, number="5", do="save", note="to begin with")
    async with transaction(house.engine) as connection:
        mine: dict[str, Any] = {"programme_id": house.programme.id, "segment_id": segment.id}
        saved = await get_version(connection, **mine)
    assert saved.rule == AllOf(
        (
            Compare("orders:days=90", "ge", 1),
            AnyOf((Compare("tag:name=vip", "eq", value=True), Compare("points", "ge", 0))),
        )
    )
    assert (
        "Version 1 · Orders in the last 90 days is at least 1, and (Tag “vip”: yes, or Points to spend is at least 0)"
        in manager.words
    )
    assert "Lin Yue" in manager.words

    file = await manager.send(f"{page}/members.csv", contents="ids", version="1")
    assert file.text.splitlines()[0] == "member_id"
    assert life.member.public_id in file.text.splitlines()
    await manager.get(page)
    phones = await manager.send(f"{page}/members.csv", contents="phones", version="1")
    assert all(line.split(",")[0] in file.text for line in phones.text.splitlines()[1:])
    async with transaction(house.engine) as connection:
        actions = await list_actions(connection, programme_id=house.programme.id, subject_id=segment.id)
    assert [action.action for action in actions] == ["export-segment", "export-segment"]


async def test_two_people_do_not_overwrite_each_others_draft(house: House, manager: Browser) -> None:
    await manager.get("/console/segments")
    await manager.send("/console/segments", name="Shared")
    async with transaction(house.engine) as connection:
        found = await list_segments(connection, programme_id=house.programme.id)
    segment = next(each for each in found if each.name == "Shared")
    page = f"/console/segments/{segment.public_id}"
    size = {"r.size": "0", "r.join": "all"}
    await manager.send(page, **size, **{"number": "0", "r.new": "tier", "do": "add:r"})
    late = await manager.send(page, **size, **{"number": "0", "r.new": "points", "do": "add:r"})
    assert late.status_code == 422
    await manager.send(page, **size, number="1", do="drop")
    await manager.send(f"{page}/retire", retired="yes")
    async with transaction(house.engine) as connection:
        assert list(await list_versions(connection, programme_id=house.programme.id, segment_id=segment.id)) == []
        assert segment.id not in {each.id for each in await list_segments(connection, programme_id=house.programme.id)}


async def test_a_member_is_tagged_by_hand(house: House, manager: Browser, life: Life) -> None:
    page = f"/console/members/{life.member.public_id}"
    await manager.get(page)
    await manager.send(f"{page}/tags", tag="Book club")
    await manager.get(page)
    assert "book club" in manager.words
    await manager.send(f"{page}/tags", remove="book club")
    async with transaction(house.engine) as connection:
        assert await tags_of(connection, member_id=life.member.id) == []
