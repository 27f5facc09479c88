"""Where a visitor is, as far as the proxy in front of this server says so.

A shopper's phone is not asked for its position: a page that begins with such a question is left. Proxies and content
delivery networks know the region of an IP address, and say it in a header of a name of their own. That is weak
evidence, and kept as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote

from loyalty.items.verdicts import Place
from loyalty.settings import Settings

_REGION: Final = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")
_UNKNOWN: Final = ("XX", "ZZ")
"""Codes that ISO 3166 leaves to users, with which proxies say that they do not know."""
_CITY_LIMIT: Final = 100


def network_place(headers: Iterable[tuple[bytes, bytes]], settings: Settings) -> Place | None:
    """The region and city that a request's headers say, where the settings name them; None where neither is known.

    Whoever reaches this server past the proxy could say what they like, so a proxy has to replace these headers.
    """
    if settings.region_header is None and settings.city_header is None:
        return None
    said = dict(headers)
    region = _text(said, settings.region_header).upper()
    city = unquote(_text(said, settings.city_header))[:_CITY_LIMIT]
    region = region if _REGION.fullmatch(region) and region not in _UNKNOWN else ""
    city = city if city.isprintable() else ""
    return Place(region=region or None, city=city or None, source="network") if region or city else None


def _text(said: Mapping[bytes, bytes], name: str | None) -> str:
    """What a header says, empty where it does not. Proxies write the names of cities in UTF-8."""
    return "" if name is None else said.get(name.lower().encode(), b"").decode("utf-8", "replace").strip()
