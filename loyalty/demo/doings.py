"""What else happens, invented: codes scanned, points exchanged, reviews, birthdays. Pure, and the same for one seed.

And what the staff do: set points right, and find that two members are one person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final, Literal

import msgspec

from loyalty.demo.brand import ONLINE, REWARDS, STORES, VOUCHER_REWARD, products
from loyalty.demo.people import Person, PersonalDays
from loyalty.demo.shopping import LooseCancellation, Purchase, invent_purchase
from loyalty.kit.clock import local_date

_CLAIMS: Final = 0.66
_STRANGER: Final = 0.06
_REVIEWS: Final = 0.05
_EXCHANGES_PER_ORDER: Final = 0.07
_KEEN_ENOUGH: Final = 5.0
"""Orders a year from which on the brand sends something for a birthday."""
_SELDOM: Final = 1.6
_REPRINTED: Final = {product.sku for product in products() if product.popularity >= 9}  # noqa: PLR2004
"""What sells so well that a second print order is needed."""
_CITIES: Final = {ONLINE: ("上海", "北京", "广州", "杭州", "成都", "武汉"), "shanghai-1": ("上海",),
                  "hangzhou-1": ("杭州",), "chengdu-1": ("成都",)}  # fmt: skip
_COUPON_USED: Final = 0.75
_LOOSE_CANCELLATIONS: Final = 7
REVIEW_POINTS: Final = 20
REVIEW_DAYS: Final = 14
"""Points for a review can be spent after so many days."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A code scanned, by a member or by somebody on a strange phone; `piece` counts the scanned pieces of a product.

    `batch` is which of the product's two print orders it comes from.
    """

    at: datetime
    number: int | None
    device: str
    sku: str
    batch: Literal[0, 1]
    piece: int
    city: str
    claims: bool


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody comes to exchange points for what they can get of `wishes`, best first."""

    at: datetime
    number: int
    channel: str
    wishes: tuple[str, ...]


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody reviews a purchase, which brings points that wait for some days."""

    at: datetime
    number: int
    external_id: str


class Birthday(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon for a birthday."""

    at: datetime
    number: int


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """Points given or taken by hand, above the limit with a second person's approval."""

    at: datetime
    number: int
    points: int
    reason: str
    approved_by: str | None = None


class Reunion(msgspec.Struct, frozen=True, kw_only=True):
    """Staff find that two members are one person, or, `parted`, that they were two after all."""

    at: datetime
    number: int
    twin: int
    parted: bool = False


Doing = Scan | Exchange | Review | Birthday | Correction | Reunion

_CORRECTIONS: Final = (
    (200, "物流破损致歉 Damaged in the post"),
    (100, "门店活动补登 Added after an event in the store"),
    (-60, "重复补登更正 Added twice by mistake"),
    (300, "赠品缺货补偿 A present was out of stock"),
    (50, "生日漏发 A birthday was forgotten"),
    (-120, "员工误操作更正 A slip at the desk"),
)
_LARGE_CORRECTION: Final = (2_000, "茶会抽奖 Won at the autumn tasting")


def doings_after(purchase: Purchase, person: Person, seed: int, days: PersonalDays) -> list[Scan | Review]:
    """What a purchase leads to: pieces scanned, points for a review."""
    random = Random(f"after/{seed}/{purchase.number}/{purchase.at.isoformat()}")  # noqa: S311  (a story, not a secret)
    done: list[Scan | Review] = []
    for line in purchase.lines:
        if line.product.coded and random.random() < person.curiosity:
            at = _later(purchase.at, random, days, most_days=12)
            city = random.choice(_CITIES[purchase.channel])
            done.append(_scan(person, line.product.sku, at, city, claims=random.random() < _CLAIMS, days=days))
    if purchase.channel == ONLINE and random.random() < _REVIEWS:
        at = _later(purchase.at + timedelta(2), random, days, most_days=6)
        done.append(Review(at=at, number=person.number, external_id=purchase.external_id))
    return done


def joining_scan(person: Person, seed: int, days: PersonalDays) -> Scan:
    """The code through which somebody came: bought for them, or in a shop that is not ours."""
    random = Random(f"joining/{seed}/{person.number}")  # noqa: S311  (a story, not a secret)
    coded = [product for product in products() if product.coded]
    chosen = random.choices(coded, [product.popularity for product in coded])[0]
    at = person.joined_at + timedelta(minutes=random.uniform(1, 3))
    return _scan(person, chosen.sku, at, random.choice(_CITIES[ONLINE]), claims=True, days=days)


