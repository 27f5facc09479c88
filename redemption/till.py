"""Redeeming at a till: begin holds, capture by receipt number takes, void gives back, refund gives back in parts.

The till names what it wants; the server computes every cost. Points are held in the ledger under the redemption's own
id, so a redemption that nobody finishes frees itself. In all of these the ledger's account is locked before stock, and
the redemption's row before both, so that no two of them wait for each other in a ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from ledger.errors import HoldExpiredError, InsufficientBalanceError
from ledger.reading import balance
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, public_id
from loyalty.kit.programme import Channel, get_channel_by_id, get_programme
from redemption import giving_back
from redemption.basket import Basket, Candidate, Line, Member, price_basket
from redemption.benefit_steps import (
    budget_of,
    not_applicable,
    sale_of,
    short_of,
    take_budget,
    use_benefit,
    wrong_currency,
)
from redemption.benefits import using
from redemption.benefits.events import Doer
from redemption.benefits.issuing import issue_of
from redemption.benefits.templates import get_definition, get_published, get_template_by_id
from redemption.benefits.wallet import find_benefit
from redemption.catalogue import get_item, take_from_stock
from redemption.checks import MAX_AMOUNT_MINOR, MAX_POINTS, check_range, check_text, read_clock
from redemption.errors import (
    AboveShareError,
    AlreadyCapturedError,
    AlreadyVoidedError,
    NotEnoughPointsError,
    OutOfStockError,
    RedemptionExpiredError,
)
from redemption.money_off import price, share_limit_minor
from redemption.policies import get_policy, get_policy_version
from redemption.record import Redemption, RedemptionKind, RedemptionState, change, lock_redemption
from redemption.requests import first_answer, keep_answer
from redemption.stale import sweep
from redemption.tables import redemption_table

__all__ = ["HOLD_SECONDS", "Redemption", "RedemptionKind", "RedemptionState", "begin", "capture", "refund", "void"]

HOLD_SECONDS: Final = 15 * 60
"""How long a till has to finish."""

MAX_HOLD_SECONDS: Final = 24 * 60 * 60

RECEIPT_HOURS: Final = 24
"""Redemptions under one receipt number share its basket within these hours; after them a till may count anew."""

NOTHING_KNOWN: Final = Member()

void = giving_back.void
refund = giving_back.refund


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a till asks for."""

    points: int | None
    catalogue_item: str | None
    coupon: str | None
    basket_minor: int | None
    currency: str | None

    def check(self) -> None:
        if sum(each is not None for each in (self.points, self.catalogue_item, self.coupon)) != 1:
            raise InvalidInputError("exactly one of points, catalogue_item and coupon is needed", field="points")
        if self.points is not None:
            check_range(self.points, "points", least=1, most=MAX_POINTS)
        if self.basket_minor is not None:
            check_range(self.basket_minor, "basket_minor", least=0, most=MAX_AMOUNT_MINOR)

    def basket(self) -> tuple[int, str]:
        """The basket and its currency, which money off and coupons need."""
        if self.basket_minor is None:
            raise InvalidInputError("the basket is needed to know what can be taken off", field="basket_minor")
        if self.currency is None:
            raise InvalidInputError("the basket's currency is needed", field="currency")
        return self.basket_minor, self.currency


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
    person_ids: Sequence[UUID] = (),
    facts: Member = NOTHING_KNOWN,
) -> Redemption:
    """Hold what is to be redeemed: `points` for money off, a `catalogue_item` by code, or a `coupon` by its code.

    Exactly one of the three. Money off and coupons need the basket and its currency. A coupon is any benefit of the
    wallet; of its basket only the sum is known here, and `facts` are what its terms ask about the member.
    `person_ids` are all the ids of a member who was merged with others; their benefits can be used too. The same key
    and body answer the same redemption; another body raises IdempotencyMismatchError. Raises NotEnoughPointsError,
    BelowMinimumError, NotAMultipleError, AboveShareError, WrongCurrencyError, OutOfStockError, BenefitNotUsableError,
    OutOfBenefitsError, BasketTooSmallError, WrongChannelError, NotApplicableError, UnknownBenefitError, NotFoundError
    (item, channel), InvalidInputError.
    """
    wish = _Wish(
        points=points, catalogue_item=catalogue_item, coupon=coupon, basket_minor=basket_minor, currency=currency
    )
    wish.check()
    check_text(clerk, "clerk")
    check_range(hold_seconds, "hold_seconds", least=1, most=MAX_HOLD_SECONDS)
    request = ("begin", channel_id, clerk, hold_seconds, wish)
    known = await first_answer(connection, programme_id=programme_id, member_id=member_id, key=key, request=request)
    if known is not None:
        return known
    channel = await get_channel_by_id(connection, channel_id)
    if channel.programme_id != programme_id:
        raise NotFoundError("there is no such channel in this programme", field="channel")
    now = await read_clock(connection)
    start = Redemption(
        id=new_id(),
        programme_id=programme_id,
        member_id=member_id,
        channel_id=channel_id,
        clerk=clerk,
        kind="money_off",
        state="held",
        points=0,
        amount_minor=0,
        basket_minor=basket_minor,
        currency=currency,
        begun_at=now,
        hold_expires_at=now + timedelta(seconds=hold_seconds),
    )
    if wish.points is not None:
        begun = await _hold_money_off(connection, start, wish)
    elif wish.catalogue_item is not None:
        begun = await _hold_catalogue_item(connection, start, wish.catalogue_item)
    else:
        begun = await _hold_benefit(connection, start, wish, channel, facts, [member_id, *person_ids])
    await connection.execute(insert(redemption_table).values(msgspec.structs.asdict(begun)))
    return await keep_answer(connection, member_id=member_id, key=key, answer=begun)


