"""The resolver's answers: redirects, linksets, choices and refusals, for every GS1 key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from markupsafe import Markup

from loyalty.items.digital_link import DigitalLink, parse_link
from loyalty.items.epc_binary import expand, is_compressed
from loyalty.items.links import linkset as linksets
from loyalty.items.links.choosing import Offer
from loyalty.items.links.resolving import Resolution, resolve
from loyalty.items.links.targets import pass_query
from loyalty.kit.clock import utc_now
from loyalty.kit.programme import Programme
from loyalty.web.i18n import Translator
from loyalty.web.rendering import ASKED_PATH, language_of, page
from loyalty.web.resolver.front_door import ROUTE, linkset_header
from loyalty.web.resolver.own_pages import own_pages
from loyalty.web.resolver.wishes import (
    HTML,
    WHOLE_LINKSET,
    asked_type,
    negotiate,
    read_query,
    read_wishes,
    wants_linkset,
    weighted,
)
from loyalty.web.state import Services

_REDIRECT: Final = 307
_CHOICES: Final = 300
_LINKED_DATA: Final = "application/ld+json"
_REPRESENTATIONS: Final = (linksets.MEDIA_TYPE, "application/json", _LINKED_DATA, HTML)
_KEPT: Final = "public, max-age=60"
_IN_SCRIPT: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was understood, and what it leads to."""

    programme: Programme
    resolution: Resolution
    query: str
    description: str | None
    base_url: str

    @property
    def address(self) -> str:
        """The thing's own address, without what a request says besides."""
        return self.base_url + self.resolution.link.path


@route(ROUTE, http_method=["GET", "HEAD", "OPTIONS"])
async def answer_link(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Answer a Digital Link; the front door brings it here.

    Raises DigitalLinkError (400) naming the place and the reason, NoSuchLinkError (404).
    """
    path: str | None = request.scope.get("state", {}).get(ASKED_PATH)
    if path is None:
        raise NotFoundException
    if request.method == "OPTIONS":
        return Response(b"", status_code=204, headers={"Allow": "GET, HEAD, OPTIONS"})
    query = request.scope["query_string"].decode("latin-1")
    link = _read_link(path, query)
    asked = await _ask(request, services, link, query)
    wanted = read_query(link.extras)
    link_type = asked_type(wanted)
    accept = weighted(request.headers.get("accept"))
    if link_type in WHOLE_LINKSET or (link_type is None and wants_linkset(accept)):
        document = linksets.linkset(asked.resolution, base_url=asked.base_url, description=asked.description)
        answer = _linkset_answer(request, asked, document, _every_offer(asked.resolution), status=200)
    else:
        offers = asked.resolution.answer(link_type, read_wishes(request.headers, wanted))
        answer = _leading_answer(request, asked, offers)
    answer.headers.setdefault("Link", linkset_header(asked.address))
    if request.method == "HEAD":
        return Response(b"", status_code=answer.status_code, headers=answer.headers, media_type=answer.media_type)
    return answer


def _read_link(path: str, query: str) -> DigitalLink:
    """The link asked for, without the one slash at its end that a resolver should bear with (section 2.13)."""
    path = path.removesuffix("/")
    if is_compressed(path[1:]):
        return expand(path[1:])  # raises: what can be expanded was, at the front door
    return parse_link(path + (f"?{query}" if query else ""), stem="")


async def _ask(request: Request[Any, Any, Any], services: Services, link: DigitalLink, query: str) -> Asked:
    base_url = services.settings.public_url
    async with services.transaction() as connection:
        programme = await services.programme(connection)
        language = language_of(request, default=programme.locale)
        pages = own_pages(base_url, Translator(language), epcis=_answers_events(request))
        resolution = await resolve(
            connection,
            link,
            programme_id=programme.id,
            locale=programme.locale,
            at=utc_now(),
            own_pages=pages,
        )
    product = resolution.product
    return Asked(
        programme=programme,
        resolution=resolution,
        query=query,
        description=product.names.within(language) if product else None,
        base_url=base_url,
    )


def _answers_events(request: Request[Any, Any, Any]) -> bool:
    return any(path.startswith("/epcis/epcs/") for path in request.app.state["methods"])


def _every_offer(resolution: Resolution) -> list[Offer]:
    return [offer for level in resolution.levels for offer in level.offers]


def _leading_answer(request: Request[Any, Any, Any], asked: Asked, offers: Sequence[Offer]) -> Response[Any]:
    """A redirect where the request leads to one place; where it leads to several, what there is to choose from."""
    if len(offers) == 1:
        location = _passed(offers[0], asked.query)
        return Response(b"", status_code=_REDIRECT, headers={"Location": location}, media_type="text/plain")
    document = linksets.choices(asked.resolution, offers, base_url=asked.base_url, description=asked.description)
    return _linkset_answer(request, asked, document, offers, status=_CHOICES)


def _passed(offer: Offer, query: str) -> str:
    return pass_query(offer.target, query) if offer.passes_query else offer.target


def _linkset_answer(
    request: Request[Any, Any, Any], asked: Asked, document: dict[str, Any], offers: Sequence[Offer], *, status: int
) -> Response[Any]:
    """A linkset in the form that is wished for: JSON, linked data, or a page for a person that holds the same."""
    media_type = negotiate(weighted(request.headers.get("accept")), _REPRESENTATIONS)
    headers = {
        "Link": f'{linkset_header(asked.address)}, <{linksets.CONTEXT_ADDRESS}>; rel="{linksets.CONTEXT_RELATION}"; '
        f'type="{_LINKED_DATA}"',
        "Cache-Control": _KEPT,
        "Vary": "Cookie",  # which holds the language of our own pages' titles
    }
    if media_type == HTML:
        data = msgspec.json.encode(linksets.as_json_ld(document)).decode().translate(_IN_SCRIPT)
        drawn = page(
            request,
            "resolver/links.html",
            programme=asked.programme,
            status_code=status,
            here=f"{asked.resolution.link.path}?{asked.query}",
            product=asked.resolution.product,
            thing=asked.resolution.link,
            offers=[(offer, _passed(offer, asked.query)) for offer in offers],
            default=asked.resolution.default,
            choosing=status == _CHOICES,
            linked_data=Markup(data),  # noqa: S704  (JSON, its angle brackets and ampersands escaped above)
        )
        drawn.headers.update({name: value for name, value in headers.items() if name == "Link"})
        return drawn
    content = linksets.as_json_ld(document) if media_type == _LINKED_DATA else document
    return Response(msgspec.json.encode(content), status_code=status, media_type=media_type, headers=headers)
