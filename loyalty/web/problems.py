"""Every refusal and failure as RFC 9457 problem details, or as a page where a person asked.

`type` is a reference such as `/problems/insufficient-balance`: the same on every installation, and its address
answers with what it means.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import uuid4

import msgspec
import psycopg
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from loyalty.kit.errors import ConflictError, DomainError, FieldError, InvalidInputError, UnavailableError
from loyalty.web.requests import fault

logger: Final = logging.getLogger("loyalty.web")

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 2
_OUR_FAULT: Final = HTTPStatus.INTERNAL_SERVER_ERROR


class FieldFault(msgspec.Struct, frozen=True):
    """One field at fault."""

    field: str
    reason: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem before it is written down or drawn; `members` are its own, beside the standard ones."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldFault] = []
    instance: str | None = None
    members: dict[str, Any] = {}

    def to_json(self) -> bytes:
        """Write the problem, its own members beside the standard ones."""
        body: dict[str, Any] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "errors": self.errors,
        }
        if self.instance is not None:
            body["instance"] = self.instance
        return msgspec.json.encode({**self.members, **body}, enc_hook=str)


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457). A problem may carry further members of its own, such as `available`."""

    type: Annotated[str, msgspec.Meta(examples=["/problems/insufficient-balance"])]
    title: Annotated[str, msgspec.Meta(examples=["Not enough points"])]
    status: Annotated[int, msgspec.Meta(examples=[409])]
    detail: Annotated[str, msgspec.Meta(examples=["300 points can be spent, 500 were asked for"])]
    errors: list[FieldFault]
    instance: str | msgspec.UnsetType = msgspec.UNSET


ProblemPage = Callable[[Request[Any, Any, Any], Problem], Response[Any]]
"""Draws a problem for a person. The pages give theirs to create_app."""


class BusyError(ConflictError):
    """Another request holds the same member or the same idempotency key, and did not finish in time. Repeat it."""

    type = "busy"
    title = "Another request is still at work on this"


class MethodNotAllowedError(DomainError):
    """The address does not know this method."""

    status = 405
    type = "method-not-allowed"
    title = "This address does not know this method"


class TooLargeError(DomainError):
    """The body is larger than is read here."""

    status = 413
    type = "too-large"
    title = "The request is too large"


class MediaTypeError(DomainError):
    """The body is of a type that is not read here."""

    status = 415
    type = "unsupported-media-type"
    title = "This type of body is not read here"


_UNAVAILABLE_STATES: Final = ("08", "53", "57", "58")
"""SQLSTATE classes of a server that cannot answer: connection, resources, operator intervention, system."""
_RETRY_STATES: Final = ("40001", "40P01")
_LOCK_NOT_AVAILABLE: Final = "55P03"
_CANCELLED: Final = "57014"
_DISK_FULL: Final = "53100"
_MISSING: Final = re.compile(r"Missing required \w+ parameter '(?P<name>[^']+)'")
_FAULTS: Final = (DBAPIError, psycopg.Error)
_FOR_PROGRAMS: Final = ("v1", "epcis")
"""The first segments of paths that only programs ask."""


def problem_of(error: Exception, *, names: Mapping[str, str] | None = None) -> Problem:
    """What went wrong, as it may be told. Says nothing of our own insides.

    `names` are what a handler's parameters are called on the wire, where that differs.
    """
    refusal = _refusal(error, names or {})
    if refusal is not None:
        return Problem(
            type=f"/problems/{refusal.type}",
            title=refusal.title,
            status=refusal.status,
            detail=refusal.detail,
            errors=[FieldFault(each["field"], each["reason"]) for each in refusal.errors],
            members=refusal.members,
        )
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        if status < _OUR_FAULT:
            slug = status.phrase.lower().replace(" ", "-")
            return Problem(type=f"/problems/{slug}", title=status.phrase, status=status, detail=error.detail)
    return Problem(
        type=f"/problems/{DomainError.type}",
        title=DomainError.title,
        status=DomainError.status,
        detail="The request was not carried out. Repeat it with the same idempotency key; tell us the instance if it "
        "happens again.",
        instance=f"urn:uuid:{uuid4()}",
    )


class _InvalidParametersError(InvalidInputError):
    """Query, path or header parameters that Litestar refused."""

    def __init__(self, faults: list[FieldError]) -> None:
        detail = "; ".join(f"{each['field']}: {each['reason']}" for each in faults)
        super().__init__(detail or "a parameter is missing or not valid")
        self._faults = faults

    @property
    def errors(self) -> list[FieldError]:
        """Each parameter at fault."""
        return self._faults


