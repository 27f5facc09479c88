"""The rotating code on a member's card."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import new_id
from loyalty.members.card_token import TOKEN_LENGTH, issue_token, looks_like_token, read_token, seconds_left

SECRET, OTHER_SECRET = b"s" * 32, b"t" * 32
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
MEMBER = new_id()


def test_a_code_is_short_and_of_the_characters_that_keep_a_qr_small() -> None:
    token = issue_token(SECRET, MEMBER, NOON)

    assert re.fullmatch(r"[0-9A-Z]{40}", token)
    assert len(token) == TOKEN_LENGTH
    assert looks_like_token(token)


@pytest.mark.parametrize("made", [0, 1, 30, 59])
@pytest.mark.parametrize("age", [0, 1, 59, 60])
def test_a_code_holds_for_a_minute_whenever_it_was_made(made: int, age: int) -> None:
    at = NOON + timedelta(seconds=made)

    assert read_token(SECRET, issue_token(SECRET, MEMBER, at), at + timedelta(seconds=age)) == MEMBER


@pytest.mark.parametrize("made", [0, 30, 59])
@pytest.mark.parametrize("age", [120, 121, 600, 1700])
def test_a_code_has_run_out_after_two_minutes(made: int, age: int) -> None:
    at = NOON + timedelta(seconds=made)

    with pytest.raises(InvalidInputError, match="has run out"):
        read_token(SECRET, issue_token(SECRET, MEMBER, at), at + timedelta(seconds=age))


@pytest.mark.parametrize("age", [31 * 60, 32 * 60, 33 * 60, 24 * 3600])
def test_a_photograph_is_worth_nothing_later(age: int) -> None:
    token = issue_token(SECRET, MEMBER, NOON)

    with pytest.raises(InvalidInputError):
        read_token(SECRET, token, NOON + timedelta(seconds=age))


def test_servers_whose_clocks_differ_a_little_agree() -> None:
    token = issue_token(SECRET, MEMBER, NOON + timedelta(seconds=1))

    assert read_token(SECRET, token, NOON - timedelta(seconds=1)) == MEMBER
    with pytest.raises(InvalidInputError):
        read_token(SECRET, token, NOON - timedelta(seconds=61))


def test_a_code_is_read_in_lower_case_and_with_letters_mistaken_for_digits() -> None:
    token = issue_token(SECRET, MEMBER, NOON)

    assert read_token(SECRET, f" {token.lower()} ", NOON) == MEMBER
    assert read_token(SECRET, "M" + token[1:].replace("0", "O").replace("1", "I"), NOON) == MEMBER


def test_no_character_of_a_code_can_be_changed() -> None:
    token = issue_token(SECRET, MEMBER, NOON)

    for place, character in enumerate(token):
        changed = token[:place] + ("2" if character != "2" else "3") + token[place + 1 :]
        with pytest.raises(InvalidInputError) as refusal:
            read_token(SECRET, changed, NOON)
        assert refusal.value.field == "token"


@pytest.mark.parametrize(
    "text", ["", "M", "19900001001", "mem_01K5", "M" + "U" * 39, "M" + "Z" * 39, "M" * 41, "M" + "١" * 39]
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="not a member code"):
        read_token(SECRET, text, NOON)


def test_another_installations_code_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not made here"):
        read_token(SECRET, issue_token(OTHER_SECRET, MEMBER, NOON), NOON)


def test_a_page_knows_when_to_show_the_next_code() -> None:
    assert seconds_left(NOON) == 60
    assert seconds_left(NOON + timedelta(seconds=59)) == 1
