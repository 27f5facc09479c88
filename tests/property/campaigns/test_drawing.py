"""A draw has the odds it states, over the whole range, and its proof holds or says where it does not."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.campaigns.draws import drawing
from loyalty.campaigns.draws.drawing import below, commitment, draw_key, findings, winning_places

SEEDS = st.binary(min_size=32, max_size=32)


@st.composite
def odds(draw: st.DrawFn) -> tuple[int, list[tuple[str, int]]]:
    """Places, and prizes that fit on them."""
    places = draw(st.integers(1, 60))
    prizes, left = [], places
    for number in range(draw(st.integers(1, 4))):
        if left:
            count = draw(st.integers(1, left))
            prizes.append((f"p{number}", count))
            left -= count
    return places, prizes


@given(SEEDS, odds())
def test_every_piece_lies_on_a_place_of_its_own_and_there_are_as_many_as_were_stated(
    key: bytes, stated: tuple[int, list[tuple[str, int]]]
) -> None:
    places, prizes = stated
    won = winning_places(key, places=places, prizes=prizes)
    assert set(won) <= set(range(1, places + 1))
    assert Counter(won.values()) == Counter(dict(prizes))


def test_each_place_wins_each_prize_exactly_as_often_as_stated_over_all_that_can_be_drawn() -> None:
    """All numbers that the stream can answer, each once: 4 x 3 x 2 ways to lay two and one pieces on four places."""
    prizes = [("a", 2), ("b", 1)]
    seen: Counter[tuple[int, str]] = Counter()
    ways = list(itertools.product(range(4), range(3), range(2)))
    for numbers in ways:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(drawing, "below", _Answers(numbers))
            seen.update(winning_places(bytes(32), places=4, prizes=prizes).items())
    for place in range(1, 5):
        assert seen[place, "a"] * 4 == 2 * len(ways)
        assert seen[place, "b"] * 4 == 1 * len(ways)


class _Answers:
    """Numbers below their bounds, one after the other, in place of those of a key."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = iter(numbers)

    def __call__(self, _words: Any, bound: int) -> int:
        number = next(self.numbers)
        assert number < bound
        return number


@given(st.integers(1, 2**63), st.integers(0, 5), st.integers(0, 2**64 - 1))
def test_a_number_below_a_bound_is_never_favoured(bound: int, over: int, word: int) -> None:
    """Words beyond the last whole multiple of the bound are passed over, so each result has as many words as any."""
    limit = 2**64 - 2**64 % bound
    assert limit % bound == 0
    words = [min(limit + over, 2**64 - 1)] if limit < 2**64 else []
    assert below(iter([*words, word % limit]), bound) == word % limit % bound


@given(SEEDS, odds(), st.lists(st.uuids(), max_size=70, unique=True), st.text(max_size=9), st.randoms())
def test_a_proof_holds_and_any_change_of_it_is_found(
    seed: bytes, stated: tuple[int, list[tuple[str, int]]], entrants: list[Any], beacon: str, random: Any
) -> None:
    places, prizes = stated
    tickets = [entrant.hex for entrant in entrants[:places]]
    committed = commitment(seed, draw="prz_1", places=places, prizes=prizes)
    key = draw_key(seed, committed=committed, beacon=beacon, tickets=tickets)
    won = winning_places(key, places=places, prizes=prizes)
    proof: dict[str, Any] = {
        "format": drawing.FORMAT,
        "draw": "prz_1",
        "places": places,
        "prizes": [{"code": code, "count": count} for code, count in prizes],
        "commitment": committed.hex(),
        "seed": seed.hex(),
        "beacon": beacon,
        "tickets": tickets,
        "winners": [
            {"number": number, "ticket": tickets[number - 1], "prize": prize}
            for number, prize in sorted(won.items())
            if number <= len(tickets)
        ],
    }
    assert findings(proof) == []
    for change in ("seed", "places", "prizes"):
        changed = copy.deepcopy(proof)
        if change == "seed":
            changed["seed"] = bytes([seed[0] ^ 1, *seed[1:]]).hex()
        elif change == "places":
            changed["places"] += 1
        else:
            changed["prizes"][0]["count"] += 1
            changed["places"] += 1
        assert findings(changed), change
    if proof["winners"]:
        changed = copy.deepcopy(proof)
        changed["winners"].pop(random.randrange(len(proof["winners"])))
        assert findings(changed)
        # Somebody else's ticket before the true one, which stays.
        true = random.choice(proof["winners"])
        assert findings({**proof, "winners": [{**true, "ticket": "another"}, *proof["winners"]]})
        assert findings({**proof, "winners": [*proof["winners"], true]})
    if len(tickets) > 1:
        assert findings({**proof, "tickets": [*tickets[:-1], tickets[0]]})
