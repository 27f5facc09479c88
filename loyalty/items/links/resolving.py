"""Resolving: what a Digital Link leads to, of what a brand stored and of the pages it has anyway.

The way up (GS1-Conformant Resolver 1.2, section 2.5.9), and our reading of it: the nearest level that has a link of the
type asked for answers, and there the request chooses. Within a level a link of just this lot or item goes before one of
every lot or item. What the brand stored goes before our own page of the same type, on whatever level. Without a type it
is the default: of an item always its own page, which says whether it is genuine; of anything else the nearest default.
While a default with an end holds, those without an end step back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.digital_link import GTIN, DigitalLink
from loyalty.items.links.choosing import Offer, Wishes, choose, is_wished
from loyalty.items.links.levels import is_item, levels
from loyalty.items.links.link import Link, read_links
from loyalty.items.links.link_types import DEFAULT, DEFAULT_MULTI, LINK_TYPES, PREFIX
from loyalty.items.links.targets import fill_target
from loyalty.items.products import Product, get_product
from loyalty.kit.errors import NotFoundError

PRODUCT_PAGE: Final = "pip"
_SHOWN: Final = 60
"""Characters of a stranger's text that a refusal repeats."""

OwnPages = Callable[[DigitalLink, Product], Sequence[Offer]]
"""The pages that a server has of a product, a lot or an item; one of a product's and an item's each is the default."""


class NoSuchLinkError(NotFoundError):
    """Nothing is known that the address identifies, or it leads to nothing of the type asked for."""

    type = "no-such-link"
    title = "This leads nowhere"


class LevelOffers(msgspec.Struct, frozen=True, kw_only=True):
    """What is offered of one thing; `defaults` are those that may answer where no type is asked for."""

    thing: DigitalLink
    offers: tuple[Offer, ...]
    defaults: tuple[Offer, ...] = ()


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a Digital Link leads to, the nearest level first. One level has the default."""

    link: DigitalLink
    product: Product | None
    levels: tuple[LevelOffers, ...]
    default_level: int
    default: Offer

    @property
    def link_types(self) -> list[str]:
        """The types there are, each once."""
        return list(dict.fromkeys(offer.link_type for level in self.levels for offer in level.offers))

    def answer(self, link_type: str | None, wishes: Wishes) -> list[Offer]:
        """Where a request goes: one offer, or several that it does not tell apart.

        Raises NoSuchLinkError where nothing is of the type asked for.
        """
        if link_type in (None, DEFAULT, DEFAULT_MULTI):
            return [self._default(wishes)]
        for level in self.levels:
            found = [offer for offer in level.offers if offer.link_type == link_type]
            if found:
                stored = [offer for offer in found if not offer.own]
                return choose(stored or found, wishes)
        available = [PREFIX + each for each in self.link_types]
        asked = PREFIX + link_type if link_type in LINK_TYPES else repr(link_type[:_SHOWN])
        message = f"there is no link of the type {asked}; there are {', '.join(available)}"
        raise NoSuchLinkError(message, field="linkType", available=available)

    def _default(self, wishes: Wishes) -> Offer:
        best = choose(self.levels[self.default_level].defaults, wishes)
        return best[0] if len(best) == 1 and is_wished(best[0], wishes) else self.default


async def resolve(
    connection: AsyncConnection,
    link: DigitalLink,
    *,
    programme_id: UUID,
    locale: str,
    at: datetime,
    own_pages: OwnPages,
) -> Resolution:
    """Everything that a Digital Link of a programme leads to at a moment; `locale` is the language of its brand.

    Raises NoSuchLinkError where the programme has nothing that the link identifies.
    """
    product = await _product(connection, programme_id, link)
    steps = levels(link)
    stored = await read_links(
        connection,
        programme_id=programme_id,
        key=link.key,
        value=link.value,
        paths=[path for step in steps for path in step.paths],
        at=at,
    )
    taken = {each.link_type for links in stored.values() for each in links if fill_target(each.target, link)}
    found = [
        _offers(step.thing, [stored[path] for path in step.paths], _own(step.thing, product, taken, own_pages), link)
        for step in steps
    ]
    kept = [level for level in found if level.offers]
    if not kept:
        raise NoSuchLinkError(f"nothing is known of {link.path}", field="path")
    place = next((place for place, level in enumerate(kept) if level.defaults), len(kept) - 1)
    if not kept[place].defaults:  # whoever flagged none has a default all the same (section 2.5.8)
        kept[place] = msgspec.structs.replace(kept[place], defaults=_unflagged(kept[place].offers))
    return Resolution(
        link=link,
        product=product,
        levels=tuple(kept),
        default_level=place,
        default=_the_default(kept[place].defaults, locale),
    )


def _unflagged(offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """The default of a brand that flagged none: its product pages, else our page, else the oldest link."""
    pages = tuple(offer for offer in offers if offer.link_type == PRODUCT_PAGE and not offer.own)
    return pages or tuple(offer for offer in offers if offer.is_default) or offers[:1]


async def _product(connection: AsyncConnection, programme_id: UUID, link: DigitalLink) -> Product | None:
    if link.key != GTIN:
        return None
    try:
        return await get_product(connection, programme_id=programme_id, gtin=link.value)
    except NotFoundError as error:
        raise NoSuchLinkError(f"nothing is known of {link.path}", field="path") from error


def _own(thing: DigitalLink, product: Product | None, taken: set[str], own_pages: OwnPages) -> list[Offer]:
    """Our pages of a thing; those of a type that the brand has links of step back, except an item's own page."""
    if product is None:
        return []
    return [
        offer
        for offer in own_pages(thing, product)
        if offer.link_type not in taken or (offer.is_default and is_item(thing))
    ]


def _offers(thing: DigitalLink, stored: list[list[Link]], own: list[Offer], asked: DigitalLink) -> LevelOffers:
    """What is offered of one thing. Of each type only what is nearest: a link of this very lot before every lot's."""
    offers: list[Offer] = []
    for links in stored:
        nearer = {offer.link_type for offer in offers}
        flagged = any(offer.is_default for offer in offers)
        for link in links:
            target = fill_target(link.target, asked)
            if target is not None and link.link_type not in nearer:
                offers.append(_offer(link, target, is_default=link.is_default and not flagged))
    defaults = [offer for offer in (own if is_item(thing) else offers) if offer.is_default]
    bounded = [offer for offer in defaults if offer.bounded]
    return LevelOffers(thing=thing, offers=(*offers, *own), defaults=tuple(bounded or defaults))


def _offer(link: Link, target: str, *, is_default: bool) -> Offer:
    return Offer(
        link_type=link.link_type,
        target=target,
        title=link.title,
        languages=link.languages,
        media_type=link.media_type,
        contexts=link.contexts,
        is_default=is_default,
        bounded=link.valid_until is not None,
    )


def _the_default(defaults: Sequence[Offer], locale: str) -> Offer:
    """Of several defaults the one that is for everybody, else the one in the brand's language, else the oldest."""
    best = choose(defaults, Wishes(languages=((locale, 1.0),)))
    for_all = [offer for offer in defaults if not offer.languages and not offer.contexts]
    return (for_all or best)[0]
