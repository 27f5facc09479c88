"""The side door: plain requests of the commonest postings, answered before the application that answers everything.

Routing, the exception handler, five middlewares and the hooks around what is sent cost a request more than its posting
does. What they are there for holds here too: the time limit is the coalescer's, the headers are the same, a line goes
to the access log. Whatever is not plain goes the long way, unread; and so does what a posting was refused for, because
one place words it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from loyalty.web.api import points_schemas as shapes
from loyalty.web.api import postings
from loyalty.web.api.plain import PlainPosting, respond
from loyalty.web.middleware import REFUSAL, STARTED, access_logger, log_access, security_headers

EARN: Final = PlainPosting(shapes.EarnRequest, postings.earn)
SPEND: Final = PlainPosting(shapes.SpendRequest, postings.spend)

_BEFORE, _AFTER = "/v1/members/", "/points/"
_KINDS: Final[Mapping[str, PlainPosting[Any]]] = {"earn": EARN, "spend": SPEND}


class SideDoor:
    """Stands before an application's handler of requests."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = security_headers(https=https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        found = _kind(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        kind, member_id = found
        services = scope["litestar_app"].state["services"]
        plain, again = await _KINDS[kind].read(services, scope, receive, {"member_id": member_id})
        if plain is None:
            await self._app(scope, again, send)
            return
        try:
            made = await postings.make(services, plain.caller, plain.operation)
        except Exception as error:  # noqa: BLE001  (whatever it is, the exception handlers know)
            scope.setdefault("state", {}).update({REFUSAL: error, STARTED: started})
            await self._app(scope, again, send)
            return
        await respond(send, made, self._headers)
        if access_logger.isEnabledFor(logging.INFO):
            log_access("POST", f"{_BEFORE}{{member_id:str}}{_AFTER}{kind}", postings.STATUS, started)


def _kind(scope: Scope) -> tuple[str, str] | None:
    """Which kind of posting is asked for, and of which member."""
    if scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
        return None
    before, _, kind = scope["path"].rpartition(_AFTER)
    if kind not in _KINDS or not before.startswith(_BEFORE):
        return None
    member_id = before[len(_BEFORE) :]
    return None if "/" in member_id else (kind, member_id)
