"""From the texts of a form to what a benefit promises. What is no number, amount or day is refused at its field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from loyalty.kit.errors import InvalidInputError
from loyalty.web.console.benefits.form import SPANS, STEPS, WEEKDAYS
from loyalty.web.pos.amounts import parse_amount
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
    Validity,
)
from redemption.terms import (
    Audience,
    BuyGet,
    Effect,
    EveryOff,
    FixedOff,
    FreeShipping,
    GiftLine,
    Hours,
    ItemPrice,
    Items,
    Minimum,
    PercentOff,
    Places,
    Schedule,
    Stacking,
    Step,
    SteppedOff,
    Terms,
)

_DIGITS: Final = 9
_HOUR: Final = 60


def definition_of(form: Mapping[str, str], currency: str) -> Definition:
    """What a form promises. Raises InvalidInputError whose field is the form's; the domain checks the rest."""
    return Definition(
        name=_both(form, "name"),
        about={locale: text for locale in ("zh", "en") if (text := form[f"about_{locale}"])},
        gives=_gives(form, currency),
        validity=_validity(form),
        per_member=read_number(form, "per_member"),
        per_member_day=read_number(form, "per_member_day"),
        claimable=form["claimable"] == "yes",
        transferable=form["transferable"] == "yes",
        after_refund="keep_used" if form["after_refund"] == "keep_used" else "return",
        return_days=read_number(form, "return_days") or 0,
        on_tiers=tuple(_codes(form["on_tiers"])),
        before_birthday_days=read_number(form, "birthday_days"),
        budget=form["budget"] or None,
        cost_minor=read_amount(form, "cost", currency),
    )


def _gives(form: Mapping[str, str], currency: str) -> Gives:  # noqa: PLR0911  (one case a kind)
    match form["gives"]:
        case "money_off":
            return MoneyOff(amount_minor=_amount(form, "amount", currency), currency=currency)
        case "gift":
            return Gift(item=_both(form, "item"), sku=form["sku"] or None)
        case "experience":
            return Occasion(what=_both(form, "what"), where=_both(form, "where"))
        case "service":
            return Service(what=_both(form, "what"))
        case "third_party":
            return ThirdParty(provider=_needed(form, "provider"), link=form["link"] or None)
        case _:
            terms = _terms(form, currency)
    if terms == Terms(currency=currency, effect=terms.effect) and isinstance(terms.effect, FreeShipping):
        return Shipping(currency=currency, max_amount_minor=terms.effect.max_amount_minor)
    return Coupon(terms=terms)


def _terms(form: Mapping[str, str], currency: str) -> Terms:
    place = form["place"]
    grouped = form["together"] in ("first", "best")
    if grouped and not form["group"]:
        raise InvalidInputError("a group needs a code", field="group")
    return Terms(
        currency=currency,
        effect=_effect(form, currency),
        items=Items(
            skus=tuple(_entries(form["skus"])),
            categories=tuple(_entries(form["categories"])),
            excluded_skus=tuple(_entries(form["excluded_skus"])),
            excluded_categories=tuple(_entries(form["excluded_categories"])),
        ),
        minimum=Minimum(
            amount_minor=read_amount(form, "minimum", currency) or 0,
            of="matching" if form["minimum_of"] == "matching" else "basket",
            quantity=read_number(form, "minimum_quantity") or 0,
        ),
        schedule=Schedule(
            first_day=_day_or_none(form, "first_day"),
            last_day=_day_or_none(form, "last_day"),
            weekdays=tuple(int(day) for day in _codes(form["weekdays"]) if day in WEEKDAYS),
            hours=tuple(_hours(form, span) for span in SPANS if form[f"opens_{span}"] or form[f"closes_{span}"]),
        ),
        places=Places(
            kinds=("online",) if place == "online" else ("store",) if place == "store" else (),
            channels=tuple(_codes(form["channels"])),
            stores=tuple(_entries(form["stores"])),
        ),
        audience=Audience(
            tiers=tuple(_codes(form["tiers"])),
            tags=tuple(_entries(form["tags"])),
            excluded_tags=tuple(_entries(form["excluded_tags"])),
        ),
        stacking=Stacking(
            priority=_number(form["priority"] or "100", "priority"),
            group=form["group"] if grouped else None,
            choice="first" if form["together"] == "first" else "best",
            exclusive=form["together"] == "alone",
            with_points=form["with_points"] == "yes",
            base="list" if form["base"] == "list" else "remaining",
        ),
    )


