"""What the two shops' members must own, computed from the csv files with nothing but `csv` and `int`.

Written apart from the product on purpose: it shares no line with it, so that an error would have to be made twice.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PLACES = 40
"""Decimal places that amounts are kept with, as integers: more than any amount in the files has."""

WHOLE = int("1" + "0" * PLACES)
FULL_WIDTH = str.maketrans("０１２３４５６７８９", "0123456789")
Customer = tuple[str, str]
"""The channel's code, and what it calls the customer."""


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def scaled(text: str) -> int:
    """A decimal number times 10 to the PLACES: `2.95`, `-12`, `4.440892e-16`."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    places = PLACES + int(exponent or "0") - len(fraction)
    assert places >= 0
    return int(whole + fraction + "0" * places)


def whole_units(amount: int) -> int:
    return amount // WHOLE


def mobile(text: str) -> str | None:
    """A mainland mobile number as eleven digits, or None: `+86 199 0000 9452`, `0086…`, `199-0000-9452`."""
    digits = "".join(character for character in text.translate(FULL_WIDTH) if character in "0123456789")
    for prefix in ("0086", "86"):
        if len(digits) == len(prefix) + 11 and digits.startswith(prefix):
            digits = digits[len(prefix) :]
    return digits if len(digits) == 11 and digits[0] == "1" else None


class Books:
    """Who is who, and what everybody earned less what was taken back."""

    def __init__(self, data: Path) -> None:
        self.parents: dict[Customer, Customer] = {}
        self.points: dict[Customer, int] = defaultdict(int)
        self.documents: dict[Customer, list[str]] = defaultdict(list)
        self.posted = 0
        self.cancelled = 0
        self._join(data)
        self._read_invoices(data)
        self._read_baskets(data)

    def person(self, customer: Customer) -> Customer:
        """The customer who stands for the person: union-find."""
        while self.parents[customer] != customer:
            customer = self.parents[customer]
        return customer

    @property
    def people(self) -> dict[Customer, list[Customer]]:
        """Everybody, with all that the channels call them."""
        together = defaultdict(list)
        for customer in self.parents:
            together[self.person(customer)].append(customer)
        return together

    def points_of(self, customers: list[Customer]) -> int:
        return sum(self.points[customer] for customer in customers)

    def _join(self, data: Path) -> None:
        by_phone: dict[str, Customer] = {}
        for channel, file, column in (
            ("online", "online_contacts.csv.gz", "CustomerID"),
            ("store", "store_contacts.csv.gz", "household_id"),
        ):
            for row in rows(data / file):
                customer = (channel, row[column])
                self.parents[customer] = customer
                phone = mobile(row["phone"])
                if phone is not None:
                    self.parents[self.person(customer)] = self.person(by_phone.setdefault(phone, customer))

    def _read_invoices(self, data: Path) -> None:
        """A pound is a point, floored by invoice; a C invoice takes its floored amount back."""
        amounts: dict[tuple[str, str], int] = defaultdict(int)
        for row in rows(data / "online_orders.csv.gz"):
            if row["CustomerID"]:
                amount = int(row["Quantity"]) * scaled(row["UnitPrice"])
                amounts[row["InvoiceNo"], row["CustomerID"]] += amount
        for (invoice, number), amount in amounts.items():
            customer = ("online", number)
            self.documents[customer].append(invoice)
            if invoice.startswith("C"):
                self.points[customer] -= whole_units(-amount)
                self.cancelled += 1
            else:
                self.points[customer] += whole_units(amount)
                self.posted += 1

    def _read_baskets(self, data: Path) -> None:
        """A dollar is a point, floored by basket."""
        amounts: dict[tuple[str, str], int] = defaultdict(int)
        for row in rows(data / "store_baskets.csv.gz"):
            amounts[row["basket_id"], row["household_id"]] += scaled(row["sales_value"])
        for (basket, number), amount in amounts.items():
            customer = ("store", number)
            self.documents[customer].append(basket)
            self.points[customer] += whole_units(amount)
            self.posted += 1
