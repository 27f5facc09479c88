"""What a tier asks for, in words: for the front page, the member's card and the console. Pure."""

from __future__ import annotations

from functools import reduce
from typing import Final

from loyalty.web.i18n import Formats, Translator
from tiers.policies import (
    Keep,
    KeepForever,
    KeepMonths,
    KeepUntilNextYearEnd,
    KeepUntilYearEnd,
    TierPolicy,
)
from tiers.rules import FULL_BP, AllOf, Reach, TierRule, metric_name
from tiers.windows import RollingMonthsWindow, Window, window_kind

_SPEND: Final = "spend:"


def metric_text(metric: str, amount: int, t: Translator, formats: Formats) -> str:
    """An amount of what tiers count: points, growth, money, or how many orders, visits or scans."""
    if metric.startswith(_SPEND):
        return formats.money(amount, metric.removeprefix(_SPEND))
    return t(f"tier_policies.amount.{metric}", n=amount)


def rule_text(rule: TierRule, t: Translator, formats: Formats, *, inside: bool = False) -> str:
    """What a rule asks for; brackets stand around what is inside another, so that `and` and `or` never run together."""
    if isinstance(rule, Reach):
        key = metric_name(rule.metric).partition(":")[0]
        amount = metric_text(metric_name(rule.metric), rule.at_least, t, formats)
        return t(f"tier_policies.ask.{key}", amount=amount, window=window_text(rule.window, t))
    word = "and" if isinstance(rule, AllOf) else "or"
    parts = [rule_text(inner, t, formats, inside=True) for inner in rule.rules]
    told = reduce(lambda left, right: t(f"tier_policies.{word}", left=left, right=right), parts)
    return t("tier_policies.brackets", what=told) if inside and len(parts) > 1 else told


def window_text(window: Window, t: Translator) -> str:
    """A window, such as `in the last 12 months`."""
    months = window.months if isinstance(window, RollingMonthsWindow) else 0
    return t(f"tier_policies.window.{window_kind(window)}", n=months)


def keep_text(keep: Keep, t: Translator) -> str:
    """How long a tier is kept."""
    match keep:
        case KeepMonths(months=months):
            return t("tier_policies.keep.months", n=months)
        case KeepUntilYearEnd():
            return t("tier_policies.keep.year_end")
        case KeepUntilNextYearEnd():
            return t("tier_policies.keep.next_year_end")
        case KeepForever():
            return t("tier_policies.keep.forever")


def policy_text(policy: TierPolicy, t: Translator, formats: Formats) -> list[str]:
    """How a policy treats its members, a sentence for each thing it says."""
    told = [
        t(f"tier_policies.upgrade.{policy.upgrade}"),
        keep_text(policy.keep, t),
        t(f"tier_policies.downgrade.{policy.downgrade}"),
    ]
    if policy.downgrade != "never":
        if policy.soft_landing_bp:
            told.append(t("tier_policies.soft_landing_say", share=formats.percent(policy.soft_landing_bp)))
        if policy.grace_days:
            told.append(t("tier_policies.grace_say", n=policy.grace_days))
        if policy.warning_days:
            told.append(t("tier_policies.warning_say", n=policy.warning_days))
    told += [
        t(f"tier_policies.requalification.{policy.requalification}"),
        t(f"tier_policies.refunds.{policy.refunds}"),
        t(f"tier_policies.at_start.{policy.at_start}"),
    ]
    return told


def factor_text(rate_bp: int) -> str:
    """10,000 basis points as `1`, 15,000 as `1.5`."""
    return f"{rate_bp / FULL_BP:g}"
