"""Coupons in members' wallets: issued under a key, locked and used by a redemption at a till, returned, revoked."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from redemption.coupon_templates import CouponTemplate

CouponState = Literal["issued", "locked", "used", "returned", "expired", "void"]


class Coupon(msgspec.Struct, frozen=True, kw_only=True):
    """One coupon of one member. `issued` and `returned` can be used before `expires_at`; `locked` waits for its till.

    `state` is true at the moment of reading: a coupon past its time reads `expired`, and a lock that ran out reads
    `issued`, whether or not anything has swept by. `code` is what a till scans; it cannot be guessed.
    """

    id: UUID
    member_id: UUID
    programme_id: UUID
    code: str
    state: CouponState
    template: CouponTemplate
    source: str
    issued_at: datetime
    expires_at: datetime
    locked_until: datetime | None


async def issue_coupon(
    connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, template_code: str, key: str, source: str
) -> Coupon:
    """Put a coupon into a member's wallet, valid for the template's days from now to the end of the last local day.

    The same key and template answer the same coupon; the same key with another template raises
    IdempotencyMismatchError. Raises NotFoundError for an unknown template.
    """
    raise NotImplementedError


async def wallet(connection: AsyncConnection, *, member_id: UUID, usable_only: bool = True) -> list[Coupon]:
    """A member's coupons, soonest to expire first; with `usable_only=False` also the used, expired and void ones."""
    raise NotImplementedError


async def find_coupon(connection: AsyncConnection, *, programme_id: UUID, code: str) -> Coupon:
    """The coupon a till scanned, in any member's wallet. Raises UnknownCouponError."""
    raise NotImplementedError


async def void_coupon(connection: AsyncConnection, *, member_id: UUID, coupon_id: UUID) -> Coupon:
    """Take a coupon back out of use; voiding it again is the same answer.

    Raises CouponUsedError where it was used, CouponNotUsableError where a till has it locked, UnknownCouponError.
    """
    raise NotImplementedError


async def move_wallet(connection: AsyncConnection, *, survivor_id: UUID, absorbed_id: UUID) -> int:
    """Merge: put the absorbed member's coupons into the survivor's wallet; answers how many."""
    raise NotImplementedError


async def return_wallet(connection: AsyncConnection, *, survivor_id: UUID, absorbed_id: UUID) -> int:
    """Unmerge: give back the coupons that were issued to the absorbed member, in the state they are in by now."""
    raise NotImplementedError
