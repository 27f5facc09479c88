"""Redeeming at a till: begin holds, capture by receipt number takes, void gives back, refund gives back in parts.

The till names what it wants; the server computes every cost. Points are held in the ledger under the redemption's own
id, so a redemption that nobody finishes frees itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

HOLD_SECONDS: Final = 15 * 60
"""How long a till has to finish."""

RedemptionKind = Literal["money_off", "catalogue", "coupon"]
RedemptionState = Literal["held", "captured", "voided", "refunded", "expired"]


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """One redemption: `points` taken for `amount_minor` off, for a catalogue item, or a coupon used (0 points).

    `held` until captured, voided or expired at `hold_expires_at`; `captured` until voided, or `refunded` when all is
    given back; `refunded_points` and `refunded_minor` say how much was. `coupon_id` is the coupon used, or the one a
    catalogue item gave. `name` is what to print on the receipt, by locale, for a catalogue item or a coupon.
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
    currency: str | None
    basket_minor: int | None
    policy_version: int | None
    catalogue_item_id: UUID | None
    coupon_id: UUID | None
    name: dict[str, str] | None
    begun_at: datetime
    hold_expires_at: datetime
    receipt_number: str | None
    captured_at: datetime | None
    capture_sequence: int | None
    refunded_points: int
    refunded_minor: int
    closed_at: datetime | None


async def begin(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    member_id: UUID,
    channel_id: UUID,
    key: str,
    clerk: str | None = None,
    basket_minor: int | None = None,
    currency: str | None = None,
    points: int | None = None,
    catalogue_item: str | None = None,
    coupon: str | None = None,
    hold_seconds: int = HOLD_SECONDS,
) -> Redemption:
    """Hold what is to be redeemed: `points` for money off, a `catalogue_item` by code, or a `coupon` by its code.

    Exactly one of the three. Money off and coupons need the basket and its currency. The same key and body answer the
    same redemption; another body raises IdempotencyMismatchError. Raises NotEnoughPointsError, BelowMinimumError,
    NotAMultipleError, AboveShareError, WrongCurrencyError, OutOfStockError, CouponNotUsableError, BasketTooSmallError,
    WrongChannelError, UnknownCouponError, NotFoundError (item), InvalidInputError.
    """
    raise NotImplementedError


async def capture(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    redemption_id: UUID,
    receipt_number: str | None = None,
    key: str,
) -> Redemption:
    """Take what was held, under the receipt's number (needed unless a catalogue item is redeemed away from a till).

    The same receipt number for the same redemption is the same answer, whatever the key. Raises
    UnknownRedemptionError, RedemptionExpiredError, AlreadyCapturedError (another receipt), AlreadyVoidedError,
    AboveShareError (other redemptions of this member on the receipt leave too little), IdempotencyMismatchError.
    """
    raise NotImplementedError


async def void(connection: AsyncConnection, *, programme_id: UUID, redemption_id: UUID, key: str) -> Redemption:
    """Undo a redemption whole: before capture the hold is released, after it everything is given back.

    Raises UnknownRedemptionError, AlreadyVoidedError (under another key), RedemptionExpiredError,
    AlreadyRefundedError (part was refunded: refund the rest), CouponUsedError, IdempotencyMismatchError.
    """
    raise NotImplementedError


async def refund(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    redemption_id: UUID,
    key: str,
    points: int | None = None,
    amount_minor: int | None = None,
    clerk: str | None = None,
) -> Redemption:
    """Give back a captured redemption, whole or (money off) in part: so many `points`, or the points of `amount_minor`.

    Neither given: all that is left. Parts are floored on their cumulative sum, so that they add up exactly to the
    whole. Raises UnknownRedemptionError, NotCapturedError, AlreadyRefundedError, AlreadyVoidedError, CouponUsedError,
    InvalidInputError, IdempotencyMismatchError.
    """
    raise NotImplementedError
