"""Locking: the quote's coupons and points are set aside together, or none of them is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.ids import new_id
from loyalty.kit.programme import Channel
from loyalty.kit.quotas import Key
from redemption.basket import Member
from redemption.benefit_steps import budget_of, sale_of, short_of, take_budget
from redemption.benefits import using
from redemption.benefits.stock import budget_owners, use_of
from redemption.benefits.wallet import Benefit
from redemption.checkout.errors import CheckoutRefusedError
from redemption.checkout.quoting import Chosen, Quote, QuotedCoupon, Wish, quote
from redemption.checkout.record import Checkout
from redemption.checkout.tables import checkout_table
from redemption.checks import check_range, check_text, read_clock
from redemption.record import Redemption
from redemption.requests import first_document, keep_answer
from redemption.stale import sweep
from redemption.tables import redemption_table
from redemption.till import HOLD_SECONDS, MAX_HOLD_SECONDS, hold_points


async def lock(
    connection: AsyncConnection,
    *,
    channel: Channel,
    member_id: UUID,
    wish: Wish,
    facts: Member,
    key: str,
    clerk: str | None = None,
    hold_seconds: int = HOLD_SECONDS,
    person_ids: Sequence[UUID] = (),
) -> Checkout:
    """Quote a basket and set aside what applies, for so many seconds of the ledger's clock.

    All that was chosen has to apply; with `best` the server's choice does. The same key and body answer the same
    checkout. Raises CheckoutRefusedError, BenefitNotUsableError where another was quicker, OutOfBenefitsError,
    NotEnoughPointsError, and as `quote`.
    """
    check_text(clerk, "clerk")
    check_range(hold_seconds, "hold_seconds", least=1, most=MAX_HOLD_SECONDS)
    request = ("checkout", channel.id, clerk, hold_seconds, wish)
    known = await first_document(
        connection, programme_id=channel.programme_id, member_id=member_id, key=key, request=request
    )
    if known is not None:
        return msgspec.convert(known, Checkout)
    asked: dict[str, Any] = {"channel": channel, "member_id": member_id, "wish": wish, "facts": facts}
    chosen = await quote(connection, **asked, person_ids=person_ids)
    spent = chosen.spent or await _short(connection, channel, chosen)
    if spent:
        # What others let run out may not have been put back yet.
        for template_id in sorted(spent):
            await sweep(connection, benefit_template_id=template_id)
        chosen = await quote(connection, **asked, person_ids=person_ids)
    _check_all_apply(wish, chosen.quote)
    now = await read_clock(connection)
    checkout = Checkout(
        id=new_id(),
        programme_id=channel.programme_id,
        member_id=member_id,
        channel_id=channel.id,
        clerk=clerk,
        state="locked",
        currency=wish.currency,
        quote=chosen.quote,
        total_minor=wish.total_minor,
        payable_minor=chosen.quote.payable_minor,
        locked_at=now,
        expires_at=now + timedelta(seconds=hold_seconds),
    )
    await _lock_parts(connection, checkout, chosen)
    values = msgspec.structs.asdict(checkout) | {"basket": msgspec.to_builtins(wish)}
    await connection.execute(insert(checkout_table).values(values | {"quote": msgspec.to_builtins(chosen.quote)}))
    return await keep_answer(connection, member_id=member_id, key=key, answer=checkout)


def _check_all_apply(wish: Wish, quote_: Quote) -> None:
    refused = [msgspec.to_builtins(each) for each in quote_.refused if not wish.best or each.code in wish.coupons]
    if refused:
        message = f"{len(refused)} of what was chosen does not apply to this basket"
        raise CheckoutRefusedError(message, field="coupons", refused=refused)
    if quote_.points is not None and quote_.points.reason is not None and wish.points != "most":
        reason = msgspec.to_builtins(quote_.points.reason)
        raise CheckoutRefusedError("points do not pay so much here", field="points", refused=[reason])


async def _short(connection: AsyncConnection, channel: Channel, chosen: Chosen) -> set[UUID]:
    """The templates whose budgets look too small for what they would take off."""
    short = set()
    for benefit, coupon in zip(chosen.benefits, chosen.quote.coupons, strict=True):
        owners = await budget_owners(
            connection,
            programme_id=channel.programme_id,
            template_id=benefit.template_id,
            definition=benefit.definition,
        )
        if await short_of(connection, use_of(owners, coupon.amount_minor)):
            short.add(benefit.template_id)
    return short


async def _lock_parts(connection: AsyncConnection, checkout: Checkout, chosen: Chosen) -> None:
    """Points first, then benefits in the order of their keys, then budgets: nobody waits for another in a ring."""
    used = [
        (_coupon_part(checkout, benefit, coupon), benefit)
        for benefit, coupon in zip(chosen.benefits, chosen.quote.coupons, strict=True)
    ]
    parts = [part for part, _ in used]
    paid = chosen.quote.points
    if paid is not None and paid.points:
        points = _part(
            checkout,
            kind="money_off",
            points=paid.points,
            amount_minor=paid.amount_minor,
            policy_version=chosen.quote.policy_version,
            basket_minor=chosen.quote.left_for_points_minor,
        )
        await hold_points(connection, points, paid.points)
        parts.append(points)
    budget: Counter[Key] = Counter()
    for part, benefit in sorted(used, key=lambda pair: (pair[1].member_id, pair[1].id)):
        await using.lock(connection, benefit, sale_of(part), until=checkout.expires_at, now=checkout.locked_at)
        budget.update(await budget_of(connection, part, benefit.definition))
    if parts:
        await connection.execute(insert(redemption_table), [msgspec.structs.asdict(part) for part in parts])
    await take_budget(connection, budget)


def _coupon_part(checkout: Checkout, benefit: Benefit, coupon: QuotedCoupon) -> Redemption:
    return _part(
        checkout,
        kind="coupon" if benefit.definition.terms is not None else "benefit",
        amount_minor=coupon.amount_minor,
        benefit_member_id=benefit.member_id,
        benefit_id=benefit.id,
        benefit_template_id=benefit.template_id,
        benefit_version=benefit.version,
        name=benefit.name,
        basket_minor=checkout.total_minor,
    )


def _part(checkout: Checkout, *, points: int = 0, **fields: Any) -> Redemption:
    return Redemption(
        id=new_id(),
        programme_id=checkout.programme_id,
        member_id=checkout.member_id,
        channel_id=checkout.channel_id,
        clerk=checkout.clerk,
        state="held",
        points=points,
        currency=checkout.currency,
        checkout_id=checkout.id,
        begun_at=checkout.locked_at,
        hold_expires_at=checkout.expires_at,
        **fields,
    )
