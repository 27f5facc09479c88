"""A member's points history in words: what happened, where, and what it did. Pure.

The ledger's entries are exact and many; a member is shown those that changed something for them. Points set aside at a
till and then taken are one event to whoever stood there, so the capture is left out; so are moves among a person's own
merged accounts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ledger.reading import Entry
from loyalty.web.i18n import Translator

_BY_SOURCE: Final[Mapping[str, str]] = {
    "order": "purchase",
    "claim": "claim",
    "campaign": "bonus",
    "mission": "mission",
}
"""What an earn was for, by the first word of its source."""

_BY_KIND: Final[Mapping[tuple[str, str, str], str]] = {
    ("mature", "pending", "member"): "available",
    ("repay", "member", "debt"): "debt_repaid",
    ("spend", "member", "redeemed"): "redeemed",
    ("hold", "member", "held"): "redeemed",
    ("release", "held", "member"): "redemption_undone",
    ("expire", "member", "expired"): "expired",
    ("expire", "pending", "expired"): "pending_expired",
    ("reinstate", "expired", "member"): "reinstated",
    ("claw_back", "member", "issued"): "taken_back",
    ("claw_back", "debt", "issued"): "debt_made",
}
"""What an entry was to its member, by kind, debit and credit."""


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """Where points came or went: a channel's name, its number of the order or receipt, and what it was about.

    Empty where there is no such thing.
    """

    place: str = ""
    document: str = ""
    about: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history. `change` is what it did to the points one can spend; `pending` came but waits.

    `balance` is what could be spent after it.
    """

    what: str
    at: datetime
    occasion: Occasion
    change: int
    pending: int
    balance: int
    expires_at: datetime | None
    available_at: datetime | None


def describe(
    entries: Sequence[Entry],
    t: Translator,
    *,
    channels: Mapping[str, str],
    occasions: Mapping[str, Occasion],
    own_ids: Collection[UUID],
) -> list[Line]:
    """The lines for entries, in their order.

    `channels` gives names by code, `occasions` what a source cannot say by itself, by that source, and `own_ids` are
    all ids of the person.
    """
    return [
        _line(entry, t, occasions.get(entry.source) or _occasion(entry.source, channels))
        for entry in entries
        if _matters(entry, own_ids)
    ]


def _matters(entry: Entry, own_ids: Collection[UUID]) -> bool:
    if entry.kind == "capture" or (entry.kind == "transfer" and entry.peer_id in own_ids):
        return False
    return bool({entry.debit, entry.credit} & {"member", "pending", "debt"})


def _line(entry: Entry, t: Translator, occasion: Occasion) -> Line:
    is_grant = entry.kind in ("earn", "adjust") and entry.credit in ("member", "pending")
    return Line(
        what=t(f"history.what.{_what(entry)}", amount=entry.amount),
        at=entry.effective_at,
        occasion=occasion,
        change=entry.change,
        pending=entry.amount if entry.credit == "pending" else 0,
        balance=entry.posted,
        expires_at=entry.lot_expires_at if is_grant else None,
        available_at=entry.lot_available_at if entry.credit == "pending" else None,
    )


def _what(entry: Entry) -> str:
    known = _BY_KIND.get((entry.kind, entry.debit, entry.credit))
    if known is not None:
        return known
    if entry.kind == "earn":
        if entry.credit == "debt":
            return "debt_repaid"
        return _BY_SOURCE.get(entry.source.partition(":")[0], "earned")
    if entry.kind == "transfer":
        return "received" if entry.credit in ("member", "pending") else "sent"
    if entry.kind == "adjust":
        return "adjusted"
    return _reversal(entry)


def _reversal(entry: Entry) -> str:
    """Of a purchase that was refunded, points go; of a redemption that was undone, they come back."""
    if entry.debit == "debt":
        return "debt_made"
    if entry.credit == "debt":
        return "debt_repaid"
    return "given_back" if entry.credit in ("member", "pending") else "taken_back"


def _occasion(source: str, channels: Mapping[str, str]) -> Occasion:
    """`order:online/536381` happened at `online`, under the number `536381`."""
    _, _, rest = source.partition(":")
    code, _, document = rest.partition("/")
    return Occasion(place=channels[code], document=document) if code in channels else Occasion()
