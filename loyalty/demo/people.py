"""The brand's members, invented: who they are, how they came, and how keen they are. Pure, and the same for one seed.

Names are put together from lists, phones are +86 199 0000 0000 and following, addresses end in example.com.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from loyalty.demo import season
from loyalty.demo.brand import ONLINE, STORES

MOST_MEMBERS: Final = 9_000
"""The phones end in four digits, and some are kept for the leading parts."""

_SURNAMES: Final = "陈林周吴郑沈许何吕施孔曹严华魏陶姜谢邹苏潘葛范彭鲁韦马方俞任袁柳史唐"
_GIVEN: Final = (
    "安北采初岱朵珂帆谷禾虹霁嘉简菁静可岚澜黎亮苓鹿弥墨念宁暖沛乔晴然若棠桐望微晓星雪言杨伊予源云照真知舟竹子"
)
_LATIN: Final = (
    "Lin",
    "Chen",
    "Zhou",
    "Shen",
    "He",
    "Su",
    "Tao",
    "Fang",
    "Marlow",
    "Ashby",
    "Novak",
    "Okafor",
    "Lindqvist",
)
_FIRST: Final = (
    "Ada",
    "Ben",
    "Clara",
    "Dario",
    "Elin",
    "Felix",
    "Grace",
    "Hugo",
    "Iris",
    "Jonas",
    "Kira",
    "Leo",
    "Mina",
)
_EARLY_DAYS: Final = 45
"""In its first weeks a programme signs up everybody who has been a customer for long."""
_HOMES: Final = ((ONLINE, 54), ("shanghai-1", 19), ("hangzhou-1", 15), ("chengdu-1", 12))
_SECOND_CHANNEL: Final = 0.27
_SCANNED_TO_JOIN: Final = 0.07
_LATIN_NAME: Final = 0.08
_KEEN_MEDIAN: Final = 2.9
_KEEN_SPREAD: Final = 0.95
_KEENEST: Final = 55.0
_BIRTHDAY_TOLD: Final = 0.6
_EMAIL_TOLD: Final = 0.35
_MARKETING: Final = 0.62


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One invented customer. `keenness` is orders a year; `curiosity` the chance that a code of theirs is scanned.

    `joined_by` is a channel's code, or None for somebody who joined on an item's page. `second` is another channel they
    buy in. A card or an online account is there where they have one; without a phone they are known by that alone.
    """

    number: int
    name: str
    phone: str | None
    email: str | None
    birthday: date | None
    latin: bool
    marketing: bool
    joined_at: datetime
    joined_by: str | None
    home: str
    second: str | None
    card: str | None
    account: str | None
    keenness: float
    curiosity: float

    @property
    def channels(self) -> tuple[str, ...]:
        """Where they buy, most often first."""
        return (self.home,) if self.second is None else (self.home, self.second)


class PersonalDays:
    """On which day of the story something happens, by the brand's season."""

    def __init__(self, first_day: date, days: int, zone: ZoneInfo) -> None:
        self.first_day: Final = first_day
        self.days: Final = days
        self.zone: Final = zone
        dates = [first_day + timedelta(day) for day in range(days)]
        self._weights: Final = {
            online: list(accumulate(season.weight(day, online=online) for day in dates)) for online in (True, False)
        }

    def share(self, since: int, *, online: bool) -> float:
        """How much of the story's sales is still to come on the day with this number."""
        weights = self._weights[online]
        before = weights[since - 1] if since else 0
        return (weights[-1] - before) / weights[-1] if weights[-1] else 0.0

    def draw(self, random: Random, since: int, *, online: bool) -> int:
        """A day's number, not before `since`: busy days are more likely."""
        weights = self._weights[online]
        before = weights[since - 1] if since else 0
        if weights[-1] == before:
            return since
        point = random.uniform(before, weights[-1])
        low, high = since, self.days - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if weights[middle] < point else (low, middle)
        return low

    def moment(self, day: int, random: Random, *, online: bool) -> datetime:
        """A moment of the day with this number, in UTC."""
        return season.moment_of(self.first_day + timedelta(day), random, online=online, time_zone=self.zone)


def phone_of(number: int) -> str:
    """The phone of the person with this number."""
    return f"+86 199 0000 {number:04d}"


def invent_person(number: int, seed: int, days: PersonalDays) -> Person:
    """The person with this number. Each is drawn apart, so more members do not change the ones before."""
    random = Random(f"person/{seed}/{number}")  # noqa: S311  (a story, not a secret)
    home = random.choices([code for code, _ in _HOMES], [share for _, share in _HOMES])[0]
    second = None
    if random.random() < _SECOND_CHANNEL:
        second = random.choice(STORES) if home == ONLINE else ONLINE
    joined_by = None if random.random() < _SCANNED_TO_JOIN else home
    online = joined_by is None or joined_by == ONLINE
    latin = random.random() < _LATIN_NAME
    name = _name(random, latin=latin)
    return Person(
        number=number,
        name=name,
        phone=phone_of(number),
        email=f"guest{number:04d}@example.com" if random.random() < _EMAIL_TOLD else None,
        birthday=_birthday(random) if random.random() < _BIRTHDAY_TOLD else None,
        latin=latin,
        marketing=random.random() < _MARKETING,
        joined_at=days.moment(_joining_day(random, days, online=online), random, online=online),
        joined_by=joined_by,
        home=home,
        second=second,
        card=card_of(number) if home != ONLINE else None,
        account=account_of(number) if ONLINE in (home, second) else None,
        keenness=min(_KEENEST, random.lognormvariate(0.0, _KEEN_SPREAD) * _KEEN_MEDIAN),
        curiosity=random.betavariate(0.35, 2.6),
    )


def card_of(number: int) -> str:
    """The number printed on somebody's card; the brand's cards mean the same in every store."""
    return f"TW {7_300 + number // 10_000} {number % 10_000:04d}"


def account_of(number: int) -> str:
    """What the online shop calls somebody."""
    return f"u{200_000 + number}"


def _name(random: Random, *, latin: bool) -> str:
    if latin:
        return f"{random.choice(_FIRST)} {random.choice(_LATIN)}"
    return random.choice(_SURNAMES) + "".join(random.sample(_GIVEN, random.choice((1, 2, 2))))


def _birthday(random: Random) -> date:
    return date(random.randrange(1962, 2005), random.randrange(1, 13), random.randrange(1, 29))


def _joining_day(random: Random, days: PersonalDays, *, online: bool) -> int:
    early = min(_EARLY_DAYS, days.days - 1)
    if random.random() < 0.38:  # noqa: PLR2004  (the share of customers the brand had before)
        return int(random.triangular(0, early, 0))
    return days.draw(random, 0, online=online)
