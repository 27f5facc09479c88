"""The OpenAPI document: what Litestar knows of the routes, made exact.

Litestar's own schemas lose what msgspec checks (unknown fields are refused, null beside a limit, tags of unions), so
the components are msgspec's. Error answers, scopes, the replay header and examples are added for every operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from loyalty.web.api.examples import ANSWERS, REQUESTS
from loyalty.web.api.operations import Require
from loyalty.web.idempotency import HEADER, REPLAYED_HEADER
from loyalty.web.problems import ProblemDetails
from loyalty.web.requests import JSON

_REFERENCES: Final = "#/components/schemas/{name}"
_FIRST_ERROR: Final = 400

DESCRIPTION: Final = f"""
The API of one loyalty programme: members, points, orders, tiers, redemptions and item codes.

**Who asks.** Send an API key: `Authorization: Bearer tsk_...`. A key has scopes, and acts for one channel or for the
whole programme. `GET /v1/programme` says what yours may do.

**Exactly once.** A posting takes the header `{HEADER}`: your own key for the request, at most 128 characters. Repeat
the request with the same key until it is answered: it takes effect once, and every repetition gets the same bytes,
marked `{REPLAYED_HEADER}: true`. The same key with another request is refused with 422; a key whose first request
still runs waits for it, and is answered 409 if that takes more than five seconds. A request that was refused wrote
nothing and may be sent again, changed or not, with the same key. Keys of postings are kept for ever, others 30 days.

**Numbers and times.** Points and money are whole numbers, money in the currency's minor unit. Times are RFC 3339 with
an offset. Unknown fields are refused.

**Errors** are problem details (RFC 9457, `application/problem+json`); `type` is stable and its address says what it
means, and `errors` names each field at fault and the reason. Where the status is 400 or above, nothing was written.

**Lists** come in pages: send `next_cursor` of one answer as `cursor` of the next request.
""".strip()


def openapi_document(app: Litestar) -> dict[str, Any]:
    """The whole document as JSON-compatible values."""
    document: dict[str, Any] = msgspec.to_builtins(app.openapi_schema.to_schema(), enc_hook=str)
    operations = {handler.operation_id: handler for handler in _handlers(app)}
    document["info"]["description"] = DESCRIPTION
    document["components"] = {
        "schemas": _schemas(operations.values()),
        "securitySchemes": {
            "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, `tsk_...`."},
        },
    }
    for item in document["paths"].values():
        for operation in item.values():
            _complete(operation, operations[operation["operationId"]])
    return document


def _handlers(app: Litestar) -> Iterator[HTTPRouteHandler]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from (handler for handler in route.route_handlers if handler.resolve_include_in_schema())


def _schemas(handlers: Any) -> dict[str, Any]:
    """The schemas of every request and answer, by the names that Litestar's references use."""
    types: dict[str, Any] = {ProblemDetails.__name__: ProblemDetails}
    for handler in handlers:
        signature = handler.parsed_fn_signature
        answer = signature.return_type
        found = [answer.inner_types[0].annotation if answer.inner_types else answer.annotation]
        if "data" in signature.parameters:
            found.append(signature.parameters["data"].annotation)
        found += [kind for part in ("reads", "answers") for kind in handler.opt.get(part, {}).values()]
        types |= {each.__name__: each for each in found if _is_struct(each)}
    _, components = msgspec.json.schema_components(types.values(), ref_template=_REFERENCES)
    return dict(sorted(components.items()))


def _is_struct(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    scope = next((guard.scope for guard in handler.guards or () if isinstance(guard, Require)), None)
    if scope is not None:
        operation["description"] = f"{operation['description']}\n\nScope: `{scope}`."
    _add_media_types(operation, handler)
    keyed = any(parameter["name"] == HEADER for parameter in operation.get("parameters", ()))
    for status, answer in operation["responses"].items():
        if int(status) >= _FIRST_ERROR:
            continue
        answer["description"] = f"{operation['summary']}."
        if keyed:
            answer["headers"] = {REPLAYED_HEADER: _REPLAYED}
        _add_example(answer, ANSWERS.get(operation["operationId"]))
    if "requestBody" in operation:
        _add_example(operation["requestBody"], REQUESTS[operation["operationId"]])


def _add_media_types(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Bodies that an operation reads and writes itself: `reads` and `answers` of its `opt`, a type a media type."""
    if "reads" in handler.opt:
        operation["requestBody"] = {"required": True, "content": _content(handler.opt["reads"])}
    if "answers" in handler.opt:
        operation["responses"][str(handler.status_code)]["content"] = _content(handler.opt["answers"])


def _content(kinds: Mapping[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": _media_schema(media_type, kind)} for media_type, kind in kinds.items()}


def _media_schema(media_type: str, kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REFERENCES)
    if media_type == JSON:
        return schema
    return {"type": "string", "description": "On each line one of these.", "contentSchema": schema}


def _add_example(body: dict[str, Any], example: Mapping[str, Any] | None) -> None:
    if example is None:
        return
    for media_type, content in body["content"].items():
        content["example"] = example if media_type == JSON else _lines(example)


def _lines(example: Mapping[str, Any]) -> str:
    """An example of a list as lines of JSON."""
    (members,) = (value for value in example.values() if isinstance(value, list))
    return msgspec.json.Encoder().encode_lines(members).decode()


_REPLAYED: Final = {
    "description": "`true` where this key was answered before, and this is that answer.",
    "schema": {"type": "string", "enum": ["true"]},
}
