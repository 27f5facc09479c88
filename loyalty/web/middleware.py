"""What surrounds every request: a time limit, characters that are never valid, headers that browsers obey, a log."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from loyalty.kit.errors import InvalidInputError

access_logger: Final = logging.getLogger("loyalty.access")

REQUEST_TIMEOUT_SECONDS: Final = 30

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Everything from this server, nothing inline: a page's script and style are files under /static."""

_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_STRICT: Final = {"strict-transport-security": "max-age=31536000"}
_NEVER_VALID: Final = b"\0"


STARTED: Final = "started"
"""Where in a request's state stands when it came, if it was looked at before; in seconds of `time.perf_counter`."""


REFUSAL: Final = "refusal"
"""Where in a request's state stands what it was refused for before it was routed, to be raised by its handler."""


def security_headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that sets none of them itself."""
    headers = _HEADERS | (_STRICT if https else {})
    return [(name.encode(), value.encode()) for name, value in headers.items()]


class SecurityHeaders:
    """Adds the headers to every answer of an application's handler of requests, failures included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                set_security_headers(message, scope)
            await send(message)

        await self._app(scope, receive, sending)


def set_security_headers(message: Message, scope: Scope) -> None:
    """Add the headers to an answer that begins. Answers are private unless a handler says otherwise."""
    headers = MutableScopeHeaders.from_message(message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    if scope["type"] == ScopeType.HTTP and scope["method"] == "OPTIONS" and "allow" in headers:
        headers["allow"] = ", ".join(scope["app"].state["methods"][_template(scope)])
    if scope["app"].state["https"]:
        for name, value in _STRICT.items():
            headers.setdefault(name, value)


def methods_by_path(app: Litestar) -> dict[str, list[str]]:
    """What each path answers to, for the Allow header of OPTIONS.

    Litestar's own names only the methods of whichever handler of the path was registered first.
    """
    return {route.path_format: sorted(route.methods) for route in app.routes if isinstance(route, HTTPRoute)}


class RequestLimits(ASGIMiddleware):
    """Gives up a request that is not answered within thirty seconds; refuses addresses that cannot be read.

    Those hold U+0000, or bytes that are no UTF-8.

    PostgreSQL cannot keep U+0000, so it would otherwise travel as far as the database and fail there.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Run the request under the limits. Raises InvalidInputError and TimeoutError."""
        if "\0" in scope["path"] or "\ufffd" in scope["path"]:
            raise InvalidInputError("holds a character that is never valid", field="path")
        query = scope["query_string"].upper()
        if b"%00" in query or _NEVER_VALID in query:
            raise InvalidInputError("holds the character U+0000", field="query")
        async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS) as limit:

            async def begin(message: Message) -> None:
                if message["type"] == "http.response.start":
                    limit.reschedule(None)  # a download takes as long as the network needs
                await send(message)

            await next_app(scope, receive, begin)


class AccessLog(ASGIMiddleware):
    """One line a request: method, route, status, milliseconds. Never the query, a header, a cookie or a body.

    The route is its template (`/v1/members/{member_id:str}`), so that ids do not fill the log either.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Run the request, then write its line."""
        if not access_logger.isEnabledFor(logging.INFO):
            await next_app(scope, receive, send)
            return
        status = 0
        started = scope["state"].pop(STARTED, None) or time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await next_app(scope, receive, watch)
        finally:
            log_access(scope["method"], _template(scope), status, started)  # type: ignore[typeddict-item]


def log_access(method: str, template: str, status: int, started: float) -> None:
    """Write the line of a request that came at `started`, in seconds of `time.perf_counter`."""
    access_logger.info("%s %s %d %.1f ms", method, template, status, (time.perf_counter() - started) * 1000)


def _template(scope: Scope) -> str:
    template: Any = scope.get("path_template")
    return str(template) if template else "(no route)"
