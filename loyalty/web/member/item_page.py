"""The page that answers a scan, however the scan came: through the item door, or to the handler behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from litestar import Litestar

from loyalty.items.scans import Scanned
from loyalty.kit.programme import Programme
from loyalty.web.i18n import Formats, Language
from loyalty.web.member.item_view import fill_item, view_item
from loyalty.web.member.share import share_version
from loyalty.web.rendering import find_shape
from loyalty.web.shapes import Shape, slot
from loyalty.web.state import Services

_QUALIFIERS: Final = ("", "/10/{lot:str}", "/22/{variant:str}", "/22/{variant:str}/10/{lot:str}")
ITEM_PATHS: Final = [f"/01/{{gtin:str}}{qualifiers}/21/{{serial:str}}" for qualifiers in _QUALIFIERS]
_PREVIEWERS: Final = re.compile(r"bot\b|bot/|crawl|spider|externalhit|preview|whatsapp|slurp|embed", re.IGNORECASE)
_NOT_OURS_STATUS: Final = 404
_BAD_CODE_STATUS: Final = 400


class ItemPage(NamedTuple):
    """What a scan is answered with: a shape, and what is to stand in those slots of it that are the item's."""

    status_code: int
    shape: Shape
    values: Mapping[str, str]


def draw_item_page(
    app: Litestar,
    scanned: Scanned,
    *,
    programme: Programme,
    language: Language,
    signed_in: bool,
    pin_tries_left: int | None = None,
    pin_missing: bool = False,
) -> ItemPage:
    """Say on a page what a scan says."""
    services: Services = app.state["services"]
    formats = Formats(language, programme.zone)
    view = view_item(scanned, formats, signed_in=signed_in, pin_tries_left=pin_tries_left, pin_missing=pin_missing)
    shape = find_shape(
        app,
        "member/item.html",
        programme=programme,
        language=language,
        key=view,
        signed_in=signed_in,
        view=view,
        slot=slot,
        public_url=services.settings.public_url,
        share_version=lambda: view.product and share_version(view.product, view.pictures),
    )
    return ItemPage(_status_code(scanned), shape, fill_item(shape, scanned.verdict, formats))


def _status_code(scanned: Scanned) -> int:
    if scanned.verdict.kind != "unknown":
        return 200
    return _BAD_CODE_STATUS if scanned.verdict.reason == "bad_gtin" else _NOT_OURS_STATUS


def is_scan(*, purpose: str, agent: str, site: str) -> bool:
    """Whether a request with these headers (Sec-Purpose, User-Agent, Sec-Fetch-Site) is a scan, or only a look.

    Fetch Metadata tells where a navigation began; a browser too old to say is taken at its word, as a scan. A program
    that fetches a page to show a preview of it, because somebody sent its address to a friend, has scanned nothing.
    Such programs say who they are.
    """
    return site != "same-origin" and "prefetch" not in purpose and not _is_previewer(agent)


@lru_cache(1024)
def _is_previewer(agent: str) -> bool:
    return _PREVIEWERS.search(agent) is not None
