"""Posting: the only writer of the ledger.

Each function is one posting, made by one call of one function in the database (see `migrations/sql/0002_ledger_*`).
Every one takes an idempotency `key`, unique for a member: repeated with the same request it answers what it answered
first (`replayed` is then true), with another it raises IdempotencyMismatchError. Amounts are whole points, from 1 to
10^12. `source` says in a few machine-readable words what caused it, such as `order:online/536381`.
Errors beside those named at each function: InvalidInputError, UnavailableError.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import refusals
from ledger.operations import (
    UNIT_POLICY,
    Adjust,
    Capture,
    ClawBack,
    Confirm,
    Earn,
    Expiry,
    Hold,
    Release,
    Reverse,
    Spend,
    available_argument,
    check_text,
    expiry_arguments,
    fingerprint,
)


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """What a posting answers: its place on the account and the account's balances after it.

    `sequence` is the number of its first entry and names the posting; None where there was nothing to move.
    """

    member_id: UUID
    unit: str
    sequence: int
    last_sequence: int
    posted: int
    pending: int
    held: int
    debt: int
    recorded_at: datetime
    hold_id: UUID | None
    replayed: bool


async def call(connection: AsyncConnection, function: str, **arguments: Any) -> Posting:
    """Call one function of the ledger in the database. Raises its refusals by their names."""
    for field in ("key", "source", "reason", "actor", "approved_by", "rule"):
        check_text(field, arguments.get(field))
    named = ", ".join(f"p_{name} => :{name}" for name in arguments)
    with refusals():
        row = (await connection.execute(_statement(function, named), arguments)).one()
    return posting_of(row)


def posting_of(row: Row[Any]) -> Posting:
    """Read a row of the type `ledger.result`, which every posting function answers."""
    return Posting(
        member_id=row.member_id,
        unit=row.unit,
        sequence=row.seq or 0,
        last_sequence=row.last_seq,
        posted=row.posted,
        pending=row.pending,
        held=row.held,
        debt=row.debt,
        recorded_at=row.recorded_at,
        hold_id=row.hold_id,
        replayed=row.replayed,
    )


def _statement(function: str, named: str) -> Any:
    return text(f"SELECT * FROM ledger.{function}({named})")  # noqa: S608  (names are ours, values are bound)


async def earn(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    unit: str = "points",
    amount: int,
    key: str,
    source: str,
    rule_version: str | None = None,
    effective_at: datetime | None = None,
    expires_at: Expiry = UNIT_POLICY,
    available_at: datetime | Literal["on_event"] | None = None,
    priority: int = 0,
) -> Posting:
    """Give earned points: debt is repaid first, the rest becomes a lot that expires as one.

    With `available_at` in the future, or ON_EVENT, points are pending: they show and cannot be spent. Lots with a lower
    `priority` are spent first.
    """
    return await call(
        connection,
        "earn",
        programme=programme_id,
        member=member_id,
        unit=unit,
        amount=amount,
        key=key,
        hash=Earn(
            member_id=member_id,
            unit=unit,
            key=key,
            source=source,
            amount=amount,
            rule_version=rule_version,
            effective_at=effective_at,
            expires_at=expires_at,
            available_at=available_at,
            priority=priority,
        ).request_hash,
        source=source,
        rule=rule_version,
        effective=effective_at,
        available=available_argument(available_at),
        priority=priority,
        **expiry_arguments(expires_at),
    )


async def confirm(
    connection: AsyncConnection, *, member_id: UUID, unit: str = "points", sequence: int, key: str, source: str
) -> Posting:
    """Make pending points spendable because what they waited for has happened.

    Raises NotReversibleError where posting `sequence` has nothing that waits, AccountNotFoundError.
    """
    return await call(
        connection,
        "confirm",
        member=member_id,
        unit=unit,
        seq=sequence,
        key=key,
        hash=Confirm(member_id=member_id, unit=unit, key=key, source=source, sequence=sequence).request_hash,
        source=source,
    )


async def spend(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    unit: str = "points",
    amount: int,
    key: str,
    source: str,
    effective_at: datetime | None = None,
) -> Posting:
    """Spend points, soonest-expiring first; all or nothing: InsufficientBalanceError where there are too few."""
    return await call(
        connection,
        "spend",
        programme=programme_id,
        member=member_id,
        unit=unit,
        amount=amount,
        key=key,
        hash=Spend(
            member_id=member_id, unit=unit, key=key, source=source, amount=amount, effective_at=effective_at
        ).request_hash,
        source=source,
        effective=effective_at,
    )


async def hold(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    unit: str = "points",
    amount: int,
    hold_id: UUID,
    expires_at: datetime,
    key: str,
    source: str,
) -> Posting:
    """Set points aside until `expires_at`, when they free themselves. Raises InsufficientBalanceError.

    The request is the same whatever `hold_id` and `expires_at` it brings: a repetition answers the first hold's id.
    """
    return await call(
        connection,
        "hold_points",
        programme=programme_id,
        member=member_id,
        unit=unit,
        amount=amount,
        hold=hold_id,
        expires=expires_at,
        key=key,
        hash=Hold(
            member_id=member_id,
            unit=unit,
            key=key,
            source=source,
            amount=amount,
            hold_id=hold_id,
            expires_at=expires_at,
        ).request_hash,
        source=source,
    )


async def capture(
    connection: AsyncConnection,
    *,
    member_id: UUID,
    unit: str = "points",
    hold_id: UUID,
    amount: int | None = None,
    key: str,
    source: str,
) -> Posting:
    """Spend points on hold, all that are left unless an amount is given; the rest stays on hold.

    Raises HoldNotFoundError, HoldExpiredError, HoldClosedError, OverReversalError.
    """
    return await _end_hold(
        connection, member_id=member_id, unit=unit, hold_id=hold_id, amount=amount, take=True, key=key, source=source
    )


async def release(
    connection: AsyncConnection,
    *,
    member_id: UUID,
    unit: str = "points",
    hold_id: UUID,
    amount: int | None = None,
    key: str,
    source: str,
) -> Posting:
    """Free points on hold, all that are left unless an amount is given. Raises as `capture` does."""
    return await _end_hold(
        connection, member_id=member_id, unit=unit, hold_id=hold_id, amount=amount, take=False, key=key, source=source
    )


async def _end_hold(
    connection: AsyncConnection,
    *,
    member_id: UUID,
    unit: str,
    hold_id: UUID,
    amount: int | None,
    take: bool,
    key: str,
    source: str,
) -> Posting:
    return await call(
        connection,
        "end_hold",
        member=member_id,
        unit=unit,
        hold=hold_id,
        amount=amount,
        capture=take,
        key=key,
        hash=(Capture if take else Release)(
            member_id=member_id, unit=unit, key=key, source=source, hold_id=hold_id, amount=amount
        ).request_hash,
        source=source,
    )


async def reverse(
    connection: AsyncConnection,
    *,
    member_id: UUID,
    unit: str = "points",
    sequence: int,
    amount: int | None = None,
    key: str,
    source: str,
    effective_at: datetime | None = None,
    origin_member_id: UUID | None = None,
    accounts: Sequence[UUID] = (),
) -> Posting:
    """Reverse a posting, whole or in part, as often as is wanted and never beyond it.

    An earn is taken back from its own lot, then from others, then by the unit's policy goes into debt. A spend or a
    capture is given back to the lots it took from, with the expiry they have. Members who were merged since:
    `member_id` is who pays or receives now, `origin_member_id` whose posting it was, `accounts` the ids of all members
    that are this one. Raises EntryNotFoundError, OverReversalError, NotReversibleError.
    """
    return await call(
        connection,
        "reverse",
        member=member_id,
        unit=unit,
        origin=origin_member_id or member_id,
        seq=sequence,
        amount=amount,
        accounts=list(accounts),
        key=key,
        hash=Reverse(
            member_id=member_id,
            unit=unit,
            key=key,
            source=source,
            sequence=sequence,
            amount=amount,
            effective_at=effective_at,
            origin_member_id=origin_member_id,
        ).request_hash,
        source=source,
        effective=effective_at,
    )


async def claw_back(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    unit: str = "points",
    amount: int,
    key: str,
    source: str,
    rule_version: str | None = None,
    effective_at: datetime | None = None,
) -> Posting:
    """Take earned points back where no earlier posting is named: from open lots, then by policy into debt."""
    return await call(
        connection,
        "claw_back",
        programme=programme_id,
        member=member_id,
        unit=unit,
        amount=amount,
        key=key,
        hash=ClawBack(
            member_id=member_id,
            unit=unit,
            key=key,
            source=source,
            amount=amount,
            rule_version=rule_version,
            effective_at=effective_at,
        ).request_hash,
        source=source,
        rule=rule_version,
        effective=effective_at,
    )


async def adjust(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    unit: str = "points",
    amount: int,
    key: str,
    source: str,
    reason: str,
    actor: str,
    approved_by: str | None = None,
    expires_at: Expiry = UNIT_POLICY,
) -> Posting:
    """Give (`amount` above 0) or take (below 0) points by hand, with a reason.

    Above the unit's limit a second person approves: ApprovalNeededError. Taking more than there is is refused:
    InsufficientBalanceError.
    """
    return await call(
        connection,
        "adjust",
        programme=programme_id,
        member=member_id,
        unit=unit,
        amount=amount,
        key=key,
        hash=Adjust(
            member_id=member_id,
            unit=unit,
            key=key,
            source=source,
            amount=amount,
            reason=reason,
            actor=actor,
            expires_at=expires_at,
        ).request_hash,
        source=source,
        reason=reason,
        actor=actor,
        approved_by=approved_by,
        **expiry_arguments(expires_at),
    )


async def reinstate(
    connection: AsyncConnection,
    *,
    member_id: UUID,
    unit: str = "points",
    sequence: int,
    amount: int | None = None,
    expires_at: datetime | None,
    key: str,
    source: str,
    actor: str | None = None,
    reason: str | None = None,
) -> Posting:
    """Bring points of the expiry entry `sequence` back, all that are left unless an amount is given.

    They come in a lot of their own that expires at `expires_at` (None: never). Raises EntryNotFoundError,
    ReinstateWindowOverError, OverReversalError.
    """
    return await call(
        connection,
        "reinstate",
        member=member_id,
        unit=unit,
        seq=sequence,
        amount=amount,
        expires=expires_at,
        key=key,
        hash=fingerprint("reinstate", unit, sequence, amount, expires_at),
        source=source,
        actor=actor,
        reason=reason,
    )


async def settle(connection: AsyncConnection, *, member_id: UUID, unit: str = "points") -> int:
    """Do what time has brought to one account: expiry, pending points, holds. Answers how many entries that took."""
    with refusals():
        count = await connection.scalar(
            text("SELECT ledger.settle_account(:member, :unit)"), {"member": member_id, "unit": unit}
        )
    return int(count or 0)
