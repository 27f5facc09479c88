"""The item door: plain scans, answered before the application that answers everything.

Nearly every scan is alike: a phone that nobody is signed in on opens the address that a code holds, and says nothing
unusual. Routing, a model of the handler's signature, middlewares and the hooks around what is sent cost such a request
more than its scan does. What they are there for holds here too: the same page from the same functions, the same
headers, a limit of time, a line in the access log. A page without a form needs no cookie against forged ones.

Whatever is not plain goes the long way (`loyalty.web.member.item`), unread; and so does what a scan failed for, because
one place words it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from loyalty.items.scans import Scan
from loyalty.web.i18n import LANGUAGES, Language, choose_language
from loyalty.web.member.item_page import ITEM_PATHS, draw_item_page, is_scan
from loyalty.web.member.visitor import DEVICE_COOKIE, device_cookie, name_device
from loyalty.web.middleware import (
    REFUSAL,
    REQUEST_TIMEOUT_SECONDS,
    STARTED,
    access_logger,
    log_access,
    security_headers,
)
from loyalty.web.places import network_place
from loyalty.web.rendering import LANGUAGE_COOKIE, REVALIDATED, VARY, weak
from loyalty.web.resolver.front_door import linkset_header
from loyalty.web.resolver.wishes import wants_item_page
from loyalty.web.security.sessions import COOKIES
from loyalty.web.state import Services

_PATH: Final = re.compile(
    rb"/01/(?P<gtin>[0-9]{8,14})(?P<variant>/22/[0-9A-Za-z_-]{1,20})?(?P<lot>/10/[0-9A-Za-z_-]{1,20})?"
    rb"/21/(?P<serial>[0-9A-Za-z_-]{1,20})"
)
"""An item's address without any character that could be read in two ways."""
_COOKIES: Final = re.compile(rb"[0-9A-Za-z_-]+=[0-9A-Za-z_.-]*(?:; [0-9A-Za-z_-]+=[0-9A-Za-z_.-]*)*")
_UNUSUAL: Final = frozenset((b"if-none-match", b"transfer-encoding", b"content-length"))
"""Headers that make a request one for the long way."""
_VARY: Final = frozenset((*VARY.split(", "), "Accept"))
_SESSION: Final = COOKIES["member"]
_TEMPLATES: Final = dict(zip(((False, False), (False, True), (True, False), (True, True)), ITEM_PATHS, strict=True))
"""The routes, as the access log names them, by whether an address has a variant and a lot."""
_OK: Final = 200


class _Plain(NamedTuple):
    """A plain request for an item's page."""

    path: str
    template: str
    gtin: str
    serial: str
    device: str
    remembered_language: str | None
    accept_language: str | None
    counts: bool
    takes_gzip: bool


class ItemDoor:
    """Stands before an application's handler of requests."""

    def __init__(self, app: ASGIApp, *, public_url: str, https: bool) -> None:
        self._app = app
        self._public_url = public_url
        self._https = https
        self._whole = _headers(_VARY, https=https)
        self._gzipped = [*_headers(_VARY | {"Accept-Encoding"}, https=https), (b"content-encoding", b"gzip")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        plain = _read(scope) if scope["type"] == ScopeType.HTTP and scope["method"] == "GET" else None
        if plain is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        try:
            status, headers, body = await self._answer(scope, plain)
        except Exception as error:  # noqa: BLE001  (whatever it is, the exception handlers know)
            scope.setdefault("state", {}).update({REFUSAL: error, STARTED: started})
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        if access_logger.isEnabledFor(logging.INFO):
            log_access("GET", plain.template, status, started)

    async def _answer(self, scope: Scope, plain: _Plain) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Scan, and say what the scan says. Raises what the scan desk raises, and TimeoutError."""
        app = scope["litestar_app"]
        services: Services = app.state["services"]
        device, is_new = name_device(plain.device)
        async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
            programme = await services.shown_programme()
            scan = Scan(
                programme_id=programme.id,
                gtin=plain.gtin,
                serial=plain.serial,
                device=device,
                address=scope["client"][0] if scope["client"] else "",
                place=network_place(scope["headers"], services.settings),
                counts=plain.counts,
                for_page=True,
            )
            scanned = await services.scan_desk.scan(scan)
        language = _language(plain.remembered_language, plain.accept_language, programme.locale)
        status, shape, values = draw_item_page(app, scanned, programme=programme, language=language, signed_in=False)
        filled = shape.fill({**{f"link_{other}": f"{plain.path}?lang={other}" for other in LANGUAGES}, **values})
        headers, body = (self._gzipped, filled.gzipped()) if plain.takes_gzip else (self._whole, filled.body)
        headers = [
            *headers,
            (b"content-length", b"%d" % len(body)),
            (b"link", linkset_header(self._public_url + plain.path).encode()),
        ]
        if status == _OK:
            headers.append((b"etag", weak(filled.tag).encode()))
        if is_new:
            headers.append((b"set-cookie", device_cookie(device, https=self._https).encode()))
        return status, headers, body


def _headers(vary: frozenset[str], *, https: bool) -> list[tuple[bytes, bytes]]:
    """The headers that every page of the door has."""
    own = {
        b"content-type": b"text/html; charset=utf-8",
        b"cache-control": REVALIDATED.encode(),
        b"vary": ", ".join(sorted(vary)).encode(),
    }
    return list({**dict(security_headers(https=https)), **own}.items())


def _read(scope: HTTPScope) -> _Plain | None:
    """What is asked for; None where it is not plain."""
    path = scope.get("raw_path")
    match = _PATH.fullmatch(path) if path and not scope["query_string"] else None
    if match is None:
        return None
    sent = [*scope["headers"]]
    headers = dict(sent)
    if len(headers) != len(sent) or not _UNUSUAL.isdisjoint(headers):
        return None  # some header is there twice, or one that a plain request has not
    cookies = _read_cookies(headers.get(b"cookie"))
    if cookies is None or cookies.get(_SESSION) or not wants_item_page(headers.get(b"accept", b"").decode("latin-1")):
        return None
    accept_language = headers.get(b"accept-language")
    return _Plain(
        path=path.decode(),
        template=_TEMPLATES[match["variant"] is not None, match["lot"] is not None],
        gtin=match["gtin"].decode(),
        serial=match["serial"].decode(),
        device=cookies.get(DEVICE_COOKIE, ""),
        remembered_language=cookies.get(LANGUAGE_COOKIE),
        accept_language=None if accept_language is None else accept_language.decode("latin-1"),
        counts=is_scan(
            purpose=headers.get(b"sec-purpose", b"").decode("latin-1"),
            agent=headers.get(b"user-agent", b"").decode("latin-1"),
            site=headers.get(b"sec-fetch-site", b"").decode("latin-1"),
        ),
        takes_gzip=b"gzip" in headers.get(b"accept-encoding", b""),
    )


def _read_cookies(sent: bytes | None) -> Mapping[str, str] | None:
    """Cookies by their names; None where some need to be decoded, or a name is there twice."""
    if sent is None:
        return {}
    if _COOKIES.fullmatch(sent) is None:
        return None
    pairs = [pair.split("=", 1) for pair in sent.decode().split("; ")]
    cookies = dict(pairs)
    return cookies if len(cookies) == len(pairs) else None


@lru_cache(1024)
def _language(remembered: str | None, accept_language: str | None, default: str) -> Language:
    return choose_language(asked=None, remembered=remembered, accept_language=accept_language, default=default)
