"""The short way of a plain posting: a request without anything unusual, decoded, posted and answered here.

Litestar's way from a request to a handler - dependencies, a model of the signature, a task group - costs several times
what the posting itself does. What nearly every posting is, a key that was seen a moment ago, the three headers, a body
in one piece that fits its type, needs none of that. Whatever is not plain goes on to the handler, unread, which refuses
with a reason; so there is one place that says what is wrong, and this one only knows what is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Generic, NamedTuple

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from ledger.posting import Posting
from loyalty.campaigns.requests import Request as Posted
from loyalty.kit.errors import DomainError
from loyalty.web.api import points_schemas as shapes
from loyalty.web.api.people import member_uuid
from loyalty.web.api.postings import STATUS, Build, Request, Target, hold_uuid, make
from loyalty.web.idempotency import KEY_LENGTH, REPLAYED_HEADER
from loyalty.web.middleware import REFUSAL
from loyalty.web.requests import decode_body
from loyalty.web.security.api_keys import Caller
from loyalty.web.security.api_keys import Scope as KeyScope
from loyalty.web.state import Services

_SCOPE: Final[KeyScope] = "points:write"
_JSON: Final = (b"application/json", b"application/json; charset=utf-8")
_KEY: Final = re.compile(rb'"([ !#-\[\]-~]{1,%d})"|([!#-~][!-~]{0,%d})' % (KEY_LENGTH, KEY_LENGTH - 1))
_encode: Final = msgspec.json.Encoder().encode
_REPLAYED: Final = (REPLAYED_HEADER.lower().encode(), b"true")


class Plain(NamedTuple):
    """A plain request: who asks, and for what posting."""

    caller: Caller
    operation: Posted


class PlainPosting(ASGIMiddleware, Generic[Request]):
    """Answers plain requests of one kind of posting; hands on all others."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, request: type[Request], build: Build[Request]) -> None:
        self._request = request
        self._build = build

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer, or hand on. Raises what refuses the posting."""
        refusal = scope["state"].pop(REFUSAL, None)
        if refusal is not None:
            raise refusal
        services = scope["litestar_app"].state["services"]
        plain, again = await self.read(services, scope, receive, scope["path_params"])
        if plain is None:
            await next_app(scope, again, send)
            return
        made = await make(services, plain.caller, plain.operation)
        await respond(send, made, ())

    async def read(
        self, services: Services, scope: Scope, receive: Receive, path: Mapping[str, Any]
    ) -> tuple[Plain | None, Receive]:
        """What is asked for, None where it is not plain; and what is received, from its beginning."""
        headers = _headers(scope["headers"])
        caller = services.callers.remembered(headers.authorization) if headers is not None else None
        if headers is None or caller is None or _SCOPE not in caller.key.scopes or scope["query_string"]:
            return None, receive
        message = await receive()
        operation = self._read(message, path, caller, headers.key)
        return Plain(caller, operation) if operation is not None else None, _again(message, receive)

    def _read(self, message: Any, path: Mapping[str, Any], caller: Caller, key: str) -> Posted | None:
        if message["type"] != "http.request" or message.get("more_body"):
            return None
        try:
            asked = decode_body(message["body"], self._request)
            hold_id = hold_uuid(path["hold_id"]) if "hold_id" in path else None
            target = Target(member_uuid(path["member_id"]), f"{caller.key.prefix}:{key}", hold_id)
            return self._build(asked, target)
        except DomainError:
            return None


async def respond(send: Send, made: Posting, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Send the answer to a posting, with further headers."""
    body = _encode(shapes.posting_answer(made))
    told = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    if made.replayed:
        told.append(_REPLAYED)
    await send({"type": "http.response.start", "status": STATUS, "headers": told})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class _Headers:
    __slots__ = ("authorization", "key")

    def __init__(self, authorization: str, key: str) -> None:
        self.authorization = authorization
        self.key = key


def _headers(sent: Iterable[tuple[bytes, bytes]]) -> _Headers | None:
    """The headers that a posting needs, each there once and plain; otherwise None."""
    authorization = key = media_type = None
    for name, value in sent:
        if name == b"authorization":
            if authorization is not None:
                return None
            authorization = value
        elif name == b"idempotency-key":
            if key is not None:
                return None
            key = value
        elif name == b"content-type":
            if media_type is not None:
                return None
            media_type = value
    if authorization is None or key is None or media_type not in _JSON:
        return None
    match = _KEY.fullmatch(key)
    return _Headers(authorization.decode("latin-1"), (match[1] or match[2]).decode()) if match else None


def _again(message: Any, receive: Receive) -> Receive:
    """What was received, once more, and then what follows."""
    read = False

    async def once_more() -> Any:
        nonlocal read
        if read:
            return await receive()
        read = True
        return message

    return once_more