async def _hold_money_off(connection: AsyncConnection, start: Redemption, wish: _Wish) -> Redemption:
    basket_minor, currency = wish.basket()
    policy = await get_policy(connection, programme_id=start.programme_id, currency=currency)
    available = (await balance(connection, member_id=start.member_id)).spendable
    points = wish.points or 0
    amount_minor = price(policy, points=points, basket_minor=basket_minor, balance=available)
    await hold_points(connection, start, points)
    return msgspec.structs.replace(
        start, kind="money_off", points=points, amount_minor=amount_minor, policy_version=policy.version
    )


async def _hold_catalogue_item(connection: AsyncConnection, start: Redemption, code: str) -> Redemption:
    item = await get_item(connection, programme_id=start.programme_id, code=code)
    if not item.active:
        message = f"{code!r} is not in the catalogue any more"
        raise NotFoundError(message, field="catalogue_item")
    template_id, version = None, None
    if item.coupon_template_code is not None:
        template = await get_published(connection, programme_id=start.programme_id, code=item.coupon_template_code)
        template_id, version = template.id, template.version
    await hold_points(connection, start, item.points_cost)
    if not await take_from_stock(connection, item_id=item.id):
        # What tills let run out may be back on the shelf.
        await sweep(connection, catalogue_item_id=item.id)
        if not await take_from_stock(connection, item_id=item.id):
            raise OutOfStockError(f"none is left of {code!r}", field="catalogue_item")
    return msgspec.structs.replace(
        start,
        kind="catalogue",
        points=item.points_cost,
        catalogue_item_id=item.id,
        benefit_template_id=template_id,
        benefit_version=version,
        name=item.name,
    )


async def _hold_benefit(
    connection: AsyncConnection,
    start: Redemption,
    wish: _Wish,
    channel: Channel,
    facts: Member,
    person_ids: Sequence[UUID],
) -> Redemption:
    benefit = await find_benefit(
        connection, programme_id=start.programme_id, code=wish.coupon or "", person_ids=person_ids
    )
    terms, amount_minor = benefit.definition.terms, 0
    if terms is not None:
        basket_minor, currency = wish.basket()
        if terms.currency != currency:
            raise wrong_currency(terms.currency, currency)
        basket = Basket(
            currency=currency,
            channel=channel.code,
            channel_kind=channel.kind,
            moment=start.begun_at,
            time_zone=(await get_programme(connection, start.programme_id)).time_zone,
            lines=(Line(sku="basket", quantity=1, amount_minor=basket_minor),),
        )
        candidate = Candidate(reference=benefit.code, terms=terms)
        priced = price_basket(basket, facts, [candidate])
        for refused in priced.refused:
            raise not_applicable(refused.reason, currency=currency)
        amount_minor = priced.discount_minor
    held = msgspec.structs.replace(
        start,
        kind="coupon" if terms is not None else "benefit",
        amount_minor=amount_minor,
        benefit_member_id=benefit.member_id,
        benefit_id=benefit.id,
        benefit_template_id=benefit.template_id,
        benefit_version=benefit.version,
        name=benefit.name,
    )
    budget = await budget_of(connection, held, benefit.definition)
    if await short_of(connection, budget):
        await sweep(connection, benefit_template_id=benefit.template_id)
    await using.lock(connection, benefit, sale_of(held), until=held.hold_expires_at, now=held.begun_at)
    await take_budget(connection, budget)
    return held


async def hold_points(connection: AsyncConnection, start: Redemption, points: int) -> None:
    """Hold points in the ledger under a redemption's id, for as long as it lasts. Raises NotEnoughPointsError."""
    try:
        await posting.hold(
            connection,
            programme_id=start.programme_id,
            member_id=start.member_id,
            amount=points,
            hold_id=start.id,
            expires_at=start.hold_expires_at,
            key=f"redemption:{start.id}:hold",
            source=source_of(start.id),
        )
    except InsufficientBalanceError as error:
        available = error.members["available"]
        message = f"{available} points are available, {points} were asked for"
        raise NotEnoughPointsError(message, field="points", available=available, requested=points) from error


