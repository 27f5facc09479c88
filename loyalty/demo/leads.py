"""The leading parts: a few members whose year is written, so that there is somebody to look at for each thing to see.

They have the first phones, from +86 199 0000 0001 on, and the printed page names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final

import msgspec

from loyalty.demo.brand import EXPIRY_MONTHS, ONLINE, products
from loyalty.demo.doings import Birthday, Doing, Exchange, Reunion
from loyalty.demo.people import Person, PersonalDays, account_of, card_of, phone_of
from loyalty.demo.shopping import Line, LooseCancellation, Purchase, purchases_of
from loyalty.kit.clock import add_months

RICH, EXPIRING, INDEBTED, LOWERED, REUNITED, NEWCOMER = range(1, 7)
REUNITED_TWIN: Final = 9_499
FIRST_NUMBER: Final = 11
"""Everybody else's numbers start here."""

_NEWCOMER_DAYS: Final = 2


class Part(msgspec.Struct, frozen=True):
    """One leading part with everything that happens to it."""

    person: Person
    purchases: Sequence[Purchase]
    doings: Sequence[Doing] = ()
    cancellations: Sequence[LooseCancellation] = ()


class _Writer:
    """Writes parts in days before the story's end."""

    def __init__(self, seed: int, today: date, days: PersonalDays) -> None:
        self.seed = seed
        self.today = today
        self.days = days

    def at(self, day: date, hour: int = 15) -> datetime:
        return datetime.combine(max(day, self.days.first_day), time(hour), self.days.zone)

    def ago(self, days: int, hour: int = 15) -> datetime:
        return self.at(self.today - timedelta(days), hour)

    def person(self, number: int, name: str, joined_at: datetime, *, home: str, second: str | None = None) -> Person:
        return Person(
            number=number,
            name=name,
            phone=phone_of(number),
            email=f"guest{number:04d}@example.com",
            birthday=date(1988, 4, 1 + number % 28),
            latin=False,
            marketing=True,
            joined_at=joined_at,
            joined_by=home,
            home=home,
            second=second,
            card=card_of(number) if home != ONLINE else None,
            account=account_of(number) if ONLINE in (home, second) else None,
            keenness=0.0,
            curiosity=0.0,
        )

    def purchase(self, person: Person, at: datetime, *skus: str) -> Purchase:
        return Purchase(number=person.number, channel=person.home, at=at, lines=_lines(skus))


def _lines(skus: Sequence[str]) -> tuple[Line, ...]:
    by_sku = {product.sku: product for product in products()}
    return tuple(Line(by_sku[sku], 1, by_sku[sku].price_minor) for sku in skus)


def leading_parts(seed: int, today: date, days: PersonalDays) -> list[Part]:
    """All leading parts. Those with a written year need the story to reach back a year."""
    writer = _Writer(seed, today, days)
    return [
        _rich(writer),
        _expiring(writer),
        _indebted(writer),
        _lowered(writer),
        *_reunited(writer),
        _newcomer(writer),
    ]


def _rich(writer: _Writer) -> Part:
    """Buys everywhere, spends no points: the highest tier and a full account."""
    person = writer.person(RICH, "沈望舟", writer.at(writer.days.first_day, 11), home=ONLINE, second="shanghai-1")
    person = msgspec.structs.replace(person, keenness=38.0, curiosity=0.6)
    return Part(person, purchases_of(person, writer.seed, writer.days, thrifty=True))


def _expiring(writer: _Writer) -> Part:
    """Bought much in the month whose points end with this one."""
    month = add_months(writer.today.replace(day=1), -EXPIRY_MONTHS)
    person = writer.person(EXPIRING, "许安禾", writer.at(month - timedelta(20), 12), home="hangzhou-1")
    bought = [
        writer.purchase(person, writer.at(month.replace(day=9)), "gift-four-seasons", "gaiwan-white"),
        writer.purchase(person, writer.at(month.replace(day=23)), "spring-ridge-125"),
        writer.purchase(person, writer.ago(47), "red-lantern"),
    ]
    return Part(person, bought)


