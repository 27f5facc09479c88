"""The ledger's rules in plain Python, written from `design/ledger.md` and not from the SQL. Slow and obvious.

An account is what a member has of one unit. Here is what every operation is made of: lots, time, taking, giving. The
operations of members and tills stand in `operations.py`, what undoes them in `undoing.py`, what joins two members in
`joining.py`. The model keeps no entries and no hashes: an account says what moved from where to where (`moves`), and
the ledger has to say the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from ledger.units import Unit
from tests.property.ledger.model.expiry import idle_expires_at


class RefusedError(Exception):
    """The ledger should refuse; the argument is the name of the error."""


@dataclass
class Lot:
    """Points that expire together.

    `number` is the order of arrival on the account. `root` names the lot in which the points came into the world; lots
    that were moved, given back or reinstated keep it.
    """

    number: int
    root: int
    remaining: int
    expires_at: datetime | None
    available_at: datetime | None
    priority: int
    pending: bool
    expired: int = 0

    @property
    def turn(self) -> tuple[int, bool, float, int]:
        """When it is this lot's turn to be spent: by priority, soonest-expiring, never-expiring last, then oldest."""
        return (self.priority, *self.end, self.number)

    @property
    def end(self) -> tuple[bool, float]:
        return self.expires_at is None, self.expires_at.timestamp() if self.expires_at else 0.0


Taken = list[tuple[Lot, int]]
"""What was taken from which lots, in the order of taking."""


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
class Expiration:
    """Points that time took, as they can be reinstated."""

    lot: Lot
    amount: int
    moment: datetime
    reinstated: int = 0


Move = tuple[str, str, str, datetime | None]
"""What a transfer was: its kind, debit and credit; and when, where time did it."""

_roots = count(1)


@dataclass
class Account:
    """One member's points of one unit."""

    unit: Unit
    lots: list[Lot] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    expirations: list[Expiration] = field(default_factory=list)
    debt: int = 0
    now: datetime | None = None
    last_at: datetime | None = None
    idle_expires_at: datetime | None = None
    moves: Counter[Move] = field(default_factory=Counter)
    """What moved since somebody last looked."""
    classes: Counter[str] = field(default_factory=Counter)
    """All that ever moved, by account class."""

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
    def open_lots(self) -> list[Lot]:
        """What is left, in the order of spending."""
        return sorted((lot for lot in self.lots if lot.remaining), key=lambda lot: lot.turn)

    def move(self, kind: str, debit: str, credit: str, amount: int, moment: datetime | None = None) -> None:
        """Note a transfer between two classes of account."""
        self.moves[kind, debit, credit, moment] += amount
        self.classes[credit] += amount
        self.classes[debit] -= amount

    # Time.

    def begin(self, clock: datetime) -> datetime:
        """The moment of the next posting: an account's clock never goes back. What is due by then is done first."""
        self.now = max(clock, self.last_at or clock)
        self.settle()
        return self.now

    def settle(self) -> None:
        """Do what time has brought, moment by moment; of what falls on one moment, expiry comes first."""
        assert self.now is not None
        while True:
            hold = min(
                (hold for hold in self.holds if hold.state == "open" and hold.expires_at <= self.now),
                key=lambda hold: hold.expires_at,
                default=None,
            )
            waiting = [
                (lot.available_at, lot.number, lot) for lot in self.lots if lot.available_at and self._matures(lot)
            ]
            lot_moment, _, lot = min(waiting, default=(None, 0, None))
            moments = [each for each in (hold.expires_at if hold else None, lot_moment) if each is not None]
            moment = min(moments, default=None)
            self._expire(moment or self.now)
            if moment is None:
                return
            if hold is not None and hold.expires_at == moment:
                self.release(hold, hold.left, moment)
                hold.state = "expired"
                self._expire(moment)
            elif lot is not None:
                self.mature(lot, moment)
            self.repay(moment)

    def _matures(self, lot: Lot) -> bool:
        assert self.now is not None
        return (
            lot.pending
            and lot.remaining > 0
            and lot.available_at is not None
            and lot.available_at <= self.now
            and (lot.expires_at is None or lot.expires_at > lot.available_at)
        )

    def _ends_at(self, lot: Lot) -> datetime | None:
        """A lot without an expiry of its own ends when the member has been idle for too long, unless it waits."""
        if lot.expires_at is not None:
            return lot.expires_at
        return None if lot.pending else self.idle_expires_at

    def _expire(self, until: datetime) -> None:
        for lot in sorted(self.lots, key=lambda lot: (*lot.end, lot.number)):
            moment = self._ends_at(lot)
            if lot.remaining and moment is not None and moment <= until:
                self.move("expire", "pending" if lot.pending else "member", "expired", lot.remaining, moment)
                self.expirations.append(Expiration(lot, lot.remaining, moment))
                lot.expired += lot.remaining
                lot.remaining = 0
                lot.pending = False

    def mature(self, lot: Lot, moment: datetime | None) -> None:
        """Pending points become spendable."""
        self.move("mature", "pending", "member", lot.remaining, moment)
        lot.pending = False

    def repay(self, moment: datetime) -> None:
        """Nobody owes points and has some to spend."""
        repaid = min(self.debt, self.posted)
        if repaid:
            self.take(repaid)
            self.debt -= repaid
            self.move("repay", "member", "debt", repaid, moment)

    def touch(self, moment: datetime) -> None:
        """The member did something."""
        until = idle_expires_at(self.unit, moment)
        if until is not None:
            self.idle_expires_at = max(until, self.idle_expires_at or until)

    # Giving and taking.

    def grant(
        self,
        kind: str,
        debit: str,
        amount: int,
        *,
        expires_at: datetime | None,
        available_at: datetime | None = None,
        priority: int = 0,
        root: int | None = None,
    ) -> Lot | None:
        """Points come in: debt first, then a lot; what is not available yet waits whole."""
        assert self.now is not None
        waits = available_at is not None and available_at > self.now
        repaid = 0 if waits else min(self.debt, amount)
        if repaid:
            self.debt -= repaid
            self.move(kind, debit, "debt", repaid)
        if amount == repaid:
            return None
        root = next(_roots) if root is None else root
        lot = Lot(len(self.lots) + 1, root, amount - repaid, expires_at, available_at, priority, waits)
        self.lots.append(lot)
        self.move(kind, debit, "pending" if waits else "member", lot.remaining)
        return lot

    def take(self, amount: int) -> Taken:
        """Take from open lots in their turn; the caller has seen that there is enough."""
        taken: Taken = []
        for lot in self.open_lots:
            part = 0 if lot.pending else min(lot.remaining, amount)
            if part:
                lot.remaining -= part
                amount -= part
                taken.append((lot, part))
        return taken

    def owe(self, kind: str, credit: str, amount: int, shortfall: str) -> Taken:
        """Take what there is; the rest is owed or forgiven."""
        there = min(self.posted, amount)
        taken = self.take(there)
        if there:
            self.move(kind, "member", credit, there)
        if amount > there:
            self.move(kind, "forgiven" if shortfall == "forgive" else "debt", credit, amount - there)
            self.debt += 0 if shortfall == "forgive" else amount - there
        return taken

    def release(self, hold: Hold, amount: int, moment: datetime | None) -> None:
        """Free the last points of a hold, back into their lots."""
        for lot, part in part_of(hold.taken, hold.amount - hold.released - amount, amount):
            lot.remaining += part
        hold.released += amount
        self.move("release", "held", "member", amount, moment)
