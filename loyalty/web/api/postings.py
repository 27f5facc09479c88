"""From a request of the API to a posting: what each kind asks of the ledger, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeVar
from uuid import UUID

from litestar import Response
from msgspec import Struct

from ledger.operations import (
    ON_EVENT,
    UNIT_POLICY,
    Adjust,
    Capture,
    ClawBack,
    Confirm,
    Earn,
    Expiry,
    Release,
    Reverse,
    Spend,
)
from ledger.posting import Posting
from loyalty.campaigns.requests import HoldFor
from loyalty.campaigns.requests import Request as Posted
from loyalty.kit.errors import IdempotencyMismatchError, InvalidInputError
from loyalty.kit.ids import new_id, parse_public_id
from loyalty.web.api import points_schemas as shapes
from loyalty.web.api.people import member_uuid
from loyalty.web.idempotency import HEADER, answer, ledger_key
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

STATUS: Final = 201
"""A posting was made, or had been made before."""

Request = TypeVar("Request", bound=Struct)


class Target(NamedTuple):
    """Where a posting goes: whose account, under which key of the ledger, from which hold."""

    member_id: UUID
    key: str
    hold_id: UUID | None = None

    @property
    def hold(self) -> UUID:
        """The hold, which postings about holds have."""
        assert self.hold_id is not None  # noqa: S101  (their paths and items name it)
        return self.hold_id


Build = Callable[[Request, Target], Posted]
"""What a request asks of the ledger. Raises InvalidInputError naming the field."""


def hold_uuid(hold_id: str) -> UUID:
    """The UUID in a hold's id. Raises NotFoundError."""
    return parse_public_id(shapes.HOLD_PREFIX, hold_id, field="hold_id")


def earn(asked: shapes.EarnRequest, target: Target) -> Earn:
    """Points come in."""
    return Earn(
        member_id=target.member_id,
        unit=asked.unit,
        amount=asked.amount,
        key=target.key,
        source=asked.source,
        effective_at=asked.effective_at,
        expires_at=_expiry(asked),
        available_at=_availability(asked),
    )


def _expiry(asked: shapes.EarnRequest) -> Expiry:
    if asked.never_expires and asked.expires_at is not None:
        raise InvalidInputError("give expires_at or never_expires, not both", field="expires_at")
    return None if asked.never_expires else asked.expires_at or UNIT_POLICY


def _availability(asked: shapes.EarnRequest) -> datetime | Literal["on_event"] | None:
    if asked.pending and asked.available_at is not None:
        raise InvalidInputError("give available_at or pending, not both", field="available_at")
    return ON_EVENT if asked.pending else asked.available_at


def spend(asked: shapes.SpendRequest, target: Target) -> Spend:
    """Points go out."""
    return Spend(
        member_id=target.member_id,
        unit=asked.unit,
        amount=asked.amount,
        key=target.key,
        source=asked.source,
        effective_at=asked.effective_at,
    )


def claw_back(asked: shapes.ClawBackRequest, target: Target) -> ClawBack:
    """Earned points are taken back, of no posting in particular."""
    return ClawBack(
        member_id=target.member_id,
        unit=asked.unit,
        amount=asked.amount,
        key=target.key,
        source=asked.source,
        effective_at=asked.effective_at,
    )


def confirm(asked: shapes.ConfirmRequest, target: Target) -> Confirm:
    """Pending points become spendable."""
    return Confirm(
        member_id=target.member_id, unit=asked.unit, sequence=asked.sequence, key=target.key, source=asked.source
    )


def adjust(asked: shapes.AdjustRequest, target: Target) -> Adjust:
    """Staff give or take."""
    if asked.amount == 0:
        raise InvalidInputError("must not be 0", field="amount")
    if asked.approved_by == asked.actor:
        raise InvalidInputError("must be another person than the actor", field="approved_by")
    return Adjust(
        member_id=target.member_id,
        unit=asked.unit,
        amount=asked.amount,
        key=target.key,
        source=asked.source,
        reason=asked.reason,
        actor=asked.actor,
        approved_by=asked.approved_by,
    )


def reverse(asked: shapes.ReverseRequest, target: Target) -> Reverse:
    """A posting is undone, of the member whose it was then."""
    return Reverse(
        member_id=target.member_id,
        unit=asked.unit,
        sequence=asked.sequence,
        amount=asked.amount,
        key=target.key,
        source=asked.source,
        effective_at=asked.effective_at,
        origin_member_id=target.member_id,
    )


def hold(asked: shapes.HoldRequest, target: Target) -> HoldFor:
    """Points are set aside."""
    return HoldFor(
        member_id=target.member_id,
        unit=asked.unit,
        amount=asked.amount,
        hold_id=new_id(),
        seconds=asked.expires_in_seconds,
        key=target.key,
        source=asked.source,
    )


def capture(asked: shapes.EndHoldRequest, target: Target) -> Capture:
    """Points on hold are spent."""
    return Capture(
        member_id=target.member_id,
        unit=asked.unit,
        hold_id=target.hold,
        amount=asked.amount,
        key=target.key,
        source=asked.source,
    )


def release(asked: shapes.EndHoldRequest, target: Target) -> Release:
    """Points on hold are freed."""
    return Release(
        member_id=target.member_id,
        unit=asked.unit,
        hold_id=target.hold,
        amount=asked.amount,
        key=target.key,
        source=asked.source,
    )


async def make(services: Services, caller: Caller, operation: Posted) -> Posting:
    """Post, together with whatever else is being posted. Raises what refuses it, and UnavailableError."""
    try:
        return await services.coalescer.post(caller.programme_id, operation)
    except IdempotencyMismatchError as error:
        raise IdempotencyMismatchError(error.detail, field=HEADER) from error


async def post_one(
    services: Services,
    caller: Caller,
    header: str,
    member_id: str,
    asked: Request,
    build: Build[Request],
    *,
    hold_id: str | None = None,
) -> Response[Any]:
    """Post what one request asks for, once for its key, and answer with the posting. Raises as `make` and `build`."""
    target = Target(
        member_id=member_uuid(member_id),
        key=ledger_key(caller, header),
        hold_id=hold_uuid(hold_id) if hold_id is not None else None,
    )
    made = await make(services, caller, build(asked, target))
    return answer(shapes.posting_answer(made), status=STATUS, replayed=made.replayed)
