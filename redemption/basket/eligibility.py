"""Whether a coupon may apply to a basket at all: everything that other coupons do not change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from redemption.basket.shapes import Basket, Candidate, Member, Reason
from redemption.terms import Audience, FreeShipping, GiftLine, Items, Places, Schedule


def refusal(candidate: Candidate, basket: Basket, member: Member, matching: Sequence[int]) -> Reason | None:
    """Why this coupon cannot apply here, now, for this member and to these lines; the first reason there is."""
    terms = candidate.terms
    if terms.currency != basket.currency:
        return Reason(code="wrong_currency", parameters={"currency": terms.currency})
    return (
        _validity(candidate, basket)
        or when_refused(terms.schedule, basket.moment, basket.time_zone)
        or where_refused(terms.places, basket.channel, basket.channel_kind, basket.store)
        or _audience(terms.audience, member)
        or _lines(candidate, basket, matching)
    )


def _validity(candidate: Candidate, basket: Basket) -> Reason | None:
    if candidate.valid_from is not None and basket.moment < candidate.valid_from:
        return Reason(code="not_yet_valid", parameters={"valid_from": candidate.valid_from.isoformat()})
    if candidate.expires_at is not None and basket.moment >= candidate.expires_at:
        return Reason(code="expired", parameters={"expired_at": candidate.expires_at.isoformat()})
    return None


_ALWAYS: Final = Schedule()


def when_refused(schedule: Schedule, moment: datetime, time_zone: str) -> Reason | None:
    """Why a schedule does not hold at a moment, in the programme's time zone."""
    if schedule == _ALWAYS:
        return None
    local = moment.astimezone(ZoneInfo(time_zone))
    day = local.date()
    first, last = schedule.first_day, schedule.last_day
    if (first is not None and day < first) or (last is not None and day > last):
        days = {"first_day": first, "last_day": last}
        return Reason(code="wrong_day", parameters={name: str(value) for name, value in days.items() if value})
    if schedule.weekdays and day.isoweekday() not in schedule.weekdays:
        return Reason(code="wrong_weekday")
    minute = local.hour * 60 + local.minute
    if schedule.hours and not any(_within(minute, span.start_minute, span.end_minute) for span in schedule.hours):
        return Reason(code="wrong_hour")
    return None


def _within(minute: int, start: int, end: int) -> bool:
    return start <= minute < end if start < end else minute >= start or minute < end


def where_refused(places: Places, channel: str, channel_kind: str, store: str | None) -> Reason | None:
    """Why a purchase on this channel, in this store, is none of the places."""
    if places.kinds and channel_kind not in places.kinds:
        return Reason(code="wrong_channel_kind", parameters={"kind": channel_kind})
    if places.channels and channel not in places.channels:
        return Reason(code="wrong_channel", parameters={"channel": channel})
    if places.stores and store not in places.stores:
        return Reason(code="wrong_store")
    return None


def _audience(audience: Audience, member: Member) -> Reason | None:
    if audience.tiers and member.tier not in audience.tiers:
        return Reason(code="wrong_tier")
    if (audience.tags and member.tags.isdisjoint(audience.tags)) or not member.tags.isdisjoint(audience.excluded_tags):
        return Reason(code="wrong_member")
    return None


def _lines(candidate: Candidate, basket: Basket, matching: Sequence[int]) -> Reason | None:
    terms = candidate.terms
    looks_at_lines = not (isinstance(terms.effect, GiftLine | FreeShipping) and terms.items.select_all)
    if looks_at_lines and not matching:
        return Reason(code="no_matching_items")
    if terms.minimum.quantity:
        quantity = sum(basket.lines[index].quantity for index in matching)
        if missing := max(terms.minimum.quantity - quantity, 0):
            figures: dict[str, int | str] = {"quantity": quantity, "missing": missing}
            return Reason(code="too_few_items", parameters=figures | {"minimum": terms.minimum.quantity})
    if isinstance(terms.effect, FreeShipping) and not basket.shipping_minor:
        return Reason(code="no_shipping")
    return None


class Selectable(Protocol):
    """A line of a basket or of an order, as far as a selection looks at it."""

    @property
    def sku(self) -> str:
        """The article."""

    @property
    def category(self) -> str | None:
        """Its category, where the channel names one."""


class _Selection:
    """Items as sets, for look-up."""

    def __init__(self, items: Items) -> None:
        self.everything = not (items.skus or items.categories)
        self.skus, self.categories = frozenset(items.skus), frozenset(items.categories)
        self.excluded_skus = frozenset(items.excluded_skus)
        self.excluded_categories = frozenset(items.excluded_categories)

    def __contains__(self, line: Selectable) -> bool:
        if line.sku in self.excluded_skus or line.category in self.excluded_categories:
            return False
        return self.everything or line.sku in self.skus or line.category in self.categories


@lru_cache(maxsize=1_024)
def _selection(items: Items) -> _Selection:
    return _Selection(items)


def matching_lines(items: Items, lines: Sequence[Selectable]) -> Sequence[int]:
    """The places of the lines that a selection matches, in order."""
    if items.select_all:
        return range(len(lines))
    selection = _selection(items)
    return [index for index, line in enumerate(lines) if line in selection]
