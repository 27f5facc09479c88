"""The form of an earn campaign, as texts, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import msgspec

from loyalty.campaigns.bonus.definition import ONE_BP, BenefitReward, CampaignTerms, FixedBonus, Multiplier, Reward
from loyalty.kit.errors import InvalidInputError
from loyalty.web.console.campaign_words import factor_text
from loyalty.web.pos.amounts import parse_amount, write_amount

WEEKDAYS: Final = tuple(range(1, 8))
WHO: Final = ("everybody", "first_purchase", "birthday_day", "birthday_week", "birthday_month")
KINDS: Final = ("times", "fixed", "benefit")
PLACES: Final = ("", "online", "store")
TOGETHER: Final = ("others", "alone", "first", "best")
NUMBERS: Final = ("budget_points", "day_points", "member_points", "member_day_points", "order_points", "member_times")
FIELDS: Final = (
    *("code", "name_zh", "name_en", "kind", "value", "benefit", "who", "segment", "double_days", "place", "channel"),
    *(f"weekday_{day}" for day in WEEKDAYS),
    *("categories", "skus", "excluded_categories", "excluded_skus", "minimum", "holdout"),
    *("together", "group", "priority"),
    *NUMBERS,
)
EMPTY: Final[Mapping[str, str]] = dict.fromkeys(FIELDS, "") | {
    "kind": "times",
    "value": "2",
    "who": "everybody",
    "together": "others",
    "priority": "100",
}
_DIGITS: Final = 15
_BY_FIELD: Final = {
    "reward.template": "benefit",
    "template": "benefit",
    "reward": "value",
    "items.categories": "categories",
    "items.skus": "skus",
    "items.excluded_categories": "excluded_categories",
    "items.excluded_skus": "excluded_skus",
    "minimum_minor": "minimum",
    "holdout_bp": "holdout",
    "share_bp": "holdout",
    "stacking.group": "group",
    "stacking.priority": "priority",
    "name.zh": "name_zh",
    "name.en": "name_en",
    "segment_id": "segment",
    "points": "budget_points",
}


def field_of(path: str | None) -> str:
    """The form's field that a definition's path is about."""
    path = path or ""
    exact = _BY_FIELD.get(path.partition("[")[0]) or _BY_FIELD.get(path.partition(".")[0])
    return exact or path


def form_of(code: str, terms: CampaignTerms, currency: str) -> dict[str, str]:
    """A definition as the texts of its form."""
    stacking, items = terms.stacking, terms.items
    together = "alone" if stacking.exclusive else stacking.choice if stacking.group else "others"
    who = "first_purchase" if terms.first_purchase else f"birthday_{terms.birthday}" if terms.birthday else "everybody"
    form = dict(EMPTY) | {
        "code": code,
        "name_zh": terms.name["zh"],
        "name_en": terms.name["en"],
        **_reward_form(terms.reward),
        "who": who,
        "segment": f"{terms.segment_id}/{terms.segment_version}" if terms.segment_id else "",
        "double_days": "yes" if terms.double_days else "",
        "place": terms.places.kinds[0] if len(terms.places.kinds) == 1 else "",
        "channel": ", ".join(terms.places.channels),
        "categories": ", ".join(items.categories),
        "skus": ", ".join(items.skus),
        "excluded_categories": ", ".join(items.excluded_categories),
        "excluded_skus": ", ".join(items.excluded_skus),
        "minimum": write_amount(terms.minimum_minor, terms.currency or currency) if terms.minimum_minor else "",
        "holdout": f"{Decimal(terms.holdout_bp) / 100:f}" if terms.holdout_bp else "",
        "together": together,
        "group": stacking.group or "",
        "priority": str(stacking.priority),
    }
    form |= {f"weekday_{day}": "yes" if day in terms.schedule.weekdays else "" for day in WEEKDAYS}
    return form | {name: "" if (value := getattr(terms, name)) is None else str(value) for name in NUMBERS}


def _reward_form(reward: Reward) -> dict[str, str]:
    match reward:
        case Multiplier(factor_bp=factor_bp):
            return {"kind": "times", "value": factor_text(factor_bp)}
        case FixedBonus(points=points):
            return {"kind": "fixed", "value": str(points)}
        case BenefitReward(template=template):
            return {"kind": "benefit", "value": "", "benefit": template}


def document_of(form: Mapping[str, str], before: CampaignTerms | None, currency: str) -> dict[str, Any]:
    """A form as the JSON of a definition. What the form has no field for stays as it was.

    Raises InvalidInputError whose field is the form's.
    """
    document: dict[str, Any] = msgspec.to_builtins(before) if before is not None else {"schedule": {}, "places": {}}
    who = form["who"] if form["who"] in WHO else "everybody"
    segment, _, version = form["segment"].partition("/")
    minimum_minor = parse_amount(form["minimum"], currency, field="minimum") if form["minimum"] else 0
    kinds = [form["place"]] if form["place"] in PLACES[1:] else []
    document |= {
        "name": {"zh": form["name_zh"], "en": form["name_en"]},
        "reward": msgspec.to_builtins(_reward(form)),
        "first_purchase": who == "first_purchase",
        "birthday": who.removeprefix("birthday_") if who.startswith("birthday_") else None,
        "segment_id": str(_uuid(segment)) if segment else None,
        "segment_version": read_number(version, "segment") if segment else None,
        "double_days": form["double_days"] == "yes",
        "places": document["places"] | {"kinds": kinds, "channels": _entries(form["channel"])},
        "items": {
            name: _entries(form[name]) for name in ("categories", "skus", "excluded_categories", "excluded_skus")
        },
        "minimum_minor": minimum_minor,
        "currency": currency if minimum_minor else document.get("currency"),
        "holdout_bp": _share(form["holdout"]),
        "stacking": _stacking(form),
    }
    document["schedule"] |= {"weekdays": [day for day in WEEKDAYS if form[f"weekday_{day}"] == "yes"]}
    return document | {name: read_number(form[name], name) if form[name] else None for name in NUMBERS}


def _reward(form: Mapping[str, str]) -> Reward:
    if form["kind"] == "benefit":
        if not form["benefit"]:
            raise InvalidInputError("choose a benefit", field="benefit")
        return BenefitReward(template=form["benefit"])
    if form["kind"] == "fixed":
        return FixedBonus(points=read_number(form["value"], "value"))
    factor_bp = _decimal(form["value"], "value") * ONE_BP
    if factor_bp % 1:
        raise InvalidInputError("at most four decimals", field="value")
    return Multiplier(factor_bp=int(factor_bp))


def _stacking(form: Mapping[str, str]) -> dict[str, Any]:
    together = form["together"]
    grouped = together in ("first", "best")
    if grouped and not form["group"]:
        raise InvalidInputError("a group needs a name", field="group")
    return {
        "priority": read_number(form["priority"] or "100", "priority"),
        "exclusive": together == "alone",
        "group": form["group"] if grouped else None,
        "choice": together if grouped else "best",
    }


def _share(text: str) -> int:
    share = _decimal(text.removesuffix("%").strip() or "0", "holdout") * 100
    if share % 1:
        raise InvalidInputError("at most two decimals", field="holdout")
    return int(share)


def _decimal(text: str, field: str) -> Decimal:
    try:
        value = Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise InvalidInputError("a number", field=field) from None
    if not value.is_finite() or abs(value) > 10**6:
        raise InvalidInputError("a number", field=field)
    return value


def read_number(text: str, field: str) -> int:
    """A whole number as it was typed. Raises InvalidInputError naming the field."""
    bare = text.replace(",", "").replace(" ", "")
    if not bare.isascii() or not bare.isdigit() or len(bare) > _DIGITS:
        raise InvalidInputError("a whole number", field=field)
    return int(bare)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInputError("choose a segment", field="segment") from None


def _entries(text: str) -> list[str]:
    """What stands between commas, Chinese ones included."""
    return [part for each in text.replace("，", ",").replace("、", ",").split(",") if (part := each.strip())]


def read_day(text: str, field: str) -> date | None:
    """A day as a browser writes it; None where none was given. Raises InvalidInputError naming the field."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError("a day, such as 2026-11-11", field=field) from None
