"""The fields of the form of a benefit, and what is posted of them: one way of giving at a time, each some sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Request

OF_A_BASKET: Final = ("fixed", "percent", "every", "stepped", "item_price", "buy_get", "gift_line", "shipping")
"""Ways of giving that have conditions, minimum and stacking."""
GIVES: Final = (*OF_A_BASKET, "money_off", "gift", "experience", "service", "third_party")
STEPS: Final = range(1, 6)
SPANS: Final = range(1, 3)
WEEKDAYS: Final = tuple(str(day) for day in range(1, 8))
TOGETHER: Final = ("others", "alone", "best", "first")
PLACES: Final = ("everywhere", "online", "store")

MANY: Final = ("weekdays", "tiers", "channels", "on_tiers")
"""Fields of several boxes; their texts are the codes, with commas between."""
AMOUNTS: Final = (
    *("amount", "most", "every", "off", "price", "worth", "minimum", "cost"),
    *(f"{name}_{step}" for step in STEPS for name in ("from", "off")),
)
NUMBERS: Final = (
    *("times", "pieces", "buy", "get", "quantity", "minimum_quantity", "priority", "days", "after_days"),
    *("per_member", "per_member_day", "return_days", "birthday_days"),
)
DAYS: Final = ("first_day", "last_day", "valid_from", "valid_to")
HOURS: Final = tuple(f"{name}_{span}" for span in SPANS for name in ("opens", "closes"))
LISTS: Final = (
    *("categories", "skus", "excluded_categories", "excluded_skus", "reward_categories", "reward_skus"),
    *("stores", "tags", "excluded_tags"),
)
TEXTS: Final = (
    *(f"{name}_{locale}" for name in ("name", "about", "item", "what", "where") for locale in ("zh", "en")),
    *("sku", "provider", "link", "group"),
)
_SINGLE: Final = (
    *("code", "gives", "percent", "off_percent", "minimum_of", "place", "together", "base", "with_points"),
    *("valid_by", "claimable", "transferable", "after_refund", "budget", "seen"),
    *AMOUNTS,
    *NUMBERS,
    *DAYS,
    *HOURS,
    *LISTS,
    *TEXTS,
)
FIELDS: Final = (*_SINGLE, *MANY)
FIGURES: Final = ("total", "uses", "points")
"""Fields of the page that set a figure."""
EMPTY: Final[Mapping[str, str]] = dict.fromkeys(FIELDS, "") | {
    "gives": "fixed",
    "quantity": "1",
    "buy": "1",
    "get": "1",
    "off_percent": "100",
    "minimum_of": "basket",
    "place": "everywhere",
    "together": "others",
    "priority": "100",
    "base": "remaining",
    "with_points": "yes",
    "valid_by": "days",
    "days": "30",
    "after_refund": "return",
}
_LONGEST: Final = 4_000

_BY_TAIL: Final = {
    "name.zh": "name_zh",
    "name.en": "name_en",
    "about.zh": "about_zh",
    "about.en": "about_en",
    "item.zh": "item_zh",
    "item.en": "item_en",
    "what.zh": "what_zh",
    "what.en": "what_en",
    "where.zh": "where_zh",
    "where.en": "where_en",
    "minimum.amount_minor": "minimum",
    "minimum.quantity": "minimum_quantity",
    "amount_minor": "amount",
    "percent_bp": "percent",
    "max_amount_minor": "most",
    "every_minor": "every",
    "off_minor": "off",
    "max_times": "times",
    "price_minor": "price",
    "max_quantity": "pieces",
    "off_bp": "off_percent",
    "worth_minor": "worth",
    "cost_minor": "cost",
    "reward": "reward_skus",
    "points_cost": "points",
    "stock": "total",
    "validity.last_day": "valid_to",
    "before_birthday_days": "birthday_days",
}


def field_of(path: str | None) -> str:
    """The field of the form that a path in a definition is about; one that is not the form's stays as it is."""
    parts = [part.partition("[")[0] for part in (path or "").split(".")]
    if parts[-1].startswith(("amount_", "quantity_")) and parts[-1][-1].isdecimal():
        return parts[-1].partition("_")[0]  # a line of the basket that is tried
    if "steps" in parts:
        return "from_1"
    if "hours" in parts:
        return "opens_1"
    if "reward" in parts[:-1]:
        return f"reward_{parts[-1]}"
    return _BY_TAIL.get(".".join(parts[-2:])) or _BY_TAIL.get(parts[-1]) or parts[-1]


def fault_of(field: str) -> str:
    """What kind of thing belongs into a field."""
    kinds = (
        ("amount", AMOUNTS),
        ("number", (*NUMBERS, *FIGURES)),
        ("day", DAYS),
        ("hour", HOURS),
        ("percent", ("percent", "off_percent")),
        ("code", ("code", "group")),
    )
    return next((kind for kind, fields in kinds if field in fields), "text")


async def read_benefit_form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The posted texts, trimmed; of boxes those that are ticked."""
    posted = await request.form()

    def texts(name: str) -> list[str]:
        values = [value for value in posted.getall(name, []) if isinstance(value, str)]
        return [value.replace("\0", "").strip()[:_LONGEST] for value in values]

    single = {name: (texts(name) or [""])[0] for name in _SINGLE}
    return single | {name: ",".join(texts(name)) for name in MANY}
