"""What a member's points and coupons can do for a basket, as the till shows it. The server computes every figure."""

from __future__ import annotations

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import Balance, balance
from loyalty.campaigns.giving import facts_of_member
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError
from loyalty.kit.programme import Channel, get_programme
from loyalty.members.member import Member, person_ids
from loyalty.members.profile import Profile, read_profile
from loyalty.web.basket_reasons import reason_sentence
from loyalty.web.benefit_words import gives
from loyalty.web.i18n import Formats, Translator
from loyalty.web.pos.amounts import parse_amount
from loyalty.web.pos.words import refusal
from loyalty.web.staff.person import TillDesk
from loyalty.web.state import Services
from redemption.basket import Basket, Candidate, Line, price_basket
from redemption.basket import Member as Facts
from redemption.benefits.wallet import USABLE, Benefit, wallet
from redemption.catalogue import CatalogueItem, list_items
from redemption.checks import read_clock
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
    facts: Facts


class CouponOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A benefit of the wallet: what it gives, what it takes off this basket by itself, or why it cannot be used now.

    `usable` are those that can be chosen: with a basket, those that apply to it and those that are handed over.
    """

    benefit: Benefit
    gives: str
    discount_minor: int | None
    refused: str | None
    usable: bool


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
        facts=await facts_of_member(connection, programme_id=desk.programme.id, member_id=member.id),
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
    benefits = await wallet(connection, member_id=customer.member.id, person_ids=people)
    basket = None if basket_minor is None else await basket_of(connection, channel, basket_minor)
    return Offers(
        amount=amount,
        basket_minor=basket_minor,
        amount_error=amount_error,
        quote=told,
        points=chosen,
        off_minor=off_minor,
        points_error=points_error,
        why=why,
        coupons=[_coupon_offer(benefit, customer, basket, t, formats) for benefit in benefits],
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


async def basket_of(connection: AsyncConnection, channel: Channel, basket_minor: int) -> Basket:
    """A basket of which the till knows the sum alone, now."""
    return Basket(
        currency=channel.currency,
        channel=channel.code,
        channel_kind=channel.kind,
        moment=await read_clock(connection),
        time_zone=(await get_programme(connection, channel.programme_id)).time_zone,
        lines=(whole_sum(basket_minor),),
    )


def whole_sum(basket_minor: int) -> Line:
    """All of a purchase as one line, where nobody types what is in it."""
    return Line(sku="basket", quantity=1, amount_minor=basket_minor)


def _coupon_offer(
    benefit: Benefit, customer: Customer, basket: Basket | None, t: Translator, formats: Formats
) -> CouponOffer:
    """What the engine says of one benefit by itself."""
    terms = benefit.definition.terms
    discount_minor, refused = None, None
    if benefit.state not in USABLE:
        refused = t("pos.coupon.locked")
    elif benefit.waiting:
        refused = t("benefits.wallet.waiting", day=formats.day(benefit.valid_from))
    elif terms is not None and basket is not None:
        priced = price_basket(basket, customer.facts, [Candidate(reference=benefit.code, terms=terms)])
        for each in priced.refused:
            refused = reason_sentence(t, formats, each.reason, currency=basket.currency)
        discount_minor = priced.discount_minor if refused is None else None
    return CouponOffer(
        benefit=benefit,
        gives=gives(benefit.definition, t, formats),
        discount_minor=discount_minor,
        refused=refused,
        usable=refused is None and (terms is None or basket is not None),
    )
