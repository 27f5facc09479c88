"""What every operation of the API is made of: its scope, its declared errors, its key, its pages of results."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

import msgspec
from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError, PermissionDeniedError
from loyalty.kit.programme import Channel, get_channel
from loyalty.web.idempotency import HEADER, KEY_LENGTH
from loyalty.web.problems import PROBLEM_JSON, ProblemDetails
from loyalty.web.security.api_keys import Caller, Scope
from loyalty.web.state import services_of

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

MAX_INTEGER: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (RFC 8259, section 6)."""
MAX_POINTS: Final = 10**12
PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 200
_CURSOR_LENGTH: Final = 200

Points = Annotated[int, Meta(ge=1, le=MAX_POINTS, description="Whole points.", examples=[100])]
AmountMinor = Annotated[
    int,
    Meta(ge=0, le=MAX_INTEGER, description="An amount in the currency's minor unit, such as fen.", examples=[12900]),
]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code.", examples=["CNY"])]
Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=120,
        pattern=r"^[!-~]+$",
        description="Your own name for what caused this, without blanks; shown in the history.",
        examples=["order:online/536381"],
    ),
]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Person = Annotated[
    str, Meta(min_length=1, max_length=100, description="Who does it, in your own system.", examples=["li.na"])
]
ChannelCode = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9][a-z0-9-]{0,39}$",
        description="A channel's code. Left out, it is the channel of the API key.",
        examples=["online"],
    ),
]
Moment = Annotated[
    datetime, Meta(tz=True, description="RFC 3339, with its offset.", examples=["2026-03-01T10:00:00+08:00"])
]
MemberReference = Annotated[
    str,
    Meta(pattern="^mem_[0-9A-Za-z]{26}$", description="A member's id.", examples=["mem_01KA0000000000000000000000"]),
]
UnitCode = Annotated[
    str,
    Meta(pattern="^[a-z][a-z0-9_]{0,29}$", description="What is counted, such as points.", examples=["points"]),
]

IdempotencyKey = Annotated[
    str,
    HeaderParameter(
        name=HEADER,
        min_length=1,
        max_length=KEY_LENGTH + 2,
        pattern=r'^("([ !#-~]|\\")+"|[!#-~][!-~]*)$',
        description="Your key for this request, such as a UUID, quoted or bare. Repeat a request with the same key "
        "until it is answered: it takes effect once and every repetition gets the first answer.",
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE_SIZE, description="How many to answer with at most.")]
Cursor = Annotated[
    str | None,
    QueryParameter(max_length=_CURSOR_LENGTH, description="`next_cursor` of the answer before, to go on from there."),
]

_DESCRIPTIONS: Final = {
    HTTPStatus.BAD_REQUEST: "The request is not valid; `errors` names each field and the reason.",
    HTTPStatus.UNAUTHORIZED: "No API key, or one that is unknown or revoked.",
    HTTPStatus.FORBIDDEN: "The key does not have the scope, or acts for another channel.",
    HTTPStatus.NOT_FOUND: "What the request names does not exist in this programme.",
    HTTPStatus.CONFLICT: "The present state does not allow this; `type` names the rule.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than a megabyte.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not application/json.",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The download cannot go on from there: nothing was sent up to it.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The idempotency key was used for another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "A limit on tries was reached; `retry_after_seconds` says how long to wait.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault on our side; nothing was written.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available at the moment; repeat the request with the same key.",
}
_ALWAYS: Final = (400, 401, 403, 500, 503)
_WITH_BODY: Final = (413, 415)
_WITH_KEY: Final = (409, 422)


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors an operation may answer with: those given and those that every operation has."""
    return {
        status: ResponseSpec(
            ProblemDetails,
            description=_DESCRIPTIONS[HTTPStatus(status)],
            media_type=PROBLEM_JSON,
            generate_examples=False,
        )
        for status in sorted({*_ALWAYS, *statuses})
    }


def body_problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors of an operation that reads a body."""
    return problems(*_WITH_BODY, *statuses)


def keyed_problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors of an operation that reads a body and takes an idempotency key."""
    return problems(*_WITH_BODY, *_WITH_KEY, *statuses)


class Require:
    """A guard: the request carries an API key, with the scope if one is named. The handler finds it as `caller`."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope: Final = scope

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Recognise the caller. Raises AuthenticationError, PermissionDeniedError, InvalidInputError (the query)."""
        caller = await services_of(connection).callers.recognise(connection.headers.get("authorization"))
        if self.scope is not None:
            caller.demand(self.scope)
        connection.state["caller"] = caller
        unknown = sorted(connection.query_params.keys() - _query_names(handler))
        if unknown:
            raise InvalidInputError("is not a parameter of this request", field=unknown[0][:100] or "query")


@lru_cache(maxsize=512)
def _query_names(handler: BaseRouteHandler) -> frozenset[str]:
    """The parameters that an operation reads from the query."""
    definitions = {name: field.kwarg_definition for name, field in handler.parsed_fn_signature.parameters.items()}
    return frozenset(
        definition.name or name for name, definition in definitions.items() if isinstance(definition, QueryParameter)
    )


async def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """Hand the caller, whom the guard has recognised, to the handler."""
    caller = request.state["caller"]
    assert isinstance(caller, Caller)  # noqa: S101  (every operation has a `require` guard)
    return caller


async def acting_channel(connection: AsyncConnection, caller: Caller, code: str | None) -> Channel:
    """The channel that a request is made for: the key's own, or the one it names where the key is the programme's.

    Raises PermissionDeniedError where a channel's key names another, InvalidInputError where neither says which,
    NotFoundError.
    """
    if caller.channel is not None:
        if code not in (None, caller.channel.code):
            message = f"this key acts for the channel {caller.channel.code!r} alone"
            raise PermissionDeniedError(message, field="channel")
        return caller.channel
    if code is None:
        raise InvalidInputError("is required, because this key acts for the whole programme", field="channel")
    return await get_channel(connection, caller.programme_id, code)


def tell(kind: type[S], source: msgspec.Struct, /, **given: Any) -> S:
    """An answer of a kind: the fields given, and the rest from what the domain answered, by their names."""
    return kind(**{name: given[name] if name in given else getattr(source, name) for name in kind.__struct_fields__})


def write_cursor(*parts: Any) -> str:
    """A place in a list, to be sent back as it is."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def read_cursor(cursor: str, kind: type[T]) -> T:
    """The parts of a cursor that `write_cursor` wrote, as a tuple type. Raises InvalidInputError."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise InvalidInputError("is not a cursor that was given here", field="cursor") from error
