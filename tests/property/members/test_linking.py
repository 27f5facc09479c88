"""The rule of who is who, held against every small world of members and records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from loyalty.kit.errors import ConflictError
from loyalty.members.identifiers import IdentityKey, IdentityKind
from loyalty.members.linking import Claim, Holder, Link, link

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES: list[tuple[IdentityKind, str]] = [
    ("phone", ""),
    ("email", ""),
    ("card", "store-1"),
    ("customer", "online"),
]
KEYS = [IdentityKey(kind, scope, bytes([number])) for kind, scope in SOURCES for number in range(3)]

records = st.lists(st.builds(Claim, st.sampled_from(KEYS), st.booleans()), min_size=1, max_size=4)


@st.composite
def worlds(draw: st.DrawFn) -> dict[IdentityKey, Holder]:
    """Up to four members; each identity has one holder or none."""
    members = [Holder(member_id=UUID(int=n), joined_at=NEW_YEAR + timedelta(days=n)) for n in range(4)]
    holders: dict[IdentityKey, Holder] = {}
    for key in KEYS:
        holder = draw(st.sampled_from([None, *members]))
        if holder is not None:
            holder.identities[key] = draw(st.booleans())
            holders[key] = holder
    return holders


def decide(record: list[Claim], world: dict[IdentityKey, Holder]) -> Link | None:
    try:
        return link(record, {claim.key: world[claim.key] for claim in record if claim.key in world})
    except ConflictError:
        return None


def verified_phones(holder: Holder) -> set[bytes]:
    return {key.digest for key, verified in holder.identities.items() if key.kind == "phone" and verified}


@given(records, worlds())
def test_every_strong_identity_of_an_accepted_record_ends_with_one_member(
    record: list[Claim], world: dict[IdentityKey, Holder]
) -> None:
    decided = decide(record, world)
    if decided is None:
        return
    people = {decided.member_id, *decided.absorbed}
    for claim in record:
        if claim.key.kind != "email" and claim.key in world:
            assert world[claim.key].member_id in people


@given(records, worlds())
def test_no_two_members_with_verified_phones_are_ever_merged(
    record: list[Claim], world: dict[IdentityKey, Holder]
) -> None:
    decided = decide(record, world)
    if decided is None:
        return
    people = {decided.member_id, *decided.absorbed}
    merged = {holder.member_id: holder for holder in world.values() if holder.member_id in people}
    assert sum(1 for holder in merged.values() if verified_phones(holder)) <= 1


@given(records, worlds())
def test_only_proved_addresses_merge(record: list[Claim], world: dict[IdentityKey, Holder]) -> None:
    decided = decide(record, world)
    strong = {world[claim.key].member_id for claim in record if claim.key.kind != "email" and claim.key in world}
    proved = {
        world[claim.key].member_id
        for claim in record
        if claim.key.kind == "email"
        and claim.key in world
        and claim.verified
        and world[claim.key].identities[claim.key]
    }
    if decided is not None and decided.absorbed:
        by_address_alone = {decided.member_id, *decided.absorbed} - strong - proved
        assert len(by_address_alone) <= (0 if strong else 1)


@given(records, worlds(), st.randoms())
def test_the_order_in_which_a_record_names_its_identities_does_not_matter(
    record: list[Claim], world: dict[IdentityKey, Holder], random: object
) -> None:
    distinct = list({claim.key: claim for claim in record if claim.key.kind != "email"}.values())
    shuffled = list(distinct)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    one, other = decide(distinct, world), decide(shuffled, world)

    assert (one is None) == (other is None)
    if one and other:
        assert (one.member_id, set(one.absorbed)) == (other.member_id, set(other.absorbed))


@given(records, worlds())
def test_an_accepted_record_that_comes_again_changes_nothing(
    record: list[Claim], world: dict[IdentityKey, Holder]
) -> None:
    decided = decide(record, world)
    if decided is None:
        return
    person = Holder(member_id=decided.member_id or UUID(int=99), joined_at=NEW_YEAR)
    people = {person.member_id, *decided.absorbed}
    for key in [key for key, holder in world.items() if holder.member_id in people]:
        person.identities[key] = world[key].identities[key]
        world[key] = person
    for claim in record:
        if claim.key not in decided.contacts:
            person.identities[claim.key] = person.identities.get(claim.key, False) or claim.verified
            world[claim.key] = person

    again = decide(record, world)

    assert again is not None
    assert (again.member_id, again.absorbed, again.contacts) == (person.member_id, (), decided.contacts)
