"""What a member's points and coupons can do for a basket, as the till shows it. The server computes every figure."""

from __future__ import annotations

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import Balance, balance
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError
from loyalty.kit.programme import Channel
from loyalty.members.member import Member, person_ids
from loyalty.members.profile import Profile, read_profile
from loyalty.web.i18n import Formats, Translator
from loyalty.web.pos.amounts import parse_amount
from loyalty.web.pos.words import refusal
from loyalty.web.staff.person import TillDesk
from loyalty.web.state import Services
from redemption.catalogue import CatalogueItem, list_items
from redemption.coupons import Coupon, wallet
from redemption.money_off import Quote, RedemptionPolicy, price, quote, worth_minor
from redemption.policies import find_policy
from tiers.reading import Standing, standing


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """The member at the till. `worth_minor` is what the whole steps of their points are worth here."""

    member: Member
    profile: Profile
    points: Balance
    standing: Standing | None
    policy: RedemptionPolicy | None
    worth_minor: int | None


class CouponOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon of the wallet: what it takes off this basket, or in a sentence why it cannot be used now."""

    coupon: Coupon
    discount_minor: int | None
    refused: str | None


class ItemOffer(msgspec.Struct, frozen=True, kw_only=True):
    """An item of the catalogue, and how many points are missing for it."""

    item: CatalogueItem
    missing: int

    @property
    def sold_out(self) -> bool:
        """Whether none is left."""
        return self.item.stock == 0


class Offers(msgspec.Struct, frozen=True, kw_only=True):
    """What can be redeemed now.

    `amount` is the basket as it was typed and `basket_minor` what was read from it; `amount_error` says why nothing
    was. `points` is the number the clerk chose, or the most that can be used; `off_minor` what it takes off, or
    `points_error` why it does not. `why` says why it is not more, or why nothing can be used at all.
    """

    amount: str
    basket_minor: int | None
    amount_error: str | None
    quote: Quote | None
    points: int
    off_minor: int | None
    points_error: str | None
    why: list[str]
    coupons: list[CouponOffer]
    items: list[ItemOffer]


async def read_customer(connection: AsyncConnection, services: Services, desk: TillDesk, member: Member) -> Customer:
    """Who stands there, and what they have."""
    points = await balance(connection, member_id=member.id)
    policy = await find_policy(connection, programme_id=desk.programme.id, currency=desk.channel.currency)
    return Customer(
        member=member,
        profile=await read_profile(connection, services.keyring, member_id=member.id),
        points=points,
        standing=await standing(connection, programme_id=desk.programme.id, member_id=member.id, moment=utc_now()),
        policy=policy,
        worth_minor=worth_minor(policy, max(points.spendable, 0)) if policy else None,
    )


async def read_offers(
    connection: AsyncConnection,
    customer: Customer,
    channel: Channel,
    t: Translator,
    formats: Formats,
    *,
    amount: str,
    points: int | None = None,
) -> Offers:
    """What `amount` (as typed; empty for not yet) and `points` (None: the most) come to."""
    basket_minor, amount_error = None, None
    if amount:
        try:
            basket_minor = parse_amount(amount, channel.currency)
        except InvalidInputError as error:
            amount_error = refusal(error, t, formats, currency=channel.currency)
    told, why = None, []
    if customer.policy is None:
        why = [t("pos.why.no_policy", currency=channel.currency)]
    elif basket_minor is not None:
        told = quote(customer.policy, basket_minor=basket_minor, balance=customer.points.spendable)
        why = why_not_more(told, customer.points.spendable, customer.policy, t, formats)
    chosen = points if points is not None else (told.max_points if told else 0)
    off_minor, points_error = _price(customer, chosen, basket_minor, told, t, formats)
    people = await person_ids(connection, member_id=customer.member.id)
    coupons = await wallet(connection, member_id=customer.member.id, person_ids=people)
    return Offers(
        amount=amount,
        basket_minor=basket_minor,
        amount_error=amount_error,
        quote=told,
        points=chosen,
        off_minor=off_minor,
        points_error=points_error,
        why=why,
        coupons=[_coupon_offer(coupon, channel, basket_minor, t, formats) for coupon in coupons],
        items=[
            ItemOffer(item=item, missing=max(0, item.points_cost - customer.points.spendable))
            for item in await list_items(connection, programme_id=customer.member.programme_id)
        ],
    )


def _price(
    customer: Customer, points: int, basket_minor: int | None, told: Quote | None, t: Translator, formats: Formats
) -> tuple[int | None, str | None]:
    if customer.policy is None or basket_minor is None or told is None or not told.max_points:
        return None, None
    try:
        off_minor = price(customer.policy, points=points, basket_minor=basket_minor, balance=customer.points.spendable)
    except ConflictError as error:
        return None, refusal(error, t, formats, currency=customer.policy.currency)
    return off_minor, None


def why_not_more(told: Quote, spendable: int, policy: RedemptionPolicy, t: Translator, formats: Formats) -> list[str]:
    """Why a basket takes no points, or no more than it does."""
    if told.reasons:
        return [
            t(
                f"pos.why.{reason.code}",
                **{
                    name.removesuffix("_minor").removesuffix("_bp"): formats.money(figure, told.currency)
                    if name.endswith("_minor")
                    else formats.percent(figure)
                    if name.endswith("_bp")
                    else figure
                    for name, figure in reason.parameters.items()
                },
            )
            for reason in told.reasons
        ]
    if told.max_points + told.step_points > spendable:
        return [t("pos.why.all_points", step=told.step_points)]
    share = formats.percent(policy.max_share_bp)
    return [t("pos.why.share", share=share, limit=formats.money(told.limit_minor, told.currency))]


def _coupon_offer(
    coupon: Coupon, channel: Channel, basket_minor: int | None, t: Translator, formats: Formats
) -> CouponOffer:
    terms = coupon.template
    refused = None
    if coupon.state == "locked":
        refused = t("pos.coupon.locked")
    elif terms.channel_codes is not None and channel.code not in terms.channel_codes:
        refused = t("pos.coupon.elsewhere")
    elif terms.currency != channel.currency:
        refused = t("pos.coupon.currency", currency=terms.currency)
    elif basket_minor is not None and basket_minor < terms.minimum_basket_minor:
        refused = t("pos.coupon.minimum", minimum=formats.money(terms.minimum_basket_minor, terms.currency))
    usable = refused is None and basket_minor is not None
    return CouponOffer(
        coupon=coupon,
        discount_minor=terms.discount_minor(basket_minor) if usable and basket_minor is not None else None,
        refused=refused,
    )
