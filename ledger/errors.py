"""What the ledger refuses, and how PostgreSQL's refusal becomes an error with a name.

The functions in the database raise SQLSTATE `LE001` with a code as message and figures as JSON; `refusals` turns that
into the class for the code. The transaction is then spent: the caller rolls back, and nothing is half done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg.errors
from sqlalchemy.exc import DBAPIError

from loyalty.kit.errors import (
    ConflictError,
    DomainError,
    IdempotencyMismatchError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)

SQLSTATE: Final = "LE001"


class InsufficientBalanceError(ConflictError):
    """Fewer points can be spent than were asked for. Members: `available`, `requested`, `unit`."""

    type = "insufficient-balance"
    title = "Not enough points"


class AccountNotFoundError(NotFoundError):
    """The member has never had an entry of this unit."""

    type = "account-not-found"
    title = "No such account"


class EntryNotFoundError(NotFoundError):
    """No posting has this number on this account."""

    type = "entry-not-found"
    title = "No such posting"


class HoldNotFoundError(NotFoundError):
    """The member has no such hold."""

    type = "hold-not-found"
    title = "No such hold"


class HoldExpiredError(ConflictError):
    """The hold ran out and freed its points. Members: `expired_at`."""

    type = "hold-expired"
    title = "The hold has expired"


class HoldClosedError(ConflictError):
    """The hold was captured or released before. Members: `state`."""

    type = "hold-closed"
    title = "The hold is closed"


class OverReversalError(ConflictError):
    """More is to be reversed, captured, released or reinstated than is left. Members: `left`, `requested`."""

    type = "more-than-left"
    title = "More than is left"


class NotReversibleError(ConflictError):
    """Postings of this kind are undone in another way: a hold is released, expired points are reinstated."""

    type = "not-reversible"
    title = "This kind of posting cannot be reversed"


class OpenHoldsError(ConflictError):
    """Members cannot be merged while one of them stands at a till with points on hold."""

    type = "open-holds"
    title = "Points are on hold"


class ApprovalNeededError(ConflictError):
    """An adjustment above the unit's limit needs a second person. Members: `limit`."""

    type = "approval-needed"
    title = "A second person has to approve this"


class ReinstateWindowOverError(ConflictError):
    """The points expired too long ago. Members: `expired_at`, `days`."""

    type = "reinstate-window-over"
    title = "Too late to bring these points back"


class SealOutOfOrderError(ConflictError):
    """Another process was quicker to make this seal. Members: `number`, `newest`."""

    type = "seal-out-of-order"
    title = "This seal was made before"


class AppendOnlyError(ConflictError):
    """Somebody tried to change what was posted."""

    type = "append-only"
    title = "What is posted is never changed"


_REFUSALS: Final[dict[str, tuple[type[DomainError], str, str | None]]] = {
    "insufficient_balance": (
        InsufficientBalanceError,
        "{available} {unit} can be spent, {requested} were asked for",
        "amount",
    ),
    "amount_out_of_range": (InvalidInputError, "an amount is from 1 to {most}", "amount"),
    "effective_in_future": (InvalidInputError, "{effective_at} is in the future", "effective_at"),
    "hold_expiry_out_of_range": (
        InvalidInputError,
        "a hold ends in the future, at most 400 days from now",
        "expires_at",
    ),
    "expiry_in_past": (InvalidInputError, "{expires_at} is in the past", "expires_at"),
    "account_not_found": (AccountNotFoundError, "the member has no account of this unit", "member"),
    "other_programme": (NotFoundError, "the member is not in this programme", "member"),
    "unit_not_found": (NotFoundError, "there is no unit {unit} in this programme", "unit"),
    "not_spendable": (InvalidInputError, "{unit} counts towards tiers and cannot be spent", "unit"),
    "entry_not_found": (EntryNotFoundError, "there is no such posting with number {sequence}", "sequence"),
    "hold_not_found": (HoldNotFoundError, "the member has no such hold", "hold"),
    "hold_expired": (HoldExpiredError, "the hold ran out at {expired_at} and its points are free again", "hold"),
    "hold_closed": (HoldClosedError, "the hold is {state} already", "hold"),
    "more_than_held": (OverReversalError, "{left} are left on hold, {requested} were asked for", "amount"),
    "more_than_left": (OverReversalError, "{left} are left of it, {requested} were asked for", "amount"),
    "not_reversible": (NotReversibleError, "a posting of kind {kind} is not undone by a reversal", "sequence"),
    "not_pending": (NotReversibleError, "posting {sequence} has no points that wait", "sequence"),
    "reinstate_window_over": (
        ReinstateWindowOverError,
        "these points expired at {expired_at}; they can come back within {days} days",
        "sequence",
    ),
    "approval_needed": (ApprovalNeededError, "above {limit} a second person has to approve", "approved_by"),
    "open_holds": (OpenHoldsError, "{held} points are on hold; capture or release them first", "member"),
    "same_member": (InvalidInputError, "points cannot be moved from a member to the same one", "to_member"),
    "key_reused": (IdempotencyMismatchError, "key {key} was used for another posting", "key"),
    "seal_out_of_order": (SealOutOfOrderError, "seal {number} cannot follow seal {newest}", None),
    "append_only": (AppendOnlyError, "rows of {table} are only ever added", None),
}


_AWAY: Final = ("08", "53", "57P", "58")
"""SQLSTATEs of a server that cannot go on: connection lost, disk or memory full, shut down, its files out of order."""


def named_refusal(code: str, figures: Mapping[str, Any]) -> DomainError:
    """The error for a code and the figures that belong to it."""
    kind, sentence, field = _REFUSALS[code]
    return kind(sentence.format_map(figures), field=field, **figures)


def refusal(error: psycopg.Error) -> DomainError | None:
    """The named error behind a PostgreSQL error, or None where it is not one of ours."""
    if error.sqlstate == SQLSTATE:
        figures: dict[str, Any] = msgspec.json.decode(error.diag.message_detail or "{}", type=dict[str, Any])
        return named_refusal(error.diag.message_primary or "", figures)
    if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.QueryCanceled):
        return UnavailableError("the account is busy; repeat the request with the same key")
    if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
        return UnavailableError("two postings stood in each other's way; repeat the request with the same key")
    lost = error.sqlstate is None and isinstance(error, psycopg.OperationalError)
    if lost or (error.sqlstate or "").startswith(_AWAY):
        return UnavailableError("the database does not answer; repeat the request with the same key")
    return None


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the database refuses inside the block into the errors of this module."""
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, psycopg.Error):
            named = refusal(cause)
            if named is not None:
                raise named from error
        raise
