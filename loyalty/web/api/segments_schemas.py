"""Requests and answers about segments and tags."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from loyalty.campaigns.segments.segment import LONGEST_NAME, LONGEST_NOTE, SEGMENT_PREFIX, Segment, SegmentVersion
from loyalty.web.api.operations import tell

RuleDocument = Annotated[
    dict[str, Any],
    Meta(
        description="A tree of rules: `all`, `any` and `not` around `compare`, `one_of`, `starts_with` and `present`. "
        "Fields carry their arguments: `tier`, `points`, `orders:days=90:channel=online`, "
        "`spent_minor:currency=CNY:days=365`, `days_since_order`, `months_to_birthday`, `tag:name=vip`, "
        "`consent:purpose=marketing_sms` … A wrong field is answered with all that there are.",
        examples=[{"rule": "compare", "field": "orders:days=90", "op": "ge", "value": 2}],
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME, examples=["Gold, not seen for 90 days"])]
Note = Annotated[str, Meta(max_length=LONGEST_NOTE, description="Why it was changed.")]


class SegmentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new segment and its first version."""

    name: Name
    rule: RuleDocument
    note: Note = ""


class VersionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next version of a segment."""

    rule: RuleDocument
    note: Note = ""


class CountRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule to count members by; nothing is kept."""

    rule: RuleDocument


class SegmentAnswer(Struct, frozen=True, kw_only=True):
    """A segment; `version` is its newest, 0 while there is only a draft in the console."""

    id: Annotated[str, Meta(pattern=f"^{SEGMENT_PREFIX}_[0-9A-Z]{{26}}$")]
    name: str
    version: int
    retired_at: datetime | None
    created_at: datetime


class Segments(Struct, frozen=True, kw_only=True):
    """The segments in use, by name."""

    data: list[SegmentAnswer]


class VersionAnswer(Struct, frozen=True, kw_only=True):
    """A saved version, which never changes."""

    version: int
    rule: dict[str, Any]
    note: str
    saved_by: str
    saved_at: datetime


class Versions(Struct, frozen=True, kw_only=True):
    """The versions of a segment, newest first."""

    data: list[VersionAnswer]


class CountAnswer(Struct, frozen=True, kw_only=True):
    """How many members match, of how many. An estimate says `about`, and its `margin` to either side (95 per cent)."""

    members: int
    of: int
    about: bool
    margin: int


class SegmentMembers(Struct, frozen=True, kw_only=True):
    """Members of a segment in the order of their ids."""

    data: list[str]
    version: int
    next_cursor: str | None


class Tags(Struct, frozen=True, kw_only=True):
    """A member's tags."""

    data: list[str]


def segment_answer(segment: Segment) -> SegmentAnswer:
    """A segment as it is told."""
    return tell(SegmentAnswer, segment, id=segment.public_id)


def version_answer(version: SegmentVersion) -> VersionAnswer:
    """A version as it is told."""
    return tell(VersionAnswer, version, rule=msgspec.to_builtins(version.rule))