def _parameter_faults(error: ValidationException, names: Mapping[str, str]) -> list[FieldError]:
    if missing := _MISSING.search(error.detail):
        return [FieldError(missing["name"], "is required")]
    messages: list[Mapping[str, str]] = error.extra if isinstance(error.extra, list) else []
    faults = [(message.get("key"), fault(message.get("message", "is not valid"))) for message in messages]
    return [FieldError(names.get(key, key) if key else found["field"], found["reason"]) for key, found in faults]


def _refusal(error: Exception, names: Mapping[str, str]) -> DomainError | None:
    """The error as one of our own; None where it is a fault of ours, whose text may tell of our insides."""
    if isinstance(error, DomainError):
        known = _database_refusal(error.__cause__) if isinstance(error.__cause__, _FAULTS) else None
        error = known or error
        return error if error.status < _OUR_FAULT or isinstance(error, UnavailableError) else None
    if isinstance(error, HTTPException):
        return _http_refusal(error, names)
    if isinstance(error, PoolTimeoutError):
        return UnavailableError("all database connections are busy; repeat the request in a moment")
    if isinstance(error, _FAULTS):
        return _database_refusal(error)
    if isinstance(error, (TimeoutError, ConnectionError)):
        return UnavailableError("the request took too long and was given up; repeat it with the same idempotency key")
    return None


def _http_refusal(error: HTTPException, names: Mapping[str, str]) -> DomainError | None:
    if isinstance(error, ValidationException):
        return _InvalidParametersError(_parameter_faults(error, names))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowedError("the Allow header lists the methods that this address knows")
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLargeError("the body is larger than is read here", field="body")
    if error.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        return MediaTypeError(error.detail, field="Content-Type")
    return None


def _database_refusal(error: Exception) -> DomainError | None:
    origin = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(origin, "sqlstate", None)
    if state == _LOCK_NOT_AVAILABLE:
        return BusyError(
            "another request on the same member or idempotency key did not finish in time; repeat this one"
        )
    if state in _RETRY_STATES:
        return UnavailableError("two requests stood in each other's way; repeat the request with the same key")
    if state == _CANCELLED:
        return UnavailableError("the request took too long and was given up; repeat it with the same idempotency key")
    if state == _DISK_FULL:
        return UnavailableError(
            "the database's disk is full and takes no writes until it has room; then repeat the request with the same "
            "idempotency key"
        )
    lost = state is None and isinstance(origin, (psycopg.OperationalError, psycopg.InterfaceError))
    if lost or (state is not None and state.startswith(_UNAVAILABLE_STATES)):
        return UnavailableError("the database does not answer; repeat the request with the same idempotency key")
    return None


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a person asked with a browser, rather than a program with the API."""
    first = request.scope["path"].split("/", 2)[1]
    return first not in _FOR_PROGRAMS and "text/html" in request.headers.get("accept", "")


def handle_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer an exception: problem+json for programs, a page for people. Logs what is our own fault."""
    problem = problem_of(error, names=_wire_names(request))
    # Neither headers, nor query, nor body are logged: they hold phone numbers and keys.
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        logger.warning("%s %s: %s (%s)", request.method, request.scope["path"], problem.detail, type(error).__name__)
    elif problem.status >= _OUR_FAULT:
        logger.error("%s %s failed: %s", request.method, request.scope["path"], problem.instance, exc_info=error)
    draw: ProblemPage | None = request.app.state.get("problem_page")
    if draw is not None and wants_page(request):
        response = draw(request, problem)
        response.status_code = problem.status
    else:
        response = Response(problem.to_json(), status_code=problem.status, media_type=PROBLEM_JSON)
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update({name.title(): value for name, value in error.headers.items()})
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE or problem.type == f"/problems/{BusyError.type}":
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _wire_names(request: Request[Any, Any, Any]) -> dict[str, str]:
    handler = request.scope.get("route_handler")
    if not isinstance(handler, HTTPRouteHandler):
        return {}
    definitions = {name: field.kwarg_definition for name, field in handler.parsed_fn_signature.parameters.items()}
    return {
        name: definition.name
        for name, definition in definitions.items()
        if isinstance(definition, ParameterKwarg) and definition.name
    }


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    DomainError: handle_exception,
    HTTPException: handle_exception,
    Exception: handle_exception,
}
