"""Replaying an account: from entries alone to the projections that the database should hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from ledger.record import chain

_HOLDINGS: Final = ("member", "pending")


class Lot(msgspec.Struct):
    """A lot as its entries make it."""

    seq: int
    granted: int
    remaining: int
    expires_at: datetime | None
    available_at: datetime | None
    priority: int
    origin_member: UUID | None
    origin_seq: int | None
    pending: bool
    expired: int = 0


class Hold(msgspec.Struct):
    """A hold as its entries make it."""

    hold_id: UUID
    seq: int
    amount: int
    lots: list[int]
    amounts: list[int]
    expires_at: datetime
    captured: int = 0
    released: int = 0
    state: str = "open"


class AccountReplay:
    """One account, entry by entry. `problems` says what cannot be right, in the order in which it was met."""

    def __init__(self) -> None:
        self.classes: dict[str, int] = {}
        self.lots: dict[int, Lot] = {}
        self.holds: dict[UUID, Hold] = {}
        self.sequence = 0
        self.head = b""
        self.last_at: datetime | None = None
        self.idle_expires_at: datetime | None = None
        self.problems: list[tuple[int, str]] = []

    @property
    def balances(self) -> dict[str, int]:
        """The balances that the account's row and its last entry should show."""
        return {
            "posted": self.classes.get("member", 0),
            "pending": self.classes.get("pending", 0),
            "held": self.classes.get("held", 0),
            "debt": -self.classes.get("debt", 0),
        }

    def apply(self, entry: Mapping[Any, Any]) -> None:
        """Apply the next entry, a row of `ledger.entry` by column."""
        sequence: int = entry["seq"]
        lots: Sequence[int] = entry["lots"] or ()
        amounts: Sequence[int] = entry["amounts"] or ()
        if sequence != self.sequence + 1:
            self._problem(sequence, f"entry {self.sequence + 1} is missing before it")
        self.sequence = sequence
        expected = chain(self.head, entry)
        if expected != entry["hash"]:
            self._problem(sequence, "its hash does not fit its content and the entry before it")
        self.head = entry["hash"]
        if self.last_at is not None and entry["recorded_at"] < self.last_at:
            self._problem(sequence, "it is recorded before the entry before it")
        self.last_at = entry["recorded_at"]
        self.idle_expires_at = entry["idle_expires_at"]
        amount: int = entry["amount"]
        self.classes[entry["credit"]] = self.classes.get(entry["credit"], 0) + amount
        self.classes[entry["debit"]] = self.classes.get(entry["debit"], 0) - amount
        for name, balance in self.balances.items():
            if balance < 0:
                self._problem(sequence, f"{name} falls to {balance}")
            if balance != entry[name]:
                self._problem(sequence, f"{name} is written as {entry[name]} and adds up to {balance}")
        if len(lots) != len(amounts) or (lots and sum(amounts) != amount):
            self._problem(sequence, f"its takings add up to {sum(amounts)}, not {amount}")
        self._apply_to_lots(entry, lots, amounts)
        if entry["hold_id"] is not None:
            self._apply_to_hold(entry, list(lots), list(amounts))

    def _problem(self, sequence: int, text: str) -> None:
        self.problems.append((sequence, text))

    def _apply_to_lots(self, entry: Mapping[Any, Any], lots: Sequence[int], amounts: Sequence[int]) -> None:
        sequence: int = entry["seq"]
        if entry["opens_lot"]:
            self.lots[sequence] = Lot(
                seq=sequence,
                granted=entry["amount"],
                remaining=entry["amount"],
                expires_at=entry["lot_expires_at"],
                available_at=entry["lot_available_at"],
                priority=entry["lot_priority"],
                origin_member=entry["lot_origin_member"],
                origin_seq=entry["lot_origin_seq"],
                pending=entry["credit"] == "pending",
            )
        if entry["kind"] == "reinstate":
            home = self.lots.get(entry["lot_origin_seq"])
            if home is not None:
                home.expired -= entry["amount"]
        sign = (entry["credit"] in _HOLDINGS) - (entry["debit"] in _HOLDINGS)
        for number, amount in zip(lots, amounts, strict=False):
            lot = self.lots.get(number)
            if lot is None:
                self._problem(sequence, f"it takes from lot {number}, which was never opened")
                continue
            lot.remaining += sign * amount
            lot.expired += amount * ((entry["credit"] == "expired") - (entry["debit"] == "expired"))
            if lot.remaining < 0 or lot.expired < 0:
                self._problem(sequence, f"it takes more from lot {number} than is in it")
            if entry["credit"] == "pending":
                lot.pending = True
            elif entry["kind"] == "mature" or lot.remaining == 0:
                lot.pending = False

    def _apply_to_hold(self, entry: Mapping[Any, Any], lots: list[int], amounts: list[int]) -> None:
        hold_id: UUID = entry["hold_id"]
        if entry["kind"] == "hold":
            self.holds[hold_id] = Hold(
                hold_id=hold_id,
                seq=entry["seq"],
                amount=entry["amount"],
                lots=lots,
                amounts=amounts,
                expires_at=entry["hold_expires_at"],
            )
            return
        hold = self.holds.get(hold_id)
        if hold is None:
            self._problem(entry["seq"], "it ends a hold that was never made")
            return
        if entry["kind"] == "capture":
            hold.captured += entry["amount"]
        else:
            hold.released += entry["amount"]
        left = hold.amount - hold.captured - hold.released
        if left < 0:
            self._problem(entry["seq"], "it ends more of a hold than was left")
        if left == 0:
            if entry["kind"] == "release" and entry["source"] == "time":
                hold.state = "expired"
            else:
                hold.state = "captured" if hold.captured else "released"

    @property
    def next_due(self) -> datetime | None:
        """The first moment at which time will change this account."""
        moments = [lot.expires_at for lot in self.lots.values() if lot.remaining and lot.expires_at]
        moments += [
            lot.available_at for lot in self.lots.values() if lot.remaining and lot.pending and lot.available_at
        ]
        moments += [hold.expires_at for hold in self.holds.values() if hold.state == "open"]
        if self.balances["posted"] and self.idle_expires_at:
            moments.append(self.idle_expires_at)
        return min(moments, default=None)
