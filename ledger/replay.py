"""Replaying an account: from entries alone to the projections that the database should hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.findings import gone
from ledger.record import EntryRow, chain

_HOLDINGS: Final = ("member", "pending")


class Lot(msgspec.Struct):
    """A lot as its entries make it: the columns of a filed lot. Values are as `ledger.streams` reads them."""

    seq: int
    granted: int
    remaining: int
    expired: int
    expires_at: int | None
    available_at: int | None
    priority: int | None
    origin_member: bytes | None
    origin_seq: int | None
    pending: bool

    @property
    def open(self) -> bool:
        """Whether points are left in it."""
        return self.remaining > 0


class Hold(msgspec.Struct):
    """A hold as its entries make it: the columns of one."""

    hold_id: bytes
    seq: int
    amount: int
    captured: int
    released: int
    lots: list[int]
    amounts: list[int]
    expires_at: int | None
    state: str


class ClosedHead(msgspec.Struct, frozen=True):
    """What a closing holds of an account: its last entry then, and that entry's hash."""

    sequence: int
    head: bytes
    closing: int


class AccountReplay:
    """One account, entry by entry. `problems` says what cannot be right, in the order in which it was met.

    `closed` is what closings hold of the account, in their order.
    """

    def __init__(self, closed: Sequence[ClosedHead] = ()) -> None:
        self.classes: dict[str, int] = {"member": 0, "pending": 0, "held": 0, "debt": 0}
        self.lots: dict[int, Lot] = {}
        self.holds: dict[bytes, Hold] = {}
        self._expired_lots: Final[dict[int, int]] = {}
        self.programme_id: bytes | None = None
        self.sequence = 0
        self.head = b""
        self.last_at: int | None = None
        self.idle_expires_at: int | None = None
        self.problems: list[tuple[int, str]] = []
        self._closed: Final = [*reversed(closed)]

    @property
    def balances(self) -> dict[str, int]:
        """The balances that the account's row and its last entry should show."""
        return {
            "posted": self.classes["member"],
            "pending": self.classes["pending"],
            "held": self.classes["held"],
            "debt": -self.classes["debt"],
        }

    def apply(self, entry: EntryRow) -> None:
        """Apply the next entry."""
        sequence = entry.seq
        if sequence != self.sequence + 1:
            self._problem(sequence, f"entry {self.sequence + 1} is missing before it")
        self.sequence = sequence
        if chain(self.head, entry) != entry.hash:
            self._problem(sequence, "its hash does not fit its content and the entry before it")
        self.head = entry.hash
        if self._closed and sequence >= self._closed[-1].sequence:
            self._compare_closed(sequence)
        if self.last_at is not None and entry.recorded_at < self.last_at:
            self._problem(sequence, "it is recorded before the entry before it")
        self.last_at = entry.recorded_at
        self.idle_expires_at = entry.idle_expires_at
        self._add_up(entry)
        if entry.opens_lot or entry.lots is not None or entry.kind == "reinstate":
            self._apply_to_lots(entry)
        if entry.hold_id is not None:
            self._apply_to_hold(entry, entry.hold_id)

    def finish(self) -> None:
        """There are no more entries: say whether a closing holds more."""
        if self._closed:
            last = self._closed[0]
            first = self.sequence + 1
            text = f"{gone(first, last.sequence)}: closing {last.closing} holds entry {last.sequence}"
            self._problem(first, text)

    def _problem(self, sequence: int, text: str) -> None:
        self.problems.append((sequence, text))

    def _compare_closed(self, sequence: int) -> None:
        while self._closed and self._closed[-1].sequence <= sequence:
            closed = self._closed.pop()
            if (closed.sequence, closed.head) != (sequence, self.head):
                text = f"it, or an entry before it, was changed: closing {closed.closing} holds another hash"
                self._problem(closed.sequence, text)

    def _add_up(self, entry: EntryRow) -> None:
        classes, amount = self.classes, entry.amount
        classes[entry.credit] = classes.get(entry.credit, 0) + amount
        classes[entry.debit] = classes.get(entry.debit, 0) - amount
        right = (
            entry.posted == classes["member"] >= 0
            and entry.pending == classes["pending"] >= 0
            and entry.held == classes["held"] >= 0
            and entry.debt == -classes["debt"] >= 0
            and amount > 0
            and entry.programme_id == self.programme_id
        )
        if not right:
            self._check_figures(entry)

    def _check_figures(self, entry: EntryRow) -> None:
        """Say what is wrong with an entry's figures; nothing is with those of an account's first entry."""
        if self.programme_id is None:
            self.programme_id = entry.programme_id
        if entry.programme_id != self.programme_id:
            self._problem(entry.seq, "it is of another programme than the entry before it")
        if entry.amount <= 0:
            self._problem(entry.seq, f"its amount is {entry.amount}")
        for name, balance in self.balances.items():
            written = getattr(entry, name)
            if balance < 0:
                self._problem(entry.seq, f"{name} falls to {balance}")
            if balance != written:
                self._problem(entry.seq, f"{name} is written as {written} and adds up to {balance}")

    def _apply_to_lots(self, entry: EntryRow) -> None:
        sequence, amount = entry.seq, entry.amount
        if entry.opens_lot:
            self.lots[sequence] = Lot(
                seq=sequence,
                granted=amount,
                remaining=amount,
                expired=0,
                expires_at=entry.lot_expires_at,
                available_at=entry.lot_available_at,
                priority=entry.lot_priority,
                origin_member=entry.lot_origin_member,
                origin_seq=entry.lot_origin_seq,
                pending=entry.credit == "pending",
            )
        if entry.kind == "expire" and entry.lots:
            self._expired_lots[sequence] = entry.lots[0]
        elif entry.kind == "reinstate":
            self._reinstate(entry)
        if entry.lots is not None:
            self._take(entry, entry.lots, entry.amounts or [])

    def _reinstate(self, entry: EntryRow) -> None:
        """Points come back from the lot that its expiry took them from, which may be a reinstated one itself."""
        lot = self.lots.get(self._expired_lots.get(entry.reverses or 0, 0))
        if lot is None or lot.expired < entry.amount:
            self._problem(entry.seq, f"it reinstates more than expiry {entry.reverses} took")
        else:
            lot.expired -= entry.amount

    def _take(self, entry: EntryRow, lots: Sequence[int], amounts: Sequence[int]) -> None:
        if sum(amounts) != entry.amount or len(lots) != len(amounts):
            self._problem(entry.seq, f"its takings from lots add up to {sum(amounts)}, not {entry.amount}")
        sign = (entry.credit in _HOLDINGS) - (entry.debit in _HOLDINGS)
        expired = (entry.credit == "expired") - (entry.debit == "expired")
        for number, amount in zip(lots, amounts, strict=False):
            lot = self.lots.get(number)
            if lot is None:
                self._problem(entry.seq, f"it takes from lot {number}, which was never opened")
                continue
            lot.remaining += sign * amount
            lot.expired += expired * amount
            if lot.remaining < 0 or lot.expired < 0:
                self._problem(entry.seq, f"it takes more from lot {number} than is in it")
            if entry.credit == "pending":
                lot.pending = True
            elif entry.kind == "mature" or lot.remaining == 0:
                lot.pending = False

    def _apply_to_hold(self, entry: EntryRow, hold_id: bytes) -> None:
        if entry.kind == "hold":
            self.holds[hold_id] = Hold(
                hold_id=hold_id,
                seq=entry.seq,
                amount=entry.amount,
                captured=0,
                released=0,
                lots=entry.lots or [],
                amounts=entry.amounts or [],
                expires_at=entry.hold_expires_at,
                state="open",
            )
            return
        hold = self.holds.get(hold_id)
        if hold is None:
            self._problem(entry.seq, "it ends a hold that was never made")
            return
        if entry.kind == "capture":
            hold.captured += entry.amount
        else:
            hold.released += entry.amount
        left = hold.amount - hold.captured - hold.released
        if left < 0:
            self._problem(entry.seq, "it ends more of a hold than was left")
        if left == 0:
            if entry.kind == "release" and entry.source == "time":
                hold.state = "expired"
            else:
                hold.state = "captured" if hold.captured else "released"

    @property
    def next_due(self) -> int | None:
        """The first moment at which time will change this account."""
        moments = [lot.expires_at for lot in self.lots.values() if lot.remaining and lot.expires_at is not None]
        moments += [
            lot.available_at
            for lot in self.lots.values()
            if lot.remaining and lot.pending and lot.available_at is not None
        ]
        moments += [
            hold.expires_at for hold in self.holds.values() if hold.state == "open" and hold.expires_at is not None
        ]
        if self.idle_expires_at is not None and any(
            lot.remaining and lot.expires_at is None and not lot.pending for lot in self.lots.values()
        ):
            moments.append(self.idle_expires_at)
        return min(moments, default=None)
