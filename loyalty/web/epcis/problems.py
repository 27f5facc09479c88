"""Refusals as EPCIS says them: problem details whose `type` is one of the standard's exceptions."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from loyalty.items.epcis.capturing import CaptureLimitError
from loyalty.items.epcis.parameters import QueryParameterError
from loyalty.items.epcis.queries import QueryTooLargeError
from loyalty.kit.errors import DomainError
from loyalty.web.epcis.headers import add_headers
from loyalty.web.problems import handle_exception

_BY_KIND: Final = {
    QueryParameterError.type: "QueryParameterException",
    QueryTooLargeError.type: "QueryTooLargeException",
    CaptureLimitError.type: "CaptureLimitExceededException",
}
_BY_STATUS: Final = {
    400: "ValidationException",
    401: "SecurityException",
    403: "SecurityException",
    404: "NoSuchResourceException",
    406: "NotAcceptableException",
    409: "ResourceAlreadyExistsException",
    413: "CaptureLimitExceededException",
    414: "URITooLongException",
    415: "UnsupportedMediaTypeException",
}


def exception_name(kind: str, status: int) -> str:
    """The standard's name for a refusal: `epcisException:ValidationException`."""
    return "epcisException:" + (_BY_KIND.get(kind) or _BY_STATUS.get(status, "ImplementationException"))


def handle_epcis_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer an exception as EPCIS does; our own members, such as `errors` with their paths, are kept."""
    response = handle_exception(request, error)
    problem: dict[str, Any] = msgspec.json.decode(response.content)
    kind = str(problem["type"]).removeprefix("/problems/")
    problem["type"] = exception_name(kind, response.status_code or 500)
    response.content = msgspec.json.encode(problem)
    return add_headers(response)


EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    DomainError: handle_epcis_exception,
    HTTPException: handle_epcis_exception,
    Exception: handle_epcis_exception,
}
