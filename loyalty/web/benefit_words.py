"""Benefits in words: what one gives and where it holds, each a sentence, the same for shoppers, clerks and managers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.programme import Programme, list_channels
from loyalty.web.i18n import Formats, Translator
from redemption.benefits.definition import (
    DaysFromIssue,
    Definition,
    FixedDates,
    Gift,
    Occasion,
    Service,
    ThirdParty,
    Validity,
)
from redemption.terms import (
    BuyGet,
    Effect,
    EveryOff,
    FixedOff,
    FreeShipping,
    GiftLine,
    ItemPrice,
    PercentOff,
    SteppedOff,
    Terms,
)
from redemption.terms.conditions import Hours, Items
from tiers.versions import policy_at

_HOUR: Final = 60
_LIST: Final = {"zh": "、", "en": ", "}
_COMMA: Final = {"zh": "；", "en": "; "}


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What codes are called; one that is not there is its own name."""

    channels: Mapping[str, str] = {}
    tiers: Mapping[str, str] = {}


async def read_names(connection: AsyncConnection, programme: Programme, t: Translator, now: datetime) -> Names:
    """What a programme's channels and tiers are called."""
    ladder = await policy_at(connection, programme_id=programme.id, moment=now)
    return Names(
        channels={channel.code: channel.name for channel in await list_channels(connection, programme.id)},
        tiers={tier.code: tier.name.get(t.language, tier.code) for tier in ladder.policy.tiers} if ladder else {},
    )


def gives(definition: Definition, t: Translator, formats: Formats) -> str:
    """What it gives, in a few words."""
    terms = definition.terms
    if terms is not None:
        return _effect(terms.effect, terms.currency, t, formats)
    match definition.gives:
        case Gift(item=item):
            return t("benefits.gives.gift", item=item[t.language])
        case Occasion(what=what, where=where):
            return t("benefits.gives.experience", what=what[t.language], where=where[t.language])
        case Service(what=what):
            return t("benefits.gives.service", what=what[t.language])
        case ThirdParty(provider=provider):
            return t("benefits.gives.third_party", provider=provider)
        case _:
            raise AssertionError(definition.kind)  # all others have terms


def conditions(definition: Definition, t: Translator, formats: Formats, names: Names) -> list[str]:
    """Where, when, for whom and beside what it holds; nothing that holds everywhere."""
    terms = definition.terms
    if terms is None:
        return []
    return [
        *_minimum(terms, t, formats),
        *_items(terms.items, t),
        *_places(terms, t, names),
        *_schedule(terms, t, formats),
        *_audience(terms, t, names),
        *_stacking(terms, t),
    ]


def validity(of: Validity, t: Translator, formats: Formats) -> str:
    """For how long it is valid."""
    match of:
        case FixedDates(first_day=first_day, last_day=last_day):
            return t("benefits.valid.dates", first=formats.day(first_day), last=formats.day(last_day))
        case DaysFromIssue(days=days, after_days=0):
            return t("benefits.valid.days", n=days) if days else t("benefits.valid.today")
        case DaysFromIssue(days=days, after_days=after_days):
            return t("benefits.valid.days_later", n=days, after=after_days)


def rules_of_giving(definition: Definition, t: Translator, names: Names) -> list[str]:
    """To whom it comes, how often, and what becomes of it, for whoever runs it."""
    told = []
    if definition.per_member is not None:
        told.append(t("benefits.rule.per_member", n=definition.per_member))
    if definition.per_member_day is not None:
        told.append(t("benefits.rule.per_member_day", n=definition.per_member_day))
    if definition.claimable:
        told.append(t("benefits.rule.claimable"))
    if definition.on_tiers:
        told.append(t("benefits.rule.on_tiers", tiers=_joined(definition.on_tiers, names.tiers, t)))
    if definition.before_birthday_days is not None:
        told.append(t("benefits.rule.birthday", n=definition.before_birthday_days))
    told.append(t("benefits.rule.transferable") if definition.transferable else t("benefits.rule.not_transferable"))
    if definition.after_refund == "keep_used":
        told.append(t("benefits.rule.keep_used"))
    elif definition.return_days:
        told.append(t("benefits.rule.return_days", n=definition.return_days))
    else:
        told.append(t("benefits.rule.return"))
    return told


