"""Quoting: what the engine says of a basket, with the coupons of the member's wallet and the points of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import balance
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Channel, get_programme
from loyalty.kit.quotas import levels
from redemption.basket import (
    Basket,
    Candidate,
    Gift,
    Line,
    Member,
    PointsPaid,
    PointsWish,
    Priced,
    PricedLine,
    best_combination,
    price_basket,
)
from redemption.benefits.definition import Kind
from redemption.benefits.stock import budget_owners, use_of
from redemption.benefits.wallet import USABLE, Benefit, find_benefit, not_usable, wallet
from redemption.checks import read_clock
from redemption.policies import find_policy

MAX_COUPONS: Final = 20
"""Coupons that can be chosen for one basket."""

Points = int | Literal["most"] | None


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be bought, and what is to be used for it.

    `coupons` are codes of the member's wallet, in any order; with `best` the server chooses of the whole wallet what
    saves most, those of `coupons` that are handed over included. `points` pay what coupons left: a number, the `most`
    that can, or none.
    """

    currency: str
    lines: tuple[Line, ...]
    shipping_minor: int = 0
    store: str | None = None
    coupons: tuple[str, ...] = ()
    best: bool = False
    points: Points = None

    @property
    def total_minor(self) -> int:
        """What all of it costs before anything is taken off."""
        return sum(line.amount_minor for line in self.lines) + self.shipping_minor


class QuotedCoupon(msgspec.Struct, frozen=True, kw_only=True):
    """A benefit that applies: what it takes off, by line and of shipping; nothing for what is handed over."""

    code: str
    benefit_id: UUID
    template: str
    kind: Kind
    name: dict[str, str]
    amount_minor: int
    line_minor: tuple[int, ...]
    shipping_minor: int
    gifts: tuple[Gift, ...] = ()


class RefusedCoupon(msgspec.Struct, frozen=True, kw_only=True):
    """A benefit that does not apply, and why: the engine's code, a state of its own, or `used_up`."""

    code: str
    name: dict[str, str]
    reason: str
    parameters: dict[str, int | str] = {}


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a basket comes to. The lines are in the basket's order; all sums are exact, as the engine's are."""

    currency: str
    lines: tuple[PricedLine, ...]
    coupons: tuple[QuotedCoupon, ...]
    refused: tuple[RefusedCoupon, ...]
    points: PointsPaid | None
    policy_version: int | None
    total_minor: int
    goods_discount_minor: int
    shipping_discount_minor: int
    discount_minor: int
    payable_minor: int

    @property
    def left_for_points_minor(self) -> int:
        """What goods cost once coupons are off: of this points may pay their share."""
        return sum(line.amount_minor - line.discount_minor for line in self.lines)


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A quote with the benefits that apply, as they are in the wallet, and the templates whose budgets are used up."""

    quote: Quote
    benefits: tuple[Benefit, ...]
    spent: frozenset[UUID]


async def quote(
    connection: AsyncConnection,
    *,
    channel: Channel,
    member_id: UUID,
    wish: Wish,
    facts: Member,
    person_ids: Sequence[UUID] = (),
) -> Chosen:
    """What the chosen coupons and points take off a basket here and now. Changes nothing.

    The same for every channel. `facts` are the member's tier and tags; their points are looked up. Raises
    UnknownBenefitError for a code that is not in the wallet, InvalidInputError naming the field.
    """
    check_wish(wish)
    people = [member_id, *(each for each in person_ids if each != member_id)]
    named = await _named(connection, channel.programme_id, people, wish.coupons)
    benefits = dict(named)
    if wish.best:
        for benefit in await wallet(connection, member_id=member_id, person_ids=person_ids):
            benefits.setdefault(benefit.code, benefit)
    open_, refused = await _sift(connection, channel.programme_id, benefits.values(), named)
    policy = None
    if wish.points is not None:
        policy = await find_policy(connection, programme_id=channel.programme_id, currency=wish.currency)
        if policy is None:
            raise InvalidInputError(f"points take nothing off in {wish.currency}", field="points", reason="no_policy")
    facts = msgspec.structs.replace(facts, spendable_points=(await balance(connection, member_id=member_id)).spendable)
    basket = Basket(
        currency=wish.currency,
        channel=channel.code,
        channel_kind=channel.kind,
        moment=await read_clock(connection),
        time_zone=(await get_programme(connection, channel.programme_id)).time_zone,
        lines=wish.lines,
        shipping_minor=wish.shipping_minor,
        store=wish.store,
    )
    candidates = [
        Candidate(
            reference=each.code, terms=each.definition.terms, valid_from=each.valid_from, expires_at=each.expires_at
        )
        for each in open_
        if each.definition.terms is not None
    ]
    points = PointsWish(policy=policy, points=wish.points) if policy is not None and wish.points is not None else None
    if wish.best:
        priced = best_combination(basket, facts, candidates, points).priced
    else:
        priced = price_basket(basket, facts, candidates, points)
    version = policy.version if policy else None
    return _chosen(wish, priced, benefits, [each for each in open_ if each.code in named], refused, version)


