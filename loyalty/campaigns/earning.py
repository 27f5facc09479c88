"""Earn policies: what a purchase earns, computed exactly and pinned to the version that computed it.

A policy is a list of rules; what they give adds up. A rule says on which orders (`when`) and lines (`items`) it looks,
at which rate they earn, and how the result is multiplied, capped and rounded. All arithmetic is on integers and exact
until the one rounding that the rule names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import list_units
from loyalty.campaigns.tables import earn_policy_version_table
from loyalty.kit.apportion import apportion
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError
from loyalty.kit.rules import Matcher, Rule, Vocabulary, check, fields_of, matcher

MAXIMUM_RULES: Final = 50
MAXIMUM_POINTS: Final = 10**9
"""What one rule gives for one order at most, whatever its `cap` says: far below what the ledger can post."""
ONE_BP: Final = 10_000
"""The factor one, in basis points."""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""A `valid_from` for a first policy that shall also hold for purchases of years ago, as an import brings them."""

ORDER_VOCABULARY: Final = Vocabulary(
    {
        "channel": "text",
        "channel_kind": "text",
        "currency": "text",
        "total_minor": "integer",
        "tier": "text",
        "weekday": "integer",
        "date": "date",
    }
)
"""What `when` may ask: the channel's code and kind, the order's currency and total, the member's tier, and the day in
the channel's time zone; `weekday` is 1 for Monday to 7 for Sunday (ISO 8601)."""

