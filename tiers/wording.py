"""Why a tier changed, as a sentence a member or a CRM manager understands, in Chinese and English."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from loyalty.kit.clock import local_date
from tiers.changes import ChangeKind, Reason, TierChange
from tiers.policies import TierPolicy
from tiers.rules import AnyOf

AmountText = Callable[[str, int], str]
"""How a page writes an amount of a metric, such as `("spend:GBP", 120000)` as £1,200.00."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a sentence about a change is made of: its kind, and its figures still as figures.

    Days are the programme's; `holds_through` is the last day the tier is sure of. `any_of` says that one of the
    reasons was asked for, and not all.
    """

    kind: ChangeKind
    from_tier: str
    to_tier: str
    reasons: Sequence[Reason]
    any_of: bool
    holds_through: date | None
    grace_through: date | None


_WINDOWS: Final = {
    "zh": {"since_ever": "累计至{last}", "between": "{first}至{last}"},
    "en": {"since_ever": "in all up to {last}", "between": "from {first} to {last}"},
}

_FIGURES: Final = {
    "zh": {
        "reached": "{window}共 {value}（需 {threshold}）",
        "missed": "{window}共 {value}（需 {threshold}，差 {missing}）",
    },
    "en": {
        "reached": "{value} {window} (asked: {threshold})",
        "missed": "{value} {window} ({missing} short of {threshold})",
    },
}
_JOINS: Final = {"zh": {"all": "，", "any": "，或"}, "en": {"all": ", and ", "any": ", or "}}

_SENTENCES: Final = {
    "zh": {
        "upgrade": "{why}：由{from_tier}升为{to_tier}{holds}。",
        "downgrade": "{why}：由{from_tier}降为{to_tier}{holds}。",
        "kept": "{why}：保留{to_tier}{holds}。",
        "soft_landing": "{why}：差得不多，保留{to_tier}{holds}。",
        "grace": "{why}：宽限期内仍为{to_tier}，至{grace}。",
        "undone": "退款后，{why}：由{from_tier}退回{to_tier}{holds}。",
        "grant": "人工授予{to_tier}（原为{from_tier}）{holds}。",
        "grant_ended": "授予期结束：由{from_tier}变为{to_tier}{holds}。",
        "merge": "会员合并，由{from_tier}变为{to_tier}{holds}。",
        "unmerge": "撤销会员合并，由{from_tier}恢复为{to_tier}{holds}。",
    },
    "en": {
        "upgrade": "{why}: up from {from_tier} to {to_tier}{holds}.",
        "downgrade": "{why}: down from {from_tier} to {to_tier}{holds}.",
        "kept": "{why}: {to_tier} is kept{holds}.",
        "soft_landing": "{why}: near enough, {to_tier} is kept{holds}.",
        "grace": "{why}: still {to_tier}, with time to make up for it through {grace}.",
        "undone": "After a refund {why}: back from {from_tier} to {to_tier}{holds}.",
        "grant": "{to_tier} was given by hand, instead of {from_tier}{holds}.",
        "grant_ended": "The time of the grant is over: {to_tier} instead of {from_tier}{holds}.",
        "merge": "Two members became one: {to_tier} instead of {from_tier}{holds}.",
        "unmerge": "The merge was undone: {to_tier} again instead of {from_tier}{holds}.",
    },
}
_NOTHING_ASKED: Final = {"zh": "无条件", "en": "Nothing was asked for"}

_HOLDS: Final = {"zh": "，有效期至{day}", "en": ", through {day}"}

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def explain(change: TierChange, policy: TierPolicy, *, time_zone: str) -> Explanation:
    """What a page needs to say why, in any language. `policy` is the one the change is pinned to."""
    asked = change.to_tier if change.kind in ("upgrade", "grant") else change.from_tier
    rule = next((tier.qualify for tier in policy.tiers if tier.code == asked), None)
    return Explanation(
        kind=change.kind,
        from_tier=change.from_tier,
        to_tier=change.to_tier,
        reasons=change.reasons,
        any_of=isinstance(rule, AnyOf),
        holds_through=_last_day(change.valid_until, time_zone),
        grace_through=_last_day(change.grace_until, time_zone),
    )


def sentence(change: TierChange, policy: TierPolicy, *, locale: str, time_zone: str, amount: AmountText) -> str:
    """The sentence itself, in `zh` or `en`. `policy` is the version the change is pinned to; it names the tiers."""
    told = explain(change, policy, time_zone=time_zone)
    names = {tier.code: tier.name[locale] for tier in policy.tiers}
    why = _JOINS[locale]["any" if told.any_of else "all"].join(
        reason_text(reason, locale=locale, amount=amount) for reason in told.reasons
    )
    return _SENTENCES[locale][change.kind].format(
        why=why or _NOTHING_ASKED[locale],
        from_tier=names.get(told.from_tier, told.from_tier),
        to_tier=names.get(told.to_tier, told.to_tier),
        holds=_HOLDS[locale].format(day=day_text(told.holds_through, locale)) if told.holds_through else "",
        grace=day_text(told.grace_through, locale) if told.grace_through else "",
    )


def reason_text(reason: Reason, *, locale: str, amount: AmountText) -> str:
    """A condition with what it came to, such as `£900.00 from 1 January to 31 December 2025 (£100.00 short of …)`."""
    window = _WINDOWS[locale]["between" if reason.first_day else "since_ever"].format(
        first=reason.first_day and day_text(reason.first_day, locale), last=day_text(reason.last_day, locale)
    )
    return _FIGURES[locale]["missed" if reason.missing else "reached"].format(
        window=window,
        value=amount(reason.metric, reason.value),
        threshold=amount(reason.metric, reason.at_least),
        missing=amount(reason.metric, reason.missing),
    )


def day_text(day: date, locale: str) -> str:
    """A day as people write it: 2026年1月31日, 31 January 2026."""
    if locale == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _last_day(until: datetime | None, time_zone: str) -> date | None:
    """The last whole day before a moment at which a day begins."""
    return None if until is None else local_date(until, time_zone) - timedelta(days=1)
