"""The front door: which requests under a GS1 key are for the shopper's pages, and which for the resolver.

Litestar routes by decoded paths and takes the first way that fits. A Digital Link needs its path as it was sent (a lot
may hold an encoded slash), and every path under a key needs an answer that says what is wrong with it. So this looks at
a request before it is routed, and hands those of the resolver to its one handler.

| request                                                        | goes to                                   |
|----------------------------------------------------------------|-------------------------------------------|
| a browser's navigation to an item's address                    | the item's page, at that address          |
| the same with linkType, or asking for a linkset, or not a browser | the resolver                           |
| GET, HEAD, OPTIONS of anything else under a key                | the resolver                              |
| forms, and the pages that follow them                          | the shopper's pages                       |
| other methods of a link                                        | the resolver, which refuses them with 405 |

A compressed address is answered as the one that it stands for, which a Link header names.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from loyalty.items.application_identifiers import PRIMARY_KEYS
from loyalty.items.digital_link import DigitalLinkError, build_link, parse_link
from loyalty.items.epc_binary import expand, is_compressed
from loyalty.web.rendering import ASKED_PATH
from loyalty.web.resolver.wishes import asked_type, read_query, wants_item_page

ROUTE: Final = "/resolver"
"""The path of the resolver's handler. Nobody reaches it by this address."""
LINKSET_QUERY: Final = "linkType=linkset"
CORS: Final = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, OPTIONS",
    "access-control-allow-headers": "Accept, Accept-Language",
    "access-control-expose-headers": "Link, Location",
    "access-control-max-age": "86400",
}
"""Anybody's page may ask what a code leads to: it is public, whoever asks."""

_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_ITEM: Final = re.compile(r"/01/(?P<gtin>[^/]+)(?:/22/[^/]+)?(?:/10/[^/]+)?/21/(?P<serial>[^/]+)/?")
_FORM: Final = re.compile(r"/01/[^/]+/21/.+/[a-z]+")
_AFTER_FORM: Final = re.compile(r"/01/[^/]+/21/[^/]+/claimed/?")


class FrontDoor:
    """Stands before an application and sends each request under a GS1 key where it belongs."""

    def __init__(self, app: ASGIApp, *, public_url: str) -> None:
        self._app = app
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
        elif scope["method"] not in _METHODS:
            await self._refuse_or_pass(scope, receive, send)
        elif is_compressed(scope["path"].strip("/")):
            await self._answer_compressed(scope, receive, send)
        elif _is_link(scope["path"]):
            await self._answer(scope, _raw_path(scope), receive, send)
        else:
            await self._app(scope, receive, send)

    async def _refuse_or_pass(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """A link is read and nothing else, save that shoppers send forms about their items."""
        if _is_link(scope["path"]) and not _FORM.fullmatch(scope["path"]):
            scope["path"] = ROUTE  # which knows no other method, and says so
        await self._app(scope, receive, send)

    async def _answer_compressed(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Compression standard, section 4; GS1-Conformant Resolver 1.2, section 2.3: owl:sameAs."""
        try:
            link = expand(scope["path"].strip("/"))
        except DigitalLinkError:
            await self._answer(scope, _raw_path(scope), receive, send)  # the resolver says why
            return
        whole = build_link(self._public_url, link)
        query = whole.partition("?")[2], scope["query_string"].decode("latin-1")
        scope["path"], scope["query_string"] = unquote(link.path), "&".join(filter(None, query)).encode("latin-1")
        await self._answer(scope, link.path, receive, _adding(send, {"link": f'<{whole}>; rel="owl:sameAs"'}))

    async def _answer(self, scope: HTTPScope, path: str, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and _is_for_shoppers(scope, path):
            _find_item_page(scope, path)
            await self._app(scope, receive, _adding(send, {"link": linkset_header(self._public_url + path)}))
            return
        scope.setdefault("state", {})[ASKED_PATH] = path
        scope["path"] = ROUTE
        await self._app(scope, receive, _adding(send, CORS))


def linkset_header(address: str) -> str:
    """The Link header that leads from a thing's address to its linkset (RFC 9264, section 3)."""
    return f'<{address}?{LINKSET_QUERY}>; rel="linkset"; type="application/linkset+json"'


def _is_link(path: str) -> bool:
    return path.partition("/")[2].partition("/")[0] in PRIMARY_KEYS


def _raw_path(scope: HTTPScope) -> str:
    """The path as it was sent. A server that does not tell gives the decoded one, encoded again."""
    raw = scope.get("raw_path")
    return raw.partition(b"?")[0].decode("latin-1") if raw else quote(scope["path"], safe="/")


def _is_for_shoppers(scope: HTTPScope, path: str) -> bool:
    if _AFTER_FORM.fullmatch(path):
        return True
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if not _ITEM.fullmatch(path) or not wants_item_page(headers.get("accept")):
        return False
    query = scope["query_string"].decode("latin-1")
    if not query:
        return True
    try:
        link = parse_link(f"{path.rstrip('/')}?{query}", stem="")
    except DigitalLinkError as error:
        # What a code itself has wrong, the item's page says in kind words; what is wrong behind it, the resolver.
        return not (error.field or "").startswith("query")
    return asked_type(read_query(link.extras)) is None


def _find_item_page(scope: HTTPScope, path: str) -> None:
    """Where a serial holds an encoded slash, the item's address is none that Litestar can route: take the other."""
    match = _ITEM.fullmatch(path)
    if match is not None and "%2f" in path.lower():
        scope["path"] = f"/item/{unquote(match['gtin'])}/{unquote(match['serial'])}"


def _adding(send: Send, headers: dict[str, str]) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = MutableScopeHeaders.from_message(message)
            for name, value in headers.items():
                given[name] = f"{given[name]}, {value}" if name == "link" and name in given else value
            vary = {each.strip() for each in given.get("vary", "").split(",") if each.strip()}
            given["vary"] = ", ".join(sorted(vary | {"Accept", "Accept-Language"}))
        await send(message)

    return add
