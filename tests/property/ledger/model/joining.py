"""What joins two members: gifts, merges, and merges undone. Both sides bear one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tests.property.ledger.model import expiry
from tests.property.ledger.model.accounts import Account, Lot, RefusedError, Taken, part_of
from tests.property.ledger.model.operations import _counts_towards_tiers_alone, _spendable


def _begin(a: Account, b: Account, clock: datetime) -> datetime:
    now = max(clock, a.last_at or clock, b.last_at or clock)
    a.begin(now)
    return b.begin(now)


def transfer(giver: Account, receiver: Account, clock: datetime, amount: int) -> None:
    """Lots travel with their expiry; the receiver's debt is repaid first."""
    if giver is receiver:
        raise RefusedError("InvalidInputError")
    _counts_towards_tiers_alone(giver)
    now = _begin(giver, receiver, clock)
    _spendable(giver, amount)
    giver.touch(now)
    receiver.touch(now)
    giver.move("transfer", "member", "transfer", amount)
    for lot, part in giver.take(amount):
        _arrive(receiver, lot, part, pending=False)


def _arrive(account: Account, lot: Lot, amount: int, *, pending: bool) -> Lot | None:
    return account.grant(
        "transfer",
        "transfer",
        amount,
        expires_at=lot.expires_at,
        available_at=lot.available_at if pending else None,
        priority=lot.priority,
        root=lot.root,
    )


@dataclass
class Merge:
    """What a merge did to one unit, so that it can be undone."""

    paid: Taken = field(default_factory=list)
    """What the survivor's points paid of the absorbed member's debt."""
    owed: int = 0
    """What the survivor took over of it."""
    repaid: Taken = field(default_factory=list)
    """What of the absorbed member's lots repaid the survivor's debt."""
    moved: list[tuple[Lot, Lot]] = field(default_factory=list)
    """The lots that moved: as they are on the survivor, and as they were."""


def merge(absorbed: Account, survivor: Account, clock: datetime) -> Merge:
    """All that one has of a unit moves to the other: debt, then every lot with its expiry, pending ones too."""
    _begin(absorbed, survivor, clock)
    if absorbed.held:
        raise RefusedError("OpenHoldsError")
    done = Merge()
    if not absorbed.debt and not absorbed.open_lots:
        return done
    survivor.idle_expires_at = max(
        (each for each in (absorbed.idle_expires_at, survivor.idle_expires_at) if each), default=None
    )
    if absorbed.debt:
        debt, absorbed.debt = absorbed.debt, 0
        absorbed.move("transfer", "transfer", "debt", debt)
        done.paid = survivor.owe("transfer", "transfer", debt, "debt")
        done.owed = debt - sum(part for _, part in done.paid)
    for lot in absorbed.open_lots:
        amount, pending = lot.remaining, lot.pending
        lot.remaining, lot.pending = 0, False
        absorbed.move("transfer", "pending" if pending else "member", "transfer", amount)
        arrived = _arrive(survivor, lot, amount, pending=pending)
        repaid = amount - (arrived.remaining if arrived else 0)
        if repaid:
            done.repaid.append((lot, repaid))
        if arrived:
            done.moved.append((arrived, lot))
    return done


def unmerge(absorbed: Account, survivor: Account, clock: datetime, done: Merge) -> None:
    """What is left of each moved lot returns to the lot it came from; a debt that one paid for the other is owed again.

    Lots go first: what is still there goes home before a debt that is owed again could be taken from it.
    """
    now = _begin(survivor, absorbed, clock)
    if not (done.owed or done.paid or done.repaid or any(lot.remaining for lot, _ in done.moved)):
        return
    for arrived, lot in done.moved:
        if arrived.remaining:
            survivor.move("transfer", "pending" if arrived.pending else "member", "transfer", arrived.remaining)
            _come_home(absorbed, lot, arrived.remaining, pending=arrived.pending)
            arrived.remaining, arrived.pending = 0, False
    paid = sum(part for _, part in done.paid)
    for amount, taken in ((paid, done.paid), (done.owed, None)):
        if amount:
            _owe_again(absorbed, survivor, amount, taken)
    for lot, amount in done.repaid:
        survivor.owe("transfer", "transfer", amount, "debt")
        _come_home(absorbed, lot, amount, pending=False)
    absorbed.idle_expires_at = max(
        (each for each in (absorbed.idle_expires_at, survivor.idle_expires_at) if each), default=None
    )
    for account in (survivor, absorbed):
        account.settle()
        account.repay(now)


def _come_home(account: Account, lot: Lot, amount: int, *, pending: bool) -> None:
    lot.remaining += amount
    lot.pending = pending
    account.move("transfer", "transfer", "pending" if pending else "member", amount)


def _owe_again(absorbed: Account, survivor: Account, amount: int, taken: Taken | None) -> None:
    """The survivor gets back what was paid: off its own debt, then into the lots that paid, or, where it had taken the
    debt over and has repaid it since, as new points.
    """
    absorbed.debt += amount
    absorbed.move("transfer", "debt", "transfer", amount)
    part = min(survivor.debt, amount)
    if part:
        survivor.debt -= part
        survivor.move("transfer", "transfer", "debt", part)
    rest = amount - part
    if rest and taken is not None:
        for lot, returned in part_of(list(reversed(taken)), part, rest):
            lot.remaining += returned
        survivor.move("transfer", "transfer", "member", rest)
    elif rest:
        assert survivor.now is not None
        survivor.grant("transfer", "transfer", rest, expires_at=expiry.expires_at(survivor.unit, survivor.now))
