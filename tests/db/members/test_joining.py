"""One person, however many ways they come."""

from __future__ import annotations

import asyncio
import csv
import gzip
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import posting, reading
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError
from loyalty.kit.programme import Programme
from loyalty.members.consent import Consent, current_consents
from loyalty.members.identity import Identity, Record, Registration, read_record, register, register_many, resolve
from loyalty.members.member import get_member
from loyalty.members.merge import list_merges, unmerge
from loyalty.members.profile import ProfileFields, read_profile
from loyalty.members.reading import count_by_channel, count_members
from tests.db.members.conftest import ANN, BEN, NEW_YEAR, Join, card, customer, email, phone
from tests.factories import make_programme

SHARED_DATA = Path(__file__).parents[4] / "shared" / "data"


async def test_a_phone_is_one_person_in_whatever_spelling(join: Join) -> None:
    first = await join(phone("+86 199 0000 1001"))

    again = await join(phone("0086-199-0000-1001"), channel_code="store-1")

    assert first.created
    assert not again.created
    assert again.member == first.member
    assert again.member.joined_channel == "online"


async def test_an_id_of_one_channel_is_nobody_in_another(join: Join) -> None:
    online = await join(customer("1"))
    store = await join(customer("1", channel="store-1"), channel_code="store-1")

    assert store.created
    assert store.member.id != online.member.id


