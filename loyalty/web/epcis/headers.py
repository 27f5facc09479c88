"""What a request of EPCIS says in its headers, and what each answer says in its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import unquote

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from loyalty.items.epcis.answers import Format
from loyalty.kit.errors import DomainError, InvalidInputError
from loyalty.web.problems import MediaTypeError
from loyalty.web.security.api_keys import Caller, Scope
from loyalty.web.state import services_of

EPCIS_VERSION: Final = "2.0"
CBV_VERSION: Final = "2.0"
VENDOR_VERSION: Final = "tallystar"
ADDRESS_LIMIT: Final = 4000
"""The longest path and query, in bytes."""
JSON_TYPES: Final = ("application/json", "application/ld+json")

_VERSION: Final = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,2}")
_OURS: Final = (2, 0)
_FORMATS: Final[dict[str, Format]] = {
    "No_Preference": "Never_Translates",
    "Never_Translates": "Never_Translates",
    "Always_GS1_Digital_Link": "Always_GS1_Digital_Link",
}


class NotAcceptableError(DomainError):
    """The request asks for a version, a type of content or a spelling of EPCs that is not answered here."""

    status = 406
    type = "not-acceptable"
    title = "This cannot be answered in the way that is asked for"


class AddressTooLongError(DomainError):
    """The path and the query are longer than is read here."""

    status = 414
    type = "address-too-long"
    title = "The address is too long"


class Admit:
    """A guard: the key has the scope, and the request can be answered. The handler finds who asks as `caller`."""

    def __init__(self, scope: Scope) -> None:
        self.scope: Final = scope

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        """Recognise the caller and read what it asks for. Raises what the answer to a bad request is."""
        caller = await services_of(connection).callers.recognise(connection.headers.get("authorization"))
        caller.demand(self.scope)
        connection.state["caller"] = caller
        scope = cast("dict[str, Any]", connection.scope)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > ADDRESS_LIMIT:
            raise AddressTooLongError(f"the path and the query have at most {ADDRESS_LIMIT} bytes", field="path")
        for name in ("EPCIS", "CBV"):
            _check_versions(connection, name)
        _check_accept(connection.headers.get("accept"))
        epc_format(connection)


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Who asks; the guard has recognised them."""
    caller = request.state["caller"]
    assert isinstance(caller, Caller)  # noqa: S101  (every operation has the guard)
    return caller


def epc_format(connection: ASGIConnection[Any, Any, Any, Any]) -> Format:
    """How EPCs are to be spelled in the answer. Raises NotAcceptableError.

    URNs cannot be made of Digital Links, which do not say how long the company prefix is.
    """
    asked = connection.headers.get("GS1-EPC-Format", "No_Preference")
    if asked not in _FORMATS:
        raise NotAcceptableError(f"EPCs are answered as {', '.join(_FORMATS)}", field="GS1-EPC-Format")
    return _FORMATS[asked]


def check_body_type(request: Request[Any, Any, Any]) -> None:
    """Raises MediaTypeError where the body is not JSON."""
    media_type = request.content_type[0]
    if media_type not in JSON_TYPES:
        message = f"this address reads {' and '.join(JSON_TYPES)}, not {media_type[:80] or 'what does not say'}"
        raise MediaTypeError(message, field="Content-Type")


def segments_after(request: Request[Any, Any, Any], resource: str) -> list[str]:
    """The segments of the path behind a resource, each decoded by itself."""
    raw = bytes(request.scope.get("raw_path") or request.scope["path"].encode()).split(b"?", 1)[0]
    segments = raw.decode("ascii", "replace").strip("/").split("/")
    return [unquote(segment) for segment in segments[segments.index(resource) + 1 :]]


def add_headers(response: Response[Any]) -> Response[Any]:
    """Say the versions in every answer."""
    response.headers.setdefault("GS1-EPCIS-Version", EPCIS_VERSION)
    response.headers.setdefault("GS1-CBV-Version", CBV_VERSION)
    return response


def json_answer(
    content: bytes,
    request: Request[Any, Any, Any],
    *,
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    """An answer in JSON, under the name for it that was asked for."""
    accept = request.headers.get("accept", "")
    media_type = (
        "application/ld+json" if "ld+json" in accept and "application/json" not in accept else "application/json"
    )
    return Response(content, status_code=status, media_type=media_type, headers=headers or {})


def _check_versions(connection: ASGIConnection[Any, Any, Any, Any], name: str) -> None:
    asked = _version(connection, f"GS1-{name}-Version")
    low, high = _version(connection, f"GS1-{name}-Min"), _version(connection, f"GS1-{name}-Max")
    if (
        (asked is not None and asked != _OURS)
        or (low is not None and low > _OURS)
        or (high is not None and high < _OURS)
    ):
        raise NotAcceptableError(f"{name} is spoken here in version {EPCIS_VERSION}", field=f"GS1-{name}-Version")


def _version(connection: ASGIConnection[Any, Any, Any, Any], header: str) -> tuple[int, int] | None:
    text = connection.headers.get(header)
    if text is None:
        return None
    if not _VERSION.fullmatch(text.strip()):
        raise InvalidInputError("is not a version such as 2.0", field=header)
    major, minor, *_ = [*map(int, text.strip().split(".")), 0]
    return major, minor


def _check_accept(accept: str | None) -> None:
    if accept is None or any(_takes_json(part) for part in accept.split(",")):
        return
    raise NotAcceptableError(f"answers are {' or '.join(JSON_TYPES)}", field="Accept")


def _takes_json(part: str) -> bool:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    refused = any(_is_zero(parameter) for parameter in parameters)
    return not refused and media_type in ("*/*", "application/*", *JSON_TYPES)


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and set(value.strip()) <= {"0", "."}


def one_of(values: Iterable[str], header: str, given: str) -> str:
    """A header's value, which is one of a few. Raises InvalidInputError."""
    allowed = tuple(values)
    if given not in allowed:
        raise InvalidInputError(f"{given[:40]!r} is none of {', '.join(allowed)}", field=header)
    return given
