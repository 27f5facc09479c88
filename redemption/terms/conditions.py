"""On what, from how much, when, where and for whom a coupon applies. An empty condition restricts nothing.

Calendar rules are in the programme's time zone. Conditions of one struct must all hold; the entries of one list are
alternatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal

import msgspec

from loyalty.kit.errors import InvalidInputError
from redemption.checks import MAX_AMOUNT_MINOR, check_range, check_text

MAX_ENTRIES: Final = 1_000
MAX_HOURS: Final = 10
MINUTES_A_DAY: Final = 24 * 60
MAX_QUANTITY: Final = 1_000_000


class _Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all conditions."""


class Items(_Condition, frozen=True, kw_only=True):
    """Which lines match: of one of `skus` or `categories` (any, where both are empty), and not excluded.

    What is excluded wins over what is included. Codes and categories are compared as the channel writes them.
    """

    skus: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    excluded_skus: tuple[str, ...] = ()
    excluded_categories: tuple[str, ...] = ()

    @property
    def select_all(self) -> bool:
        """Whether every line matches."""
        return not (self.skus or self.categories or self.excluded_skus or self.excluded_categories)


class Minimum(_Condition, frozen=True, kw_only=True):
    """How much must be bought: `amount_minor` of the whole basket or of the matching lines, and pieces that match.

    Amounts are without shipping, and at list price or at what earlier coupons left, as `Stacking.base` says.
    """

    amount_minor: int = 0
    of: Literal["basket", "matching"] = "basket"
    quantity: int = 0


class Hours(_Condition, frozen=True, kw_only=True):
    """Hours of a day, in minutes since midnight: from `start_minute` until before `end_minute`.

    Where the end is not after the start they go past midnight; 22:00 to 02:00 are 1320 and 120. The weekday is that of
    the moment, on either side of midnight.
    """

    start_minute: int
    end_minute: int


class Schedule(_Condition, frozen=True, kw_only=True):
    """When: from the local day `first_day` through `last_day`, on `weekdays` (1 Monday to 7 Sunday), in `hours`."""

    first_day: date | None = None
    last_day: date | None = None
    weekdays: tuple[int, ...] = ()
    hours: tuple[Hours, ...] = ()


class Places(_Condition, frozen=True, kw_only=True):
    """Where: on channels of one of the `kinds`, with one of the codes `channels`, in one of the `stores`.

    A store is the branch that a till system names beside its channel; a purchase that names none is in no store.
    """

    kinds: tuple[Literal["online", "store"], ...] = ()
    channels: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()


class Audience(_Condition, frozen=True, kw_only=True):
    """For whom: members of one of the `tiers` who have one of the `tags` and none of `excluded_tags`."""

    tiers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    excluded_tags: tuple[str, ...] = ()


def check_items(items: Items, field: str) -> None:
    """Refuse a selection with empty, repeated or too many entries. Raises InvalidInputError below `field`."""
    _check_texts(items.skus, f"{field}.skus")
    _check_texts(items.categories, f"{field}.categories")
    _check_texts(items.excluded_skus, f"{field}.excluded_skus")
    _check_texts(items.excluded_categories, f"{field}.excluded_categories")


def check_minimum(minimum: Minimum, field: str) -> None:
    """Refuse figures out of range. Raises InvalidInputError below `field`."""
    check_range(minimum.amount_minor, f"{field}.amount_minor", least=0, most=MAX_AMOUNT_MINOR)
    check_range(minimum.quantity, f"{field}.quantity", least=0, most=MAX_QUANTITY)


def check_schedule(schedule: Schedule, field: str) -> None:
    """Refuse days in the wrong order and hours that are none. Raises InvalidInputError below `field`."""
    first, last = schedule.first_day, schedule.last_day
    if first is not None and last is not None and last < first:
        raise InvalidInputError("the last day is before the first", field=f"{field}.last_day")
    if len(set(schedule.weekdays)) < len(schedule.weekdays):
        raise InvalidInputError("a weekday is named twice", field=f"{field}.weekdays")
    for index, weekday in enumerate(schedule.weekdays):
        check_range(weekday, f"{field}.weekdays[{index}]", least=1, most=7)
    if len(schedule.hours) > MAX_HOURS:
        raise InvalidInputError(f"at most {MAX_HOURS} spans of hours", field=f"{field}.hours")
    for index, hours in enumerate(schedule.hours):
        check_range(hours.start_minute, f"{field}.hours[{index}].start_minute", least=0, most=MINUTES_A_DAY - 1)
        check_range(hours.end_minute, f"{field}.hours[{index}].end_minute", least=1, most=MINUTES_A_DAY)
        if hours.end_minute == hours.start_minute:
            raise InvalidInputError("begins and ends at the same minute", field=f"{field}.hours[{index}].end_minute")


def check_places(places: Places, field: str) -> None:
    """Refuse empty, repeated or too many places. Raises InvalidInputError below `field`."""
    _check_texts(places.kinds, f"{field}.kinds")
    _check_texts(places.channels, f"{field}.channels")
    _check_texts(places.stores, f"{field}.stores")


def check_audience(audience: Audience, field: str) -> None:
    """Refuse empty, repeated or too many tiers and tags. Raises InvalidInputError below `field`."""
    _check_texts(audience.tiers, f"{field}.tiers")
    _check_texts(audience.tags, f"{field}.tags")
    _check_texts(audience.excluded_tags, f"{field}.excluded_tags")
    if both := set(audience.tags) & set(audience.excluded_tags):
        raise InvalidInputError(f"{min(both)!r} is asked for as well", field=f"{field}.excluded_tags")


def _check_texts(texts: Sequence[str], field: str) -> None:
    if len(texts) > MAX_ENTRIES:
        raise InvalidInputError(f"at most {MAX_ENTRIES:,} entries", field=field)
    if len(set(texts)) < len(texts):
        raise InvalidInputError("an entry is named twice", field=field)
    for index, text in enumerate(texts):
        check_text(text, f"{field}[{index}]")