async def test_a_record_adds_what_was_not_known(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    ann = (await join(customer("1"), phone(ANN))).member
    await join(card("600 1"), phone(ANN), channel_code="store-1")

    by_card = await resolve(connection, keyring, programme_id=programme.id, identities=[card("6001")])

    assert by_card == ann


async def test_a_record_without_a_usable_phone_is_a_member_of_its_channel_alone(join: Join) -> None:
    identities, refused = read_record(
        channel_code="online", phone="1990000123456", customer="7", email=" a@Example.com"
    )

    registration = await join(*identities)

    assert registration.created
    assert [identity.kind for identity in identities] == ["customer", "email"]
    assert [dict(fault) for fault in refused] == [{"field": "phone", "reason": "'1990000123456' has too many digits"}]


async def test_a_card_and_a_phone_of_two_members_in_one_record_merge_them_into_the_phones(
    connection: AsyncConnection, programme: Programme, join: Join
) -> None:
    by_card = (await join(card("1"))).member
    by_phone = (await join(phone(ANN), joined_at=NEW_YEAR + timedelta(days=1))).member
    await posting.earn(
        connection, programme_id=programme.id, member_id=by_card.id, amount=70, key="1", source="order:store-1/1"
    )

    linked = await join(card("1"), phone(ANN), channel_code="store-1")

    assert not linked.created
    assert linked.member == by_phone
    assert await get_member(connection, programme_id=programme.id, member_id=by_card.id) == by_phone
    assert (await reading.balance(connection, member_id=by_phone.id)).spendable == 70
    (trail,) = await list_merges(connection, member_id=by_phone.id)
    assert linked.merge_ids == (trail.id,)
    assert (trail.survivor_id, trail.absorbed_id, trail.merged_by) == (by_phone.id, by_card.id, "system:identity")


async def test_two_members_with_verified_phones_of_their_own_are_two_people(
    connection: AsyncConnection, programme: Programme, join: Join
) -> None:
    ann = (await join(card("1"), phone(ANN, verified=True))).member
    await join(phone(BEN, verified=True))

    with pytest.raises(ConflictError) as refusal:
        await join(card("1"), phone(BEN), channel_code="store-1")

    assert refusal.value.field == "card"
    assert await get_member(connection, programme_id=programme.id, member_id=ann.id) == ann


async def test_whom_staff_have_parted_no_record_joins_again(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, join: Join
) -> None:
    await join(card("1"))
    await join(phone(ANN))
    (merge_id,) = (await join(card("1"), phone(ANN))).merge_ids
    await unmerge(
        connection, keyring, programme_id=programme.id, merge_id=merge_id, reason="a borrowed card", actor="stf_1"
    )

    with pytest.raises(ConflictError, match="staff have said they are two"):
        await join(card("1"), phone(ANN))


async def test_an_address_that_was_only_typed_never_joins_two_who_have_different_phones(
    connection: AsyncConnection, keyring: Keyring, join: Join
) -> None:
    ann = (await join(phone(ANN), email("family@example.com"))).member

    ben = await join(phone(BEN), email("family@example.com"))

    assert ben.created
    assert ben.member.id != ann.id
    profile = await read_profile(connection, keyring, member_id=ben.member.id)
    assert profile.email == "family@example.com"
    assert [identity.kind for identity in profile.identities] == ["phone"]


async def test_an_address_finds_a_member_where_nothing_stronger_speaks(join: Join) -> None:
    ann = (await join(phone(ANN), email("Ann@example.com"))).member

    again = await join(email("ann@EXAMPLE.com"), channel_code="store-1")

    assert again.member == ann


async def test_proving_an_identity_is_remembered(connection: AsyncConnection, keyring: Keyring, join: Join) -> None:
    ann = (await join(phone(ANN))).member
    assert (await read_profile(connection, keyring, member_id=ann.id)).identities[0].verified_at is None

    await join(phone(ANN, verified=True))

    assert (await read_profile(connection, keyring, member_id=ann.id)).identities[0].verified_at is not None


async def test_a_repeated_record_fills_what_is_missing_and_says_nothing_twice(
    connection: AsyncConnection, keyring: Keyring, join: Join
) -> None:
    terms = Consent(purpose="terms", granted=True, text_version="2026-01", given_at=NEW_YEAR, source="import:online")
    ann = (await join(phone(ANN), profile=ProfileFields(name="Ann"), consents=[terms])).member

    await join(phone(ANN), profile=ProfileFields(name="A. N. Other"), consents=[terms])

    assert (await read_profile(connection, keyring, member_id=ann.id)).name == "Ann"
    assert await current_consents(connection, member_id=ann.id) == {"terms": terms}
    assert (
        await connection.scalar(text("SELECT count(*) FROM member_consent WHERE member_id = :id"), {"id": ann.id}) == 1
    )


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"identities": []}, "identities"),
        ({"identities": [phone(ANN)], "joined_at": NEW_YEAR.replace(tzinfo=None)}, "joined_at"),
        ({"identities": [phone(ANN)], "locale": "fr"}, "locale"),
        ({"identities": [phone(ANN)], "profile": ProfileFields(email="nobody")}, "email"),
    ],
)
async def test_a_bad_record_is_refused_with_its_field_and_nothing_is_written(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, record: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await register(
            connection,
            keyring,
            programme_id=programme.id,
            channel_code="online",
            **{"joined_at": NEW_YEAR, **record},  # type: ignore[arg-type]
        )

    assert refusal.value.field == field
    assert (await count_members(connection, programme_id=programme.id)).active == 0


async def test_one_refused_record_does_not_disturb_the_others(
    connection: AsyncConnection, keyring: Keyring, programme: Programme
) -> None:
    outcomes = await register_many(
        connection,
        keyring,
        programme_id=programme.id,
        channel_code="online",
        records=[
            Record(identities=[phone(ANN, verified=True), customer("1")], joined_at=NEW_YEAR),
            Record(identities=[], joined_at=NEW_YEAR),
            Record(identities=[phone(BEN, verified=True)], joined_at=NEW_YEAR),
            Record(identities=[phone(BEN), customer("1")], joined_at=NEW_YEAR),
            Record(identities=[phone(ANN), card("9")], joined_at=NEW_YEAR),
        ],
    )

    ann, empty, ben, both, ann_again = outcomes
    assert isinstance(ann, Registration)
    assert isinstance(empty, InvalidInputError)
    assert isinstance(ben, Registration)
    assert isinstance(both, ConflictError)
    assert isinstance(ann_again, Registration)
    assert (ann.created, ben.created, ann_again.created) == (True, True, False)
    assert ann_again.member.id == ann.member.id


async def test_records_of_one_call_may_merge_members_of_the_same_call(
    connection: AsyncConnection, keyring: Keyring, programme: Programme
) -> None:
    one, two, linking, again = await register_many(
        connection,
        keyring,
        programme_id=programme.id,
        channel_code="store-1",
        records=[
            Record(identities=[card("1")], joined_at=NEW_YEAR),
            Record(identities=[phone(ANN)], joined_at=NEW_YEAR),
            Record(identities=[phone(ANN), card("1")], joined_at=NEW_YEAR),
            Record(identities=[card("1")], joined_at=NEW_YEAR),
        ],
    )

    assert isinstance(one, Registration)
    assert isinstance(two, Registration)
    assert isinstance(linking, Registration)
    assert isinstance(again, Registration)
    assert linking.member.id == two.member.id
    assert again.member.id == two.member.id
    assert len(linking.merge_ids) == 1
    assert (await count_members(connection, programme_id=programme.id)).active == 1


async def test_nothing_personal_is_stored_in_the_clear(connection: AsyncConnection, join: Join) -> None:
    await join(phone(ANN), customer("secret-7"), email("ann@example.com"), profile=ProfileFields(name="Ann Example"))

    dump = await connection.scalar(
        text(
            "SELECT (SELECT string_agg(i::text, '') FROM member_identity i) || (SELECT string_agg(p::text, '') FROM "
            "member_profile p) || (SELECT string_agg(m::text, '') FROM member m)"
        )
    )

    for value in (ANN, "secret-7", "ann@example.com", "Ann Example"):
        assert value not in dump
        assert value.encode().hex() not in dump


async def test_one_person_who_joins_on_eight_connections_at_once_is_one_member(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with committed_engine.begin() as connection:
        programme = await make_programme(connection)
    ready = asyncio.Barrier(8)

    async def come(number: int) -> Registration:
        async with committed_engine.begin() as connection:
            await connection.execute(text("SELECT 1"))
            await ready.wait()
            return await register(
                connection,
                keyring,
                programme_id=programme.id,
                channel_code="online",
                identities=[customer(str(number)), phone(ANN)],
                joined_at=NEW_YEAR,
            )

    for _ in range(3):
        came = await asyncio.gather(*(come(number) for number in range(8)))
        assert len({registration.member.id for registration in came}) == 1

    async with committed_engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM member")) == 1
        assert await connection.scalar(text("SELECT count(*) FROM member_identity")) == 9


async def test_one_record_that_merges_two_members_on_many_connections_at_once_merges_them_once(
    committed_engine: AsyncEngine, keyring: Keyring
) -> None:
    async with committed_engine.begin() as connection:
        programme = await make_programme(connection)

    async def come(*identities: Identity) -> Registration:
        async with committed_engine.begin() as connection:
            return await register(
                connection,
                keyring,
                programme_id=programme.id,
                channel_code="online",
                identities=identities,
                joined_at=NEW_YEAR,
            )

    await come(card("1"))
    ann = (await come(phone(ANN))).member

    came = await asyncio.gather(*(come(card("1"), phone(ANN)) for _ in range(8)))

    assert {registration.member.id for registration in came} == {ann.id}
    assert sum(len(registration.merge_ids) for registration in came) == 1


async def test_two_real_shops_records_are_3590_members(
    connection: AsyncConnection, keyring: Keyring, programme: Programme
) -> None:
    if not SHARED_DATA.is_dir():
        pytest.skip("the two shops' records are not beside this checkout")
    online = [
        Record(identities=_usable("online", row, customer="CustomerID", email="email"), joined_at=NEW_YEAR)
        for row in _rows("online_contacts.csv.gz")
    ]
    store = [
        Record(identities=_usable("store-1", row, customer="household_id", card="card_no"), joined_at=NEW_YEAR)
        for row in _rows("store_contacts.csv.gz")
    ]

    for _ in range(2):
        refusals: list[DomainError] = []
        for channel, records in (("online", online), ("store-1", store)):
            outcomes = await register_many(
                connection, keyring, programme_id=programme.id, channel_code=channel, records=records
            )
            refusals += [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
        assert refusals == []
        assert (await count_members(connection, programme_id=programme.id)).active == 3590

    counts = {
        count.channel: (count.joined, count.known)
        for count in await count_by_channel(connection, programme_id=programme.id)
    }
    assert len(online) - counts["online"][1] == 20, "20 people have two online accounts"
    assert counts["store-1"][1] - counts["store-1"][0] == 553


def _rows(name: str) -> list[dict[str, str]]:
    with gzip.open(SHARED_DATA / name, "rt", newline="") as file:
        return list(csv.DictReader(file))


def _usable(channel: str, row: dict[str, str], **columns: str) -> list[Identity]:
    identities, _ = read_record(
        channel_code=channel, phone=row["phone"], **{kind: row[column] for kind, column in columns.items()}
    )
    return identities


async def test_a_stranger_in_another_programme_is_nobody(
    connection: AsyncConnection, keyring: Keyring, join: Join
) -> None:
    await join(phone(ANN))

    assert await resolve(connection, keyring, programme_id=uuid4(), identities=[phone(ANN)]) is None