LINE_VOCABULARY: Final = Vocabulary(
    {"sku": "text", "category": "text", "quantity": "integer", "amount_minor": "integer"}
)
"""What `items` may ask of a line; `amount_minor` is what was paid for it, its share of a discount taken off."""

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_AmountMinor: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_FactorBp: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class PerAmount(msgspec.Struct, frozen=True, tag_field="kind", tag="per_amount", forbid_unknown_fields=True):
    """`points` for each `per_minor` paid. The rule looks at orders in `currency` only."""

    points: _Count
    per_minor: Annotated[int, msgspec.Meta(ge=1, le=10**12)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class PerItem(msgspec.Struct, frozen=True, tag_field="kind", tag="per_item", forbid_unknown_fields=True):
    """`points` for each piece."""

    points: _Count


class Fixed(msgspec.Struct, frozen=True, tag_field="kind", tag="fixed", forbid_unknown_fields=True):
    """`points` for the order, once."""

    points: _Count


Rate: TypeAlias = PerAmount | PerItem | Fixed


class EarnRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of a policy.

    Lines that `items` matches (all, where there is none) earn at `rate`, if together they are worth `minimum_minor`.
    The result is multiplied by `multiplier_bp`, and by one plus the bonus of the member's tier, then rounded once for
    the order or once a line, and at most `cap` is given for an order.
    """

    code: str
    unit: str = "points"
    rate: Rate
    when: Rule | None = None
    items: Rule | None = None
    multiplier_bp: _FactorBp = ONE_BP
    tier_bonus_bp: dict[str, _FactorBp] = {}
    minimum_minor: _AmountMinor = 0
    cap: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_POINTS)] | None = None
    rounding: Literal["floor", "half_up", "ceil"] = "floor"
    rounded_per: Literal["order", "line"] = "order"


class EarnPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules by which purchases earn. What they give for one order adds up."""

    rules: tuple[EarnRule, ...]

    @property
    def looks_at_tier(self) -> bool:
        """Whether what is earned depends on the member's tier."""
        return any(
            rule.tier_bonus_bp or (rule.when is not None and "tier" in fields_of(rule.when)) for rule in self.rules
        )

    @property
    def units(self) -> frozenset[str]:
        """The units in which purchases may earn."""
        return frozenset(rule.unit for rule in self.rules)

    def counts_currency(self, currency: str) -> bool:
        """Whether amounts in a currency earn; a policy without rates per amount does not look at the currency."""
        currencies = {rule.rate.currency for rule in self.rules if isinstance(rule.rate, PerAmount)}
        return not currencies or currency in currencies


class PublishedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as published: it holds from `valid_from` until the next version's."""

    programme_id: UUID
    version: int
    policy: EarnPolicy
    valid_from: datetime
    published_by: str
    published_at: datetime


class BasketLine(msgspec.Struct, frozen=True):
    """A line as earn rules see it. `amount_minor` is what was paid for it."""

    sku: str
    category: str | None
    quantity: int
    amount_minor: int


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase as earn rules see it. `day` is the day in the channel's time zone."""

    channel: str
    channel_kind: str
    currency: str
    day: date
    lines: Sequence[BasketLine]


class RulePoints(msgspec.Struct, frozen=True):
    """What one rule gave."""

    rule: str
    points: int


class EarnedPoints(msgspec.Struct, frozen=True, kw_only=True):
    """What a basket earns in one unit. `line_points` are its lines' shares in their order, and sum to `points`."""

    unit: str
    points: int
    rules: tuple[RulePoints, ...]
    line_points: tuple[int, ...]


class NoEarnPolicyError(ConflictError):
    """No earn policy holds at a purchase's time, so it cannot be said what it earns."""

    type = "no-earn-policy"
    title = "No earn policy was in force"


def compute(policy: EarnPolicy, basket: Basket, *, tier_code: str | None) -> list[EarnedPoints]:
    """What a basket earns, by unit; units that earn nothing are left out. Pure and exact."""
    order_row: dict[str, object] = {
        "channel": basket.channel,
        "channel_kind": basket.channel_kind,
        "currency": basket.currency,
        "total_minor": sum(line.amount_minor for line in basket.lines),
        "tier": tier_code,
        "weekday": basket.day.isoweekday(),
        "date": basket.day,
    }
    given: dict[str, list[tuple[RulePoints, list[int]]]] = {}
    for rule in policy.rules:
        if isinstance(rule.rate, PerAmount) and rule.rate.currency != basket.currency:
            continue
        if rule.when is not None and not _order_matcher(rule.when)(order_row):
            continue
        line_points = _line_points(rule, rule.rate, basket.lines, tier_code)
        if points := sum(line_points):
            given.setdefault(rule.unit, []).append((RulePoints(rule.code, points), line_points))
    return [
        EarnedPoints(
            unit=unit,
            points=sum(rule_points.points for rule_points, _ in parts),
            rules=tuple(rule_points for rule_points, _ in parts),
            line_points=tuple(map(sum, zip(*(line_points for _, line_points in parts), strict=True))),
        )
        for unit, parts in given.items()
    ]


@lru_cache(maxsize=256)
def _order_matcher(rule: Rule) -> Matcher:
    return matcher(rule, ORDER_VOCABULARY)


@lru_cache(maxsize=256)
def _line_matcher(rule: Rule) -> Matcher:
    return matcher(rule, LINE_VOCABULARY)


def _line_points(rule: EarnRule, rate: Rate, lines: Sequence[BasketLine], tier_code: str | None) -> list[int]:
    """What one rule gives each line. The whole is rounded as the rule says; the lines' shares sum to it."""
    eligible = _eligible(rule.items, lines)
    amount_minor = sum(line.amount_minor for line, counts in zip(lines, eligible, strict=True) if counts)
    if not any(eligible) or amount_minor < rule.minimum_minor:
        return [0] * len(lines)
    factor = rule.multiplier_bp * (ONE_BP + rule.tier_bonus_bp.get(tier_code or "", 0))
    denominator = ONE_BP * ONE_BP
    cap = MAXIMUM_POINTS if rule.cap is None else rule.cap
    if isinstance(rate, PerAmount):
        weights = [line.amount_minor * counts for line, counts in zip(lines, eligible, strict=True)]
        denominator *= rate.per_minor
    elif isinstance(rate, PerItem):
        weights = [line.quantity * counts for line, counts in zip(lines, eligible, strict=True)]
    else:
        weights = _fixed_weights(lines, eligible)
    if rule.rounded_per == "line":
        line_points = [_divide(weight * rate.points * factor, denominator, rule.rounding) for weight in weights]
        points = sum(line_points)
        return line_points if points <= cap else apportion(cap, weights)
    basis = 1 if isinstance(rate, Fixed) else sum(weights)
    points = _divide(basis * rate.points * factor, denominator, rule.rounding)
    return apportion(min(points, cap), weights)


def _eligible(items: Rule | None, lines: Sequence[BasketLine]) -> list[bool]:
    if items is None:
        return [True] * len(lines)
    matches = _line_matcher(items)
    return [
        matches(
            {
                "sku": line.sku,
                "category": line.category,
                "quantity": line.quantity,
                "amount_minor": line.amount_minor,
            }
        )
        for line in lines
    ]


def _fixed_weights(lines: Sequence[BasketLine], eligible: Sequence[bool]) -> list[int]:
    """By what lines share points that the order as a whole earned: what was paid, or, for what was free, evenly."""
    weights = [line.amount_minor * counts for line, counts in zip(lines, eligible, strict=True)]
    return weights if any(weights) else [int(counts) for counts in eligible]


def _divide(numerator: int, denominator: int, rounding: Literal["floor", "half_up", "ceil"]) -> int:
    """Divide non-negative integers with the rounding that a rule names; half-up takes 0.5 to 1."""
    if rounding == "floor":
        return numerator // denominator
    if rounding == "ceil":
        return -(-numerator // denominator)
    return (2 * numerator + denominator) // (2 * denominator)


def check_policy(policy: EarnPolicy) -> None:
    """Hold a policy against the limits of its rules.

    Raises InvalidInputError whose field is the path of the first fault, such as `rules[2].when.rules[0].value`.
    """
    if not 0 < len(policy.rules) <= MAXIMUM_RULES:
        raise InvalidInputError(f"a policy has 1 to {MAXIMUM_RULES} rules", field="rules")
    try:
        # Structs made in Python have not been held against their own limits yet.
        msgspec.convert(msgspec.to_builtins(policy), EarnPolicy)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise InvalidInputError(reason, field=place.rstrip("`") or "rules") from None
    codes: set[str] = set()
    for index, rule in enumerate(policy.rules):
        path = f"rules[{index}]"
        if not _CODE.fullmatch(rule.code):
            raise InvalidInputError("is not a code: lower-case letters, digits, - and _", field=f"{path}.code")
        if rule.code in codes:
            raise InvalidInputError(f"{rule.code!r} names another rule as well", field=f"{path}.code")
        codes.add(rule.code)
        if isinstance(rule.rate, Fixed) and rule.rounded_per == "line":
            raise InvalidInputError("a fixed rate is for the whole order", field=f"{path}.rounded_per")
        if rule.when is not None:
            check(rule.when, ORDER_VOCABULARY, path=f"{path}.when")
        if rule.items is not None:
            check(rule.items, LINE_VOCABULARY, path=f"{path}.items")


def parse_policy(document: object) -> EarnPolicy:
    """Read a policy from decoded JSON and check it. Raises InvalidInputError as check_policy does."""
    try:
        policy = msgspec.convert(document, EarnPolicy)
    except RecursionError:
        raise InvalidInputError("a rule is nested too deeply", field="rules") from None
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise InvalidInputError(reason, field=place.rstrip("`") or "rules") from None
    check_policy(policy)
    return policy


async def publish_policy(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    policy: EarnPolicy,
    published_by: str,
    valid_from: datetime | None = None,
) -> PublishedPolicy:
    """Publish the next version of a programme's earn policy, valid from a moment (now, unless given) on.

    A published version never changes. A policy equal to the newest version, without a moment of its own, is that
    version: nothing is published twice. Raises InvalidInputError naming the faulty field, also where a rule's unit is
    not one of the programme's, and ConflictError where another version is published at the same time.
    """
    check_policy(policy)
    known = {unit.code for unit in await list_units(connection, programme_id=programme_id)}
    for index, rule in enumerate(policy.rules):
        if rule.unit not in known:
            raise InvalidInputError(f"there is no unit {rule.unit!r} in this programme", field=f"rules[{index}].unit")
    published = await policies(connection, programme_id=programme_id)
    if published and published[-1].policy == policy and valid_from is None:
        return published[-1]
    table = earn_policy_version_table
    next_version = (
        select(func.coalesce(func.max(table.c.version), 0) + 1)
        .where(table.c.programme_id == programme_id)
        .scalar_subquery()
    )
    row = (
        await connection.execute(
            insert(table)
            .values(
                programme_id=programme_id,
                version=next_version,
                definition=msgspec.to_builtins(policy),
                valid_from=valid_from or utc_now(),
                published_by=published_by,
            )
            .on_conflict_do_nothing()
            .returning(*table.c)
        )
    ).first()
    if row is None:
        raise ConflictError("another version is being published at this moment; look at it and try again")
    return _published(row)


def _published(row: Row[Any]) -> PublishedPolicy:
    return PublishedPolicy(
        programme_id=row.programme_id,
        version=row.version,
        policy=msgspec.convert(row.definition, EarnPolicy),
        valid_from=row.valid_from,
        published_by=row.published_by,
        published_at=row.published_at,
    )


async def policies(connection: AsyncConnection, *, programme_id: UUID) -> list[PublishedPolicy]:
    """All versions of a programme's earn policy in the order in which they were published."""
    table = earn_policy_version_table
    query = select(table).where(table.c.programme_id == programme_id).order_by(table.c.version)
    return [_published(row) for row in await connection.execute(query)]


def in_force(versions: Sequence[PublishedPolicy], moment: datetime) -> PublishedPolicy:
    """The version that holds at a moment: the last to begin by then, and of those that begin together the newest.

    Raises NoEarnPolicyError where none has begun.
    """
    begun = [version for version in versions if version.valid_from <= moment]
    if not begun:
        raise NoEarnPolicyError(
            f"no earn policy was in force on {moment:%Y-%m-%d}; publish one that is valid from then"
        )
    return max(begun, key=lambda version: (version.valid_from, version.version))


async def policy_at(connection: AsyncConnection, *, programme_id: UUID, moment: datetime) -> PublishedPolicy:
    """The version of a programme's earn policy that holds at a moment. Raises NoEarnPolicyError."""
    return in_force(await policies(connection, programme_id=programme_id), moment)
