"""Why a tier changed, as a sentence a member or a CRM manager understands, in Chinese and English."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from loyalty.kit.clock import local_date
from tiers.changes import TierChange
from tiers.ladders import Ladder

AmountText = Callable[[str, int], str]
"""How a page writes an amount of a metric, such as `("spend:GBP", 120000)` as £1,200.00."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a sentence about a change is made of: a stable code, and its figures still as figures.

    `code` is `{kind}.{window kind}`, such as `upgrade.rolling_months`. Days are the programme's; `holds_through` is the
    last day the tier is sure of, and `missing` what was short of the threshold.
    """

    code: str
    from_tier: str
    to_tier: str
    metric: str
    value: int
    threshold: int
    missing: int
    first_day: date | None
    last_day: date
    holds_through: date | None
    grace_through: date | None


_WINDOWS: Final = {
    "zh": {"since_ever": "累计至{last}", "between": "{first}至{last}"},
    "en": {"since_ever": "in all up to {last}", "between": "from {first} to {last}"},
}

_SENTENCES: Final = {
    "zh": {
        "upgrade": "{window}达到{value}（需{threshold}），由{from_tier}升为{to_tier}{holds}。",
        "downgrade": "{window}为{value}，距保级还差{missing}，由{from_tier}降为{to_tier}{holds}。",
        "kept": "{window}为{value}，保留{to_tier}{holds}。",
        "grace": "{window}为{value}，距保级还差{missing}；宽限期内仍为{to_tier}，至{grace}。",
        "merge": "会员合并，由{from_tier}变为{to_tier}{holds}。",
        "unmerge": "撤销会员合并，由{from_tier}恢复为{to_tier}{holds}。",
    },
    "en": {
        "upgrade": "{value} {window} reached the {threshold} that {to_tier} asks for: up from {from_tier}{holds}.",
        "downgrade": "{value} {window}, {missing} short of keeping {from_tier}: now {to_tier}{holds}.",
        "kept": "{value} {window}: {to_tier} is kept{holds}.",
        "grace": "{value} {window}, {missing} short of keeping {to_tier}: time to make up for it through {grace}.",
        "merge": "Two members became one: {to_tier} instead of {from_tier}{holds}.",
        "unmerge": "The merge was undone: {to_tier} again instead of {from_tier}{holds}.",
    },
}

_HOLDS: Final = {"zh": "，有效期至{day}", "en": ", through {day}"}

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def explain(change: TierChange, *, time_zone: str) -> Explanation:
    """What a page needs to say why, in any language."""
    return Explanation(
        code=f"{change.kind}.{change.window_kind}",
        from_tier=change.from_tier,
        to_tier=change.to_tier,
        metric=change.metric,
        value=change.value,
        threshold=change.threshold,
        missing=max(0, change.threshold - change.value),
        first_day=change.window_first_day,
        last_day=change.window_last_day,
        holds_through=_last_day(change.valid_until, time_zone),
        grace_through=_last_day(change.grace_until, time_zone),
    )


def sentence(change: TierChange, ladder: Ladder, *, locale: str, time_zone: str, amount: AmountText) -> str:
    """The sentence itself, in `zh` or `en`. `ladder` is the version the change is pinned to; it names the tiers."""
    told = explain(change, time_zone=time_zone)
    names = {tier.code: tier.name[locale] for tier in ladder.tiers}
    window = _WINDOWS[locale]["between" if told.first_day else "since_ever"].format(
        first=told.first_day and day_text(told.first_day, locale), last=day_text(told.last_day, locale)
    )
    return _SENTENCES[locale][change.kind].format(
        window=window,
        value=amount(told.metric, told.value),
        threshold=amount(told.metric, told.threshold),
        missing=amount(told.metric, told.missing),
        from_tier=names.get(told.from_tier, told.from_tier),
        to_tier=names.get(told.to_tier, told.to_tier),
        holds=_HOLDS[locale].format(day=day_text(told.holds_through, locale)) if told.holds_through else "",
        grace=day_text(told.grace_through, locale) if told.grace_through else "",
    )


def day_text(day: date, locale: str) -> str:
    """A day as people write it: 2026年1月31日, 31 January 2026."""
    if locale == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _last_day(until: datetime | None, time_zone: str) -> date | None:
    """The last whole day before a moment at which a day begins."""
    return None if until is None else local_date(until, time_zone) - timedelta(days=1)