def _effect(  # noqa: C901, PLR0911  (one case a kind)
    effect: Effect, currency: str, t: Translator, formats: Formats
) -> str:
    def money(amount_minor: int) -> str:
        return formats.money(amount_minor, currency)

    match effect:
        case FixedOff(amount_minor=amount_minor):
            return t("benefits.gives.fixed", amount=money(amount_minor))
        case PercentOff(percent_bp=percent_bp, max_amount_minor=None):
            return t("benefits.gives.percent", rate=_rate(percent_bp, t, formats))
        case PercentOff(percent_bp=percent_bp, max_amount_minor=most) if most is not None:
            return t("benefits.gives.percent_capped", rate=_rate(percent_bp, t, formats), most=money(most))
        case EveryOff(every_minor=every, off_minor=off):
            return t("benefits.gives.every", every=money(every), off=money(off))
        case SteppedOff(steps=steps):
            told = [t("benefits.gives.step", limit=money(step.from_minor), off=money(step.off_minor)) for step in steps]
            return _COMMA[t.language].join(told)
        case ItemPrice(price_minor=price_minor):
            return t("benefits.gives.item_price", price=money(price_minor))
        case BuyGet(buy=buy, get=get, off_bp=off_bp):
            rate = _rate(off_bp, t, formats)
            return t("benefits.gives.buy_get", buy=buy, get=get, rate=rate)
        case GiftLine(sku=sku, quantity=quantity):
            return t("benefits.gives.gift_line", sku=sku, n=quantity)
        case FreeShipping(max_amount_minor=None):
            return t("benefits.gives.shipping")
        case FreeShipping(max_amount_minor=most):
            return t("benefits.gives.shipping_capped", most=money(most or 0))
        case _:
            raise AssertionError(effect)


def _rate(percent_bp: int, t: Translator, formats: Formats) -> str:
    """15 % off in English; in Chinese the rest that is paid, in tenths: 8.5 折."""
    if t.language == "en":
        return f"{formats.percent(percent_bp)} off"
    if percent_bp == 10_000:  # noqa: PLR2004  (all of it)
        return t("benefits.gives.free")
    tenths = f"{(10_000 - percent_bp) / 1_000:.2f}".rstrip("0").rstrip(".")
    return t("benefits.gives.tenths", tenths=tenths)


def _minimum(terms: Terms, t: Translator, formats: Formats) -> list[str]:
    told = []
    minimum = terms.minimum
    if minimum.amount_minor:
        amount = formats.money(minimum.amount_minor, terms.currency)
        told.append(t(f"benefits.when.minimum_{minimum.of}", amount=amount))
    if minimum.quantity:
        told.append(t("benefits.when.quantity", n=minimum.quantity))
    return told


def _items(items: Items, t: Translator) -> list[str]:
    told = []
    chosen = [*items.categories, *items.skus]
    without = [*items.excluded_categories, *items.excluded_skus]
    if chosen:
        told.append(t("benefits.when.items", items=_joined(chosen, {}, t)))
    if without:
        told.append(t("benefits.when.without", items=_joined(without, {}, t)))
    return told


def _places(terms: Terms, t: Translator, names: Names) -> list[str]:
    told = []
    places = terms.places
    if len(places.kinds) == 1:
        told.append(t(f"benefits.when.kind_{places.kinds[0]}"))
    if places.channels:
        told.append(t("benefits.when.channels", channels=_joined(places.channels, names.channels, t)))
    if places.stores:
        told.append(t("benefits.when.stores", stores=_joined(places.stores, {}, t)))
    return told


def _schedule(terms: Terms, t: Translator, formats: Formats) -> list[str]:
    schedule = terms.schedule
    told = []
    if schedule.first_day is not None:
        told.append(t("benefits.when.first_day", day=formats.day(schedule.first_day)))
    if schedule.last_day is not None:
        told.append(t("benefits.when.last_day", day=formats.day(schedule.last_day)))
    if schedule.weekdays:
        days = _LIST[t.language].join(t(f"benefits.weekday.{day}") for day in sorted(schedule.weekdays))
        told.append(t("benefits.when.weekdays", days=days))
    if schedule.hours:
        told.append(t("benefits.when.hours", hours=_LIST[t.language].join(map(_span, schedule.hours))))
    return told


def _span(hours: Hours) -> str:
    return f"{_clock(hours.start_minute)}–{_clock(hours.end_minute)}"


def _clock(minute: int) -> str:
    return f"{minute // _HOUR:02d}:{minute % _HOUR:02d}"


def _audience(terms: Terms, t: Translator, names: Names) -> list[str]:
    told = []
    if terms.audience.tiers:
        told.append(t("benefits.when.tiers", tiers=_joined(terms.audience.tiers, names.tiers, t)))
    if terms.audience.tags:
        told.append(t("benefits.when.tags", tags=_joined(terms.audience.tags, {}, t)))
    if terms.audience.excluded_tags:
        told.append(t("benefits.when.without_tags", tags=_joined(terms.audience.excluded_tags, {}, t)))
    return told


def _stacking(terms: Terms, t: Translator) -> list[str]:
    told = []
    if terms.stacking.exclusive:
        told.append(t("benefits.when.exclusive"))
    elif terms.stacking.group is not None:
        told.append(t("benefits.when.group", group=terms.stacking.group))
    if not terms.stacking.with_points:
        told.append(t("benefits.when.without_points"))
    return told


def _joined(codes: Sequence[str], names: Mapping[str, str], t: Translator) -> str:
    return _LIST[t.language].join(names.get(code, code) for code in codes)
