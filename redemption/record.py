"""A redemption as it is recorded: its row, read at the ledger's clock, and locked while it changes state."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from redemption.checks import clock
from redemption.errors import UnknownRedemptionError
from redemption.tables import redemption_table

RedemptionKind = Literal["money_off", "catalogue", "coupon", "benefit"]
RedemptionState = Literal["held", "captured", "voided", "refunded", "expired"]


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """One redemption: `points` taken for `amount_minor` off, for a catalogue item, or a benefit used (0 points).

    A `coupon` is a benefit that takes money off, a `benefit` any other, which is handed over or done.

    `held` until captured, voided or expired at `hold_expires_at`; `captured` until voided, or `refunded` when all is
    given back; `refunded_points` and `refunded_minor` say how much was. `benefit_id` is the benefit used, or the one a
    catalogue item gave, in the wallet of `benefit_member_id` and of a version of the template `benefit_template_id`.
    `checkout_id` is the checkout that it is part of. `name` is what to print on the receipt, by locale, for a
    catalogue item or a benefit. A redemption whose time ran out reads `expired`, whether or not anything has swept by.
    """

    id: UUID
    programme_id: UUID
    member_id: UUID
    channel_id: UUID
    clerk: str | None
    kind: RedemptionKind
    state: RedemptionState
    points: int
    amount_minor: int
    currency: str | None = None
    basket_minor: int | None = None
    policy_version: int | None = None
    catalogue_item_id: UUID | None = None
    benefit_member_id: UUID | None = None
    benefit_id: UUID | None = None
    benefit_template_id: UUID | None = None
    benefit_version: int | None = None
    checkout_id: UUID | None = None
    name: dict[str, str] | None = None
    begun_at: datetime
    hold_expires_at: datetime
    receipt_number: str | None = None
    captured_at: datetime | None = None
    capture_sequence: int | None = None
    refunded_points: int = 0
    refunded_minor: int = 0
    closed_at: datetime | None = None


def select_redemptions() -> Select[Any]:
    """Redemptions with the clock beside them, for `read_redemption`."""
    return select(redemption_table, clock().label("now"))


def read_redemption(row: Row[Any]) -> Redemption:
    """Read a row of `select_redemptions`."""
    redemption = Redemption(**{field: getattr(row, field) for field in Redemption.__struct_fields__})
    if redemption.state == "held" and redemption.hold_expires_at <= row.now:
        return msgspec.structs.replace(redemption, state="expired", closed_at=redemption.hold_expires_at)
    return redemption


async def lock_redemption(
    connection: AsyncConnection, *, programme_id: UUID, redemption_id: UUID
) -> tuple[Redemption, datetime]:
    """A redemption, its row locked, and the moment at which it was. Raises UnknownRedemptionError."""
    lock = (
        select(redemption_table.c.member_id)
        .filter_by(id=redemption_id, programme_id=programme_id)
        .with_for_update(of=redemption_table)
    )
    # The lock may have to wait, so the clock is read by a statement of its own that follows it.
    member_id = (await connection.execute(lock)).scalar_one_or_none()
    if member_id is None:
        raise UnknownRedemptionError("there is no such redemption", field="redemption")
    row = (await connection.execute(select_redemptions().filter_by(member_id=member_id, id=redemption_id))).one()
    return read_redemption(row), row.now


async def lock_redemptions(
    connection: AsyncConnection, *, programme_id: UUID, redemption_ids: Collection[UUID]
) -> list[Redemption]:
    """Redemptions as they are now, their rows locked, in the order of their ids.

    For whoever changes several in one transaction: they are locked before anything is decided by what they say, and
    before an account is, since each step of a till locks its redemption first.
    """
    locked = []
    for redemption_id in sorted(set(redemption_ids)):
        redemption, _ = await lock_redemption(connection, programme_id=programme_id, redemption_id=redemption_id)
        locked.append(redemption)
    return locked


async def change(
    connection: AsyncConnection, redemption: Redemption, *, before: RedemptionState, **after: Any
) -> Redemption:
    """Move a redemption from one state to the next; the state is asked for again in the statement that changes it."""
    query = (
        update(redemption_table)
        .filter_by(member_id=redemption.member_id, id=redemption.id, state=before)
        .values(after)
        .returning(redemption_table.c.id)
    )
    (await connection.execute(query)).one()
    return msgspec.structs.replace(redemption, **after)