def _indebted(writer: _Writer) -> Part:
    """Spent the points of something that was brought back later: they are owed."""
    person = writer.person(INDEBTED, "吴子墨", writer.ago(81, 13), home="chengdu-1")
    exchange = Exchange(at=writer.ago(60, 16), number=INDEBTED, channel=person.home, wishes=("linen-cloth",))
    loose = LooseCancellation(
        at=writer.ago(19, 18),
        number=INDEBTED,
        channel=person.home,
        external_id="X-19-001",
        lines=_lines(["gift-four-seasons"]),
    )
    return Part(person, [writer.purchase(person, writer.ago(70), "gift-four-seasons")], [exchange], [loose])


def _lowered(writer: _Writer) -> Part:
    """Bought much a year ago and little since: the tier was reviewed, given grace, and lowered."""
    person = writer.person(LOWERED, "周若岚", writer.ago(352, 11), home="shanghai-1")
    bought = [
        writer.purchase(person, writer.ago(350), "gift-new-year", "gift-mid-autumn"),
        writer.purchase(person, writer.ago(341), "raw-ridge-cake"),
        writer.purchase(person, writer.ago(122), "mint-green"),
        writer.purchase(person, writer.ago(33), "jasmine-pearls"),
    ]
    return Part(person, bought)


def _reunited(writer: _Writer) -> list[Part]:
    """An online account and a store's card that turned out to be one person's."""
    person = writer.person(REUNITED, "何云棠", writer.ago(240, 20), home=ONLINE)
    twin = writer.person(REUNITED_TWIN, "何云棠", writer.ago(200, 14), home="hangzhou-1")
    twin = msgspec.structs.replace(twin, phone=None, email=None)
    online = [
        writer.purchase(person, writer.ago(238, 21), "charcoal-oolong", "cup-pair"),
        writer.purchase(person, writer.ago(96, 21), "moon-gate-white"),
        writer.purchase(person, writer.ago(12, 21), "osmanthus-oolong", "sesame-crisp"),
    ]
    store = [
        writer.purchase(twin, writer.ago(199), "travel-set"),
        writer.purchase(twin, writer.ago(61), "rain-on-bamboo", "pine-nut-cake"),
    ]
    return [
        Part(person, online, [Reunion(at=writer.ago(30, 10), number=REUNITED, twin=REUNITED_TWIN)]),
        Part(twin, store),
    ]


def _newcomer(writer: _Writer) -> Part:
    """Joined the day before yesterday, with one purchase and a coupon."""
    person = writer.person(NEWCOMER, "苏念微", writer.ago(_NEWCOMER_DAYS, 16), home="shanghai-1")
    bought = [writer.purchase(person, person.joined_at + timedelta(minutes=5), "gift-beginner")]
    return Part(person, bought, [Birthday(at=writer.ago(1, 9), number=NEWCOMER)])


def invent_twins(people: Sequence[Person], seed: int, today: date, days: PersonalDays) -> list[Part]:
    """Some members came twice, online and with a store's card; staff found out, and once were wrong."""
    random = Random(f"twins/{seed}")  # noqa: S311  (a story, not a secret)
    early = days.first_day + timedelta(days.days // 2)
    known = [
        person for person in people
        if person.home == ONLINE and person.second is None and person.joined_at.date() < early
    ]  # fmt: skip
    chosen = random.sample(known, k=min(len(known), 2 + len(people) // 300))
    parts: list[Part] = []
    for count, person in enumerate(chosen):
        number = REUNITED_TWIN - 1 - count
        twin = msgspec.structs.replace(
            person,
            number=number,
            phone=None,
            email=None,
            birthday=None,
            joined_at=person.joined_at + timedelta(days=20, minutes=count),
            joined_by="shanghai-1",
            home="shanghai-1",
            account=None,
            card=card_of(number),
            keenness=4.0,
            curiosity=0.0,
        )
        at = datetime.combine(today - timedelta(5 + 3 * count), time(11), days.zone)
        reunions = [Reunion(at=at, number=person.number, twin=number)]
        if count == len(chosen) - 1:
            reunions.append(Reunion(at=at + timedelta(days=2), number=person.number, twin=number, parted=True))
        parts.append(Part(twin, purchases_of(twin, seed, days, thrifty=True), reunions))
    return parts
