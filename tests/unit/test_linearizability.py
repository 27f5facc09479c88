"""The checker of histories finds what cannot have happened, or it proves nothing."""

from __future__ import annotations

import pytest

from tests.linearizability import Call, is_linearizable

Ask = tuple[str, int]


def account(points: int, ask: Ask) -> tuple[int, int | None]:
    """A balance: earning and reading answer it; spending too, or None where there is too little."""
    kind, amount = ask
    if kind == "earn":
        return points + amount, points + amount
    if kind == "spend":
        return (points - amount, points - amount) if points >= amount else (points, None)
    return points, points


EARN = ("earn", 10)
SPEND = ("spend", 10)
READ = ("read", 0)


@pytest.mark.parametrize(
    ("sentence", "possible", "calls"),
    [
        ("one after the other", True, [(0, 1, EARN, 10), (2, 3, SPEND, 0), (4, 5, READ, 0)]),
        ("a read beside an earn sees it", True, [(0, 9, EARN, 10), (1, 2, READ, 10)]),
        ("a read beside an earn does not see it", True, [(0, 9, EARN, 10), (1, 2, READ, 0)]),
        ("a spend beside the earn it needs", True, [(0, 9, EARN, 10), (1, 8, SPEND, 0)]),
        ("a read that is behind", False, [(0, 1, EARN, 10), (2, 3, READ, 0)]),
        (
            "two reads beside an earn, the later one behind",
            False,
            [(0, 9, EARN, 10), (1, 2, READ, 10), (3, 4, READ, 0)],
        ),
        ("points spent twice", False, [(0, 1, EARN, 10), (2, 5, SPEND, 0), (3, 4, SPEND, 0)]),
        ("a spend before it was earned", False, [(0, 1, SPEND, 0), (2, 3, EARN, 10)]),
        ("a refusal that nothing explains", False, [(0, 1, EARN, 10), (2, 3, SPEND, None)]),
        ("an earn that was lost", False, [(0, 5, EARN, 10), (1, 6, EARN, 10), (7, 8, READ, 10)]),
        ("an earn that came twice", False, [(0, 5, EARN, 10), (7, 8, READ, 20)]),
    ],
)
def test_only_what_can_have_happened_is_believed(
    sentence: str, possible: bool, calls: list[tuple[int, int, Ask, int | None]]
) -> None:
    history = [Call(begun, ended, ask, answer) for begun, ended, ask, answer in calls]
    assert is_linearizable(history, 0, account) is possible, sentence
