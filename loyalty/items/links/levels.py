"""Levels: what a link is about, from a product to one item; and the way up from whatever is asked for.

GS1-Conformant Resolver 1.2, section 2.5.9: a link is registered for a key alone or with qualifiers; for a GTIN those
are a third-party serial, or a serial, without anything else, or a variant, a lot, or both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from loyalty.items.application_identifiers import NAMES, QUALIFIERS, fault
from loyalty.items.digital_link import GTIN, LOT, SERIAL, VARIANT, DigitalLink
from loyalty.kit.errors import InvalidInputError

Qualifiers = Mapping[str, str | None]
"""Qualifiers by identifier in the order of a path; None stands for every value."""

_EVERY: Final = "*"
"""How `every` is stored. An encoded value never has a star."""
_PARTS_OF_PRODUCT: Final = ((SERIAL,), ("235",), (VARIANT, LOT), (LOT,), (VARIANT,), ())
"""The nearest first. A serial names one thing, so it comes before anything that names several."""


class Level(msgspec.Struct, frozen=True):
    """Something that links can be about: what it is, and under which paths its links are stored, the nearest first."""

    thing: DigitalLink
    paths: tuple[str, ...]


def is_item(thing: DigitalLink) -> bool:
    """Whether something is one item of a product, of which the server has a page of its own."""
    return thing.key == GTIN and SERIAL in thing.qualifiers


def levels(link: DigitalLink) -> list[Level]:
    """Everything that the thing asked for is or is part of, the nearest first; the key alone comes last."""
    return [
        Level(DigitalLink(key=link.key, value=link.value, qualifiers=qualifiers), tuple(_stored_paths(qualifiers)))
        for each in _combinations(link.key)
        if all(identifier in link.qualifiers for identifier in each)
        for qualifiers in [{identifier: link.qualifiers[identifier] for identifier in each}]
    ]


def _combinations(key: str) -> tuple[tuple[str, ...], ...]:
    if key in (GTIN, "8006"):
        return _PARTS_OF_PRODUCT
    return (*(run for run in QUALIFIERS.get(key, ())), ())


def _stored_paths(qualifiers: Mapping[str, str]) -> Iterator[str]:
    yield write_path(qualifiers)
    if len(qualifiers) == 1:
        yield write_path(dict.fromkeys(qualifiers))


def write_path(qualifiers: Qualifiers) -> str:
    """The path under which links are stored: `/10/L1`, for every lot `/10/*`, for the key itself nothing."""
    return "".join(
        f"/{identifier}/{_EVERY if value is None else quote(value, safe='')}"
        for identifier, value in qualifiers.items()
    )


def read_path(path: str) -> dict[str, str | None]:
    """The qualifiers of a path that `write_path` wrote."""
    parts = path.split("/")[1:]
    return {
        identifier: None if value == _EVERY else unquote(value)
        for identifier, value in zip(parts[::2], parts[1::2], strict=True)
    }


def check_level(key: str, value: str, qualifiers: Qualifiers) -> dict[str, str | None]:
    """What a link may be about, with its qualifiers in the order of a path.

    Raises InvalidInputError naming `key`, `value` or the qualifier as `qualifiers[10]`.
    """
    if key not in NAMES or (key not in QUALIFIERS and qualifiers):
        raise InvalidInputError(f"{key[:10]!r} is not a primary key that has these qualifiers", field="key")
    if reason := fault(key, value):
        raise InvalidInputError(reason, field="value")
    combination = next((each for each in _combinations(key) if set(each) == set(qualifiers)), None)
    if combination is None:
        allowed = "; ".join(" and ".join(each) for each in _combinations(key) if each)
        message = f"a link of this key is about {allowed or 'the key alone'}, or about the key"
        raise InvalidInputError(message, field="qualifiers")
    for identifier in combination:
        given = qualifiers[identifier]
        if given is None and len(combination) > 1:
            raise InvalidInputError("of two qualifiers both are given", field=f"qualifiers[{identifier}]")
        if given is not None and (reason := fault(identifier, given)):
            raise InvalidInputError(reason, field=f"qualifiers[{identifier}]")
    return {identifier: qualifiers[identifier] for identifier in combination}
