"""Giving back: voiding a redemption whole, before or after capture, and refunding it whole or in parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from ledger.errors import HoldExpiredError
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import public_id
from redemption.benefit_steps import release_benefit, return_benefit
from redemption.benefits.events import Doer
from redemption.benefits.using import revoke
from redemption.catalogue import return_to_stock
from redemption.checks import MAX_AMOUNT_MINOR, MAX_POINTS, check_range, check_text
from redemption.errors import (
    AlreadyRefundedError,
    AlreadyVoidedError,
    NotCapturedError,
    RedemptionExpiredError,
)
from redemption.money_off import RefundedSoFar, refund_amount, refund_points
from redemption.record import Redemption, change, lock_redemption
from redemption.requests import first_answer, keep_answer
from redemption.tables import redemption_refund_table


def expired(redemption: Redemption) -> RedemptionExpiredError:
    """The refusal of a redemption whose time ran out."""
    message = f"the time for this redemption ran out at {redemption.hold_expires_at.isoformat()}; its points are free"
    return RedemptionExpiredError(message, field="redemption", expired_at=redemption.hold_expires_at)


def already_refunded(redemption: Redemption) -> AlreadyRefundedError:
    """The refusal of giving back more than is left."""
    left = redemption.points - redemption.refunded_points
    left_minor = redemption.amount_minor - redemption.refunded_minor
    message = f"{left} points for {left_minor} are left to refund"
    return AlreadyRefundedError(message, field="redemption", left_points=left, left_minor=left_minor)


async def void(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    redemption_id: UUID,
    key: str,
    person_ids: Sequence[UUID] = (),
) -> Redemption:
    """Undo a redemption whole: before capture the hold is released, after it everything is given back.

    `person_ids` are all the ids of a member who was merged with others, today's first: that one gets the points back.
    Raises UnknownRedemptionError, AlreadyVoidedError (under another key), RedemptionExpiredError,
    AlreadyRefundedError (part was refunded: refund the rest), BenefitUsedError, IdempotencyMismatchError.
    """
    found, now = await lock_redemption(connection, programme_id=programme_id, redemption_id=redemption_id)
    known = await first_answer(
        connection,
        programme_id=programme_id,
        member_id=found.member_id,
        key=key,
        request=("void", redemption_id),
    )
    if known is not None:
        return known
    if found.state == "voided":
        raise AlreadyVoidedError("this redemption was voided already", field="redemption")
    if found.state == "expired":
        raise expired(found)
    if found.state == "refunded" or found.refunded_points or found.refunded_minor:
        raise already_refunded(found)
    if found.state == "held":
        await _release(connection, found, now)
    else:
        await _reverse(connection, found, found.points, key=f"redemption:{found.id}:void", person_ids=person_ids)
        await _take_back_goods(connection, found, now)
    voided = await change(connection, found, before=found.state, state="voided", closed_at=now)
    return await keep_answer(connection, member_id=found.member_id, key=key, answer=voided)


async def _release(connection: AsyncConnection, held: Redemption, now: datetime) -> None:
    if held.points:
        try:
            await posting.release(
                connection,
                member_id=held.member_id,
                hold_id=held.id,
                key=f"redemption:{held.id}:void",
                source=f"redemption:{public_id('rdm', held.id)}",
            )
        except HoldExpiredError as error:
            raise expired(held) from error
    if held.catalogue_item_id is not None:
        await return_to_stock(connection, item_id=held.catalogue_item_id)
    if held.benefit_id is not None:
        await release_benefit(connection, held, now=now)


async def _reverse(
    connection: AsyncConnection, captured: Redemption, points: int, *, key: str, person_ids: Sequence[UUID]
) -> int | None:
    """Give points back into the lots they came from; answers the posting."""
    if points == 0 or captured.capture_sequence is None:
        return None
    reversed_ = await posting.reverse(
        connection,
        member_id=person_ids[0] if person_ids else captured.member_id,
        sequence=captured.capture_sequence,
        amount=points,
        key=key,
        source=f"redemption:{public_id('rdm', captured.id)}",
        origin_member_id=captured.member_id,
        accounts=person_ids,
    )
    return reversed_.sequence


async def _take_back_goods(connection: AsyncConnection, captured: Redemption, now: datetime) -> None:
    """An item goes back to the shelf, a benefit bought is revoked, one used can be used again if its template says."""
    if captured.kind in ("coupon", "benefit"):
        await return_benefit(connection, captured, now=now)
    if captured.kind == "catalogue":
        if captured.benefit_id is not None:
            by = Doer(channel_id=captured.channel_id, clerk=captured.clerk)
            await revoke(connection, member_id=captured.member_id, benefit_id=captured.benefit_id, by=by)
        if captured.catalogue_item_id is not None:
            await return_to_stock(connection, item_id=captured.catalogue_item_id)


async def refund(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    redemption_id: UUID,
    key: str,
    points: int | None = None,
    amount_minor: int | None = None,
    clerk: str | None = None,
    person_ids: Sequence[UUID] = (),
) -> Redemption:
    """Give back a captured redemption, whole or (money off) in part: so many `points`, or the points of `amount_minor`.

    Neither given: all that is left. Parts are floored on their cumulative sum, so that they add up exactly to the
    whole. `person_ids` as for `void`. Raises UnknownRedemptionError, NotCapturedError, AlreadyRefundedError,
    AlreadyVoidedError, RedemptionExpiredError, BenefitUsedError, InvalidInputError, IdempotencyMismatchError.
    """
    check_text(clerk, "clerk")
    if points is not None and amount_minor is not None:
        raise InvalidInputError("points or an amount, not both", field="amount_minor")
    found, now = await lock_redemption(connection, programme_id=programme_id, redemption_id=redemption_id)
    request = ("refund", redemption_id, points, amount_minor, clerk)
    known = await first_answer(
        connection, programme_id=programme_id, member_id=found.member_id, key=key, request=request
    )
    if known is not None:
        return known
    _check_refundable(found)
    after = _refunded_after(found, points=points, amount_minor=amount_minor)
    given_back = after.points - found.refunded_points
    number = await _next_number(connection, found)
    sequence = await _reverse(
        connection, found, given_back, key=f"redemption:{found.id}:refund:{number}", person_ids=person_ids
    )
    if found.kind != "money_off":
        await _take_back_goods(connection, found, now)
    part = {
        "member_id": found.member_id,
        "redemption_id": found.id,
        "number": number,
        "points": given_back,
        "amount_minor": after.amount_minor - found.refunded_minor,
        "posting_sequence": sequence,
        "clerk": clerk,
        "recorded_at": now,
    }
    await connection.execute(insert(redemption_refund_table).values(part))
    whole = after.points == found.points and after.amount_minor == found.amount_minor
    refunded = await change(
        connection,
        found,
        before="captured",
        state="refunded" if whole else "captured",
        refunded_points=after.points,
        refunded_minor=after.amount_minor,
        closed_at=now if whole else None,
    )
    return await keep_answer(connection, member_id=found.member_id, key=key, answer=refunded)


def _check_refundable(found: Redemption) -> None:
    if found.state == "held":
        raise NotCapturedError("this redemption was not captured yet: void it", field="redemption")
    if found.state == "expired":
        raise expired(found)
    if found.state == "voided":
        raise AlreadyVoidedError("this redemption was voided", field="redemption")
    if found.state == "refunded":
        raise already_refunded(found)


def _refunded_after(found: Redemption, *, points: int | None, amount_minor: int | None) -> RefundedSoFar:
    """How much will be refunded in all."""
    whole = RefundedSoFar(points=found.points, amount_minor=found.amount_minor)
    before = RefundedSoFar(points=found.refunded_points, amount_minor=found.refunded_minor)
    if points is not None:
        check_range(points, "points", least=1, most=MAX_POINTS)
    if amount_minor is not None:
        check_range(amount_minor, "amount_minor", least=1, most=MAX_AMOUNT_MINOR)
    if found.kind != "money_off":
        if points not in (None, whole.points) or amount_minor not in (None, whole.amount_minor):
            raise InvalidInputError("only money off is refunded in part; this is refunded whole", field="points")
        return whole
    if points is not None:
        if points > whole.points - before.points:
            raise already_refunded(found)
        return refund_points(whole, before, points)
    if amount_minor is not None:
        if amount_minor > whole.amount_minor - before.amount_minor:
            raise already_refunded(found)
        return refund_amount(whole, before, amount_minor)
    return whole


async def _next_number(connection: AsyncConnection, found: Redemption) -> int:
    query = select(func.count()).select_from(redemption_refund_table)
    parts = await connection.execute(query.filter_by(member_id=found.member_id, redemption_id=found.id))
    return int(parts.scalar_one()) + 1
