"""Requests and answers about points and holds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ledger.past import Position
from ledger.posting import Posting
from ledger.reading import Balance, Entry, Hold, Lot
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.api.operations import (
    MAX_INTEGER,
    MAX_POINTS,
    MemberReference,
    Moment,
    Person,
    Points,
    Reference,
    Text,
    UnitCode,
    tell,
)

HOLD_PREFIX = "hld"

Sequence = Annotated[
    int,
    Meta(ge=1, le=MAX_INTEGER, description="`sequence` of the posting, as it was answered.", examples=[3]),
]
HoldSeconds = Annotated[
    int, Meta(ge=1, le=400 * 86_400, description="How long the points stay set aside.", examples=[900])
]
SignedPoints = Annotated[
    int,
    Meta(
        ge=-MAX_POINTS,
        le=MAX_POINTS,
        description="Points to give (above 0) or to take (below 0); 0 is refused.",
        examples=[-50],
    ),
]


class EarnRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give points. They expire as the unit's policy says unless `expires_at` or `never_expires` is given."""

    amount: Points
    source: Reference
    unit: UnitCode = "points"
    effective_at: Moment | None = None
    expires_at: Moment | None = None
    never_expires: bool = False
    available_at: Moment | None = None
    pending: Annotated[bool, Meta(description="Wait for `confirm` before the points can be spent.")] = False


class SpendRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Spend points, soonest-expiring first; refused whole where there are too few."""

    amount: Points
    source: Reference
    unit: UnitCode = "points"
    effective_at: Moment | None = None


class ClawBackRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take earned points back, of no posting in particular; what is not there becomes debt by the unit's policy."""

    amount: Points
    source: Reference
    unit: UnitCode = "points"
    effective_at: Moment | None = None


class ConfirmRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make the pending points of an earn spendable."""

    sequence: Sequence
    source: Reference
    unit: UnitCode = "points"


class ReverseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Undo an earn or a spend, whole or in part; never beyond what is left of it."""

    sequence: Sequence
    source: Reference
    unit: UnitCode = "points"
    amount: Points | None = None
    effective_at: Moment | None = None


class AdjustRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give or take points by hand, with a reason; above the unit's limit with a second person's name."""

    amount: SignedPoints
    reason: Text
    actor: Person
    source: Reference
    unit: UnitCode = "points"
    approved_by: Person | None = None


class TransferRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give points to another member; they keep their expiry."""

    to_member_id: MemberReference
    amount: Points
    source: Reference
    unit: UnitCode = "points"


class HoldRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set points aside, to be captured or released; they free themselves when the time is over."""

    amount: Points
    source: Reference
    unit: UnitCode = "points"
    expires_in_seconds: HoldSeconds = 900


class EndHoldRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Capture or release what is on hold: all that is left, or a part."""

    source: Reference
    unit: UnitCode = "points"
    amount: Points | None = None


class BalanceAnswer(Struct, frozen=True, kw_only=True):
    """A member's points of one unit."""

    unit: str
    spendable: int
    pending: int
    held: int
    debt: int


class PostingAnswer(Struct, frozen=True, kw_only=True):
    """What was posted, and the balance right after it.

    `sequence` names the posting for `confirm` and `reverse`; it is null where there was nothing to move.
    """

    member_id: str
    sequence: int | None
    balance: BalanceAnswer
    recorded_at: datetime
    hold_id: str | None


class HoldAnswer(Struct, frozen=True, kw_only=True):
    """Points on hold. `left` can still be captured or released."""

    id: str
    member_id: str
    unit: str
    amount: int
    captured: int
    released: int
    left: int
    state: str
    expires_at: datetime


class LotAnswer(Struct, frozen=True, kw_only=True):
    """Points that arrived together and expire together, in the order in which they will be spent."""

    sequence: int
    granted: int
    remaining: int
    expires_at: datetime | None
    available_at: datetime | None
    pending: bool
    source: str


class EntryAnswer(Struct, frozen=True, kw_only=True):
    """One entry of the ledger. `change` is what it did to the points that can be spent."""

    member_id: str
    unit: str
    sequence: int
    posting: int
    kind: str
    change: int
    amount: int
    debit: str
    credit: str
    balance: BalanceAnswer
    source: str
    reason: str | None
    reverses: int | None
    hold_id: str | None
    expires_at: datetime | None
    effective_at: datetime
    recorded_at: datetime


class ExpiringAnswer(Struct, frozen=True, kw_only=True):
    """Points that expire at one moment; null is never."""

    expires_at: datetime | None
    amount: int


class PositionAnswer(Struct, frozen=True, kw_only=True):
    """A balance at a past moment, and when what was spendable then would expire."""

    moment: datetime
    balance: BalanceAnswer
    expiring: list[ExpiringAnswer]


class Balances(Struct, frozen=True, kw_only=True):
    """A member's balance of every unit that was ever posted."""

    data: list[BalanceAnswer]


class Lots(Struct, frozen=True, kw_only=True):
    """A member's lots."""

    data: list[LotAnswer]


class Entries(Struct, frozen=True, kw_only=True):
    """A page of entries, newest first."""

    data: list[EntryAnswer]
    next_cursor: str | None


def balance_answer(balance: Balance) -> BalanceAnswer:
    """A balance as it is told."""
    return tell(BalanceAnswer, balance)


def posting_answer(posting: Posting) -> PostingAnswer:
    """A posting as it is told: only what the ledger keeps of it, so that a repetition tells the same."""
    return PostingAnswer(
        member_id=public_id(MEMBER_PREFIX, posting.member_id),
        sequence=posting.sequence or None,
        balance=BalanceAnswer(
            unit=posting.unit, spendable=posting.posted, pending=posting.pending, held=posting.held, debt=posting.debt
        ),
        recorded_at=posting.recorded_at,
        hold_id=public_id(HOLD_PREFIX, posting.hold_id) if posting.hold_id else None,
    )


def _after(moved: Entry | Position) -> BalanceAnswer:
    return tell(BalanceAnswer, moved, spendable=moved.posted)


def hold_answer(hold: Hold) -> HoldAnswer:
    """A hold as it is told."""
    return tell(
        HoldAnswer,
        hold,
        id=public_id(HOLD_PREFIX, hold.hold_id),
        member_id=public_id(MEMBER_PREFIX, hold.member_id),
    )


def lot_answer(lot: Lot) -> LotAnswer:
    """A lot as it is told."""
    return tell(LotAnswer, lot)


def entry_answer(entry: Entry) -> EntryAnswer:
    """An entry as it is told."""
    return tell(
        EntryAnswer,
        entry,
        member_id=public_id(MEMBER_PREFIX, entry.member_id),
        balance=_after(entry),
        hold_id=public_id(HOLD_PREFIX, entry.hold_id) if entry.hold_id else None,
        expires_at=entry.lot_expires_at,
    )


def position_answer(position: Position) -> PositionAnswer:
    """A past position as it is told."""
    return PositionAnswer(
        moment=position.moment,
        balance=_after(position),
        expiring=[ExpiringAnswer(expires_at=each.expires_at, amount=each.amount) for each in position.expiring],
    )
