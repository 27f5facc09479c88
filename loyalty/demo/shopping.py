"""What the invented customers buy, and what of it they bring back. Pure, and the same for one seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final, Literal

import msgspec

from loyalty.demo import season
from loyalty.demo.brand import ONLINE, DemoProduct, products
from loyalty.demo.people import Person, PersonalDays
from loyalty.kit.clock import local_date

Wish = Literal["points", "coupon"]
"""How somebody would like to pay less: with points, or with a coupon from their wallet."""

_FIRST_VISIT_BUYS: Final = 0.85
_AT_HOME: Final = 0.72
_LINES: Final = (46, 30, 15, 6, 3)
_SECOND_PIECE: Final = 0.12
_GIFT_FACTOR: Final = 5
_REDUCED: Final = 0.12
_REDUCTIONS: Final = (90, 85, 80)
_SALE_REDUCTIONS: Final = (95, 90, 88, 85, 80)
_WITH_POINTS: Final = 0.075
_WITH_COUPON: Final = 0.03
_LATE: Final = 0.006
_RETURNED: Final = {True: 0.065, False: 0.016}
"""By whether it was bought online."""
_RETURNED_LATE: Final = 0.3
"""Some that we hear of late were called off before we heard of them."""


class Line(msgspec.Struct, frozen=True):
    """A line of a purchase: what was paid for all pieces of it."""

    product: DemoProduct
    quantity: int
    amount_minor: int


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """Something bought. `late_days` is how many days the channel took to tell us of it."""

    number: int
    channel: str
    at: datetime
    lines: tuple[Line, ...]
    discount_minor: int = 0
    wish: Wish | None = None
    late_days: int = 0
    external_id: str = ""

    @property
    def gross_minor(self) -> int:
        """What the lines come to."""
        return sum(line.amount_minor for line in self.lines)


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """Something of a purchase brought back: all of it, some lines (by their place), or a share of what was paid."""

    at: datetime
    external_id: str
    purchase: Purchase
    lines: tuple[int, ...] = ()
    share_bp: int | None = None

    @property
    def whole(self) -> bool:
        """Whether the purchase was called off."""
        return not self.lines and self.share_bp is None


class LooseCancellation(msgspec.Struct, frozen=True, kw_only=True):
    """Goods taken back whose purchase nobody can name any more."""

    at: datetime
    number: int
    channel: str
    external_id: str
    lines: tuple[Line, ...]


def purchases_of(person: Person, seed: int, days: PersonalDays, *, thrifty: bool = False) -> list[Purchase]:
    """Everything that somebody buys from the day they joined on. The thrifty never pay with points."""
    random = Random(f"purchases/{seed}/{person.number}")  # noqa: S311  (a story, not a secret)
    joined = (local_date(person.joined_at, days.zone.key) - days.first_day).days
    bought: list[Purchase] = []
    if person.joined_by is not None and random.random() < _FIRST_VISIT_BUYS:
        first = invent_purchase(person, person.joined_by, person.joined_at + timedelta(minutes=4), random, days=days)
        bought.append(msgspec.structs.replace(first, wish=None))
    for channel, part in _parts(person):
        online = channel == ONLINE
        expected = person.keenness * part * days.days / 365 * days.share(joined, online=online)
        for _ in range(_poisson(random, expected)):
            at = days.moment(days.draw(random, joined, online=online), random, online=online)
            if at > person.joined_at:
                bought.append(invent_purchase(person, channel, at, random, days=days))
    if thrifty:
        bought = [msgspec.structs.replace(purchase, wish=None) for purchase in bought]
    return bought


def _parts(person: Person) -> list[tuple[str, float]]:
    if person.second is None:
        return [(person.home, 1.0)]
    return [(person.home, _AT_HOME), (person.second, 1.0 - _AT_HOME)]


def _poisson(random: Random, expected: float) -> int:
    """How often something happens that is expected so often (Knuth's way; the expectations are small)."""
    limit, product, count = math.exp(-expected), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def invent_purchase(
    person: Person, channel: str, at: datetime, random: Random, *, days: PersonalDays, most_lines: int = 5
) -> Purchase:
    """One basket of somebody in a channel."""
    day, online = local_date(at, days.zone.key), channel == ONLINE
    gifts, sale = season.is_gift_season(day), season.is_sale(day)
    count = min(most_lines, random.choices(range(1, len(_LINES) + 1), _LINES)[0])
    chosen = {product.sku: product for product in _choose(random, count, gifts=gifts)}
    lines = tuple(_line(random, product, gifts=gifts) for product in chosen.values())
    discount_minor = 0
    if online and sale:
        gross_minor = sum(line.amount_minor for line in lines)
        discount_minor = gross_minor - gross_minor * random.choice(_SALE_REDUCTIONS) // 100
    drawn = random.random()
    wish: Wish | None = "points" if drawn < _WITH_POINTS else "coupon" if drawn < _WITH_POINTS + _WITH_COUPON else None
    return Purchase(
        number=person.number,
        channel=channel,
        at=at,
        lines=lines,
        discount_minor=discount_minor,
        wish=wish,
        late_days=2 if random.random() < _LATE else 0,
    )


def _choose(random: Random, count: int, *, gifts: bool) -> Sequence[DemoProduct]:
    wanted = [
        product.popularity * (_GIFT_FACTOR if gifts and product.category == "gift" else 2) for product in products()
    ]
    return random.choices(products(), wanted, k=count)


def _line(random: Random, product: DemoProduct, *, gifts: bool) -> Line:
    quantity = 1
    if gifts and product.category == "gift":
        quantity = random.choice((1, 1, 1, 2, 2, 3))
    elif random.random() < _SECOND_PIECE:
        quantity = 2
    amount_minor = product.price_minor * quantity
    if random.random() < _REDUCED:
        amount_minor = amount_minor * random.choice(_REDUCTIONS) // 100
    return Line(product, quantity, amount_minor)


def number_purchases(bought: Iterable[Purchase], *, days: PersonalDays) -> list[Purchase]:
    """All purchases in the order of their time, each with the number its channel gives it."""
    ordered = sorted(bought, key=lambda purchase: (purchase.at, purchase.number))
    counts: dict[str, int] = {}
    numbered = []
    for purchase in ordered:
        head = f"{purchase.channel[:2].upper()}{local_date(purchase.at, days.zone.key):%y%m%d}"
        counts[head] = counts.get(head, 0) + 1
        numbered.append(msgspec.structs.replace(purchase, external_id=f"{head}-{counts[head]:03d}"))
    return numbered


def returns_of(purchase: Purchase, seed: int) -> list[Return]:
    """What becomes of a purchase afterwards: mostly nothing."""
    random = Random(f"returns/{seed}/{purchase.number}/{purchase.at.isoformat()}")  # noqa: S311  (a story, not a secret)
    late = purchase.late_days > 0
    if random.random() >= (_RETURNED_LATE if late else _RETURNED[purchase.channel == ONLINE]):
        return []
    kind = "whole" if late else random.choices(("whole", "line", "parts", "apology"), (22, 50, 10, 18))[0]
    hours = random.uniform(1, 30) if kind == "whole" else random.uniform(50, 260)
    first = Return(at=purchase.at + timedelta(hours=hours), external_id=f"R1-{purchase.external_id}", purchase=purchase)
    match kind:
        case "line":
            return [msgspec.structs.replace(first, lines=(random.randrange(len(purchase.lines)),))]
        case "parts":
            second = msgspec.structs.replace(
                first, at=first.at + timedelta(days=3), external_id=f"R2-{purchase.external_id}", share_bp=2_000
            )
            return [msgspec.structs.replace(first, share_bp=3_000), second]
        case "apology":
            return [msgspec.structs.replace(first, share_bp=random.randrange(300, 1_200))]
        case _:
            return [first]
