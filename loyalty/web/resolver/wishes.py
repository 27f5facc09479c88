"""What a request wishes for, by its headers and query (RFC 9110, section 12.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

from loyalty.items.links.choosing import Wishes
from loyalty.items.links.link_types import read_link_type
from loyalty.items.links.linkset import MEDIA_TYPE as LINKSET

LINK_TYPE_KEYS: Final = ("linktype",)
CONTEXT_KEY: Final = "context"
WHOLE_LINKSET: Final = ("linkset", "all")
"""`all` is the deprecated spelling."""
HTML: Final = "text/html"
_HEADER_LIMIT: Final = 1000
_MOST: Final = 30
_HEAVIEST: Final = 1.0


def weighted(header: str | None) -> tuple[tuple[str, float], ...]:
    """The parts of an Accept or Accept-Language header with their weights, the heaviest first, then as written."""
    parts: list[tuple[str, float]] = []
    for part in (header or "")[:_HEADER_LIMIT].split(",")[:_MOST]:
        name, *parameters = (each.strip() for each in part.split(";"))
        if name:
            parts.append((name.lower(), _weight(parameters)))
    return tuple(sorted(parts, key=lambda each: -each[1]))


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), _HEAVIEST)
            except ValueError:
                return 0.0
    return _HEAVIEST


def read_query(extras: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    """The pairs of a query that are not GS1's attributes, by their keys in lower case, decoded."""
    found: dict[str, list[str]] = {}
    for key, value in extras:
        found.setdefault(unquote_plus(key).lower(), []).append(unquote_plus(value))
    return found


def read_wishes(headers: Mapping[str, str], query: Mapping[str, list[str]]) -> Wishes:
    """What decides between several links of one type."""
    return Wishes(
        media_types=weighted(headers.get("accept")),
        languages=weighted(headers.get("accept-language")),
        contexts=tuple(value.upper() for value in query.get(CONTEXT_KEY, ())),
    )


def asked_type(query: Mapping[str, list[str]]) -> str | None:
    """The link type that a query names, as a term of the vocabulary; None where it names none."""
    for key in LINK_TYPE_KEYS:
        for value in query.get(key, ()):
            if value:
                return read_link_type(value)
    return None


def wants_linkset(accept: tuple[tuple[str, float], ...]) -> bool:
    """Whether an Accept header asks for the linkset itself: by name, and no less than for a web page (RFC 9264)."""
    weights = dict(reversed(accept))
    weight = weights.get(LINKSET, 0.0)
    return weight > 0 and weight >= weights.get(HTML, 0.0)


def wants_html(accept: tuple[tuple[str, float], ...]) -> bool:
    """Whether a browser asks, on behalf of a person."""
    return dict(reversed(accept)).get(HTML, 0.0) > 0


@lru_cache(256)
def wants_item_page(accept: str | None) -> bool:
    """Whether whoever sends this Accept header to an item's address is a shopper's browser."""
    wished = weighted(accept)
    return wants_html(wished) and not wants_linkset(wished)


def negotiate(accept: tuple[tuple[str, float], ...], offered: Sequence[str]) -> str:
    """The media type to answer with: the one wished for most; the first where nothing is said, or nothing fits."""
    if not accept:
        return offered[0]
    weights = [(_acceptance(accept, each), -place) for place, each in enumerate(offered)]
    return offered[-max(weights)[1]]


def _acceptance(accept: tuple[tuple[str, float], ...], media_type: str) -> float:
    weights = dict(reversed(accept))
    kind = media_type.partition("/")[0]
    return next((weights[each] for each in (media_type, f"{kind}/*", "*/*") if each in weights), 0.0)
