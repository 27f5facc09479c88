"""What undoes a posting: reversals and reinstatement."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.property.ledger.model.accounts import Account, Expiration, Lot, RefusedError, part_of
from tests.property.ledger.model.operations import Posted


def reverse(account: Account, clock: datetime, posted: Posted, amount: int | None) -> None:
    """Take what was given, or give what was taken, in as many parts as are wanted and never beyond it.

    `account` is who pays or receives now: after a merge another than the one that posted.
    """
    account.begin(clock)
    left = posted.total - posted.reversed
    wanted = left if amount is None else amount
    if wanted > left or not wanted:
        raise RefusedError("OverReversalError")
    if posted.taken is None:
        _take_back(account, posted, wanted)
    else:
        _give_back(account, posted, wanted)
    posted.reversed += wanted
    account.settle()


def _take_back(account: Account, posted: Posted, amount: int) -> None:
    """From its own lot first; what of that has expired is not taken twice; then others; then debt, by policy."""
    for lot in [lot for lot in account.lots if lot.root == posted.root]:
        part = min(lot.remaining, amount)
        if part:
            account.move("reverse", "pending" if lot.pending else "member", posted.outside, part)
            lot.remaining -= part
            lot.pending = lot.pending and lot.remaining > 0
            amount -= part
        part = min(lot.expired, amount)
        if part:
            account.move("reverse", "expired", posted.outside, part)
            lot.expired -= part
            amount -= part
    account.owe("reverse", posted.outside, amount, account.unit.shortfall)


def _give_back(account: Account, posted: Posted, amount: int) -> None:
    """The last taken comes back first: debt is repaid, then each point returns to its lot with the expiry it has."""
    repaid = min(account.debt, amount)
    if repaid:
        account.debt -= repaid
        account.move("reverse", posted.outside, "debt", repaid)
    backwards = list(reversed(posted.taken or []))
    for lot, part in part_of(backwards, posted.reversed + repaid, amount - repaid):
        _return_to(account, lot, part, posted.outside)


def _return_to(account: Account, lot: Lot, part: int, outside: str) -> None:
    """A lot that has expired since follows policy: its points stay expired, or come back with a grace of N days."""
    now, days = account.now, account.unit.expired_return_days
    assert now is not None
    home = _home(account, lot)
    if home is not None and (home.expires_at is None or home.expires_at > now or days is None):
        home.remaining += part
        account.move("reverse", outside, "member", part)
        return
    expires_at = lot.expires_at
    if expires_at is not None and expires_at <= now and days is not None:
        expires_at = now + timedelta(days=days)
    account.grant("reverse", outside, part, expires_at=expires_at, priority=lot.priority, root=lot.root)


def _home(account: Account, lot: Lot) -> Lot | None:
    """The lot itself, or, on the account of whom the member was merged into, the one that it became there."""
    if any(each is lot for each in account.lots):
        return lot
    return next((each for each in account.lots if each.root == lot.root), None)


def reinstate(
    account: Account, clock: datetime, expired: Expiration, amount: int | None, expires_at: datetime | None
) -> None:
    """Points that time took come back, within the window, in a lot of their own."""
    now = account.begin(clock)
    if now >= expired.moment + timedelta(days=account.unit.reinstate_days):
        raise RefusedError("ReinstateWindowOverError")
    if expires_at is not None and expires_at <= now:
        raise RefusedError("InvalidInputError")
    left = min(expired.amount - expired.reinstated, expired.lot.expired)
    wanted = left if amount is None else amount
    if wanted > left or not wanted:
        raise RefusedError("OverReversalError")
    expired.reinstated += wanted
    expired.lot.expired -= wanted
    account.touch(now)
    account.grant("reinstate", "expired", wanted, expires_at=expires_at, root=expired.lot.root)
