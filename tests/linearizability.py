"""Whether what clients saw could have happened one after the other, each call at one moment between its ends.

After Wing and Gong, "Testing and verifying concurrent objects" (1993), with the states that were tried remembered, as
Lowe does in "Testing for linearizability" (2017).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)
Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Call(Generic[Ask, Answer]):
    """One call as its caller saw it: when it was made, when it was answered, and what."""

    begun: int
    ended: int
    ask: Ask
    answer: Answer


def is_linearizable(
    calls: Sequence[Call[Ask, Answer]], start: State, apply: Callable[[State, Ask], tuple[State, Answer]]
) -> bool:
    """Whether some order explains every answer. Calls that did not overlap stay in theirs; `apply` says the rest."""
    ordered = sorted(calls, key=lambda call: call.begun)
    tried: set[tuple[int, State]] = set()
    waiting: list[tuple[int, State]] = [(0, start)]
    everything = (1 << len(ordered)) - 1
    while waiting:
        done, state = waiting.pop()
        if done == everything:
            return True
        for place, call in _next(ordered, done):
            after, answer = apply(state, call.ask)
            found = (done | 1 << place, after)
            if answer == call.answer and found not in tried:
                tried.add(found)
                waiting.append(found)
    return False


def _next(ordered: Sequence[Call[Ask, Answer]], done: int) -> list[tuple[int, Call[Ask, Answer]]]:
    """The calls that can come next: those that had begun before any other that is left has ended."""
    found: list[tuple[int, Call[Ask, Answer]]] = []
    first_end: int | None = None
    for place, call in enumerate(ordered):
        if done >> place & 1:
            continue
        if first_end is not None and call.begun > first_end:
            break
        found.append((place, call))
        first_end = call.ended if first_end is None else min(first_end, call.ended)
    return found
