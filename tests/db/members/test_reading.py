"""Pages of members, and how many there are of each channel."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Programme
from loyalty.members.erasure import erase
from loyalty.members.merge import merge
from loyalty.members.reading import ChannelCount, count_by_channel, count_members, list_members, place_of
from tests.db.members.conftest import ANN, NEW_YEAR, Join, card, customer, phone


async def test_pages_show_everybody_once_who_joined_last_first(
    connection: AsyncConnection, programme: Programme, join: Join
) -> None:
    joined = [
        (await join(customer(str(number)), joined_at=NEW_YEAR + timedelta(days=number // 2))).member
        for number in range(7)
    ]

    pages, after = [], None
    while page := await list_members(connection, programme_id=programme.id, after=after, limit=3):
        pages.append(page)
        after = place_of(page[-1])

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [member for page in pages for member in page] == list(reversed(joined))


async def test_a_page_may_keep_to_a_channel_or_a_state(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    both = (await join(customer("1"), phone(ANN))).member
    await join(card("1"), phone(ANN), channel_code="store-1")
    online = (await join(customer("2"))).member
    absorbed = (await join(customer("3"))).member
    gone = (await join(customer("4"))).member
    await merge(
        connection,
        keyring,
        programme_id=programme.id,
        survivor_id=online.id,
        absorbed_id=absorbed.id,
        reason="same",
        actor="stf_1",
        key="1",
    )
    await erase(connection, programme_id=programme.id, member_id=gone.id, reason="asked", actor="stf_1")

    async def ids(**filters: object) -> set[object]:
        members = await list_members(connection, programme_id=programme.id, **filters)  # type: ignore[arg-type]
        return {member.id for member in members}

    assert await ids() == {both.id, online.id}
    assert await ids(channel="store-1") == {both.id}
    assert await ids(channel="online") == {both.id, online.id}
    assert await ids(state="merged") == {absorbed.id}
    assert await ids(state="erased") == {gone.id}
    assert await ids(state=None) == {both.id, online.id, absorbed.id, gone.id}
    counts = await count_members(connection, programme_id=programme.id)
    assert (counts.active, counts.merged, counts.erased) == (2, 1, 1)
    assert await count_by_channel(connection, programme_id=programme.id) == [
        ChannelCount(channel="online", joined=2, known=2),
        ChannelCount(channel="store-1", joined=0, known=1),
    ]


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_has_a_limit(connection: AsyncConnection, programme: Programme, limit: int) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await list_members(connection, programme_id=programme.id, limit=limit)
    assert refusal.value.field == "limit"
