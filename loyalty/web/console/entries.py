"""Entries of the ledger in words for the brand's people: what each one is, what caused it, and whose it was. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from ledger.reading import Entry
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.i18n import Translator

_MEANINGS: Final[Mapping[tuple[str, str, str], str]] = {
    ("earn", "issued", "member"): "earned",
    ("earn", "issued", "pending"): "earned_pending",
    ("earn", "issued", "debt"): "earned_debt",
    ("mature", "pending", "member"): "matured",
    ("repay", "member", "debt"): "matured_debt",
    ("spend", "member", "redeemed"): "spent",
    ("hold", "member", "held"): "held",
    ("capture", "held", "redeemed"): "captured",
    ("release", "held", "member"): "released",
    ("expire", "member", "expired"): "expired",
    ("expire", "pending", "expired"): "expired_pending",
    ("reinstate", "expired", "member"): "reinstated",
    ("claw_back", "member", "issued"): "taken_back",
    ("claw_back", "pending", "issued"): "taken_back_pending",
    ("claw_back", "debt", "issued"): "debt_made",
    ("claw_back", "forgiven", "issued"): "forgiven",
    ("reverse", "member", "issued"): "taken_back",
    ("reverse", "pending", "issued"): "taken_back_pending",
    ("reverse", "debt", "issued"): "debt_made",
    ("reverse", "forgiven", "issued"): "forgiven",
    ("reverse", "redeemed", "member"): "given_back",
    ("reverse", "redeemed", "debt"): "given_back_debt",
    ("reverse", "redeemed", "expired"): "given_back_expired",
    ("adjust", "adjusted", "member"): "adjusted_up",
    ("adjust", "adjusted", "debt"): "adjusted_debt",
    ("adjust", "member", "adjusted"): "adjusted_down",
    ("transfer", "member", "transfer"): "moved_out",
    ("transfer", "pending", "transfer"): "moved_out",
    ("transfer", "transfer", "member"): "moved_in",
    ("transfer", "transfer", "pending"): "moved_in",
    ("transfer", "debt", "transfer"): "moved_debt",
    ("transfer", "transfer", "debt"): "moved_debt",
}
"""What an entry is, by kind, debit and credit; what is not here says only that points moved."""

ACCOUNTS: Final = (
    *("issued", "member", "pending", "held", "redeemed", "expired", "debt", "adjusted", "transfer", "forgiven"),
)
"""The account classes that have a name for people."""

_SOURCES: Final = (
    *(
        "order",
        "refund",
        "cancellation",
        "redemption",
        "claim",
        "merge",
        "unmerge",
        "api",
        "console",
        "time",
        "till",
        "campaign",
        "mission",
    ),
)


_EARN_RULES: Final = "earn"
"""How a posting names the earn policy that it is pinned to: `earn/1`."""


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """What made points move: the `cause`, and `where` it was, a channel and its number; that may be empty."""

    cause: str
    where: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in words. `rule` says which rules computed it; it may be empty.

    `own` is the member id it was posted under, where that is another one than the person's of today.
    """

    entry: Entry
    what: str
    occasion: Occasion
    rule: str
    own: str

    @property
    def member_address(self) -> str:
        """The console's page of the member it belongs to."""
        return f"/console/members/{public_id(MEMBER_PREFIX, self.entry.member_id)}"


def tell(
    entries: Sequence[Entry],
    t: Translator,
    *,
    channels: Mapping[str, str],
    receipts: Mapping[str, str] | None = None,
    present_id: UUID | None = None,
) -> list[Told]:
    """Entries in words, in their order.

    `channels` gives names by code, `receipts` the channel and number of redemptions by their source, and `present_id`
    the id of the person whose history it is, so that entries of merged members can say so.
    """
    return [_told(entry, t, channels, receipts or {}, present_id) for entry in entries]


def _told(
    entry: Entry, t: Translator, channels: Mapping[str, str], receipts: Mapping[str, str], present_id: UUID | None
) -> Told:
    foreign = present_id is not None and entry.member_id != present_id
    kind, _, version = (entry.rule_version or "").partition("/")
    return Told(
        entry=entry,
        what=t(f"console.entry.{_MEANINGS.get((entry.kind, entry.debit, entry.credit), 'moved')}"),
        occasion=occasion(entry.source, t, channels=channels, receipts=receipts),
        rule=t("console.entry.rule", version=version) if kind == _EARN_RULES else entry.rule_version or "",
        own=public_id(MEMBER_PREFIX, entry.member_id) if foreign else "",
    )


def occasion(
    source: str, t: Translator, *, channels: Mapping[str, str], receipts: Mapping[str, str] | None = None
) -> Occasion:
    """A source in words: `order:online/536381` is an order, of the channel `online`, with the number 536381."""
    head, _, rest = source.partition(":")
    code, _, document = rest.partition("/")
    where = (receipts or {}).get(source, "")
    if code in channels:
        where = t("console.entry.where", channel=channels[code], number=document) if document else channels[code]
    return Occasion(cause=t(f"console.source.{head}") if head in _SOURCES else source, where=where)
