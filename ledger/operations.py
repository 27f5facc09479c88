"""What can be posted to one account, as values: the items of a batch, and what makes two requests the same.

Amounts are whole points, from 1 to 10^12. `key` is the idempotency key, unique for a member; `source` says in a few
machine-readable words what caused the posting, such as `order:online/536381`. Neither `source` nor `actor` nor what is
derived from the clock is part of a request: repeated with its key, it answers what it answered first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

import msgspec

from loyalty.kit.errors import InvalidInputError

UNIT_POLICY: Final = "policy"
ON_EVENT: Final = "on_event"
_MOST_TEXT: Final = 200
_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)

Expiry = datetime | Literal["policy"] | None
"""When points expire: by the unit's policy, never (None), or at a moment."""


def fingerprint(*request: Any) -> bytes:
    """What makes two requests the same. Values derived from the clock are left out by the callers."""
    return hashlib.sha256(msgspec.json.encode(request)).digest()[:16]


def check_text(field: str, value: str | None) -> None:
    """Refuse a text that an entry does not take. Raises InvalidInputError naming the field."""
    if value is not None and (not value or len(value) > _MOST_TEXT or not value.isprintable()):
        message = f"from 1 to {_MOST_TEXT} printable characters"
        raise InvalidInputError(message, field=field)


def expiry_arguments(expires_at: Expiry) -> dict[str, Any]:
    """An expiry as the functions in the database take it."""
    if isinstance(expires_at, datetime):
        return {"expiry": "at", "expires": expires_at}
    return {"expiry": "never" if expires_at is None else "policy", "expires": None}


def available_argument(available_at: datetime | Literal["on_event"] | None) -> datetime | None:
    """When points become spendable, as the functions in the database take it."""
    return _END_OF_TIME if available_at == ON_EVENT else available_at


class _Operation(msgspec.Struct, frozen=True, kw_only=True):
    kind: ClassVar[str]
    member_id: UUID
    unit: str = "points"
    key: str
    source: str

    @property
    def request_hash(self) -> bytes:
        """What the same request, repeated with its key, has in common with the first."""
        return fingerprint(self.kind, self.unit, *self._request())

    @property
    def more(self) -> Mapping[str, Any] | None:
        """What only this kind of posting needs, by the names that `ledger.post_singly` reads; None if plain."""
        return self._more()

    def _request(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _more(self) -> Mapping[str, Any] | None:
        return None

    def check(self) -> None:
        """Refuse texts that an entry does not take. Raises InvalidInputError naming the field."""
        for field in ("key", "source", "rule_version", "reason", "actor", "approved_by"):
            check_text(field, getattr(self, field, None))


class Earn(_Operation, frozen=True, kw_only=True):
    """Points come in, as `posting.earn` gives them."""

    kind: ClassVar[str] = "earn"
    amount: int
    rule_version: str | None = None
    effective_at: datetime | None = None
    expires_at: Expiry = UNIT_POLICY
    available_at: datetime | Literal["on_event"] | None = None
    priority: int = 0

    def _request(self) -> tuple[Any, ...]:
        return (
            self.amount,
            self.rule_version,
            self.effective_at,
            self.expires_at,
            self.available_at,
            self.priority,
        )

    def _more(self) -> Mapping[str, Any] | None:
        if self.expires_at == UNIT_POLICY and self.available_at is None and self.priority == 0:
            return None
        return {
            **expiry_arguments(self.expires_at),
            "available": available_argument(self.available_at),
            "priority": self.priority,
        }


class Spend(_Operation, frozen=True, kw_only=True):
    """Points go out, as `posting.spend` takes them."""

    kind: ClassVar[str] = "spend"
    amount: int
    effective_at: datetime | None = None

    def _request(self) -> tuple[Any, ...]:
        return (self.amount, self.effective_at)


class ClawBack(_Operation, frozen=True, kw_only=True):
    """Earned points are taken back, as by `posting.claw_back`."""

    kind: ClassVar[str] = "claw_back"
    amount: int
    rule_version: str | None = None
    effective_at: datetime | None = None

    def _request(self) -> tuple[Any, ...]:
        return (self.amount, self.rule_version, self.effective_at)


class Adjust(_Operation, frozen=True, kw_only=True):
    """Staff give (`amount` above 0) or take (below 0), as by `posting.adjust`."""

    kind: ClassVar[str] = "adjust"
    amount: int
    reason: str
    actor: str
    approved_by: str | None = None
    expires_at: Expiry = UNIT_POLICY

    def _request(self) -> tuple[Any, ...]:
        return (self.amount, self.reason, self.expires_at)

    def _more(self) -> Mapping[str, Any] | None:
        return {
            **expiry_arguments(self.expires_at),
            "reason": self.reason,
            "actor": self.actor,
            "approved_by": self.approved_by,
        }


class Hold(_Operation, frozen=True, kw_only=True):
    """Points are set aside, as by `posting.hold`."""

    kind: ClassVar[str] = "hold"
    amount: int
    hold_id: UUID
    expires_at: datetime

    def _request(self) -> tuple[Any, ...]:
        return (self.amount,)

    def _more(self) -> Mapping[str, Any] | None:
        return {"hold": self.hold_id, "expires": self.expires_at}


class Capture(_Operation, frozen=True, kw_only=True):
    """Points on hold are spent, as by `posting.capture`."""

    kind: ClassVar[str] = "capture"
    hold_id: UUID
    amount: int | None = None

    def _request(self) -> tuple[Any, ...]:
        return (self.hold_id, self.amount)

    def _more(self) -> Mapping[str, Any] | None:
        return {"hold": self.hold_id}


class Release(Capture, frozen=True, kw_only=True):
    """Points on hold are freed, as by `posting.release`."""

    kind: ClassVar[str] = "release"


class Reverse(_Operation, frozen=True, kw_only=True):
    """A posting is reversed, as by `posting.reverse`."""

    kind: ClassVar[str] = "reverse"
    sequence: int
    amount: int | None = None
    effective_at: datetime | None = None
    origin_member_id: UUID | None = None
    accounts: Sequence[UUID] = ()

    def _request(self) -> tuple[Any, ...]:
        origin = self.origin_member_id or self.member_id
        return (origin, self.sequence, self.amount, self.effective_at)

    def _more(self) -> Mapping[str, Any] | None:
        return {
            "seq": self.sequence,
            "origin": self.origin_member_id or self.member_id,
            "accounts": list(self.accounts),
        }


class Confirm(_Operation, frozen=True, kw_only=True):
    """Pending points become spendable, as by `posting.confirm`."""

    kind: ClassVar[str] = "confirm"
    sequence: int

    def _request(self) -> tuple[Any, ...]:
        return (self.sequence,)

    def _more(self) -> Mapping[str, Any] | None:
        return {"seq": self.sequence}


Operation = Earn | Spend | ClawBack | Adjust | Hold | Capture | Release | Reverse | Confirm
