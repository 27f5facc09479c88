"""Finding a member by what somebody types, and adding and taking away ways to know one."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, NotFoundError
from loyalty.kit.programme import Programme
from loyalty.members.erasure import erase
from loyalty.members.identity import Identity, attach, channel_identity, detach, find, register, resolve
from loyalty.members.member import Member
from loyalty.members.merge import merge
from loyalty.members.profile import read_profile
from tests.db.members.conftest import ANN, BEN, NEW_YEAR, Join, card, customer, email, phone
from tests.factories import make_programme


@pytest.mark.parametrize(
    "typed",
    [
        "+86 199 0000 1001",
        "１９９００００１００１",
        "6000 0000 0001",
        "600000000001",
        "Ann@EXAMPLE.com",
        " 12347.0 ",
        "w-1",
    ],
)
async def test_a_clerk_finds_a_member_by_whatever_they_type(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join, typed: str
) -> None:
    wallet = channel_identity("wallet", "w-1", channel_code="online")
    ann = (await join(phone(ANN), card("600000000001"), email("ann@example.com"), customer("12347.0"), wallet)).member
    await join(phone(BEN), card("600000000002"))

    assert await find(connection, keyring, programme_id=programme.id, text=typed) == [ann]


async def test_a_member_is_found_by_public_id_in_either_case_and_after_a_merge(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    ann, ben = (await join(phone(ANN))).member, (await join(card("1"))).member
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

    for typed in (ann.public_id, ann.public_id.upper(), ben.public_id):
        assert await find(connection, keyring, programme_id=programme.id, text=typed) == [ann]


@pytest.mark.parametrize("typed", ["", " ", "-", "19900009999", "mem_", "mem_00000000000000000000000000", "x" * 5000])
async def test_nobody_is_an_empty_list(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join, typed: str
) -> None:
    await join(phone(ANN))

    assert await find(connection, keyring, programme_id=programme.id, text=typed) == []


async def test_one_customer_id_of_two_shops_finds_both(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    online, store = (await join(customer("1"))).member, (await join(customer("1", channel="store-1"))).member

    assert await find(connection, keyring, programme_id=programme.id, text="1") == [online, store]


async def test_identities_of_two_members_do_not_resolve_to_either(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    await join(phone(ANN))
    await join(card("1"))

    with pytest.raises(ConflictError, match="several members"):
        await resolve(connection, keyring, programme_id=programme.id, identities=[phone(ANN), card("1")])
    assert await resolve(connection, keyring, programme_id=programme.id, identities=[]) is None


async def _attach(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, member: Member, identity: Identity
) -> Member:
    return await attach(
        connection,
        keyring,
        programme_id=programme.id,
        channel_code="online",
        member_id=member.id,
        identity=identity,
    )


async def test_a_member_gets_a_second_phone_and_is_known_by_both(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN))).member

    await _attach(connection, keyring, programme, ann, phone(BEN, verified=True))
    await _attach(connection, keyring, programme, ann, phone(BEN))

    for number in (ANN, BEN):
        assert await resolve(connection, keyring, programme_id=programme.id, identities=[phone(number)]) == ann
    assert (await read_profile(connection, keyring, member_id=ann.id)).phone == f"+86{BEN}", "proved before typed"


async def test_proving_what_was_typed_is_remembered(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN))).member

    await _attach(connection, keyring, programme, ann, phone(ANN, verified=True))

    assert (await read_profile(connection, keyring, member_id=ann.id)).identities[0].verified_at is not None


async def test_what_is_another_members_is_not_attached(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN))).member
    await join(phone(BEN))

    with pytest.raises(ConflictError) as refusal:
        await _attach(connection, keyring, programme, ann, phone(BEN))
    assert refusal.value.field == "phone"


async def test_nothing_is_attached_to_an_erased_member(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN))).member
    await erase(connection, programme_id=programme.id, member_id=ann.id, reason="asked for it", actor="stf_1")

    with pytest.raises(ConflictError, match="is erased"):
        await _attach(connection, keyring, programme, ann, phone(BEN))


async def test_a_phone_with_a_new_owner_is_taken_away_and_free(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    ann = (await join(phone(ANN), card("1"))).member
    (known,) = [
        identity
        for identity in (await read_profile(connection, keyring, member_id=ann.id)).identities
        if identity.kind == "phone"
    ]

    await detach(connection, programme_id=programme.id, member_id=ann.id, identity_id=known.id)

    assert (await join(phone(ANN))).created
    assert await resolve(connection, keyring, programme_id=programme.id, identities=[card("1")]) == ann
    with pytest.raises(NotFoundError) as refusal:
        await detach(connection, programme_id=programme.id, member_id=ann.id, identity_id=known.id)
    assert refusal.value.field == "identity_id"


async def test_one_phone_attached_to_two_members_at_once_is_one_members(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with committed_engine.begin() as connection:
        programme = await make_programme(connection)
        members = [
            (
                await register(
                    connection,
                    keyring,
                    programme_id=programme.id,
                    channel_code="online",
                    identities=[customer(str(number))],
                    joined_at=NEW_YEAR,
                )
            ).member
            for number in range(6)
        ]

    async def take(member: Member) -> Member:
        async with committed_engine.begin() as connection:
            return await _attach(connection, keyring, programme, member, phone(ANN))

    outcomes = await asyncio.gather(*(take(member) for member in members), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError"] * 5 + ["Member"]
