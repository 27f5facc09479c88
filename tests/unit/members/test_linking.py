"""The rule of who a record is about, sentence by sentence (see the docstring of `linking`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest

from loyalty.kit.errors import ConflictError
from loyalty.members.identifiers import IdentityKey
from loyalty.members.linking import Claim, Holder, Link, contradict, link

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def phone(number: str) -> IdentityKey:
    return IdentityKey("phone", "", number.encode())


def email(address: str) -> IdentityKey:
    return IdentityKey("email", "", address.encode())


def customer(text: str) -> IdentityKey:
    return IdentityKey("customer", "online", text.encode())


def card(text: str) -> IdentityKey:
    return IdentityKey("card", "store-1", text.encode())


def member(name: str, *keys: IdentityKey, verified: bool = False, day: int = 0) -> Holder:
    return Holder(
        member_id=uuid5(UUID(int=0), name),
        joined_at=NEW_YEAR + timedelta(days=day),
        identities=dict.fromkeys(keys, verified),
    )


def who(*claims: IdentityKey | Claim, members: list[Holder]) -> Link:
    return link(
        [claim if isinstance(claim, Claim) else Claim(claim, verified=False) for claim in claims],
        {key: holder for holder in members for key in holder.identities},
    )


def test_whom_nothing_names_is_somebody_new() -> None:
    assert who(phone("1"), members=[]) == Link(member_id=None)


def test_the_holder_of_the_phone_is_the_person() -> None:
    ann = member("ann", phone("1"))

    assert who(phone("1"), card("new"), members=[ann]) == Link(member_id=ann.member_id)


def test_a_known_card_with_a_phone_nobody_has_is_the_cards_member() -> None:
    ann = member("ann", card("1"), phone("1"), verified=True)

    assert who(card("1"), Claim(phone("2"), verified=True), members=[ann]).member_id == ann.member_id


def test_a_member_without_a_phone_is_merged_into_the_one_with_it() -> None:
    by_card, by_phone = member("card", card("1"), verified=True), member("phone", phone("1"), day=9)

    assert who(card("1"), phone("1"), members=[by_card, by_phone]) == Link(
        member_id=by_phone.member_id, absorbed=(by_card.member_id,)
    )


def test_the_records_own_phone_decides_who_survives() -> None:
    other, by_phone = member("other", card("1"), phone("2")), member("phone", phone("1"), day=9)

    assert who(card("1"), phone("1"), members=[other, by_phone]).member_id == by_phone.member_id


def test_without_a_phone_in_the_record_a_member_with_one_survives() -> None:
    old, with_phone = member("old", card("1")), member("phone", customer("1"), phone("1"), day=9)

    assert who(card("1"), customer("1"), members=[old, with_phone]).member_id == with_phone.member_id


def test_without_any_phone_who_joined_first_survives() -> None:
    late, early = member("late", card("1"), day=9), member("early", customer("1"))

    assert who(card("1"), customer("1"), members=[late, early]).member_id == early.member_id


def test_two_verified_phones_are_two_people() -> None:
    ann = member("ann", card("1"), phone("1"), verified=True)
    ben = member("ben", phone("2"), verified=True)

    with pytest.raises(ConflictError) as refusal:
        who(card("1"), phone("2"), members=[ann, ben])
    assert refusal.value.field == "card"


def test_a_phone_proved_by_this_very_record_counts_as_verified() -> None:
    ann = member("ann", card("1"), phone("1"), verified=True)
    ben = member("ben", phone("2"))

    assert who(card("1"), phone("2"), members=[ann, ben]).absorbed == (ann.member_id,)
    with pytest.raises(ConflictError):
        who(card("1"), Claim(phone("2"), verified=True), members=[ann, ben])


def test_two_verified_phones_are_two_people_even_where_a_third_member_would_survive() -> None:
    ann = member("ann", card("1"), phone("1"), verified=True)
    ben = member("ben", customer("1"), phone("2"), verified=True)
    third = member("third", phone("3"))

    with pytest.raises(ConflictError):
        who(card("1"), customer("1"), phone("3"), members=[ann, ben, third])


def test_an_address_finds_a_member_whom_nothing_stronger_names() -> None:
    ann = member("ann", email("a"), phone("1"))

    assert who(email("a"), card("1"), members=[ann]).member_id == ann.member_id


def test_an_address_never_joins_different_phones() -> None:
    ann = member("ann", email("a"), phone("1"), verified=True)

    assert who(Claim(email("a"), verified=True), phone("2"), members=[ann]) == Link(
        member_id=None, contacts=frozenset({email("a")})
    )


def test_an_address_never_joins_two_customers_of_one_shop() -> None:
    ann = member("ann", email("a"), customer("1"))

    assert who(email("a"), customer("2"), members=[ann]).member_id is None


def test_an_address_merges_two_members_only_when_both_sides_proved_it() -> None:
    ann, newsletter = member("ann", phone("1")), member("newsletter", email("a"), verified=True)
    typed = member("typed", email("a"))
    proved = Claim(email("a"), verified=True)

    assert who(phone("1"), proved, members=[ann, newsletter]).absorbed == (newsletter.member_id,)
    assert who(phone("1"), email("a"), members=[ann, newsletter]).contacts == {email("a")}
    assert who(phone("1"), proved, members=[ann, typed]).contacts == {email("a")}


def test_contradiction_is_a_source_that_both_have_and_do_not_share() -> None:
    assert contradict([phone("1")], [phone("2")])
    assert contradict([customer("1")], [customer("2"), phone("1")])
    assert not contradict([phone("1"), phone("2")], [phone("2")])
    assert not contradict([phone("1")], [card("1")])
    assert not contradict([email("a")], [email("b")])
