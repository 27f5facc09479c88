"""The form of a tier policy: one line a tier, one line a condition. What it cannot show it keeps as it is."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from loyalty.kit.currency import minor_digits
from loyalty.kit.errors import InvalidInputError
from tiers.policies import (
    Keep,
    KeepForever,
    KeepMonths,
    KeepUntilNextYearEnd,
    KeepUntilYearEnd,
    Tier,
    TierPolicy,
)
from tiers.rules import (
    FULL_BP,
    AllOf,
    AnyOf,
    GrowthMetric,
    Metric,
    OrdersMetric,
    PointsMetric,
    Reach,
    ScansMetric,
    SpendMetric,
    TierRule,
    VisitsMetric,
    metric_name,
)
from tiers.windows import (
    CalendarYearWindow,
    LifetimeWindow,
    MembershipYearWindow,
    RollingMonthsWindow,
    TierStartWindow,
    Window,
    window_kind,
)

BLANK_TIERS: Final = 1
"""Empty lines at the end, so that a tier can be added without a script."""
CONDITIONS: Final = 3
METRICS: Final = ("spend", "points", "growth", "orders", "visits", "scans")
WINDOWS: Final = ("rolling_months", "calendar_year", "membership_year", "since_tier_start", "lifetime")
KEEPS: Final = ("months", "year_end", "next_year_end", "forever")
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "upgrade": ("at_once", "at_month_start", "at_year_start"),
    "downgrade": ("one_step", "to_matching", "never"),
    "requalification": ("keeps_window", "resets_window"),
    "refunds": ("keep_until_review", "recheck_at_once"),
    "at_start": ("raise_only", "place_all"),
}
_MOST_TIERS: Final = 12
_OF_A_TIER: Final = ("code", "zh", "en", "cost", "earn", "join")
_OF_A_CONDITION: Final = ("metric", "least", "window", "months")
_OF_ALL: Final = ("title", "revision", "keep", "keep_months", "grace_days", "warning_days", "soft", *CHOICES)
_RANK_STEP: Final = 10

FIELDS: Final = (
    *_OF_ALL,
    *(f"t{tier}_{name}" for tier in range(_MOST_TIERS) for name in _OF_A_TIER),
    *(
        f"t{tier}_c{each}_{name}"
        for tier in range(_MOST_TIERS)
        for each in range(CONDITIONS)
        for name in _OF_A_CONDITION
    ),
)

_PLAIN_METRICS: Final[Mapping[str, Metric]] = {
    "points": PointsMetric(),
    "growth": GrowthMetric(),
    "orders": OrdersMetric(),
    "visits": VisitsMetric(),
    "scans": ScansMetric(),
}
_PLAIN_WINDOWS: Final[Mapping[str, Window]] = {
    "lifetime": LifetimeWindow(),
    "calendar_year": CalendarYearWindow(),
    "membership_year": MembershipYearWindow(),
    "since_tier_start": TierStartWindow(),
}
_PLAIN_KEEPS: Final[Mapping[str, Keep]] = {
    "year_end": KeepUntilYearEnd(),
    "next_year_end": KeepUntilNextYearEnd(),
    "forever": KeepForever(),
}


def form_of(policy: TierPolicy, *, currency: str) -> dict[str, str]:
    """A policy as the fields of the form."""
    form = {name: str(getattr(policy, name)) for name in CHOICES}
    form |= {"grace_days": str(policy.grace_days), "warning_days": str(policy.warning_days)}
    form["soft"] = _decimal(policy.soft_landing_bp, 2)
    form["keep"] = str(policy.keep.__struct_config__.tag)
    form["keep_months"] = str(policy.keep.months) if isinstance(policy.keep, KeepMonths) else "12"
    for at, tier in enumerate(policy.tiers):
        mine = f"t{at}_"
        form |= {f"{mine}code": tier.code, f"{mine}zh": tier.name["zh"], f"{mine}en": tier.name["en"]}
        form[f"{mine}cost"] = _decimal(tier.benefit_cost_minor, minor_digits(currency))
        form[f"{mine}earn"] = _decimal(tier.earn_rate_bp, 4)
        if tier.qualify is None or not fits(tier.qualify, currency=currency):
            continue
        form[f"{mine}join"] = "any" if isinstance(tier.qualify, AnyOf) else "all"
        rules = (tier.qualify,) if isinstance(tier.qualify, Reach) else tier.qualify.rules
        for number, rule in enumerate(rules):
            assert isinstance(rule, Reach)  # noqa: S101  (it fits)
            name = metric_name(rule.metric).partition(":")[0]
            digits = minor_digits(currency) if name == "spend" else 0
            line = f"{mine}c{number}_"
            form |= {f"{line}metric": name, f"{line}least": _decimal(rule.at_least, digits)}
            form[f"{line}window"] = window_kind(rule.window)
            months = rule.window.months if isinstance(rule.window, RollingMonthsWindow) else 12
            form[f"{line}months"] = str(months)
    return form


def fits(rule: TierRule, *, currency: str) -> bool:
    """Whether the form can show a rule: conditions on one level, money in the programme's currency alone."""
    rules = (rule,) if isinstance(rule, Reach) else rule.rules
    return len(rules) <= CONDITIONS and all(
        isinstance(each, Reach)
        and (not isinstance(each.metric, SpendMetric) or each.metric == SpendMetric(currency=currency))
        for each in rules
    )


