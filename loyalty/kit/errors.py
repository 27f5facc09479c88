"""Errors that a person or a program is told about.

Every refusal in the product is a `DomainError`. It carries what RFC 9457 (problem details) needs: a stable type, a
title, an HTTP-like status and, where one field is at fault, its name. The web layer turns it into
`application/problem+json` or into a sentence on a page; the domain never imports HTTP.
"""

from __future__ import annotations

from typing import Any, ClassVar


class FieldError(dict[str, str]):
    """One field at fault: `{"field": "lines[0].quantity", "reason": "must be positive"}`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field=field, reason=reason)


class DomainError(Exception):
    """Base of all refusals. `type` is the stable last part of the problem's type URI."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str, *, field: str | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.members = members

    @property
    def errors(self) -> list[FieldError]:
        """The fields at fault, with reasons; empty where no single field is."""
        return [FieldError(self.field, self.detail)] if self.field else []


class InvalidInputError(DomainError):
    """A value that can never be accepted as it is."""

    status = 400
    type = "invalid-input"
    title = "The request is not valid"


class AuthenticationError(DomainError):
    """No credential, or one that is not known."""

    status = 401
    type = "not-authenticated"
    title = "Who is asking is not known"


class PermissionDeniedError(DomainError):
    """A known caller asks for what it may not do."""

    status = 403
    type = "not-permitted"
    title = "This is not permitted"


class NotFoundError(DomainError):
    """What the request names does not exist (in this programme)."""

    status = 404
    type = "not-found"
    title = "Not found"


class ConflictError(DomainError):
    """A well-formed request that the present state refuses. Subclasses name the rule."""

    status = 409
    type = "conflict"
    title = "The present state does not allow this"


class IdempotencyMismatchError(DomainError):
    """The same idempotency key came with another request (draft-ietf-httpapi-idempotency-key-header-07)."""

    status = 422
    type = "idempotency-key-reused"
    title = "This idempotency key was used for another request"


class TooManyAttemptsError(DomainError):
    """A limit on tries was reached."""

    status = 429
    type = "too-many-attempts"
    title = "Too many attempts"


class UnavailableError(DomainError):
    """The database, or another part, cannot answer now. Nothing was written; repeat with the same key."""

    status = 503
    type = "unavailable"
    title = "Not available at the moment"
