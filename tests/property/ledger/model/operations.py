"""What members, tills and staff do to one account. Each is refused whole, or done after what time has brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.operations import UNIT_POLICY, Expiry
from tests.property.ledger.model import expiry
from tests.property.ledger.model.accounts import Account, Hold, Lot, RefusedError, Taken, part_of

CLOCKS_DIFFER: timedelta = timedelta(minutes=5)
"""How far ahead of ours a channel's clock may be."""

LONGEST_HOLD: timedelta = timedelta(days=400)


@dataclass
class Posted:
    """A posting that can be reversed: one that gave points names their root, one that took them what it took."""

    total: int
    outside: str
    """The class on the other side: where points came from, or where they went."""
    root: int | None = None
    taken: Taken | None = None
    reversed: int = 0


def _effective(account: Account, effective_at: datetime | None) -> datetime:
    assert account.now is not None
    if effective_at is not None and effective_at > account.now + CLOCKS_DIFFER:
        raise RefusedError("InvalidInputError")
    return effective_at or account.now


def earn(
    account: Account,
    clock: datetime,
    amount: int,
    *,
    expires_at: Expiry,
    available_at: datetime | None,
    priority: int,
    effective_at: datetime | None,
) -> Posted:
    """Earned points count from the moment they were earned at, even where that is told late."""
    account.begin(clock)
    moment = _effective(account, effective_at)
    account.touch(moment)
    lot = account.grant(
        "earn",
        "issued",
        amount,
        expires_at=_expiry(account, expires_at, moment),
        available_at=available_at,
        priority=priority,
    )
    return Posted(total=amount, outside="issued", root=lot.root if lot else None)


def _expiry(account: Account, wanted: Expiry, moment: datetime) -> datetime | None:
    if isinstance(wanted, datetime) or wanted is None:
        return wanted
    assert wanted == UNIT_POLICY
    return expiry.expires_at(account.unit, moment)


def confirm(account: Account, clock: datetime, lot: Lot | None) -> None:
    """What pending points waited for has happened."""
    now = account.begin(clock)
    if lot is None or not lot.pending or not lot.remaining:
        raise RefusedError("NotReversibleError")
    account.touch(now)
    account.mature(lot, None)
    account.repay(now)


def _spendable(account: Account, amount: int) -> None:
    if amount > account.posted:
        raise RefusedError("InsufficientBalanceError")


def _counts_towards_tiers_alone(account: Account) -> None:
    if not account.unit.spendable:
        raise RefusedError("InvalidInputError")


def spend(account: Account, clock: datetime, amount: int, *, effective_at: datetime | None = None) -> Posted:
    """All or nothing."""
    _counts_towards_tiers_alone(account)
    account.begin(clock)
    moment = _effective(account, effective_at)
    _spendable(account, amount)
    account.touch(moment)
    taken = account.take(amount)
    account.move("spend", "member", "redeemed", amount)
    return Posted(total=amount, outside="redeemed", taken=taken)


def hold(account: Account, clock: datetime, amount: int, expires_at: datetime) -> Hold:
    """A hold takes its points out of their lots at once."""
    _counts_towards_tiers_alone(account)
    now = account.begin(clock)
    if not now < expires_at <= now + LONGEST_HOLD:
        raise RefusedError("InvalidInputError")
    _spendable(account, amount)
    account.touch(now)
    made = Hold(taken=account.take(amount), expires_at=expires_at)
    account.move("hold", "member", "held", amount)
    account.holds.append(made)
    return made


def capture(account: Account, clock: datetime, held: Hold, amount: int | None) -> Posted:
    """Spend points on hold; what expires soonest first."""
    wanted = _wanted(account, clock, held, amount)
    account.begin(clock)
    taken = part_of(held.taken, held.captured, wanted)
    held.captured += wanted
    account.move("capture", "held", "redeemed", wanted)
    _close(held)
    return Posted(total=wanted, outside="redeemed", taken=taken)


def release(account: Account, clock: datetime, held: Hold, amount: int | None) -> None:
    """Free points on hold; what expires last first. What of it has expired meanwhile is gone at once."""
    wanted = _wanted(account, clock, held, amount)
    now = account.begin(clock)
    account.release(held, wanted, None)
    _close(held)
    account.settle()
    account.repay(now)


def _wanted(account: Account, clock: datetime, held: Hold, amount: int | None) -> int:
    now = max(clock, account.last_at or clock)
    if held.state == "expired" or (held.state == "open" and held.expires_at <= now):
        account.begin(clock)
        raise RefusedError("HoldExpiredError")
    if held.state != "open":
        raise RefusedError("HoldClosedError")
    wanted = held.left if amount is None else amount
    if wanted > held.left:
        raise RefusedError("OverReversalError")
    return wanted


def _close(held: Hold) -> None:
    if not held.left:
        held.state = "captured" if held.captured else "released"


def claw_back(account: Account, clock: datetime, amount: int) -> None:
    """Earned points are taken back where no purchase is named."""
    account.begin(clock)
    account.owe("claw_back", "issued", amount, account.unit.shortfall)


def adjust(account: Account, clock: datetime, amount: int, *, approved: bool) -> Posted:
    """Staff give or take points; above the limit a second person approves."""
    if abs(amount) > account.unit.adjust_limit and not approved:
        raise RefusedError("ApprovalNeededError")
    now = account.begin(clock)
    if amount > 0:
        account.touch(now)
        lot = account.grant("adjust", "adjusted", amount, expires_at=expiry.expires_at(account.unit, now))
        return Posted(total=amount, outside="adjusted", root=lot.root if lot else None)
    _spendable(account, -amount)
    taken = account.take(-amount)
    account.move("adjust", "member", "adjusted", -amount)
    return Posted(total=-amount, outside="adjusted", taken=taken)
