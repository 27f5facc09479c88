"""The benefit of a redemption, step by step, with the budgets that its use counts against.

A redemption owns what it took from the budgets for as long as it is held or captured; a benefit that somebody else
locked after this one's time ran out changes nothing about that.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.quotas import Key, QuotaSpentError, give, levels, take
from redemption.basket import Reason
from redemption.benefits import using
from redemption.benefits.definition import Definition
from redemption.benefits.errors import OutOfBenefitsError
from redemption.benefits.events import Doer
from redemption.benefits.stock import budget_owners, use_of
from redemption.benefits.templates import get_definition
from redemption.benefits.using import Sale
from redemption.errors import BasketTooSmallError, NotApplicableError, WrongChannelError, WrongCurrencyError
from redemption.record import Redemption


def sale_of(redemption: Redemption, *, order_number: str | None = None) -> Sale:
    """What the benefit is told of a redemption."""
    return Sale(
        holder_id=redemption.id,
        by=Doer(channel_id=redemption.channel_id, clerk=redemption.clerk),
        amount_minor=redemption.amount_minor,
        currency=redemption.currency,
        order_number=order_number or redemption.receipt_number,
    )


async def budget_of(connection: AsyncConnection, redemption: Redemption, definition: Definition) -> dict[Key, int]:
    """What a redemption takes from the budgets of its benefit's template."""
    if redemption.benefit_template_id is None:
        return {}
    owners = await budget_owners(
        connection,
        programme_id=redemption.programme_id,
        template_id=redemption.benefit_template_id,
        definition=definition,
    )
    return use_of(owners, redemption.amount_minor)


async def short_of(connection: AsyncConnection, budget: dict[Key, int]) -> bool:
    """Whether a budget looks too small just now: what others let run out may have to be put back first."""
    found = await levels(connection, {key.owner_id for key in budget})
    return any(key in found and found[key].left < amount for key, amount in budget.items())


async def take_budget(connection: AsyncConnection, budget: dict[Key, int]) -> None:
    """Count a use against its budgets, exactly; the last thing to be locked. Raises OutOfBenefitsError."""
    try:
        await take(connection, budget)
    except QuotaSpentError as error:
        message = f"the budget of this benefit is used up ({error.unit})"
        raise OutOfBenefitsError(message, field="coupon", unit=error.unit) from error


async def use_benefit(
    connection: AsyncConnection, held: Redemption, *, order_number: str | None, now: datetime
) -> bool:
    """Use the benefit that was locked; False where its lock was lost."""
    benefit_id, member_id = _benefit_of(held)
    sale = sale_of(held, order_number=order_number)
    return await using.use(connection, member_id=member_id, benefit_id=benefit_id, sale=sale, now=now)


async def release_benefit(connection: AsyncConnection, held: Redemption, *, now: datetime) -> None:
    """Free the benefit that was locked, and its budgets."""
    benefit_id, member_id = _benefit_of(held)
    await using.release(connection, member_id=member_id, benefit_id=benefit_id, sale=sale_of(held), now=now)
    await _give_budget(connection, held)


async def return_benefit(connection: AsyncConnection, captured: Redemption, *, now: datetime) -> None:
    """Give the benefit back that was used, and its budgets, if its template says so."""
    benefit_id, member_id = _benefit_of(captured)
    sale = sale_of(captured)
    if await using.give_back(connection, member_id=member_id, benefit_id=benefit_id, sale=sale, now=now):
        await _give_budget(connection, captured)


async def _give_budget(connection: AsyncConnection, redemption: Redemption) -> None:
    if redemption.benefit_template_id is None or redemption.benefit_version is None:
        return
    definition = await get_definition(
        connection, template_id=redemption.benefit_template_id, version=redemption.benefit_version
    )
    await give(connection, await budget_of(connection, redemption, definition))


def _benefit_of(redemption: Redemption) -> tuple[UUID, UUID]:
    assert redemption.benefit_id is not None  # noqa: S101  (callers look first)
    return redemption.benefit_id, redemption.benefit_member_id or redemption.member_id


def not_applicable(reason: Reason, *, currency: str) -> NotApplicableError | BasketTooSmallError | WrongChannelError:
    """The refusal of a coupon that does not apply, with the engine's reason."""
    figures = dict(reason.parameters)
    if reason.code == "basket_too_small":
        message = f"this coupon asks for a basket of at least {figures['minimum_minor']}, not {figures['amount_minor']}"
        return BasketTooSmallError(
            message,
            field="basket_minor",
            minimum_basket_minor=figures["minimum_minor"],
            basket_minor=figures["amount_minor"],
            currency=currency,
        )
    if reason.code in ("wrong_channel", "wrong_channel_kind", "wrong_store"):
        return WrongChannelError("this coupon is not taken here", field="coupon", reason=reason.code)
    message = f"this coupon does not apply: {reason.code}"
    return NotApplicableError(message, field="coupon", reason=reason.code, **figures)


def wrong_currency(coupon_currency: str, asked: str) -> WrongCurrencyError:
    """The refusal of a coupon in another currency."""
    message = f"this coupon takes {coupon_currency} off, not {asked[:20]}"
    return WrongCurrencyError(message, field="currency", currency=coupon_currency)
