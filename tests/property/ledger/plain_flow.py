"""The books added up entry by entry in plain Python: no roll-up, no checkpoint, no SQL but `SELECT *`."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Key = tuple[UUID, str, int]

NEVER, NO_LOT = "never", "no lot"


@dataclass(frozen=True)
class Part:
    """What one entry did to the points of one lot, or of none."""

    unit: str
    recorded_at: datetime
    effective_at: datetime
    recorded_day: date
    effective_day: date
    cohort: date
    expiry: date | str
    kind: str
    debit: str
    credit: str
    amount: int
    first: bool
    opens_account: bool


def first_of_month(day: date) -> date:
    return day.replace(day=1)


class PlainBooks:
    """All entries of a programme, and what they add up to."""

    def __init__(self, entries: list[Row], zones: dict[str, str]) -> None:
        self.entries: dict[Key, Row] = {(row["member_id"], row["unit"], row["seq"]): row for row in entries}
        self.zones = {unit: ZoneInfo(name) for unit, name in zones.items()}
        self.parts = [part for row in entries for part in self._parts(row)]

    def day(self, moment: datetime, unit: str) -> date:
        return moment.astimezone(self.zones[unit]).date()

    def earned_at(self, row: Row) -> datetime:
        """When the points of the lot that an entry opened were earned, wherever the lot came from."""
        while row["lot_origin_seq"] is not None:
            row = self.entries[row["lot_origin_member"], row["unit"], row["lot_origin_seq"]]
        moment: datetime = row["effective_at"]
        return moment

    def _parts(self, row: Row) -> list[Part]:
        unit = row["unit"]
        pieces: list[tuple[Row | None, int]]
        if row["lots"]:
            lots = [self.entries[row["member_id"], unit, number] for number in row["lots"]]
            pieces = list(zip(lots, row["amounts"], strict=True))
        else:
            pieces = [(row if row["opens_lot"] else None, row["amount"])]
        found = []
        for position, (lot, amount) in enumerate(pieces):
            expiry: date | str = NO_LOT
            if lot is not None:
                cohort = self.earned_at(lot)
                ends = lot["lot_expires_at"]
                expiry = first_of_month(self.day(ends - timedelta(microseconds=1), unit)) if ends else NEVER
            elif row["lot_origin_seq"] is not None:
                cohort = self.earned_at(row)
            elif row["reverses"] is not None:
                cohort = self.entries[row["reverses_member"], unit, row["reverses"]]["effective_at"]
            else:
                cohort = row["effective_at"]
            found.append(
                Part(
                    unit=unit,
                    recorded_at=row["recorded_at"],
                    effective_at=row["effective_at"],
                    recorded_day=self.day(row["recorded_at"], unit),
                    effective_day=self.day(row["effective_at"], unit),
                    cohort=first_of_month(self.day(cohort, unit)),
                    expiry=expiry,
                    kind=row["kind"],
                    debit=row["debit"],
                    credit=row["credit"],
                    amount=amount,
                    first=position == 0,
                    opens_account=position == 0 and row["seq"] == 1,
                )
            )
        return found

    def flow(self, closed: dict[tuple[UUID, str], int]) -> dict[tuple[Any, ...], tuple[int, int, int]]:
        """What the roll-up should hold where accounts are closed up to these entries."""
        sums: dict[tuple[Any, ...], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
        for row in self.entries.values():
            if row["seq"] > closed.get((row["member_id"], row["unit"]), 0):
                continue
            for part in self._parts(row):
                key: tuple[Any, ...] = (part.unit, part.recorded_day, part.effective_day, part.cohort, part.expiry)
                key += (part.kind, part.debit, part.credit)
                amount, entries, opened = sums[key]
                sums[key] = (amount + part.amount, entries + part.first, opened + part.opens_account)
        return dict(sums)

    def at(self, unit: str, moment: datetime | None, known: str) -> list[Part]:
        """What counts at a moment."""
        parts = [part for part in self.parts if part.unit == unit]
        if moment is None:
            return parts
        return [part for part in parts if (part.recorded_at if known == "then" else part.effective_at) <= moment]

    @staticmethod
    def classes(parts: list[Part]) -> Counter[str]:
        """Credits less debits of every account class."""
        sums: Counter[str] = Counter()
        for part in parts:
            sums[part.credit] += part.amount
            sums[part.debit] -= part.amount
        return sums

    @classmethod
    def open_points(cls, parts: list[Part]) -> int:
        sums = cls.classes(parts)
        return sums["member"] + sums["pending"] + sums["held"]