def _effect(form: Mapping[str, str], currency: str) -> Effect:  # noqa: PLR0911  (one case a kind)
    match form["gives"]:
        case "fixed":
            return FixedOff(amount_minor=_amount(form, "amount", currency))
        case "percent":
            most = read_amount(form, "most", currency)
            return PercentOff(percent_bp=_share_bp(form["percent"], "percent"), max_amount_minor=most)
        case "every":
            return EveryOff(
                every_minor=_amount(form, "every", currency),
                off_minor=_amount(form, "off", currency),
                max_times=read_number(form, "times"),
            )
        case "stepped":
            return SteppedOff(
                steps=tuple(
                    Step(
                        from_minor=_amount(form, f"from_{step}", currency),
                        off_minor=_amount(form, f"off_{step}", currency),
                    )
                    for step in STEPS
                    if form[f"from_{step}"] or form[f"off_{step}"]
                )
            )
        case "item_price":
            return ItemPrice(price_minor=_amount(form, "price", currency), max_quantity=read_number(form, "pieces"))
        case "buy_get":
            reward = Items(
                skus=tuple(_entries(form["reward_skus"])), categories=tuple(_entries(form["reward_categories"]))
            )
            return BuyGet(
                buy=_number(form["buy"], "buy"),
                get=_number(form["get"], "get"),
                off_bp=_share_bp(form["off_percent"], "off_percent"),
                max_times=read_number(form, "times"),
                reward=None if reward.select_all else reward,
            )
        case "gift_line":
            return GiftLine(
                sku=_needed(form, "sku"),
                quantity=_number(form["quantity"], "quantity"),
                worth_minor=read_amount(form, "worth", currency) or 1,
            )
        case "shipping":
            return FreeShipping(max_amount_minor=read_amount(form, "most", currency))
        case _:
            raise InvalidInputError("choose what it gives", field="gives")


def _validity(form: Mapping[str, str]) -> Validity:
    if form["valid_by"] == "dates":
        first, last = _day_or_none(form, "valid_from"), _day_or_none(form, "valid_to")
        if first is None or last is None:
            raise InvalidInputError("both days are needed", field="valid_from" if first is None else "valid_to")
        return FixedDates(first_day=first, last_day=last)
    return DaysFromIssue(days=_number(form["days"], "days"), after_days=read_number(form, "after_days") or 0)


def _both(form: Mapping[str, str], name: str) -> dict[str, str]:
    return {locale: _needed(form, f"{name}_{locale}") for locale in ("zh", "en")}


def _needed(form: Mapping[str, str], field: str) -> str:
    if not form[field]:
        raise InvalidInputError("is needed", field=field)
    return form[field]


def _amount(form: Mapping[str, str], field: str, currency: str) -> int:
    return parse_amount(form[field], currency, field=field)


def read_amount(form: Mapping[str, str], field: str, currency: str) -> int | None:
    """An amount of a form in minor units, None where nothing was typed. Raises InvalidInputError naming the field."""
    return _amount(form, field, currency) if form[field] else None


def _number(text: str, field: str) -> int:
    bare = text.replace(",", "").replace(" ", "")
    if not (bare.isascii() and bare.isdecimal() and len(bare) <= _DIGITS):
        raise InvalidInputError("a whole number", field=field)
    return int(bare)


def read_number(form: Mapping[str, str], field: str) -> int | None:
    """A whole number of a form, None where nothing was typed. Raises InvalidInputError naming the field."""
    return _number(form[field], field) if form[field] else None


def _share_bp(text: str, field: str) -> int:
    try:
        share_bp = Decimal(text.removesuffix("%").strip()) * 100
    except InvalidOperation:
        raise InvalidInputError("a percentage", field=field) from None
    if not share_bp.is_finite() or share_bp % 1 or not 0 <= share_bp <= 10_000:  # noqa: PLR2004  (all of it)
        raise InvalidInputError("a percentage with at most two decimals", field=field)
    return int(share_bp)


def _day_or_none(form: Mapping[str, str], field: str) -> date | None:
    try:
        return date.fromisoformat(form[field]) if form[field] else None
    except ValueError:
        raise InvalidInputError("a day, such as 2026-11-11", field=field) from None


def _hours(form: Mapping[str, str], span: int) -> Hours:
    return Hours(start_minute=_minute(form, f"opens_{span}"), end_minute=_minute(form, f"closes_{span}") or 24 * _HOUR)


def _minute(form: Mapping[str, str], field: str) -> int:
    hour, _, minute = form[field].partition(":")
    if not (hour.isascii() and hour.isdecimal() and minute.isascii() and minute.isdecimal()):
        raise InvalidInputError("a time of day, such as 18:00", field=field)
    if int(hour[:3]) >= 24 or int(minute[:3]) >= _HOUR:  # noqa: PLR2004
        raise InvalidInputError("a time of day, such as 18:00", field=field)
    return int(hour) * _HOUR + int(minute)


def _entries(text: str) -> list[str]:
    """What stands between commas, Chinese ones included, or on lines."""
    for mark in ("，", "、", "\n"):
        text = text.replace(mark, ",")
    return _codes(text)


def _codes(text: str) -> list[str]:
    return [part for each in text.split(",") if (part := each.strip())]