def check_wish(wish: Wish) -> None:
    """Refuse too many coupons, or one named twice; the engine looks at the rest."""
    if len(wish.coupons) > MAX_COUPONS:
        raise InvalidInputError(f"at most {MAX_COUPONS} coupons", field="coupons")
    if len({code.strip().upper() for code in wish.coupons}) < len(wish.coupons):
        raise InvalidInputError("a coupon is named twice", field="coupons")


async def _named(
    connection: AsyncConnection, programme_id: UUID, people: Sequence[UUID], codes: Iterable[str]
) -> dict[str, Benefit]:
    """The benefits that were named, by the code that each has."""
    found = [await find_benefit(connection, programme_id=programme_id, code=code, person_ids=people) for code in codes]
    return {benefit.code: benefit for benefit in found}


async def _sift(
    connection: AsyncConnection, programme_id: UUID, benefits: Iterable[Benefit], named: dict[str, Benefit]
) -> tuple[list[Benefit], list[RefusedCoupon]]:
    """Those that can be used now, and of those that were named why the others cannot."""
    open_, refused = [], []
    owners: dict[str, list[UUID]] = {}
    for benefit in benefits:
        owners[benefit.code] = await budget_owners(
            connection, programme_id=programme_id, template_id=benefit.template_id, definition=benefit.definition
        )
    found = await levels(connection, {owner for each in owners.values() for owner in each})
    for benefit in benefits:
        reason = None
        if benefit.state not in USABLE or benefit.waiting:
            reason = str(not_usable(benefit).members["state"])
        elif any(found[key].left < amount for key, amount in use_of(owners[benefit.code], 0).items() if key in found):
            reason = "used_up"
        if reason is None:
            open_.append(benefit)
        elif benefit.code in named:
            refused.append(RefusedCoupon(code=benefit.code, name=benefit.name, reason=reason))
    return open_, refused


def _chosen(
    wish: Wish,
    priced: Priced,
    benefits: dict[str, Benefit],
    named: Sequence[Benefit],
    refused: Sequence[RefusedCoupon],
    policy_version: int | None,
) -> Chosen:
    applied = [(benefits[each.reference], each) for each in priced.applied]
    handed_over = [benefit for benefit in named if benefit.definition.terms is None]
    nothing = (0,) * len(wish.lines)
    coupons = [
        _quoted(benefit, each.amount_minor, each.line_minor, each.shipping_minor, each.gifts)
        for benefit, each in applied
    ] + [_quoted(benefit, 0, nothing, 0, ()) for benefit in handed_over]
    told = [
        RefusedCoupon(
            code=each.reference,
            name=benefits[each.reference].name,
            reason=each.reason.code,
            parameters=each.reason.parameters,
        )
        for each in priced.refused
    ]
    quote_ = Quote(
        currency=wish.currency,
        lines=priced.lines,
        coupons=tuple(coupons),
        refused=(*refused, *told),
        points=priced.points,
        policy_version=policy_version,
        total_minor=wish.total_minor,
        goods_discount_minor=priced.goods_discount_minor,
        shipping_discount_minor=priced.shipping_discount_minor,
        discount_minor=priced.discount_minor,
        payable_minor=priced.payable_minor,
    )
    return Chosen(
        quote=quote_,
        benefits=(*(benefit for benefit, _ in applied), *handed_over),
        spent=frozenset(benefits[each.code].template_id for each in refused if each.reason == "used_up"),
    )


def _quoted(
    benefit: Benefit, amount_minor: int, line_minor: tuple[int, ...], shipping_minor: int, gifts: tuple[Gift, ...]
) -> QuotedCoupon:
    return QuotedCoupon(
        code=benefit.code,
        benefit_id=benefit.id,
        template=benefit.template_code,
        kind=benefit.definition.kind,
        name=benefit.name,
        amount_minor=amount_minor,
        line_minor=line_minor,
        shipping_minor=shipping_minor,
        gifts=gifts,
    )
