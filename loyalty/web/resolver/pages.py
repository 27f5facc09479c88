"""Pages that Digital Links lead to: an item's page under a plain address, and a product's page."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, head
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from loyalty.items.digital_link import GTIN, LOT, DigitalLink
from loyalty.items.links.choosing import Offer, Wishes, choose
from loyalty.items.links.recalls import recalled_lots
from loyalty.items.links.resolving import Resolution, resolve
from loyalty.kit.clock import utc_now
from loyalty.web.i18n import Translator
from loyalty.web.member.item import show_item
from loyalty.web.rendering import language_of, page
from loyalty.web.resolver.own_pages import own_pages, product_page
from loyalty.web.resolver.wishes import weighted
from loyalty.web.state import Services

_LOT_LIMIT = 20


@get("/item/{gtin:str}/{serial:path}")
async def show_item_page(
    request: Request[Any, Any, Any], services: NamedDependency[Services], gtin: FromPath[str], serial: FromPath[str]
) -> Response[bytes]:
    """The item's page, where a redirect leads: what the scan says. It counts as one."""
    shown: Response[bytes] = await show_item.fn(request, services, gtin, serial.removeprefix("/"))
    return shown


@head("/item/{gtin:str}/{serial:path}")
async def head_item_page(gtin: FromPath[str], serial: FromPath[str]) -> None:
    """Answer whoever only follows redirects, and count nothing."""


@get("/product/{gtin:str}")
async def show_product(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    gtin: FromPath[str],
    lot: Annotated[str | None, QueryParameter(max_length=_LOT_LIMIT)] = None,
) -> Response[bytes]:
    """What a product is, whether lots of it are recalled, and everything its brand links to.

    Raises NoSuchLinkError where the brand has no such product.
    """
    base_url = services.settings.public_url
    async with services.transaction() as connection:
        programme = await services.programme(connection)
        language = language_of(request, default=programme.locale)
        resolution = await resolve(
            connection,
            DigitalLink(key=GTIN, value=gtin, qualifiers={LOT: lot} if lot else {}),
            programme_id=programme.id,
            locale=programme.locale,
            at=utc_now(),
            own_pages=own_pages(base_url, Translator(language), epcis=False),
        )
        recalled = await recalled_lots(connection, gtin=gtin)
    return page(
        request,
        "resolver/product.html",
        programme=programme,
        product=resolution.product,
        lot=lot,
        recalled=recalled,
        links=_for_reader(resolution, request),
        here=product_page(gtin, lot=lot),
    )


def _for_reader(resolution: Resolution, request: Request[Any, Any, Any]) -> list[Offer]:
    """What the brand links to, of each type what suits the reader's language."""
    wishes = Wishes(languages=weighted(request.headers.get("accept-language")))
    shown: list[Offer] = []
    for link_type in resolution.link_types:
        level = next(each for each in resolution.levels if any(o.link_type == link_type for o in each.offers))
        stored = [offer for offer in level.offers if offer.link_type == link_type and not offer.own]
        shown += choose(stored, wishes)
    return shown


@head("/product/{gtin:str}")
async def head_product(gtin: FromPath[str]) -> None:
    """Answer whoever only follows redirects."""
