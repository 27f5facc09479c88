"""A year of the invented brand, told day by day. Pure: the same seed, size and day always tell the same story."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from loyalty.demo.brand import CHANNELS, ONLINE, TIME_ZONE
from loyalty.demo.doings import (
    Doing,
    Scan,
    corrections,
    doings_after,
    follow_up,
    give_pieces,
    joining_scan,
    loose_cancellations,
    visits_of,
)
from loyalty.demo.leads import FIRST_NUMBER, invent_twins, leading_parts
from loyalty.demo.people import MOST_MEMBERS, Person, PersonalDays, invent_person
from loyalty.demo.shopping import LooseCancellation, Purchase, Return, number_purchases, purchases_of, returns_of
from loyalty.kit.clock import add_months, local_date, start_of_local_day
from loyalty.kit.errors import InvalidInputError

MONTHS: Final = 12
"""The story begins on the first of the month so many months ago, and ends when today begins."""

FEWEST_MEMBERS: Final = 10

_STORES_REPORT: Final = (2, 6)
"""Stores hand in their receipts on Wednesday and Sunday evenings, and on the last one; the online shop every night."""


class Entrance(msgspec.Struct, frozen=True):
    """Somebody comes to a channel for the first time; None is an item's page."""

    at: datetime
    number: int
    channel: str | None


class Day(msgspec.Struct):
    """One local day: who comes, what is done at its time, and what the channels report at its end."""

    day: date
    entrances: list[Entrance] = []
    moments: list[Doing | Purchase] = []
    purchases: list[Purchase] = []
    returns: list[Return | LooseCancellation] = []


class Story(msgspec.Struct, frozen=True):
    """Everything that happens, in order. `pieces` is how many pieces of a product are scanned, by print order."""

    seed: int
    first_day: date
    today: date
    people: dict[int, Person]
    days: list[Day]
    pieces: dict[tuple[str, int], int]

    @property
    def starts_at(self) -> datetime:
        """The first moment."""
        return start_of_local_day(self.first_day, TIME_ZONE)

    @property
    def ends_at(self) -> datetime:
        """The moment after the last."""
        return start_of_local_day(self.today, TIME_ZONE)


def tell_story(*, members: int, seed: int, today: date) -> Story:
    """The story of so many members that ends before `today`. Raises InvalidInputError (members)."""
    if not FEWEST_MEMBERS <= members <= MOST_MEMBERS:
        raise InvalidInputError(f"from {FEWEST_MEMBERS} to {MOST_MEMBERS:,} members", field="members")
    first_day = add_months(today.replace(day=1), -MONTHS)
    days = PersonalDays(first_day, (today - first_day).days, ZoneInfo(TIME_ZONE))
    leads = leading_parts(seed, today, days)
    everybody = [
        invent_person(number, seed, days) for number in range(FIRST_NUMBER, FIRST_NUMBER + members - len(leads))
    ]
    parts = [*leads, *invent_twins(everybody, seed, today, days)]
    people = {person.number: person for person in (*everybody, *(part.person for part in parts))}
    bought = [purchase for person in everybody for purchase in purchases_of(person, seed, days)]
    bought += [purchase for part in parts for purchase in part.purchases]
    visits = {person.number: visits_of(person, seed, days) for person in everybody}
    for person in everybody:
        led_to = (follow_up(visit, person, seed, days) for visit in visits[person.number])
        bought += [purchase for purchase in led_to if purchase is not None]
    story = Story(seed, first_day, today, people, [Day(first_day + timedelta(day)) for day in range(days.days)], {})
    purchases = [purchase for purchase in number_purchases(bought, days=days) if purchase.at < story.ends_at]
    doings = [doing for part in parts for doing in part.doings]
    doings += [visit for own in visits.values() for visit in own]
    cancellations = [
        *loose_cancellations(everybody, seed, days),
        *(each for part in parts for each in part.cancellations),
    ]
    writer = _Writer(story, days)
    writer.act(everybody, doings, purchases)
    writer.report(purchases, cancellations)
    return story


class _Writer:
    """Puts what happens into the days on which it does."""

    def __init__(self, story: Story, days: PersonalDays) -> None:
        self.story = story
        self.days = days

    def act(self, everybody: Sequence[Person], doings: Sequence[Doing], purchases: Sequence[Purchase]) -> None:
        """What people and staff do at its own moment."""
        story, seed = self.story, self.story.seed
        led_to = [
            doing
            for purchase in purchases
            for doing in doings_after(purchase, story.people[purchase.number], seed, self.days)
        ]
        scans = [joining_scan(person, seed, self.days) for person in everybody if person.joined_by is None]
        scans += [doing for doing in led_to if isinstance(doing, Scan)]
        told = [scan for scan in give_pieces(scans, seed) if scan.at < story.ends_at]
        for scan in told:
            place = (scan.sku, scan.batch)
            story.pieces[place] = max(story.pieces.get(place, 0), scan.piece + 1)
        others = [*doings, *(doing for doing in led_to if not isinstance(doing, Scan))]
        others += corrections(everybody, seed, self.days)
        self._enter(purchases)
        self._do([*others, *told, *(purchase for purchase in purchases if purchase.wish)])

    def _day(self, at: datetime) -> Day | None:
        """The day of a moment; None after the end."""
        number = (local_date(at, TIME_ZONE) - self.story.first_day).days
        return self.story.days[number] if 0 <= number < len(self.story.days) else None

    def _enter(self, purchases: Iterable[Purchase]) -> None:
        first: dict[tuple[int, str | None], datetime] = {
            (person.number, person.joined_by): person.joined_at for person in self.story.people.values()
        }
        for purchase in purchases:
            first.setdefault((purchase.number, purchase.channel), purchase.at - timedelta(minutes=2))
        places = {channel: place for place, channel in enumerate((None, *CHANNELS))}
        for (number, channel), at in sorted(
            first.items(), key=lambda entry: (entry[1], entry[0][0], places[entry[0][1]])
        ):
            day = self._day(at)
            if day is not None:
                day.entrances.append(Entrance(at, number, channel))

    def _do(self, doings: Iterable[Doing | Purchase]) -> None:
        by_day: dict[date, list[Doing | Purchase]] = defaultdict(list)
        for doing in doings:
            by_day[local_date(doing.at, TIME_ZONE)].append(doing)
        for day in self.story.days:
            day.moments = sorted(by_day[day.day], key=lambda doing: (doing.at, doing.number or 0))

    def report(self, purchases: Iterable[Purchase], cancellations: Iterable[LooseCancellation]) -> None:
        """What the channels tell at the end of their days."""
        for purchase in purchases:
            arrival = self._arrival(purchase)
            if arrival is not None:
                arrival.purchases.append(purchase)
            for returned in returns_of(purchase, self.story.seed):
                self._return(returned)
        for cancellation in cancellations:
            self._return(cancellation)

    def _arrival(self, purchase: Purchase) -> Day | None:
        """The day on whose evening we hear of a purchase; None where that is after the end."""
        day = self._day(purchase.at + timedelta(days=purchase.late_days))
        if purchase.channel == ONLINE or day is None:
            return day
        last = self.story.days[-1]
        number = (day.day - self.story.first_day).days
        return next((later for later in self.story.days[number:] if later.day.weekday() in _STORES_REPORT), last)

    def _return(self, returned: Return | LooseCancellation) -> None:
        day = self._day(returned.at)
        if day is not None:
            day.returns.append(returned)
