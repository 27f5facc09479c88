"""Requests and answers of a batch of postings."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

from loyalty.web.api.operations import MemberReference
from loyalty.web.api.points_schemas import (
    AdjustRequest,
    ClawBackRequest,
    ConfirmRequest,
    EarnRequest,
    EndHoldRequest,
    HoldRequest,
    PostingAnswer,
    ReverseRequest,
    SpendRequest,
)
from loyalty.web.idempotency import KEY_LENGTH
from loyalty.web.problems import ProblemDetails

MOST_ITEMS: Final = 10_000

ItemKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=KEY_LENGTH,
        pattern="^[ -~]+$",
        description="Your key for this item, of this member: the same that its own request would carry in its header.",
        examples=["order-536381"],
    ),
]
HoldReference = Annotated[
    str,
    Meta(pattern="^hld_[0-9A-Za-z]{26}$", description="A hold's id.", examples=["hld_01KA0000000000000000000000"]),
]


class EarnItem(EarnRequest, frozen=True, kw_only=True, tag_field="kind", tag="earn"):
    """Give points, as `earnPoints` does."""

    member_id: MemberReference
    idempotency_key: ItemKey


class SpendItem(SpendRequest, frozen=True, kw_only=True, tag_field="kind", tag="spend"):
    """Spend points, as `spendPoints` does."""

    member_id: MemberReference
    idempotency_key: ItemKey


class ClawBackItem(ClawBackRequest, frozen=True, kw_only=True, tag_field="kind", tag="claw_back"):
    """Take earned points back where no posting is named; what is not there becomes debt by the unit's policy."""

    member_id: MemberReference
    idempotency_key: ItemKey


class AdjustItem(AdjustRequest, frozen=True, kw_only=True, tag_field="kind", tag="adjust"):
    """Give or take points by hand, as `adjustPoints` does."""

    member_id: MemberReference
    idempotency_key: ItemKey


class ReverseItem(ReverseRequest, frozen=True, kw_only=True, tag_field="kind", tag="reverse"):
    """Take a posting back, as `reversePosting` does."""

    member_id: MemberReference
    idempotency_key: ItemKey


class HoldItem(HoldRequest, frozen=True, kw_only=True, tag_field="kind", tag="hold"):
    """Set points aside, as `holdPoints` does."""

    member_id: MemberReference
    idempotency_key: ItemKey


class CaptureItem(EndHoldRequest, frozen=True, kw_only=True, tag_field="kind", tag="capture"):
    """Spend points on hold, as `captureHold` does."""

    member_id: MemberReference
    hold_id: HoldReference
    idempotency_key: ItemKey


class ReleaseItem(EndHoldRequest, frozen=True, kw_only=True, tag_field="kind", tag="release"):
    """Free points on hold, as `releaseHold` does."""

    member_id: MemberReference
    hold_id: HoldReference
    idempotency_key: ItemKey


class ConfirmItem(ConfirmRequest, frozen=True, kw_only=True, tag_field="kind", tag="confirm"):
    """Make pending points spendable, as `confirmPoints` does."""

    member_id: MemberReference
    idempotency_key: ItemKey


BatchItem = (
    EarnItem | SpendItem | ClawBackItem | AdjustItem | ReverseItem | HoldItem | CaptureItem | ReleaseItem | ConfirmItem
)


class BatchRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Postings, each by itself: `kind` says what each asks for. Those of one member are posted in their order."""

    items: Annotated[list[BatchItem], Meta(min_length=1, max_length=MOST_ITEMS)]


class Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A BatchRequest whose items are not read yet, so that a bad one spoils no other."""

    items: Annotated[list[Raw], Meta(min_length=1, max_length=MOST_ITEMS)]


class BatchResult(Struct, frozen=True, kw_only=True):
    """What became of one item: its posting, or the problem that its own request would have been answered with."""

    index: Annotated[int, Meta(ge=0, description="The item's place in the batch, from 0.")]
    idempotency_key: Annotated[str | None, Meta(description="The item's key; null where it could not be read.")]
    status: Annotated[int, Meta(description="201: it is posted. Anything else is the problem's status.")]
    replayed: Annotated[bool, Meta(description="Whether this key was answered before, and this is that answer.")]
    posting: PostingAnswer | None
    problem: ProblemDetails | None


class BatchAnswer(Struct, frozen=True, kw_only=True):
    """The result of each item, in the order of the items, and how many were posted, replayed and refused."""

    posted: int
    replayed: int
    refused: int
    results: list[BatchResult]
