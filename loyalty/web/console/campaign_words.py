"""An earn campaign as a sentence, and what else there is to say about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from loyalty.campaigns.bonus.definition import ONE_BP, BenefitReward, CampaignTerms, Multiplier
from loyalty.web.i18n import Formats, Translator

DOUBLE_BP: Final = 20_000


def factor_text(factor_bp: int) -> str:
    """A factor as it is typed: `2`, `1.5`."""
    return (
        f"{Decimal(factor_bp) / ONE_BP:f}".rstrip("0").rstrip(".") if factor_bp % ONE_BP else str(factor_bp // ONE_BP)
    )


def reward_words(terms: CampaignTerms, t: Translator, *, benefits: Mapping[str, str]) -> str:
    """What is given; `benefits` are the names of templates by code."""
    if isinstance(terms.reward, Multiplier):
        if terms.reward.factor_bp == DOUBLE_BP:
            return t("campaigns.say.double")
        return t("campaigns.say.times", factor=factor_text(terms.reward.factor_bp))
    if isinstance(terms.reward, BenefitReward):
        template = terms.reward.template
        return t("campaigns.say.benefit", name=benefits.get(template, template))
    return t("campaigns.say.fixed", n=terms.reward.points)


def condition_words(
    terms: CampaignTerms, t: Translator, formats: Formats, *, channels: Mapping[str, str], segments: Mapping[str, str]
) -> list[str]:
    """For which purchases of whom, each condition a phrase."""
    said = [*_whose(terms, t, segments), *_when(terms, t), *_where(terms, t, channels), *_what(terms, t, formats)]
    return said or [t("campaigns.say.everything")]


def listed(names: Iterable[str], t: Translator) -> str:
    """Names one after the other, as the language separates them."""
    return (t("campaigns.say.comma") + (" " if t.language == "en" else "")).join(names)


def _whose(terms: CampaignTerms, t: Translator, segments: Mapping[str, str]) -> Iterator[str]:
    if terms.first_purchase:
        yield t("campaigns.say.first_purchase")
    if terms.birthday is not None:
        yield t(f"campaigns.say.birthday_{terms.birthday}")
    if terms.segment_id is not None:
        yield t("campaigns.say.segment", name=segments.get(str(terms.segment_id), "…"))
    if terms.rule is not None:
        yield t("campaigns.say.rule")


def _when(terms: CampaignTerms, t: Translator) -> Iterator[str]:
    if terms.double_days:
        yield t("campaigns.say.double_days")
    if terms.schedule.weekdays:
        days = listed((t(f"campaigns.weekday.{day}") for day in terms.schedule.weekdays), t)
        yield t("campaigns.say.weekdays", days=days)
    if terms.schedule.hours:
        yield t("campaigns.say.hours")


def _where(terms: CampaignTerms, t: Translator, channels: Mapping[str, str]) -> Iterator[str]:
    for kind in terms.places.kinds:
        yield t(f"campaigns.say.kind_{kind}")
    if terms.places.channels:
        yield t("campaigns.say.channels", names=listed((channels.get(each, each) for each in terms.places.channels), t))


def _what(terms: CampaignTerms, t: Translator, formats: Formats) -> Iterator[str]:
    if items := (*terms.items.categories, *terms.items.skus):
        yield t("campaigns.say.items", names=listed(items, t))
    if excluded := (*terms.items.excluded_categories, *terms.items.excluded_skus):
        yield t("campaigns.say.excluded", names=listed(excluded, t))
    if terms.minimum_minor and terms.currency is not None:
        yield t("campaigns.say.minimum", amount=formats.money(terms.minimum_minor, terms.currency))


def limit_words(terms: CampaignTerms, t: Translator, formats: Formats) -> list[str]:
    """Up to how much, beside which others, and who is left out."""
    said: list[str] = []
    for cap in ("budget_points", "day_points", "member_points", "member_day_points", "order_points"):
        value = getattr(terms, cap)
        if value is not None:
            said.append(t(f"campaigns.say.{cap}", n=value))
    if terms.member_times is not None:
        said.append(t("campaigns.say.member_times", n=terms.member_times))
    if terms.holdout_bp:
        said.append(t("campaigns.say.holdout", share=formats.percent(terms.holdout_bp)))
    if terms.stacking.exclusive:
        said.append(t("campaigns.say.alone"))
    elif terms.stacking.group is not None:
        said.append(t(f"campaigns.say.group_{terms.stacking.choice}", group=terms.stacking.group))
    return said
