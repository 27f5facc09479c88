"""A person asks to be forgotten, and the books stay whole."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting, reading
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from loyalty.members.consent import Consent, current_consents
from loyalty.members.erasure import erase
from loyalty.members.identity import find
from loyalty.members.member import get_member
from loyalty.members.merge import merge
from loyalty.members.profile import Profile, ProfileFields, read_profile
from tests.db.members.conftest import ANN, NEW_YEAR, Join, card, phone


async def test_an_erased_person_is_nobody_and_the_ledger_is_as_it_was(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    terms = Consent(purpose="terms", granted=True, text_version="1", given_at=NEW_YEAR, source="item-page")
    ann = (await join(phone(ANN), profile=ProfileFields(name="Ann"), consents=[terms], locale="en")).member
    await posting.earn(connection, programme_id=programme.id, member_id=ann.id, amount=10, key="1", source="test")
    history = await reading.history(connection, member_ids=[ann.id])

    erasure = await erase(connection, programme_id=programme.id, member_id=ann.id, reason="asked", actor="stf_1")

    assert (erasure.member_id, erasure.erased_by, erasure.erased_because) == (ann.id, "stf_1", "asked")
    assert await read_profile(connection, keyring, member_id=ann.id) == Profile(member_id=ann.id)
    assert await find(connection, keyring, programme_id=programme.id, text=ANN) == []
    erased = await get_member(connection, programme_id=programme.id, member_id=ann.id)
    assert (erased.state, erased.locale) == ("erased", None)
    assert await reading.history(connection, member_ids=[ann.id]) == history
    assert await current_consents(connection, member_id=ann.id) == {"terms": terms}


async def test_who_comes_again_afterwards_is_somebody_new(
    connection: AsyncConnection, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN))).member
    await erase(connection, programme_id=programme.id, member_id=ann.id, reason="asked", actor="stf_1")

    again = await join(phone(ANN))

    assert again.created
    assert again.member.id != ann.id


async def test_a_merged_person_is_forgotten_under_every_id(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN))).member
    ben = (await join(card("1"), profile=ProfileFields(name="Ben"))).member
    await merge(
        connection,
        keyring,
        programme_id=programme.id,
        survivor_id=ann.id,
        absorbed_id=ben.id,
        reason="same",
        actor="stf_1",
        key="1",
    )

    await erase(connection, programme_id=programme.id, member_id=ben.id, reason="asked", actor="stf_1")

    for table in ("member_identity", "member_profile"):
        left = await connection.scalar(
            text(f"SELECT count(*) FROM {table} WHERE member_id = ANY (:ids)"),
            {"ids": [ann.id, ben.id]},
        )
        assert left == 0
    assert (await get_member(connection, programme_id=programme.id, member_id=ben.id)).id == ann.id


async def test_an_erasure_repeated_is_one_erasure(
    connection: AsyncConnection, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN))).member
    first = await erase(connection, programme_id=programme.id, member_id=ann.id, reason="asked", actor="stf_1")

    again = await erase(connection, programme_id=programme.id, member_id=ann.id, reason="asked again", actor="stf_2")

    assert again == first


async def test_an_erasure_says_who_and_why_and_of_whom(
    connection: AsyncConnection, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN))).member

    with pytest.raises(InvalidInputError) as refusal:
        await erase(connection, programme_id=programme.id, member_id=ann.id, reason="", actor="stf_1")
    assert refusal.value.field == "reason"
    with pytest.raises(NotFoundError):
        await erase(connection, programme_id=programme.id, member_id=new_id(), reason="asked", actor="stf_1")
