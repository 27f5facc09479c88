"""What an import counts while it runs, and whoever watches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import msgspec


class Tally(msgspec.Struct, kw_only=True):
    """What holds for every import. `rows` are records read, `lines_refused` lines in the file of refusals.

    `stopped` says that somebody asked to stop, `problem` why a file could not be read to its end; `file` and `line` are
    the last that was read.
    """

    rows: int = 0
    lines_refused: int = 0
    stopped: bool = False
    problem: str | None = None
    file: str = ""
    line: int = 0
    members_created: int = 0
    members_merged: int = 0
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> int:
        """How many records were read a second, all told."""
        return round(self.rows / self.seconds) if self.seconds else 0


class MemberTally(Tally, kw_only=True):
    """What became of the records of people.

    created: somebody new; joined: a member of another channel, or known by less, of whom something new is known now;
    unchanged: nothing new; refused: see the file of refusals. `details_left_out` counts what was wrong in records that
    were taken without it, such as a phone that nobody has.
    """

    members_joined: int = 0
    members_unchanged: int = 0
    members_refused: int = 0
    details_left_out: int = 0


class OrderTally(Tally, kw_only=True):
    """What became of the orders. Guests and refused are counted whatever the document is.

    `cancellations_waiting` name an order that has not come yet. `earned` and `taken_back` are points by unit.
    """

    orders_posted: int = 0
    orders_unchanged: int = 0
    orders_guest: int = 0
    orders_refused: int = 0
    cancellations_posted: int = 0
    cancellations_unchanged: int = 0
    cancellations_waiting: int = 0
    earned: dict[str, int] = {}
    taken_back: dict[str, int] = {}

    def add_earned(self, points: Mapping[str, int]) -> None:
        """Count points that an order earned."""
        self.earned = dict(Counter(self.earned) + Counter(points))

    def add_taken_back(self, points: Mapping[str, int]) -> None:
        """Count points that a cancellation or refund took back."""
        self.taken_back = dict(Counter(self.taken_back) + Counter(points))


class CampaignTally(Tally, kw_only=True):
    """What is new: campaigns, who was sent one, and what of them came back."""

    campaigns_added: int = 0
    sends_added: int = 0
    uses_added: int = 0


class Watcher(Protocol):
    """Whoever runs an import: asked after each batch whether to stop, and told how far it is."""

    def stopping(self) -> bool:
        """Whether to stop at the next batch's end."""

    def advanced(self, tally: Tally) -> None:
        """Something was done; everything that `tally` counts as posted is committed."""
