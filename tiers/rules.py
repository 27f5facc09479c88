"""What a tier asks for: figures to reach, joined by all and any. One tree evaluates in Python and compiles to SQL.

The nodes are those of `loyalty.kit.rules` with one kind of leaf and without negation: more activity never takes a tier
away. So what a member's sums can come to at most rules out nearly every change, and "how near" has an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, TypeAlias

import msgspec

from loyalty.kit.errors import InvalidInputError
from tiers.windows import RollingMonthsWindow, Span, Window

FULL_BP: Final = 10_000
"""Basis points of the whole, and of a rate of one to one."""
MAXIMUM_DEPTH: Final = 4
MAXIMUM_CONDITIONS: Final = 12
MAX_WINDOW_MONTHS: Final = 120
MAX_OTHER_CURRENCIES: Final = 50
MAX_RATE_BP: Final = 1_000_000_000
MAX_AT_LEAST: Final = 10**15

CURRENCY: Final = re.compile(r"[A-Z]{3}")


class PointsMetric(msgspec.Struct, frozen=True, kw_only=True, tag="points", forbid_unknown_fields=True):
    """Counts points earned, with what refunds took back taken off."""

    def components(self) -> dict[str, int]:
        """The roll-up metrics that add up to this one, each with its rate in basis points."""
        return {"points": FULL_BP}


class GrowthMetric(msgspec.Struct, frozen=True, kw_only=True, tag="growth", forbid_unknown_fields=True):
    """Counts growth value, a unit that is never spent."""

    def components(self) -> dict[str, int]:
        """The roll-up metrics that add up to this one, each with its rate in basis points."""
        return {"growth": FULL_BP}


class SpendMetric(msgspec.Struct, frozen=True, kw_only=True, tag="spend", forbid_unknown_fields=True):
    """Counts money spent, in minor units of `currency`.

    Other currencies count at a fixed stated rate or not at all: `other_rates_bp[c]` is how many minor units of
    `currency` 10,000 minor units of `c` are worth. Each currency's window total is converted once and floored.
    """

    currency: str
    other_rates_bp: dict[str, int] = {}

    def components(self) -> dict[str, int]:
        """The roll-up metrics that add up to this one, each with its rate in basis points."""
        own = {f"spend:{self.currency}": FULL_BP}
        return own | {f"spend:{currency}": rate for currency, rate in sorted(self.other_rates_bp.items())}


class OrdersMetric(msgspec.Struct, frozen=True, kw_only=True, tag="orders", forbid_unknown_fields=True):
    """Counts orders; one that was refunded whole is none."""

    def components(self) -> dict[str, int]:
        """The roll-up metrics that add up to this one, each with its rate in basis points."""
        return {"orders": FULL_BP}


class VisitsMetric(msgspec.Struct, frozen=True, kw_only=True, tag="visits", forbid_unknown_fields=True):
    """Counts days on which the member bought something or checked in, however often."""

    def components(self) -> dict[str, int]:
        """The roll-up metrics whose days count as visits."""
        return {"checkins": FULL_BP, "orders": FULL_BP}


class ScansMetric(msgspec.Struct, frozen=True, kw_only=True, tag="scans", forbid_unknown_fields=True):
    """Counts items whose code the member scanned and claimed: each item once, because it is claimed once."""

    def components(self) -> dict[str, int]:
        """The roll-up metrics that add up to this one, each with its rate in basis points."""
        return {"scans": FULL_BP}


Metric = PointsMetric | GrowthMetric | SpendMetric | OrdersMetric | VisitsMetric | ScansMetric

ROLLED_UP: Final = re.compile(r"points|growth|orders|checkins|scans|spend:[A-Z]{3}")
"""The metrics of the roll-up that these are made of."""


class Reach(msgspec.Struct, frozen=True, kw_only=True, tag_field="rule", tag="reach", forbid_unknown_fields=True):
    """A condition: `metric` over `window` comes to `at_least` (minor units of money, points, or how many)."""

    metric: Metric
    window: Window
    at_least: int


class AllOf(msgspec.Struct, frozen=True, kw_only=True, tag_field="rule", tag="all", forbid_unknown_fields=True):
    """Holds where each inner rule does."""

    rules: tuple[TierRule, ...]


class AnyOf(msgspec.Struct, frozen=True, kw_only=True, tag_field="rule", tag="any", forbid_unknown_fields=True):
    """Holds where at least one inner rule does."""

    rules: tuple[TierRule, ...]


TierRule: TypeAlias = Reach | AllOf | AnyOf


class Measure(msgspec.Struct, frozen=True):
    """Something counted over a time; a policy's conditions on the same one share it."""

    metric: Metric
    window: Window


RollUp: TypeAlias = Mapping[str, Mapping[date, int]]
"""What one member did: amounts by metric and day."""


def metric_name(metric: Metric) -> str:
    """`points`, `orders`, or `spend:GBP`: as written down with each decision."""
    return f"spend:{metric.currency}" if isinstance(metric, SpendMetric) else str(metric.__struct_config__.tag)


def measure_value(measure: Measure, roll_up: RollUp, span: Span) -> int:
    """What a measure comes to over a span: each currency converted once, floored; visits as distinct days."""
    first = span.first_day or date.min
    if isinstance(measure.metric, VisitsMetric):
        return len(
            {
                day
                for metric in measure.metric.components()
                for day, amount in roll_up.get(metric, {}).items()
                if amount > 0 and first <= day <= span.last_day
            }
        )
    value = 0
    for metric, rate_bp in measure.metric.components().items():
        total = sum(amount for day, amount in roll_up.get(metric, {}).items() if first <= day <= span.last_day)
        value += total * rate_bp // FULL_BP
    return value


