"""The ledger's rules in plain Python, written from `design/ledger.md` and not from the SQL.

It keeps no entries and no hashes: only what a member has. Slow and obvious on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


class RefusedError(Exception):
    """The ledger should refuse; the argument is the name of the error."""


@dataclass
class Lot:
    """Points that expire together; `order` is the order of arrival on the account."""

    order: int
    remaining: int
    expires_at: datetime | None
    available_at: datetime | None
    priority: int
    pending: bool
    grant: int
    expired: int = 0

    @property
    def turn(self) -> tuple[int, bool, float, int]:
        """When it is this lot's turn to be spent."""
        return (
            self.priority,
            self.expires_at is None,
            self.expires_at.timestamp() if self.expires_at else 0,
            self.order,
        )


Taken = list[tuple[Lot, int]]


@dataclass
class Hold:
    """Points set aside."""

    taken: Taken
    expires_at: datetime
    captured: int = 0
    released: int = 0
    state: str = "open"

    @property
    def amount(self) -> int:
        return sum(part for _, part in self.taken)

    @property
    def left(self) -> int:
        return self.amount - self.captured - self.released


@dataclass
class Posted:
    """What can be reversed: an earn by its number, a spend by what it took."""

    total: int
    grant: int | None = None
    taken: Taken = field(default_factory=list)
    reversed: int = 0


def part_of(taken: Taken, start: int, amount: int) -> Taken:
    """The takings between two points."""
    found: Taken = []
    position = 0
    for lot, part in taken:
        low, high = max(position, start), min(position + part, start + amount)
        if high > low:
            found.append((lot, high - low))
        position += part
    return found


