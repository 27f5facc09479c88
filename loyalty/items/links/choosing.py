"""Which of several links of one type suits a request: media type, then language, then context.

GS1-Conformant Resolver 1.2, section 2.6.3. What a request says nothing of decides nothing, except that a link which is
for everybody goes before those that are for some.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

_CONTRADICTS, _PERHAPS, _FOR_ALL, _MATCHES = range(4)
_ANY: Final = "*"


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A link as it is offered for one thing: its target whole, its title in the words of whoever asks.

    `own` are pages of this server, offered where the brand has nothing; `bounded` is a link that ends some day. A query
    is passed on, save to interfaces that refuse parameters they do not know.
    """

    link_type: str
    target: str
    title: str
    languages: tuple[str, ...] = ()
    media_type: str = "text/html"
    contexts: tuple[str, ...] = ()
    is_default: bool = False
    bounded: bool = False
    own: bool = False
    passes_query: bool = True


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a request wants: media types and languages with their weights, the heaviest first, and contexts."""

    media_types: tuple[tuple[str, float], ...] = ()
    languages: tuple[tuple[str, float], ...] = ()
    contexts: tuple[str, ...] = ()


Rank = tuple[int, float, int]
"""How well one mark of a link fits: whether at all, the weight of the wish it meets, and how exactly it meets it."""


def choose(offers: Sequence[Offer], wishes: Wishes) -> list[Offer]:
    """The offers that suit best: one, or several that nothing in the request tells apart; none of none."""
    if not offers:
        return []
    ranks = [_rank(offer, wishes) for offer in offers]
    best = max(ranks)
    by_target = {offer.target: offer for offer, rank in reversed(list(zip(offers, ranks, strict=True))) if rank == best}
    return list(reversed(by_target.values()))


def is_wished(offer: Offer, wishes: Wishes) -> bool:
    """Whether the request names something that this offer is marked with, in language or context.

    A media type alone is no wish for one of several pages: every browser prefers web pages.
    """
    return any(rank[0] == _MATCHES for rank in _rank(offer, wishes)[1:])


def _rank(offer: Offer, wishes: Wishes) -> tuple[Rank, Rank, Rank]:
    return (
        _media_rank(offer.media_type, wishes.media_types),
        _language_rank(offer.languages, wishes.languages),
        _context_rank(offer.contexts, wishes.contexts),
    )


def _media_rank(media_type: str, wished: tuple[tuple[str, float], ...]) -> Rank:
    kind = media_type.partition("/")[0]
    exactness = {media_type: 2, f"{kind}/*": 1}
    ranks = [(_MATCHES, weight, exactness[each]) for each, weight in wished if each in exactness and weight > 0]
    if ranks:
        # RFC 9110, section 12.5.1: the most exact range decides, whatever its weight.
        return max(ranks, key=lambda rank: rank[2])
    if not wished:
        return (_FOR_ALL, 0.0, 0)
    refused = any(each in exactness for each, weight in wished if weight == 0)
    anything = max((weight for each, weight in wished if each == "*/*"), default=0.0)
    return (_PERHAPS, anything, 0) if anything > 0 and not refused else (_CONTRADICTS, 0.0, 0)


def _language_rank(languages: tuple[str, ...], wished: tuple[tuple[str, float], ...]) -> Rank:
    named = [(each.lower(), weight) for each, weight in wished if each != _ANY and weight > 0]
    if not languages:
        return (_FOR_ALL, 0.0, 0)
    ranks = [
        (_MATCHES, weight, exactness)
        for wish, weight in named
        for language in languages
        if (exactness := _kinship(language.lower(), wish))
    ]
    if ranks:
        return max(ranks)
    return (_PERHAPS, 0.0, 0) if not named or any(each == _ANY for each, _ in wished) else (_CONTRADICTS, 0.0, 0)


def _kinship(language: str, wish: str) -> int:
    """How near a language is to the one wished for: the same, one within the other (RFC 4647), of one root, or not."""
    if language == wish:
        return 3
    if wish.startswith(f"{language}-") or language.startswith(f"{wish}-"):
        return 2
    return 1 if language.partition("-")[0] == wish.partition("-")[0] else 0


def _context_rank(contexts: tuple[str, ...], wished: tuple[str, ...]) -> Rank:
    if not contexts:
        return (_FOR_ALL, 0.0, 0)
    if not wished:
        return (_PERHAPS, 0.0, 0)
    exact = any(each in contexts for each in wished)
    within = any(each.startswith(f"{context}-") for each in wished for context in contexts)
    if exact or within:
        return (_MATCHES, 1.0, 2 if exact else 1)
    return (_CONTRADICTS, 0.0, 0)
