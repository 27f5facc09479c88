"""From what a benefit promises to the texts of its form."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from loyalty.kit.errors import InvalidInputError
from loyalty.web.console.benefits.form import EMPTY, SPANS, STEPS
from loyalty.web.console.benefits.reading import definition_of
from loyalty.web.pos.amounts import write_amount
from redemption.benefits.definition import (
    Coupon,
    DaysFromIssue,
    Definition,
    FixedDates,
    Gift,
    Gives,
    MoneyOff,
    Occasion,
    Service,
    Shipping,
    ThirdParty,
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

_HOUR: Final = 60


def form_of(code: str, definition: Definition, currency: str) -> dict[str, str]:
    """A definition as the texts of its form."""
    form = dict(EMPTY) | {
        "code": code,
        "per_member": _text(definition.per_member),
        "per_member_day": _text(definition.per_member_day),
        "claimable": _yes(definition.claimable),
        "transferable": _yes(definition.transferable),
        "after_refund": definition.after_refund,
        "return_days": _text(definition.return_days or None),
        "on_tiers": ",".join(definition.on_tiers),
        "birthday_days": _text(definition.before_birthday_days),
        "budget": definition.budget or "",
        "cost": _money(definition.cost_minor, currency),
    }
    for locale in ("zh", "en"):
        form |= {f"name_{locale}": definition.name[locale], f"about_{locale}": definition.about.get(locale, "")}
    match definition.validity:
        case DaysFromIssue(days=days, after_days=after_days):
            form |= {"valid_by": "days", "days": str(days), "after_days": _text(after_days or None)}
        case FixedDates(first_day=first_day, last_day=last_day):
            form |= {"valid_by": "dates", "valid_from": first_day.isoformat(), "valid_to": last_day.isoformat()}
    return form | _form_of_gives(definition.gives, currency)


def _form_of_gives(gives: Gives, currency: str) -> dict[str, str]:  # noqa: PLR0911  (one case a kind)
    match gives:
        case Coupon(terms=terms):
            return _form_of_effect(terms.effect, currency) | _form_of_terms(terms, currency)
        case MoneyOff(amount_minor=amount_minor):
            return {"gives": "money_off", "amount": _money(amount_minor, currency)}
        case Shipping(max_amount_minor=most):
            return {"gives": "shipping", "most": _money(most, currency)}
        case Gift(item=item, sku=sku):
            return {"gives": "gift", "item_zh": item["zh"], "item_en": item["en"], "sku": sku or ""}
        case Occasion(what=what, where=where):
            both = {f"what_{locale}": what[locale] for locale in what} | {
                f"where_{each}": where[each] for each in where
            }
            return {"gives": "experience"} | both
        case Service(what=what):
            return {"gives": "service"} | {f"what_{locale}": what[locale] for locale in what}
        case ThirdParty(provider=provider, link=link):
            return {"gives": "third_party", "provider": provider, "link": link or ""}


def _form_of_effect(effect: Effect, currency: str) -> dict[str, str]:  # noqa: C901  (one case a kind)
    def money(amount_minor: int | None) -> str:
        return _money(amount_minor, currency)

    form: dict[str, str]
    match effect:
        case FixedOff(amount_minor=amount_minor):
            form = {"gives": "fixed", "amount": money(amount_minor)}
        case PercentOff(percent_bp=percent_bp, max_amount_minor=most):
            form = {"gives": "percent", "percent": _percent(percent_bp), "most": money(most)}
        case EveryOff(every_minor=every, off_minor=off, max_times=times):
            form = {"gives": "every", "every": money(every), "off": money(off), "times": _text(times)}
        case SteppedOff(steps=steps):
            form = {"gives": "stepped"}
            for number, step in zip(STEPS, steps, strict=False):
                form |= {f"from_{number}": money(step.from_minor), f"off_{number}": money(step.off_minor)}
        case ItemPrice(price_minor=price, max_quantity=pieces):
            form = {"gives": "item_price", "price": money(price), "pieces": _text(pieces)}
        case BuyGet(buy=buy, get=get, off_bp=off_bp, max_times=times, reward=reward):
            form = {"gives": "buy_get", "buy": str(buy), "get": str(get), "off_percent": _percent(off_bp)}
            form |= {"times": _text(times)}
            if reward is not None:
                form |= {"reward_skus": _list(reward.skus), "reward_categories": _list(reward.categories)}
        case GiftLine(sku=sku, quantity=quantity, worth_minor=worth):
            form = {"gives": "gift_line", "sku": sku, "quantity": str(quantity), "worth": money(worth)}
        case FreeShipping(max_amount_minor=most):
            form = {"gives": "shipping", "most": money(most)}
    return form


def _form_of_terms(terms: Terms, currency: str) -> dict[str, str]:
    stacking, schedule, places = terms.stacking, terms.schedule, terms.places
    form = {
        "categories": _list(terms.items.categories),
        "skus": _list(terms.items.skus),
        "excluded_categories": _list(terms.items.excluded_categories),
        "excluded_skus": _list(terms.items.excluded_skus),
        "minimum": _money(terms.minimum.amount_minor or None, currency),
        "minimum_of": terms.minimum.of,
        "minimum_quantity": _text(terms.minimum.quantity or None),
        "first_day": _text(schedule.first_day),
        "last_day": _text(schedule.last_day),
        "weekdays": ",".join(map(str, schedule.weekdays)),
        "place": places.kinds[0] if len(places.kinds) == 1 else "everywhere",
        "channels": ",".join(places.channels),
        "stores": _list(places.stores),
        "tiers": ",".join(terms.audience.tiers),
        "tags": _list(terms.audience.tags),
        "excluded_tags": _list(terms.audience.excluded_tags),
        "together": "alone" if stacking.exclusive else stacking.choice if stacking.group else "others",
        "group": stacking.group or "",
        "priority": str(stacking.priority),
        "with_points": _yes(stacking.with_points),
        "base": stacking.base,
    }
    for span, hours in zip(SPANS, schedule.hours, strict=False):
        form |= {f"opens_{span}": _clock(hours.start_minute), f"closes_{span}": _clock(hours.end_minute)}
    return form


def fits(definition: Definition, currency: str) -> bool:
    """Whether the form can show all of a definition: what a program made may hold more than it has fields for."""
    try:
        return definition_of(form_of("code", definition, currency), currency) == definition
    except InvalidInputError:
        return False


def _money(amount_minor: int | None, currency: str) -> str:
    return "" if amount_minor is None else write_amount(amount_minor, currency)


def _percent(share_bp: int) -> str:
    return f"{Decimal(share_bp) / 100:f}"


def _text(value: int | date | None) -> str:
    return "" if value is None else str(value)


def _yes(value: bool) -> str:  # noqa: FBT001
    return "yes" if value else ""


def _list(texts: tuple[str, ...]) -> str:
    return ", ".join(texts)


def _clock(minute: int) -> str:
    hour, rest = divmod(minute % (24 * _HOUR), _HOUR)
    return f"{hour:02d}:{rest:02d}"