class Account:
    """One member's points of one unit."""

    def __init__(self, *, grace_days: int | None) -> None:
        self.lots: list[Lot] = []
        self.holds: list[Hold] = []
        self.debt = 0
        self.grace_days = grace_days
        self._order = 0

    @property
    def posted(self) -> int:
        return sum(lot.remaining for lot in self.lots if not lot.pending)

    @property
    def pending(self) -> int:
        return sum(lot.remaining for lot in self.lots if lot.pending)

    @property
    def held(self) -> int:
        return sum(hold.left for hold in self.holds if hold.state == "open")

    @property
    def open_lots(self) -> list[tuple[int, datetime | None]]:
        """What is left, in the order of spending."""
        return [(lot.remaining, lot.expires_at) for lot in sorted(self.lots, key=lambda lot: lot.turn) if lot.remaining]

    def settle(self, now: datetime) -> None:
        """Do what time has brought, moment by moment; of what falls on one moment, expiry comes first."""
        while True:
            holds = [hold for hold in self.holds if hold.state == "open" and hold.expires_at <= now]
            hold = min(holds, key=lambda hold: hold.expires_at, default=None)
            waiting = [lot for lot in self.lots if self._becomes_available(lot, now)]
            lot = min(waiting, key=lambda lot: (lot.available_at, lot.order), default=None)
            moments = [hold.expires_at] if hold else []
            moments += [lot.available_at] if lot and lot.available_at else []
            moment = min(moments, default=None)
            self._expire(moment or now)
            if moment is None:
                return
            if hold is not None and hold.expires_at == moment:
                self._release(hold, hold.left)
                hold.state = "expired"
                self._expire(moment)
            elif lot is not None:
                lot.pending = False
            self.repay()

    @staticmethod
    def _becomes_available(lot: Lot, now: datetime) -> bool:
        return (
            lot.pending
            and lot.remaining > 0
            and lot.available_at is not None
            and lot.available_at <= now
            and (lot.expires_at is None or lot.expires_at > lot.available_at)
        )

    def _expire(self, until: datetime) -> None:
        for lot in self.lots:
            if lot.remaining and lot.expires_at is not None and lot.expires_at <= until:
                lot.expired += lot.remaining
                lot.remaining = 0
                lot.pending = False

    def repay(self) -> None:
        """Nobody owes points and has some to spend."""
        repaid = min(self.debt, self.posted)
        self.take(repaid)
        self.debt -= repaid

    def grant(
        self,
        amount: int,
        now: datetime,
        *,
        expires_at: datetime | None,
        available_at: datetime | None = None,
        priority: int = 0,
        grant: int,
    ) -> Lot | None:
        """Points come in: debt first, then a lot; what is not available yet waits whole."""
        waits = available_at is not None and available_at > now
        if not waits:
            repaid = min(self.debt, amount)
            self.debt -= repaid
            amount -= repaid
        if not amount:
            return None
        self._order += 1
        lot = Lot(self._order, amount, expires_at, available_at, priority, waits, grant)
        self.lots.append(lot)
        return lot

    def take(self, amount: int) -> Taken:
        """Take from open lots in their turn; the caller has seen that there is enough."""
        taken: Taken = []
        for lot in sorted(self.lots, key=lambda lot: lot.turn):
            part = min(lot.remaining, amount)
            if part and not lot.pending:
                lot.remaining -= part
                amount -= part
                taken.append((lot, part))
        return taken

    def spend(self, amount: int) -> Taken:
        """Spend, or refuse whole."""
        if amount > self.posted:
            raise RefusedError("InsufficientBalanceError")
        return self.take(amount)

    def owe(self, amount: int) -> None:
        """Take what there is, and owe the rest."""
        there = min(self.posted, amount)
        self.take(there)
        self.debt += amount - there

    def end_hold(self, hold: Hold, amount: int | None, now: datetime, *, capture: bool) -> tuple[int, Taken]:
        """Capture or release."""
        if hold.state == "expired" or (hold.state == "open" and hold.expires_at <= now):
            raise RefusedError("HoldExpiredError")
        if hold.state != "open":
            raise RefusedError("HoldClosedError")
        wanted = hold.left if amount is None else amount
        if wanted > hold.left:
            raise RefusedError("OverReversalError")
        self.settle(now)
        taken: Taken = []
        if capture:
            taken = part_of(hold.taken, hold.captured, wanted)
            hold.captured += wanted
        else:
            self._release(hold, wanted)
        if not hold.left:
            hold.state = "closed"
        self.settle(now)
        self.repay()
        return wanted, taken

    def _release(self, hold: Hold, amount: int) -> None:
        for lot, part in part_of(hold.taken, hold.amount - hold.released - amount, amount):
            lot.remaining += part
        hold.released += amount

    def reverse(self, posted: Posted, amount: int | None, now: datetime) -> None:
        """Take an earn back, or give a spend back."""
        left = posted.total - posted.reversed
        wanted = left if amount is None else amount
        if wanted > left or not wanted:
            raise RefusedError("OverReversalError")
        if posted.grant is not None:
            self._take_back(posted.grant, wanted)
        else:
            self._give_back(posted, wanted, now)
        posted.reversed += wanted
        self.settle(now)

    def _take_back(self, grant: int, amount: int) -> None:
        for lot in [lot for lot in self.lots if lot.grant == grant]:
            part = min(lot.remaining, amount)
            lot.remaining -= part
            amount -= part
            part = min(lot.expired, amount)
            lot.expired -= part
            amount -= part
        self.owe(amount)

    def _give_back(self, posted: Posted, amount: int, now: datetime) -> None:
        repaid = min(self.debt, amount)
        self.debt -= repaid
        backwards = list(reversed(posted.taken))
        for lot, part in part_of(backwards, posted.reversed + repaid, amount - repaid):
            expired = lot.expires_at is not None and lot.expires_at <= now
            if expired and self.grace_days is not None:
                until = now + timedelta(days=self.grace_days)
                self.grant(part, now, expires_at=until, priority=lot.priority, grant=lot.grant)
            else:
                lot.remaining += part
