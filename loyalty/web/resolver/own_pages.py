"""The pages that this server has of a product, a lot or an item, offered as links where the brand has none of its own.

None of them depends on whether a serial is genuine: whoever resolves a link is not told, and could otherwise try
serials without being counted. The item's page says it, and counts.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from loyalty.items.digital_link import GTIN, LOT, SERIAL, DigitalLink
from loyalty.items.links.choosing import Offer
from loyalty.items.links.resolving import OwnPages
from loyalty.items.products import Product
from loyalty.web.i18n import LANGUAGES, Translator

_JSON: Final = "application/json"


def item_page(gtin: str, serial: str) -> str:
    """The path of an item's page that is no Digital Link, so that a redirect can lead to it."""
    return f"/item/{quote(gtin, safe='')}/{quote(serial, safe='')}"


def product_page(gtin: str, *, lot: str | None = None) -> str:
    """The path of a product's page, with what is known of one lot where it is named."""
    return f"/product/{quote(gtin, safe='')}" + (f"?lot={quote(lot, safe='')}" if lot is not None else "")


def own_pages(base_url: str, t: Translator, *, epcis: bool) -> OwnPages:
    """The pages of this server, titled in the words of `t`; `epcis` where it answers queries for events."""

    def pages(thing: DigitalLink, product: Product) -> list[Offer]:
        if set(thing.qualifiers) == {SERIAL}:
            return _item_pages(thing, product)
        if set(thing.qualifiers) == {LOT}:
            address = base_url + product_page(product.gtin, lot=thing.lot) + "#recall"
            return [_page("recallStatus", address, "recall_lot")]
        return [] if thing.qualifiers or thing.key != GTIN else _product_pages(product)

    def _item_pages(thing: DigitalLink, product: Product) -> list[Offer]:
        address = base_url + item_page(product.gtin, thing.serial or "")
        offers = [
            _page("verificationService", address, "item", is_default=True),
            _page("pip", f"{address}#product", "product"),
            _page("traceability", f"{address}#journey", "journey"),
            _page("recallStatus", address, "recall_item"),
            _page("registerProduct", f"{address}#claim", "register"),
        ]
        if product.points_on_claim:
            offers.append(_page("promotion", f"{address}#claim", "collect"))
        if epcis:
            name = quote(base_url + thing.path, safe="")
            title = t("links.own.events")
            events = f"{base_url}/epcis/epcs/{name}/events"
            offers.append(
                Offer(link_type="epcis", target=events, title=title, media_type=_JSON, own=True, passes_query=False)
            )
        return offers

    def _product_pages(product: Product) -> list[Offer]:
        address = base_url + product_page(product.gtin)
        offers = [
            _page("pip", address, "product", is_default=True),
            _page("recallStatus", f"{address}#recall", "recall_product"),
            _page("loyaltyProgram", f"{base_url}/join", "join"),
        ]
        if product.points_on_claim:
            offers.append(_page("promotion", f"{address}#points", "collect"))
        return offers

    def _page(link_type: str, address: str, words: str, *, is_default: bool = False) -> Offer:
        return Offer(
            link_type=link_type,
            target=address,
            title=t(f"links.own.{words}"),
            languages=LANGUAGES,
            is_default=is_default,
            own=True,
        )

    return pages
