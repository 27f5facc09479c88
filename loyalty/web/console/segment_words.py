"""Segments in words: the sentence of a condition, as people would say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import msgspec

from loyalty.campaigns.segments.audience import Count
from loyalty.campaigns.segments.drafts import Group, Sentence, draft_of
from loyalty.kit.rules import Rule
from loyalty.web.i18n import Formats, Translator


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What codes are called: tiers and channels, by code, and languages."""

    tiers: Mapping[str, str]
    channels: Mapping[str, str]
    languages: Mapping[str, str]

    def choices(self, field: str) -> Mapping[str, str]:
        """The values to choose from, where a field's values are few."""
        return {"tier": self.tiers, "joined_channel": self.channels, "language": self.languages}.get(field, {})


def say_rule(t: Translator, names: Names, rule: Rule) -> str:
    """A whole rule as one sentence."""
    return say(t, names, draft_of(rule))


def say(t: Translator, names: Names, item: Sentence | Group) -> str:
    """A condition or a group as a sentence."""
    if isinstance(item, Sentence):
        words = _say_sentence(t, names, item)
    else:
        parts = [
            f"({say(t, names, part)})"
            if isinstance(part, Group) and len(part.items) > 1 and not part.negated
            else say(t, names, part)
            for part in item.items
        ]
        words = _joined(t, f"segments.joined_{item.join}", parts) if parts else t("segments.everybody")
    return t("segments.not", what=words) if item.negated else words


def _joined(t: Translator, key: str, parts: Sequence[str]) -> str:
    return reduce(lambda one, other: t(key, one=one, other=other), parts)


def _say_sentence(t: Translator, names: Names, sentence: Sentence) -> str:
    what = t(f"segments.field.{sentence.field}")
    for name in ("days", "channel", "currency", "gtin", "name", "purpose"):
        value = sentence.arguments.get(name)
        if value and name != "currency":
            shown = names.channels.get(value, value) if name == "channel" else value
            if name == "purpose" and f"segments.purpose.{value}" in PURPOSE_KEYS:
                shown = t(f"segments.purpose.{value}")
            what = t(f"segments.said.{name}", what=what, value=shown)
    choices = names.choices(sentence.field)
    value = _joined(t, "segments.or", [choices.get(part.strip(), part.strip()) for part in sentence.value.split(",")])
    if currency := sentence.arguments.get("currency"):
        value = f"{value} {currency}"
    return t(f"segments.says.{sentence.test}", what=what, value=value)


PURPOSE_KEYS = frozenset(f"segments.purpose.{name}" for name in ("marketing_sms", "marketing_email", "terms"))
"""Purposes that have a name; a brand's own are shown as they are."""


def say_count(t: Translator, formats: Formats, count: Count) -> str:
    """`1,234 of 20,000 members`, or, of an estimate, `about 12,000 of 1,000,000 members (± 400)`."""
    of = formats.number(count.of)
    if not count.about:
        return t("segments.count", members=formats.number(count.members), of=of)
    return t(
        "segments.count_about",
        members=formats.number(_rounded(count.members, count.margin)),
        of=of,
        margin=formats.number(count.margin),
    )


def _rounded(members: int, margin: int) -> int:
    """An estimate with no more digits than its margin allows."""
    step: int = 10 ** max(len(str(margin)) - 1, 0)
    return round(members / step) * step


WITH_UNITS = {
    *("joined_days", "tier_days", "tier_days_left", "points", "points_pending", "orders", "days_since_order"),
    *("days_since_first_order", "scans", "days_since_scan", "claims"),
}
"""Fields whose values are so many of something that has a name."""
