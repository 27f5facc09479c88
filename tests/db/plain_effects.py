"""What the grocer's campaigns did, computed from the csv files with nothing but `csv`, `int` and `float`.

Written apart from the product on purpose, like `plain_books`: it shares no line with it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.db.plain_books import WHOLE, Books, Customer, rows, scaled

LONDON = ZoneInfo("Europe/London")
Z = 1.959963984540054


class Group:
    """What each person of a group bought, in cents."""

    def __init__(self) -> None:
        self.spent: list[int] = []
        self.orders: list[int] = []

    @property
    def mean(self) -> float:
        return sum(self.spent) / len(self.spent)

    @property
    def variance(self) -> float:
        return sum((value - self.mean) ** 2 for value in self.spent) / (len(self.spent) - 1)

    @property
    def buyers(self) -> int:
        return sum(orders > 0 for orders in self.orders)


class Campaigns:
    """The files of campaigns, by person."""

    def __init__(self, data: Path, books: Books) -> None:
        self.days = {
            row["campaign_id"]: (date.fromisoformat(row["start_date"]), date.fromisoformat(row["end_date"]))
            for row in rows(data / "store_campaigns.csv.gz")
        }
        self.people = {books.person(customer) for customer in books.parents if customer[0] == "store"}
        self.sent: dict[str, set[Customer]] = defaultdict(set)
        self.unknown = 0
        for row in rows(data / "store_campaign_households.csv.gz"):
            household = ("store", row["household_id"])
            if household in books.parents:
                self.sent[row["campaign_id"]].add(books.person(household))
            else:
                self.unknown += 1
        self.uses: dict[str, list[tuple[Customer, date]]] = defaultdict(list)
        for row in rows(data / "store_coupon_redemptions.csv.gz"):
            household = ("store", row["household_id"])
            if household in books.parents:
                day = date.fromisoformat(row["redemption_date"])
                self.uses[row["campaign_id"]].append((books.person(household), day))
            else:
                self.unknown += 1
        self.bought: dict[Customer, list[tuple[date, int]]] = defaultdict(list)
        amounts: dict[tuple[str, str], int] = defaultdict(int)
        first: dict[tuple[str, str], date] = {}
        for row in rows(data / "store_baskets.csv.gz"):
            basket = row["basket_id"], row["household_id"]
            moment = datetime.fromisoformat(row["transaction_timestamp"]).replace(tzinfo=UTC)
            first.setdefault(basket, moment.astimezone(LONDON).date())
            amounts[basket] += scaled(row["sales_value"])
        for basket, amount in amounts.items():
            self.bought[books.person(("store", basket[1]))].append((first[basket], amount * 100 // WHOLE))

    def group(self, campaign: str, *, exposed: bool) -> Group:
        first, last = self.days[campaign]
        group = Group()
        for person in self.sent[campaign] if exposed else self.people - self.sent[campaign]:
            inside = [amount for day, amount in self.bought[person] if first <= day <= last]
            group.spent.append(sum(inside))
            group.orders.append(len(inside))
        return group

    def revenue_with(self, campaign: str) -> int:
        """What those who were sent it bought on days on which they used a coupon of it."""
        first, last = self.days[campaign]
        used = set(self.uses[campaign])
        return sum(
            amount
            for person in self.sent[campaign]
            for day, amount in self.bought[person]
            if first <= day <= last and (person, day) in used
        )


def quantile(v: float) -> float:
    """Where Student's density of v degrees of freedom holds 47.5 per cent on one side: Simpson's rule, and halving."""
    top = math.exp(math.lgamma((v + 1) / 2) - math.lgamma(v / 2)) / math.sqrt(v * math.pi)

    def inside(t: float, steps: int = 400) -> float:
        heights = [top * math.pow(1 + (t * step / steps) ** 2 / v, -(v + 1) / 2) for step in range(steps + 1)]
        return t / steps / 3 * (heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2]))

    low, high = 1.9, 13.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < 0.475 else (low, middle)
    return low


def welch(one: Group, other: Group) -> tuple[float, float, float]:
    """The difference of means and its interval."""
    a, b = one.variance / len(one.spent), other.variance / len(other.spent)
    v = (a + b) ** 2 / (a**2 / (len(one.spent) - 1) + b**2 / (len(other.spent) - 1))
    t = quantile(v)
    middle, half = one.mean - other.mean, t * (a + b) ** 0.5
    return middle, middle - half, middle + half


def newcombe(one: Group, other: Group) -> tuple[float, float, float]:
    """The difference of shares and its interval, from the roots of the score equations."""

    def score(group: Group) -> tuple[float, float, float]:
        n, p = len(group.orders), group.buyers / len(group.orders)
        root = Z * (Z * Z + 4 * n * p * (1 - p)) ** 0.5
        return p, (2 * n * p + Z * Z - root) / (2 * (n + Z * Z)), (2 * n * p + Z * Z + root) / (2 * (n + Z * Z))

    (p, low, high), (q, lower, higher) = score(one), score(other)
    middle = p - q
    return (
        middle,
        middle - ((p - low) ** 2 + (higher - q) ** 2) ** 0.5,
        middle + ((high - p) ** 2 + (q - lower) ** 2) ** 0.5,
    )