def source_of(redemption_id: UUID) -> str:
    """What the ledger's entries of a redemption say caused them."""
    return f"redemption:{public_id('rdm', redemption_id)}"


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
    AboveShareError (other redemptions of this member on the receipt leave too little), InvalidInputError,
    IdempotencyMismatchError.
    """
    check_text(receipt_number, "receipt_number")
    held, now = await lock_redemption(connection, programme_id=programme_id, redemption_id=redemption_id)
    request = ("capture", redemption_id, receipt_number)
    known = await first_answer(
        connection, programme_id=programme_id, member_id=held.member_id, key=key, request=request
    )
    if known is not None:
        return known
    if held.state in ("captured", "refunded") and held.receipt_number == receipt_number:
        return await keep_answer(connection, member_id=held.member_id, key=key, answer=held)
    _check_capturable(held, receipt_number)
    sequence = await _capture_points(connection, held)
    if receipt_number is not None and held.kind == "money_off":
        await _check_share_of_receipt(connection, held, receipt_number)
    benefit_id = await _hand_over(connection, held, receipt_number)
    captured = await change(
        connection,
        held,
        before="held",
        state="captured",
        receipt_number=receipt_number,
        captured_at=now,
        capture_sequence=sequence,
        benefit_id=benefit_id,
        benefit_member_id=held.benefit_member_id or (held.member_id if benefit_id else None),
    )
    return await keep_answer(connection, member_id=held.member_id, key=key, answer=captured)


def _check_capturable(held: Redemption, receipt_number: str | None) -> None:
    if held.state in ("captured", "refunded"):
        message = f"this redemption was captured already, under receipt {held.receipt_number}"
        raise AlreadyCapturedError(message, field="receipt_number", receipt_number=held.receipt_number)
    if held.state == "voided":
        raise AlreadyVoidedError("this redemption was voided", field="redemption")
    if held.state == "expired":
        raise giving_back.expired(held)
    if receipt_number is None and held.kind != "catalogue":
        raise InvalidInputError("a receipt number is needed", field="receipt_number")


async def _capture_points(connection: AsyncConnection, held: Redemption) -> int | None:
    if held.points == 0:
        return None
    try:
        taken = await posting.capture(
            connection,
            member_id=held.member_id,
            hold_id=held.id,
            key=f"redemption:{held.id}:capture",
            source=source_of(held.id),
        )
    except HoldExpiredError as error:
        raise giving_back.expired(held) from error
    return taken.sequence


async def _check_share_of_receipt(connection: AsyncConnection, held: Redemption, receipt_number: str) -> None:
    """Several redemptions of a member on one receipt may not pay more of its basket than one may.

    The ledger's account is locked by now, so two captures at once see each other.
    """
    columns = redemption_table.c
    since = await read_clock(connection) - timedelta(hours=RECEIPT_HOURS)
    query = (
        select(func.coalesce(func.sum(columns.amount_minor - columns.refunded_minor), 0))
        .filter_by(member_id=held.member_id, channel_id=held.channel_id, receipt_number=receipt_number)
        .where(columns.kind == "money_off", columns.state == "captured", columns.captured_at > since)
    )
    paid_minor = int((await connection.execute(query)).scalar_one())
    policy = await get_policy_version(
        connection,
        programme_id=held.programme_id,
        currency=held.currency or "",
        version=held.policy_version or 0,
    )
    limit_minor = share_limit_minor(policy, held.basket_minor or 0)
    if paid_minor and paid_minor + held.amount_minor > limit_minor:
        left_minor = max(0, limit_minor - paid_minor)
        message = f"points pay {paid_minor} of this receipt already; at most {left_minor} more, not {held.amount_minor}"
        max_points = left_minor // policy.step_amount_minor * policy.step_points
        raise AboveShareError(
            message, field="receipt_number", max_points=max_points, limit_minor=limit_minor, requested=held.points
        )


async def _hand_over(connection: AsyncConnection, held: Redemption, receipt_number: str | None) -> UUID | None:
    """Use the benefit that was locked, or put the one that was bought into the wallet; answers it."""
    if held.benefit_id is not None:
        now = await read_clock(connection)
        if not await use_benefit(connection, held, order_number=receipt_number, now=now):
            raise RedemptionExpiredError("the benefit's lock ran out", field="redemption")
        return held.benefit_id
    if held.benefit_template_id is None or held.benefit_version is None:
        return None
    template = await get_template_by_id(connection, held.benefit_template_id)
    if template.version != held.benefit_version:
        definition = await get_definition(connection, template_id=template.id, version=held.benefit_version)
        template = msgspec.structs.replace(template, version=held.benefit_version, definition=definition)
    bought = await issue_of(
        connection,
        template,
        member_id=held.member_id,
        key=f"redemption:{held.id}",
        source=source_of(held.id),
        by=Doer(channel_id=held.channel_id, clerk=held.clerk),
    )
    return bought.id
