"""Linksets (RFC 9264): everything that a Digital Link leads to, as JSON for programs.

The shape is that of GS1-Conformant Resolver 1.2, section 2.10, and its schema: a context object for each level that has
links, its anchor the thing's own address; relations by the whole address of their link type; the one default with
nothing but its target and title.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from loyalty.items.links.choosing import Offer
from loyalty.items.links.link_types import DEFAULT, DEFAULT_MULTI, link_type_address
from loyalty.items.links.resolving import LevelOffers, Resolution

MEDIA_TYPE: Final = "application/linkset+json"
CONTEXT_ADDRESS: Final = "https://ref.gs1.org/standards/resolver/linkset-context"
"""GS1's own JSON-LD context for linksets, which makes linked data of this JSON."""
CONTEXT_RELATION: Final = "http://www.w3.org/ns/json-ld#context"


def linkset(resolution: Resolution, *, base_url: str, description: str | None) -> dict[str, Any]:
    """The linkset of a resolution. `base_url` is where anchors begin; `description` says what the thing is."""
    contexts = []
    for place, level in enumerate(resolution.levels):
        context = _context(level, level.offers, base_url, description)
        if place == resolution.default_level:
            default = resolution.default
            context[link_type_address(DEFAULT)] = [{"href": default.target, "title": default.title}]
            if len(level.defaults) > 1:
                context[link_type_address(DEFAULT_MULTI)] = [_target(offer) for offer in level.defaults]
        contexts.append(context)
    return {"linkset": contexts}


def choices(
    resolution: Resolution, offers: Sequence[Offer], *, base_url: str, description: str | None
) -> dict[str, Any]:
    """The linkset of offers that a request does not tell apart, all of one level."""
    level = next(level for level in resolution.levels if offers[0] in level.offers)
    return {"linkset": [_context(level, offers, base_url, description)]}


def as_json_ld(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same linkset as linked data, with its context inside."""
    return {"@context": CONTEXT_ADDRESS, **document}


def _context(level: LevelOffers, offers: Sequence[Offer], base_url: str, description: str | None) -> dict[str, Any]:
    context: dict[str, Any] = {"anchor": base_url + level.thing.path}
    if description:
        context["description"] = description
    for offer in offers:
        context.setdefault(link_type_address(offer.link_type), []).append(_target(offer))
    return context


def _target(offer: Offer) -> dict[str, Any]:
    target: dict[str, Any] = {"href": offer.target, "title": offer.title, "type": offer.media_type}
    if offer.languages:
        target["hreflang"] = list(offer.languages)
    if offer.contexts:
        target["context"] = list(offer.contexts)
    if not offer.passes_query:
        target["fwqs"] = False  # "forward query string", of GS1's schema of a linkset
    return target
