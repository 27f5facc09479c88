"""Pages: how many to answer, where to go on, and the Link header that says so."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

from litestar import Request

from loyalty.items.epcis.parameters import PAGE_SIZE, QueryParameterError, read_query
from loyalty.web.state import Services

TOKEN: Final = "nextPageToken"  # noqa: S105  (a parameter's name)
_SIZE: Final = "perPage"


def parameters(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    """The query, each parameter with all its values."""
    return {name: request.query_params.getall(name) for name in request.query_params}


def take_token(given: dict[str, list[str]]) -> str | None:
    """The place to go on from, taken out of the parameters. Raises QueryParameterError."""
    tokens = given.pop(TOKEN, [])
    if len(tokens) > 1:
        raise QueryParameterError("takes one value", field=TOKEN)
    return tokens[0] if tokens else None


def page_size(request: Request[Any, Any, Any]) -> tuple[int, str | None]:
    """The size of a page and the place to go on from, of a list that takes no other parameter.

    Raises QueryParameterError.
    """
    given = parameters(request)
    token = take_token(given)
    sizes = given.pop(_SIZE, [str(PAGE_SIZE)])
    if given:
        raise QueryParameterError("is not a parameter of this request", field=next(iter(given)))
    if len(sizes) != 1:
        raise QueryParameterError("takes one value", field=_SIZE)
    return read_query({_SIZE: sizes}).page_size, token


def next_link(request: Request[Any, Any, Any], services: Services, token: str | None) -> dict[str, str]:
    """The Link header to the next page; nothing at the end."""
    if token is None:
        return {}
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name != TOKEN]
    query = urlencode([*pairs, (TOKEN, token)], quote_via=quote)
    path = bytes(request.scope.get("raw_path") or b"").split(b"?", 1)[0].decode("ascii", "replace")
    return {"Link": f'<{services.settings.public_url}{path}?{query}>; rel="next"'}