def tiers_shown(form: Mapping[str, str]) -> int:
    """How many lines of tiers the form has: those that are filled in, and empty ones to add more."""
    filled = [at for at in range(_MOST_TIERS) if form.get(f"t{at}_code") or form.get(f"t{at}_en")]
    return min(_MOST_TIERS, max(filled, default=-1) + 1 + BLANK_TIERS)


def read_policy(form: Mapping[str, str], before: TierPolicy, *, currency: str) -> TierPolicy:
    """The policy that a form describes; of `before` what the form cannot show. Raises InvalidInputError."""
    known = {tier.code: tier for tier in before.tiers}
    tiers: list[Tier] = []
    for at in range(_MOST_TIERS):
        code = form[f"t{at}_code"]
        if not code:
            continue
        old = known.get(code)
        rank = tiers[-1].rank + _RANK_STEP if tiers else (old.rank if old else 1)
        if old is not None and (not tiers or old.rank > tiers[-1].rank):
            rank = old.rank
        tiers.append(_tier(form, at, rank, old, currency=currency, first=not tiers))
    return TierPolicy(
        code=before.code,
        tiers=tuple(tiers),
        keep=_keep(form),
        grace_days=_whole(form, "grace_days"),
        warning_days=_whole(form, "warning_days"),
        soft_landing_bp=_scaled(form, "soft", 2),
        **{name: _choice(form, name, CHOICES[name]) for name in CHOICES},
    )


def _tier(form: Mapping[str, str], at: int, rank: int, old: Tier | None, *, currency: str, first: bool) -> Tier:
    mine = f"t{at}_"
    rules = [
        rule
        for number in range(CONDITIONS)
        if (rule := _reach(form, f"{mine}c{number}_", currency=currency)) is not None
    ]
    qualify: TierRule | None
    if old is not None and old.qualify is not None and not fits(old.qualify, currency=currency):
        qualify = old.qualify
    elif len(rules) > 1:
        qualify = (AnyOf if form[f"{mine}join"] == "any" else AllOf)(rules=tuple(rules))
    else:
        qualify = rules[0] if rules else None
    return Tier(
        code=form[f"{mine}code"],
        name={"zh": form[f"{mine}zh"] or form[f"{mine}en"], "en": form[f"{mine}en"] or form[f"{mine}zh"]},
        rank=rank,
        qualify=None if first else qualify,
        benefit_cost_minor=_scaled(form, f"{mine}cost", minor_digits(currency)),
        earn_rate_bp=_scaled(form, f"{mine}earn", 4) if form[f"{mine}earn"] else FULL_BP,
    )


def _reach(form: Mapping[str, str], line: str, *, currency: str) -> Reach | None:
    name = form[f"{line}metric"]
    if not name or not form[f"{line}least"]:
        return None
    metric = SpendMetric(currency=currency) if name == "spend" else _PLAIN_METRICS.get(name)
    kind = form[f"{line}window"]
    window = (
        RollingMonthsWindow(months=_whole(form, f"{line}months"))
        if kind == "rolling_months"
        else _PLAIN_WINDOWS.get(kind)
    )
    if metric is None or window is None:
        raise InvalidInputError("choose what counts, and over which time", field=f"{line}metric")
    digits = minor_digits(currency) if name == "spend" else 0
    return Reach(metric=metric, window=window, at_least=_scaled(form, f"{line}least", digits))


def _keep(form: Mapping[str, str]) -> Keep:
    if form["keep"] == "months":
        return KeepMonths(months=_whole(form, "keep_months"))
    return _PLAIN_KEEPS[_choice(form, "keep", KEEPS)]


def _choice(form: Mapping[str, str], name: str, choices: tuple[str, ...]) -> Any:
    if form[name] not in choices:
        raise InvalidInputError(f"is one of {', '.join(choices)}", field=name)
    return form[name]


def _whole(form: Mapping[str, str], name: str) -> int:
    return _scaled(form, name, 0)


def _scaled(form: Mapping[str, str], name: str, digits: int) -> int:
    """A number as people type it, in units of its last digit; empty is 0."""
    typed = form[name].replace(",", "") or "0"
    try:
        value = Decimal(typed).scaleb(digits)
    except InvalidOperation:
        raise InvalidInputError(f"{typed[:20]!r} is no number", field=name) from None
    if not value.is_finite() or value != value.to_integral_value() or abs(value) > 10**15:
        raise InvalidInputError(f"{typed[:20]!r} has too many digits", field=name)
    return int(value)


def _decimal(value: int, digits: int) -> str:
    """A number as people read it in a field: without useless zeros."""
    return f"{Decimal(value).scaleb(-digits).normalize():f}"
