"""After the lock: use under the order's number, release, refund by lines or whole. Each is one step for all parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError
from redemption import till
from redemption.checkout.errors import CheckoutStateError
from redemption.checkout.record import (
    Checkout,
    all_lines,
    change,
    expired,
    lock_checkout,
    lock_parts,
    parts_of,
)
from redemption.checkout.tables import checkout_table
from redemption.checks import check_text, clock
from redemption.record import Redemption
from redemption.requests import first_document, keep_answer

_GONE: Final = ("voided", "refunded")


async def use(
    connection: AsyncConnection, *, programme_id: UUID, checkout_id: UUID, order_number: str, key: str
) -> Checkout:
    """The purchase is paid: use all that was locked, under the order's or receipt's number.

    The same number for the same checkout is the same answer, whatever the key. Raises UnknownCheckoutError,
    CheckoutExpiredError, CheckoutStateError (released, or used for another order), InvalidInputError,
    IdempotencyMismatchError.
    """
    check_text(order_number, "order_number")
    found, now = await lock_checkout(connection, programme_id=programme_id, checkout_id=checkout_id)
    known = await _known(connection, found, key, ("checkout.use", checkout_id, order_number))
    if known is not None:
        return known
    if found.state in ("used", "refunded") and found.order_number == order_number:
        return await keep_answer(connection, member_id=found.member_id, key=key, answer=found)
    if found.state == "expired":
        raise expired(found)
    if found.state != "locked":
        raise _state(found)
    for part in await parts_of(connection, checkout_id):
        await till.capture(
            connection,
            programme_id=programme_id,
            redemption_id=part.id,
            receipt_number=order_number,
            key=f"checkout:{part.id}:use",
        )
    used = await change(connection, found, state="used", order_number=order_number, used_at=now)
    return await keep_answer(connection, member_id=found.member_id, key=key, answer=used)


async def release(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    checkout_id: UUID,
    key: str,
    person_ids: Sequence[UUID] = (),
) -> Checkout:
    """The purchase is not to be: free all that was locked. What ran out is free already, which is the same answer.

    Raises UnknownCheckoutError, CheckoutStateError where it was used (refund it), IdempotencyMismatchError.
    """
    found, now = await lock_checkout(connection, programme_id=programme_id, checkout_id=checkout_id)
    known = await _known(connection, found, key, ("checkout.release", checkout_id))
    if known is not None:
        return known
    if found.state in ("released", "expired"):
        return await keep_answer(connection, member_id=found.member_id, key=key, answer=found)
    if found.state != "locked":
        raise _state(found)
    for part in await parts_of(connection, checkout_id):
        if part.state == "held":
            await till.void(
                connection,
                programme_id=programme_id,
                redemption_id=part.id,
                key=f"checkout:{part.id}:release",
                person_ids=person_ids,
            )
    released = await change(connection, found, state="released", closed_at=now)
    return await keep_answer(connection, member_id=found.member_id, key=key, answer=released)


async def refund(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    checkout_id: UUID,
    key: str,
    lines: Sequence[int] | None = None,
    clerk: str | None = None,
    person_ids: Sequence[UUID] = (),
) -> Checkout:
    """The purchase is refunded, whole or some of its `lines` (places in the basket, from 0).

    Points that paid for these lines come back with their old expiry. When the last line is refunded, coupons come back
    too, if their templates say so. Raises UnknownCheckoutError, CheckoutStateError (not used, or refunded whole),
    InvalidInputError for a line that is not there or was refunded before, IdempotencyMismatchError.
    """
    check_text(clerk, "clerk")
    found, now = await lock_checkout(connection, programme_id=programme_id, checkout_id=checkout_id)
    asked = None if lines is None else sorted(set(lines))
    known = await _known(connection, found, key, ("checkout.refund", checkout_id, asked, clerk))
    if known is not None:
        return known
    if found.state != "used":
        raise _state(found)
    left = [place for place in all_lines(found) if place not in found.refunded_lines]
    chosen = left if asked is None else asked
    for place in chosen:
        if place not in left:
            raise InvalidInputError(f"line {place} is not there, or was refunded before", field="lines")
    whole = len(chosen) == len(left)
    number = len(found.refunded_lines)
    for part in await lock_parts(connection, found):
        if part.state not in _GONE:
            await _refund_part(
                connection,
                part,
                amount_minor=None if whole else sum(found.quote.lines[place].points_minor for place in chosen),
                key=f"checkout:{part.id}:refund:{number}",
                clerk=clerk,
                person_ids=person_ids,
            )
    refunded = await change(
        connection,
        found,
        state="refunded" if whole else "used",
        refunded_lines=tuple(sorted({*found.refunded_lines, *chosen})),
        closed_at=now if whole else None,
    )
    return await keep_answer(connection, member_id=found.member_id, key=key, answer=refunded)


async def _refund_part(
    connection: AsyncConnection, part: Redemption, *, amount_minor: int | None, **fields: Any
) -> None:
    """All that is left of a part, or the points of an amount; a coupon comes back whole or not yet."""
    if amount_minor is not None and (part.kind != "money_off" or amount_minor == 0):
        return
    if amount_minor is not None:
        amount_minor = min(amount_minor, part.amount_minor - part.refunded_minor)
    if amount_minor != 0:
        await till.refund(
            connection, programme_id=part.programme_id, redemption_id=part.id, amount_minor=amount_minor, **fields
        )


async def close_refunded(connection: AsyncConnection, *, programme_id: UUID, checkout_id: UUID) -> None:
    """Write down that a checkout is refunded whole, where all its redemptions were given back one by one.

    Who gives them back locks the checkout before, as all steps of it do.
    """
    found, now = await lock_checkout(connection, programme_id=programme_id, checkout_id=checkout_id)
    parts = await parts_of(connection, checkout_id)
    if found.state == "used" and all(part.state in _GONE for part in parts):
        lines = tuple(all_lines(found))
        await change(connection, found, state="refunded", refunded_lines=lines, closed_at=now)


async def _known(connection: AsyncConnection, found: Checkout, key: str, request: tuple[Any, ...]) -> Checkout | None:
    known = await first_document(
        connection, programme_id=found.programme_id, member_id=found.member_id, key=key, request=request
    )
    return None if known is None else msgspec.convert(known, Checkout)


def _state(found: Checkout) -> CheckoutStateError:
    message = f"this checkout is {found.state}"
    return CheckoutStateError(message, field="checkout", state=found.state, order_number=found.order_number)


async def close_stale(engine: AsyncEngine, *, batch_size: int = 500) -> int:
    """Write down which checkouts ran out of time; their parts are put back by the sweep of redemptions."""
    columns = checkout_table.c
    count = 0
    while True:
        async with transaction(engine) as connection:
            stale = (
                select(columns.member_id, columns.id)
                .where(columns.state == "locked", columns.expires_at <= clock())
                .order_by(columns.expires_at)
                .limit(batch_size)
                .with_for_update(skip_locked=True)
            )
            keys = [(row.member_id, row.id) for row in await connection.execute(stale)]
            if keys:
                query = update(checkout_table).where(tuple_(columns.member_id, columns.id).in_(keys))
                await connection.execute(query.values(state="expired", closed_at=columns.expires_at))
        count += len(keys)
        if len(keys) < batch_size:
            return count