def _scan(person: Person, sku: str, at: datetime, city: str, *, claims: bool, days: PersonalDays) -> Scan:
    middle = days.first_day + timedelta(days.days // 2)
    return Scan(
        at=at,
        number=person.number,
        device=f"demo-phone-{person.number}",
        sku=sku,
        batch=0 if sku not in _REPRINTED or local_date(at, days.zone.key) < middle else 1,
        piece=0,
        city=city,
        claims=claims,
    )


def _later(at: datetime, random: Random, days: PersonalDays, *, most_days: int) -> datetime:
    day = (local_date(at, days.zone.key) - days.first_day).days + random.randrange(1, most_days)
    return days.moment(day, random, online=True)


def give_pieces(scans: Iterable[Scan], seed: int) -> list[Scan]:
    """Say which piece each scan is of, in the order of time, and let strangers scan some of them again."""
    random = Random(f"strangers/{seed}")  # noqa: S311  (a story, not a secret)
    counts = Counter[tuple[str, int]]()
    given: list[Scan] = []
    for scan in sorted(scans, key=lambda scan: (scan.at, scan.number or 0)):
        given.append(msgspec.structs.replace(scan, piece=counts[scan.sku, scan.batch]))
        counts[scan.sku, scan.batch] += 1
        if random.random() < _STRANGER:
            at = scan.at + timedelta(hours=random.uniform(2, 400))
            strange = {"at": at, "number": None, "device": f"demo-stranger-{len(given)}", "claims": False}
            given.append(msgspec.structs.replace(given[-1], **strange))
    return given


def visits_of(person: Person, seed: int, days: PersonalDays) -> list[Exchange | Birthday]:
    """When somebody comes to exchange points, and their birthdays."""
    random = Random(f"visits/{seed}/{person.number}")  # noqa: S311  (a story, not a secret)
    joined = (local_date(person.joined_at, days.zone.key) - days.first_day).days
    visits: list[Exchange | Birthday] = []
    store = next((channel for channel in person.channels if channel != ONLINE), None) or random.choice(STORES)
    for _ in range(round(person.keenness * _EXCHANGES_PER_ORDER + random.uniform(-0.5, 0.5))):
        at = days.moment(days.draw(random, joined, online=False), random, online=False)
        rewards = [reward.code for reward in REWARDS if reward.stock is not None or random.random() < 0.5]  # noqa: PLR2004
        wishes = tuple(random.sample(rewards, k=min(2, len(rewards))))
        visits.append(Exchange(at=at, number=person.number, channel=store, wishes=(*wishes, REWARDS[0].code)))
    if person.birthday is not None and person.marketing and person.keenness > _KEEN_ENOUGH:
        visits += [Birthday(at=at, number=person.number) for at in _birthdays(person.birthday, days)]
    return [visit for visit in visits if visit.at > person.joined_at + timedelta(days=1)]


def follow_up(visit: Exchange | Birthday, person: Person, seed: int, days: PersonalDays) -> Purchase | None:
    """What somebody buys because there is a coupon in the wallet."""
    random = Random(f"follow/{seed}/{person.number}/{visit.at.isoformat()}")  # noqa: S311  (a story, not a secret)
    if random.random() >= _COUPON_USED:
        return None
    store = next((channel for channel in person.channels if channel != ONLINE), None)
    if isinstance(visit, Exchange):
        store = visit.channel if VOUCHER_REWARD in visit.wishes[:1] else None
    if store is None:
        return None
    at = _later(visit.at, random, days, most_days=25)
    return msgspec.structs.replace(invent_purchase(person, store, at, random, days=days), wish="coupon")


def _birthdays(birthday: date, days: PersonalDays) -> list[datetime]:
    last_day = days.first_day + timedelta(days.days)
    on = [birthday.replace(year=year) for year in range(days.first_day.year, last_day.year + 1)]
    return [datetime.combine(day, time(8), days.zone) for day in on if days.first_day < day < last_day]


def corrections(people: Sequence[Person], seed: int, days: PersonalDays) -> list[Correction]:
    """Points that staff gave or took by hand."""
    random = Random(f"corrections/{seed}")  # noqa: S311  (a story, not a secret)
    keen = [person for person in people if person.keenness > _KEEN_ENOUGH]
    made = []
    for count, person in enumerate(random.sample(keen, k=min(len(keen), 2 * len(_CORRECTIONS)))):
        points, reason = _CORRECTIONS[count % len(_CORRECTIONS)]
        day = random.randrange(days.days // 3, days.days)
        at = days.moment(day, random, online=False)
        made.append(Correction(at=at, number=person.number, points=points, reason=reason))
    if keen:
        points, reason = _LARGE_CORRECTION
        at = days.moment(max(days.days - 40, 0), random, online=False)
        made.append(
            Correction(at=at, number=random.choice(keen).number, points=points, reason=reason, approved_by="owner")
        )
    joined = {person.number: person.joined_at for person in keen}
    return [correction for correction in made if correction.at > joined[correction.number]]


def loose_cancellations(people: Sequence[Person], seed: int, days: PersonalDays) -> list[LooseCancellation]:
    """Goods that came back to stores without a receipt. Who had spent their points by then owes some."""
    random = Random(f"loose/{seed}")  # noqa: S311  (a story, not a secret)
    seldom = [person for person in people if person.keenness < _SELDOM and person.home != ONLINE]
    made = []
    for count, person in enumerate(random.sample(seldom, k=min(len(seldom), _LOOSE_CANCELLATIONS))):
        at = days.moment(random.randrange(days.days // 2, days.days), random, online=False)
        lines = invent_purchase(person, person.home, at, random, days=days).lines
        if at > person.joined_at:
            number = f"X-{at:%y%m%d}-{count}"
            made.append(
                LooseCancellation(at=at, number=person.number, channel=person.home, external_id=number, lines=lines)
            )
    return made
