"""Two members who are one person, and the way back; the ledger's books stay whole throughout."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import posting, reading
from ledger.errors import OpenHoldsError
from ledger.units import Unit, define_unit
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, IdempotencyMismatchError, InvalidInputError, NotFoundError
from loyalty.kit.programme import Programme
from loyalty.members.consent import Consent, current_consents, record_consent
from loyalty.members.erasure import erase
from loyalty.members.identity import register, resolve
from loyalty.members.member import Member, get_member, keep_unmerged, person_ids
from loyalty.members.merge import AlreadyOneMemberError, Merge, list_merges, merge, unmerge
from loyalty.members.profile import ProfileFields, read_profile, update_profile
from tests.db.members.conftest import ANN, BEN, NEW_YEAR, Join, card, customer, phone
from tests.factories import make_programme

SOON = utc_now() + timedelta(days=30)
LATER = utc_now() + timedelta(days=300)


class World:
    """Two members of one programme, and short forms of what happens to them."""

    def __init__(self, connection: AsyncConnection, keyring: Keyring, programme_id: UUID) -> None:
        self.connection, self.keyring, self.programme_id = connection, keyring, programme_id

    async def merge(self, survivor: Member, absorbed: Member, *, key: str | None = None) -> Merge:
        return await merge(
            self.connection,
            self.keyring,
            programme_id=self.programme_id,
            survivor_id=survivor.id,
            absorbed_id=absorbed.id,
            reason="same person",
            actor="stf_1",
            key=key or str(uuid4()),
        )

    async def unmerge(self, merge_id: UUID) -> Merge:
        return await unmerge(
            self.connection,
            self.keyring,
            programme_id=self.programme_id,
            merge_id=merge_id,
            reason="two people after all",
            actor="stf_2",
        )

    async def earn(self, member: Member, amount: int, **terms: object) -> None:
        await posting.earn(
            self.connection,
            programme_id=self.programme_id,
            member_id=member.id,
            amount=amount,
            key=str(uuid4()),
            source="test",
            **terms,  # type: ignore[arg-type]
        )

    async def spend(self, member: Member, amount: int) -> None:
        await posting.spend(
            self.connection,
            programme_id=self.programme_id,
            member_id=member.id,
            amount=amount,
            key=str(uuid4()),
            source="test",
        )

    async def lots(self, member: Member) -> list[tuple[int, object]]:
        """What is left of each open lot, and when it expires."""
        return [(lot.remaining, lot.expires_at) for lot in await reading.lots(self.connection, member_id=member.id)]

    async def spendable(self, *members: Member) -> list[int]:
        return [(await reading.balance(self.connection, member_id=member.id)).spendable for member in members]


@pytest.fixture
def world(connection: AsyncConnection, keyring: Keyring, programme: Programme) -> World:
    return World(connection, keyring, programme.id)


async def test_a_merge_moves_identities_lots_and_missing_fields_and_leaves_a_trail(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join, world: World
) -> None:
    ann = (await join(phone(ANN), profile=ProfileFields(name="Ann"))).member
    card_holder = (await join(card("1"), profile=ProfileFields(name="A.", email="ann@example.com"))).member
    await world.earn(ann, 10, expires_at=LATER)
    await world.earn(card_holder, 20, expires_at=SOON)
    await world.earn(card_holder, 5, available_at=LATER, expires_at=None)

    trail = await world.merge(ann, card_holder)

    assert await resolve(connection, keyring, programme_id=programme.id, identities=[card("1")]) == ann
    profile = await read_profile(connection, keyring, member_id=ann.id)
    assert (profile.name, profile.phone, profile.email) == ("Ann", f"+86{ANN}", "ann@example.com")
    assert {identity.value for identity in profile.identities} == {f"+86{ANN}", "1"}
    assert await world.lots(ann) == [(20, SOON), (10, LATER), (5, None)]
    assert (await reading.balance(connection, member_id=ann.id)).pending == 5
    assert await world.spendable(ann, card_holder) == [30, 0]
    stored = await get_member(connection, programme_id=programme.id, member_id=card_holder.id, follow_merges=False)
    assert (stored.state, stored.merged_into) == ("merged", ann.id)
    assert (trail.merged_by, trail.merged_because, trail.undone_at) == ("stf_1", "same person", None)
    assert await list_merges(connection, member_id=card_holder.id) == [trail]


async def test_merge_and_unmerge_at_once_give_back_everything_to_the_unit(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join, world: World
) -> None:
    ann = (await join(phone(ANN))).member
    ben = (await join(card("1"), customer("7"), profile=ProfileFields(name="Ben"))).member
    await world.earn(ann, 10, expires_at=LATER)
    await world.earn(ben, 20, expires_at=SOON)
    await world.earn(ben, 30, expires_at=None)
    before = await world.lots(ann), await world.lots(ben)

    trail = await world.unmerge((await world.merge(ann, ben)).id)

    assert (await world.lots(ann), await world.lots(ben)) == before
    assert await get_member(connection, programme_id=programme.id, member_id=ben.id) == ben
    for identity in (card("1"), customer("7")):
        assert await resolve(connection, keyring, programme_id=programme.id, identities=[identity]) == ben
    assert (await read_profile(connection, keyring, member_id=ben.id)).name == "Ben"
    assert (await read_profile(connection, keyring, member_id=ann.id)).name is None
    assert (trail.undone_by, trail.undone_because) == ("stf_2", "two people after all")
    assert trail.undone_at is not None


async def test_unmerging_gives_back_what_is_left_of_the_lots_that_came_with_the_merge(join: Join, world: World) -> None:
    ann, ben = (await join(phone(ANN))).member, (await join(card("1"))).member
    await world.earn(ann, 10, expires_at=LATER)
    await world.earn(ben, 20, expires_at=SOON)
    await world.earn(ben, 40, expires_at=None)
    trail = await world.merge(ann, ben)
    await world.earn(ann, 100, expires_at=None)

    await world.spend(ann, 25)  # takes 20 of Ben's that expire soon, then 5 of Ann's 10
    await world.unmerge(trail.id)

    assert await world.lots(ann) == [(5, LATER), (100, None)]
    assert await world.lots(ben) == [(40, None)]


async def test_what_was_added_or_changed_since_stays_with_the_survivor(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join, world: World
) -> None:
    ann = (await join(phone(ANN))).member
    ben = (await join(card("1"), profile=ProfileFields(name="Ben", email="ben@example.com"))).member
    trail = await world.merge(ann, ben)
    await join(phone(ANN), customer("9"))
    await update_profile(connection, keyring, member_id=ann.id, fields=ProfileFields(name="Ann"), source="member-page")

    await world.unmerge(trail.id)

    assert await resolve(connection, keyring, programme_id=programme.id, identities=[customer("9")]) == ann
    profile = await read_profile(connection, keyring, member_id=ann.id)
    assert (profile.name, profile.email) == ("Ann", None)


async def test_a_person_keeps_every_id_they_were_a_member_as(
    connection: AsyncConnection, programme: Programme, join: Join, world: World
) -> None:
    ann, second, third = [(await join(customer(str(number)))).member for number in range(3)]
    await world.merge(second, third)
    await world.merge(ann, second)

    for member in (second, third):
        assert await get_member(connection, programme_id=programme.id, member_id=member.public_id) == ann
    assert await person_ids(connection, member_id=ann.id) == [ann.id, second.id, third.id]


async def test_an_earlier_merge_is_undone_only_after_the_later_one(join: Join, world: World) -> None:
    ann, second, third = [(await join(customer(str(number)))).member for number in range(3)]
    await world.earn(third, 7, expires_at=SOON)
    inner = await world.merge(second, third)
    outer = await world.merge(ann, second)

    with pytest.raises(ConflictError, match="later merge has to be undone first"):
        await world.unmerge(inner.id)
    await world.unmerge(outer.id)
    await world.unmerge(inner.id)

    assert await world.lots(third) == [(7, SOON)]
    assert await world.spendable(ann, second) == [0, 0]


async def test_merging_by_an_id_that_was_merged_before_merges_its_survivor(
    connection: AsyncConnection, join: Join, world: World
) -> None:
    ann, second, third = [(await join(customer(str(number)))).member for number in range(3)]
    await world.merge(second, third)

    trail = await world.merge(ann, third)

    assert (trail.survivor_id, trail.absorbed_id) == (ann.id, second.id)
    assert await person_ids(connection, member_id=ann.id) == [ann.id, second.id, third.id]


async def test_consents_are_read_over_all_ids_of_a_person_and_the_last_word_counts(
    connection: AsyncConnection, join: Join, world: World
) -> None:
    ann, ben = (await join(phone(ANN))).member, (await join(card("1"))).member
    sms = Consent(purpose="marketing_sms", granted=True, text_version="1", given_at=NEW_YEAR, source="item-page")
    stop = Consent(
        purpose="marketing_sms", granted=False, text_version="1", given_at=NEW_YEAR + timedelta(days=1), source="till"
    )
    await record_consent(connection, member_id=ann.id, consent=sms)
    await record_consent(connection, member_id=ben.id, consent=stop)

    trail = await world.merge(ann, ben)
    assert await current_consents(connection, member_id=ann.id) == {"marketing_sms": stop}

    await world.unmerge(trail.id)
    assert await current_consents(connection, member_id=ann.id) == {"marketing_sms": sms}
    assert await current_consents(connection, member_id=ben.id) == {"marketing_sms": stop}


async def test_debt_goes_with_the_person_and_comes_back(
    connection: AsyncConnection, programme: Programme, join: Join, world: World
) -> None:
    ann, ben = (await join(phone(ANN))).member, (await join(card("1"))).member
    await world.earn(ann, 10, expires_at=SOON)
    await posting.claw_back(
        connection, programme_id=programme.id, member_id=ben.id, amount=4, key="1", source="refund:store-1/1"
    )

    trail = await world.merge(ann, ben)
    assert await world.spendable(ann) == [6]
    await world.unmerge(trail.id)

    assert await world.lots(ann) == [(10, SOON)]
    assert (await reading.balance(connection, member_id=ben.id)).debt == 4


async def test_a_merge_repeated_with_its_key_is_one_merge(
    connection: AsyncConnection, join: Join, world: World
) -> None:
    ann, ben, carl = [(await join(customer(str(number)))).member for number in range(3)]
    first = await world.merge(ann, ben, key="1")

    assert await world.merge(ann, ben, key="1") == first
    assert await list_merges(connection, member_id=ann.id) == [first]
    with pytest.raises(IdempotencyMismatchError):
        await world.merge(ann, carl, key="1")


async def test_an_unmerge_repeated_is_one_unmerge(join: Join, world: World) -> None:
    ann, ben = (await join(phone(ANN))).member, (await join(card("1"))).member
    trail = await world.merge(ann, ben)

    assert await world.unmerge(trail.id) == await world.unmerge(trail.id)


async def test_members_who_are_one_already_are_not_merged(join: Join, world: World) -> None:
    ann, ben = (await join(phone(ANN))).member, (await join(card("1"))).member
    await world.merge(ann, ben)

    with pytest.raises(AlreadyOneMemberError):
        await world.merge(ann, ben)
    with pytest.raises(AlreadyOneMemberError):
        await world.merge(ann, ann)


async def test_nobody_is_merged_away_while_points_are_on_hold_at_a_till(
    connection: AsyncConnection, programme: Programme, join: Join, world: World
) -> None:
    ann, ben = (await join(phone(ANN))).member, (await join(card("1"))).member
    await world.earn(ben, 10)
    await posting.hold(
        connection,
        programme_id=programme.id,
        member_id=ben.id,
        amount=5,
        hold_id=uuid4(),
        expires_at=SOON,
        key="hold",
        source="till:store-1/1",
    )

    async with connection.begin_nested() as savepoint:
        with pytest.raises(OpenHoldsError):
            await world.merge(ann, ben)
        await savepoint.rollback()

    assert await get_member(connection, programme_id=programme.id, member_id=ben.id) == ben


async def test_an_erased_member_is_neither_merged_nor_unmerged(
    connection: AsyncConnection, programme: Programme, join: Join, world: World
) -> None:
    ann, ben, carl = [(await join(customer(str(number)))).member for number in range(3)]
    trail = await world.merge(ann, ben)
    await erase(connection, programme_id=programme.id, member_id=ann.id, reason="asked for it", actor="stf_1")

    with pytest.raises(ConflictError, match="is erased"):
        await world.merge(carl, ann)
    with pytest.raises(ConflictError, match="is erased"):
        await world.unmerge(trail.id)


async def test_what_does_not_exist_is_not_found(join: Join, world: World, programme: Programme) -> None:
    ann = (await join(phone(ANN))).member
    stranger = Member(
        id=uuid4(),
        programme_id=programme.id,
        state="active",
        merged_into=None,
        joined_at=NEW_YEAR,
        joined_channel="online",
        locale=None,
    )

    with pytest.raises(NotFoundError) as refusal:
        await world.merge(ann, stranger)
    assert refusal.value.field == "member_id"
    with pytest.raises(NotFoundError) as refusal:
        await world.unmerge(uuid4())
    assert refusal.value.field == "merge_id"


async def test_a_merge_says_who_and_why(connection: AsyncConnection, keyring: Keyring, programme: Programme) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await merge(
            connection,
            keyring,
            programme_id=programme.id,
            survivor_id=uuid4(),
            absorbed_id=uuid4(),
            reason=" ",
            actor="stf_1",
            key="1",
        )
    assert refusal.value.field == "reason"


async def test_a_posting_that_keeps_its_member_never_lands_on_one_who_is_merged_away(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with committed_engine.begin() as connection:
        programme = await make_programme(connection)
        await define_unit(connection, Unit(programme_id=programme.id))
        members = [
            (
                await register(
                    connection,
                    keyring,
                    programme_id=programme.id,
                    channel_code="online",
                    identities=[identity],
                    joined_at=NEW_YEAR,
                )
            ).member
            for identity in (phone(ANN), phone(BEN))
        ]
    survivor, absorbed = members

    async def post(number: int) -> None:
        async with committed_engine.begin() as connection:
            member = await keep_unmerged(connection, programme_id=programme.id, member_id=absorbed.id)
            await posting.earn(
                connection, programme_id=programme.id, member_id=member.id, amount=1, key=str(number), source="test"
            )

    async def join_them() -> None:
        async with committed_engine.begin() as connection:
            await World(connection, keyring, programme.id).merge(survivor, absorbed)

    await asyncio.gather(*(post(number) for number in range(10)), join_them(), *(post(n) for n in range(10, 20)))

    async with committed_engine.connect() as connection:
        assert await World(connection, keyring, programme.id).spendable(survivor, absorbed) == [20, 0]


async def test_two_merges_of_each_into_the_other_at_once_end_as_one(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with committed_engine.begin() as connection:
        programme = await make_programme(connection)
        ann, ben = [
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
            for number in range(2)
        ]

    async def join_them(survivor: Member, absorbed: Member) -> Merge:
        async with committed_engine.begin() as connection:
            return await World(connection, keyring, programme.id).merge(survivor, absorbed)

    outcomes = await asyncio.gather(join_them(ann, ben), join_them(ben, ann), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyOneMemberError", "Merge"]