def conditions(rule: TierRule) -> Iterator[Reach]:
    """The conditions of a tree, in the order in which it is read."""
    if isinstance(rule, Reach):
        yield rule
    else:
        for inner in rule.rules:
            yield from conditions(inner)


def measures_of(rules: Sequence[TierRule | None]) -> list[Measure]:
    """What trees measure, each once."""
    found: list[Measure] = []
    for rule in rules:
        for condition in conditions(rule) if rule is not None else ():
            measure = Measure(condition.metric, condition.window)
            if measure not in found:
                found.append(measure)
    return found


def matcher(rule: TierRule, measures: Sequence[Measure], *, share_bp: int = FULL_BP) -> Callable[[Sequence[int]], bool]:
    """Make a function that says whether a tree holds for the values of `measures`, or whether a share is reached."""
    if isinstance(rule, Reach):
        place, least = measures.index(Measure(rule.metric, rule.window)), share_of(rule.at_least, share_bp)
        return lambda values: values[place] >= least
    inner = [matcher(child, measures, share_bp=share_bp) for child in rule.rules]
    join = all if isinstance(rule, AllOf) else any
    return lambda values: join(holds(values) for holds in inner)


def share_of(at_least: int, share_bp: int) -> int:
    """A share of what is asked, rounded up: who has less has not reached it."""
    return -(-at_least * share_bp // FULL_BP)


def reached_bp(rule: TierRule, values: Sequence[int], measures: Sequence[Measure]) -> int:
    """How much of a tree is reached, in basis points that may pass 10,000: of `all` the least, of `any` the most."""
    if isinstance(rule, Reach):
        value = values[measures.index(Measure(rule.metric, rule.window))]
        return value * FULL_BP // rule.at_least
    pick = min if isinstance(rule, AllOf) else max
    return pick(reached_bp(inner, values, measures) for inner in rule.rules)


def holds_sql(rule: TierRule, columns: Sequence[str], measures: Sequence[Measure], *, share_bp: int = FULL_BP) -> str:
    """`matcher` as an SQL condition over the columns that have the measures' values (bigint or numeric)."""
    if isinstance(rule, Reach):
        column = columns[measures.index(Measure(rule.metric, rule.window))]
        return f"{column} >= {share_of(rule.at_least, share_bp):d}"
    join = " AND " if isinstance(rule, AllOf) else " OR "
    return "(" + join.join(holds_sql(inner, columns, measures, share_bp=share_bp) for inner in rule.rules) + ")"


def reached_bp_sql(rule: TierRule, columns: Sequence[str], measures: Sequence[Measure]) -> str:
    """`reached_bp` as an SQL expression."""
    if isinstance(rule, Reach):
        column = columns[measures.index(Measure(rule.metric, rule.window))]
        return f"floor({column} * {FULL_BP:d}.0 / {rule.at_least:d})"
    pick = "least" if isinstance(rule, AllOf) else "greatest"
    return f"{pick}(" + ", ".join(reached_bp_sql(inner, columns, measures) for inner in rule.rules) + ")"


def check_rule(rule: TierRule, *, path: str) -> None:
    """Hold a tree against the limits. Raises InvalidInputError whose field is the path of the fault."""
    _check_shape(rule, path, 1)
    if sum(1 for _ in conditions(rule)) > MAXIMUM_CONDITIONS:
        raise InvalidInputError(f"at most {MAXIMUM_CONDITIONS} conditions a tier", field=path)


def _check_shape(rule: TierRule, path: str, depth: int) -> None:
    if depth > MAXIMUM_DEPTH:
        raise InvalidInputError(f"at most {MAXIMUM_DEPTH} levels", field=path)
    if not isinstance(rule, Reach):
        if not rule.rules:
            raise InvalidInputError("needs at least one condition", field=f"{path}.rules")
        for index, inner in enumerate(rule.rules):
            _check_shape(inner, f"{path}.rules[{index}]", depth + 1)
        return
    if not 1 <= rule.at_least <= MAX_AT_LEAST:
        raise InvalidInputError(f"is 1 to {MAX_AT_LEAST}", field=f"{path}.at_least")
    if isinstance(rule.window, RollingMonthsWindow) and not 1 <= rule.window.months <= MAX_WINDOW_MONTHS:
        raise InvalidInputError(f"a window is 1 to {MAX_WINDOW_MONTHS} months", field=f"{path}.window.months")
    if isinstance(rule.metric, SpendMetric):
        _check_spend(rule.metric, f"{path}.metric")


def _check_spend(metric: SpendMetric, path: str) -> None:
    if not CURRENCY.fullmatch(metric.currency):
        message = f"{metric.currency!r} is not an ISO 4217 currency code, such as CNY"
        raise InvalidInputError(message, field=f"{path}.currency")
    if len(metric.other_rates_bp) > MAX_OTHER_CURRENCIES:
        raise InvalidInputError(f"at most {MAX_OTHER_CURRENCIES} other currencies", field=f"{path}.other_rates_bp")
    for currency, rate_bp in metric.other_rates_bp.items():
        field = f"{path}.other_rates_bp.{currency}"
        if not CURRENCY.fullmatch(currency) or currency == metric.currency:
            raise InvalidInputError("another ISO 4217 currency code than the condition's own is needed", field=field)
        if not 1 <= rate_bp <= MAX_RATE_BP:
            raise InvalidInputError(f"a rate is 1 to {MAX_RATE_BP} basis points", field=field)
