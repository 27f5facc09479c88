"""What a segment's rule may ask of a member.

A field is a name with arguments: `tier`, `orders:days=90`, `spent_minor:currency=CNY:days=365:channel=online`,
`tag:name=vip`. So one vocabulary holds every window, channel, tag and purpose there may be, and a rule says in one
place all that it asks.

Personal data is sealed, field by field, and cannot be asked in bulk; what can be is what is kept in the clear: the
month of a birthday (not the day), when and where somebody joined, their language, and the city of their last scan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from loyalty.kit.errors import InvalidInputError
from loyalty.kit.rules import FieldType, Rule, Vocabulary, check, fields_of

MOST_DAYS: Final = 3_660
MOST_FIELDS: Final = 40
"""Different fields in one rule: each is a column that the database works out for every member."""


class FieldKind(msgspec.Struct, frozen=True):
    """A field's type, the facts it is worked out from, and its arguments."""

    type: FieldType
    source: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


KINDS: Final[Mapping[str, FieldKind]] = {
    "joined_on": FieldKind("date", "member"),
    "joined_days": FieldKind("integer", "member"),
    "joined_channel": FieldKind("text", "member"),
    "language": FieldKind("text", "member"),
    "birth_month": FieldKind("integer", "profile"),
    "months_to_birthday": FieldKind("integer", "profile"),
    "tier": FieldKind("text", "tier"),
    "tier_rank": FieldKind("integer", "tier"),
    "tier_days": FieldKind("integer", "tier"),
    "tier_days_left": FieldKind("integer", "tier"),
    "points": FieldKind("integer", "points"),
    "points_pending": FieldKind("integer", "points"),
    "orders": FieldKind("integer", "trade", may=("days", "channel")),
    "spent_minor": FieldKind("integer", "trade", needs=("currency",), may=("days", "channel")),
    "days_since_order": FieldKind("integer", "trade", may=("channel",)),
    "days_since_first_order": FieldKind("integer", "trade", may=("channel",)),
    "scans": FieldKind("integer", "scans", may=("days", "gtin")),
    "days_since_scan": FieldKind("integer", "scans"),
    "scan_city": FieldKind("text", "scans"),
    "claims": FieldKind("integer", "claims", may=("days", "gtin")),
    "tag": FieldKind("boolean", "tags", needs=("name",)),
    "consent": FieldKind("boolean", "consents", needs=("purpose",)),
}
"""Days and dates are of the programme's calendar. `orders`, `spent_minor`, `scans` and `claims` are zero where there is
none; `tag` and `consent` are false; what else is not known is missing. `days=90` is today and the 89 days before it.
`months_to_birthday` is 0 in the month of the birthday; `tier_days` are since the tier was reached, `tier_days_left` to
its end, where it has one; `spent_minor` is less what was refunded."""

_VALUES: Final[Mapping[str, re.Pattern[str]]] = {
    "days": re.compile(r"[1-9]\d{0,3}"),
    "channel": re.compile(r"[a-z0-9][a-z0-9-]{0,39}"),
    "currency": re.compile(r"[A-Z]{3}"),
    "gtin": re.compile(r"\d{14}"),
    "name": re.compile(r"[^:=\x00-\x1f\x7f]{1,40}"),
    "purpose": re.compile(r"[a-z][a-z0-9_]{0,39}"),
}


class Field(msgspec.Struct, frozen=True):
    """A field as a rule names it, taken apart."""

    text: str
    name: str
    arguments: Mapping[str, str]

    @property
    def kind(self) -> FieldKind:
        """Its type, source and arguments."""
        return KINDS[self.name]


def read_field(text: str) -> Field | None:
    """Take a field's text apart; None where it is none, or not written as it should be."""
    name, *parts = text.split(":")
    kind = KINDS.get(name)
    if kind is None:
        return None
    arguments: dict[str, str] = {}
    for part in parts:
        key, mark, value = part.partition("=")
        pattern = _VALUES.get(key) if key in kind.needs + kind.may and key not in arguments else None
        if not mark or pattern is None or not pattern.fullmatch(value):
            return None
        arguments[key] = value
    if any(need not in arguments for need in kind.needs) or int(arguments.get("days", 1)) > MOST_DAYS:
        return None
    field = Field(text, name, arguments)
    return field if write_field(name, arguments) == text else None


def write_field(name: str, arguments: Mapping[str, str]) -> str:
    """A field's text: arguments stand in one order, so that one field has one spelling."""
    kind = KINDS[name]
    given = [f"{key}={arguments[key]}" for key in kind.needs + kind.may if arguments.get(key)]
    return ":".join((name, *given))


class _Fields(Mapping[str, FieldType]):
    """The types of all fields there may be, by their texts. Iterating names those without arguments."""

    def __getitem__(self, text: str) -> FieldType:
        field = read_field(text)
        if field is None:
            raise KeyError(text)
        return field.kind.type

    def __iter__(self) -> Iterator[str]:
        return (
            ":".join((name, *(f"{key}=…" for key in kind.needs), *(f"[{key}=…]" for key in kind.may)))
            for name, kind in KINDS.items()
        )

    def __len__(self) -> int:
        return len(KINDS)


VOCABULARY: Final = Vocabulary(_Fields())


def check_rule(rule: Rule, *, path: str = "rule") -> None:
    """Hold a segment's rule against the vocabulary and the limits. Raises InvalidInputError naming the field's path."""
    check(rule, VOCABULARY, path=path)
    if len(fields_of(rule)) > MOST_FIELDS:
        raise InvalidInputError(f"at most {MOST_FIELDS} different fields", field=path)
