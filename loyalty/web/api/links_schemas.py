"""Requests and answers about the links of a product's code."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from loyalty.items.links.levels import Qualifiers
from loyalty.items.links.link import LINK_PREFIX, TITLE_LIMIT, Link, Wanted
from loyalty.items.links.link_types import PREFIX
from loyalty.items.links.targets import TARGET_LIMIT
from loyalty.web.api.operations import Moment, tell

Key = Annotated[
    str,
    Meta(
        pattern="^[0-9]{2,4}$",
        description="The GS1 key: 01 for a product's GTIN, 00 for an SSCC, 414 for a place's GLN …",
        examples=["01"],
    ),
]
KeyValue = Annotated[
    str,
    Meta(
        min_length=1, max_length=30, description="The key's value; a GTIN with 14 digits.", examples=["06901234567892"]
    ),
]
Value = Annotated[str, Meta(min_length=1, max_length=28)]
LinkType = Annotated[
    str,
    Meta(
        max_length=80,
        pattern="^(gs1:|https?://)",
        description="What it leads to: a link type of the GS1 Web Vocabulary.",
        examples=["gs1:pip"],
    ),
]
Language = Annotated[str, Meta(pattern="^[A-Za-z]{2}(-[A-Za-z]{2})?$", examples=["zh"])]
Region = Annotated[str, Meta(pattern="^[A-Z]{2}(-[A-Z0-9]{1,3})?$", examples=["CN"])]


class LinkRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a thing leads. `qualifiers` say of which variant (22), lot (10) or item (21); null stands for every one."""

    value: KeyValue
    link_type: LinkType
    target: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=TARGET_LIMIT,
            description="An https address. `{gtin}`, `{variant}`, `{lot}`, `{serial}` and `{value}` are filled in.",
            examples=["https://shop.example/p/{gtin}?lot={lot}"],
        ),
    ]
    title: Annotated[str, Meta(min_length=1, max_length=TITLE_LIMIT, description="In the language of the target.")]
    key: Key = "01"
    qualifiers: Annotated[dict[str, Value | None], Meta(max_length=2)] = {}
    languages: Annotated[list[Language], Meta(max_length=50)] = []
    media_type: Annotated[str, Meta(max_length=100, examples=["text/html"])] | None = None
    contexts: Annotated[list[Region], Meta(max_length=50, description="Countries and regions, ISO 3166.")] = []
    default: Annotated[bool, Meta(description="Opens where nothing else is asked for. Of an item, its page does.")] = (
        False
    )
    valid_from: Moment | None = None
    valid_until: Moment | None = None


class LinkAnswer(Struct, frozen=True, kw_only=True):
    """A link as it is kept."""

    id: str
    key: str
    value: str
    qualifiers: dict[str, str | None]
    link_type: str
    target: str
    title: str
    languages: list[str]
    media_type: str
    contexts: list[str]
    default: bool
    valid_from: datetime | None
    valid_until: datetime | None
    created_at: datetime


class Links(Struct, frozen=True, kw_only=True):
    """A page of links, those of the key itself first."""

    data: list[LinkAnswer]
    next_cursor: str | None


def link_answer(link: Link) -> LinkAnswer:
    """A link as it is told."""
    return tell(
        LinkAnswer,
        link,
        id=link.public_id,
        link_type=PREFIX + link.link_type,
        languages=list(link.languages),
        contexts=list(link.contexts),
        default=link.is_default,
    )


def wanted_link(request: LinkRequest) -> Wanted:
    """The link that a request asks for."""
    qualifiers: Qualifiers = request.qualifiers
    return tell(Wanted, request, qualifiers=qualifiers, is_default=request.default)


__all__ = ["LINK_PREFIX", "LinkAnswer", "LinkRequest", "Links", "link_answer", "wanted_link"]
