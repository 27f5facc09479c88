"""GS1 Digital Link URIs of items: `https://{host}/01/{gtin}/21/{serial}`, written and read strictly.

The rules are those of GS1 Digital Link: URI Syntax 1.6 for the primary key 01: the key, then its qualifiers in their
order (22 consumer product variant, 10 lot, 21 serial) in the path; attributes in the query. Identifiers are digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import msgspec

from loyalty.items.application_identifiers import PRIMARY_KEYS, fits, is_attribute
from loyalty.items.gtin import normalise_gtin
from loyalty.kit.errors import InvalidInputError

QUALIFIERS: Final = ("22", "10", "21")
"""The qualifiers of a GTIN, in the order in which a path must have them."""

_GTIN: Final = "01"
_GTIN_LENGTH: Final = 14
_URI_LIMIT: Final = 2000
_URI: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_BROKEN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NAMES: Final = {"22": "consumer product variant", "10": "lot", "21": "serial"}


class DigitalLinkError(InvalidInputError):
    """An address that is not a GS1 Digital Link of a trade item; `field` names the part that is wrong."""

    type = "invalid-digital-link"
    title = "This is not a GS1 Digital Link of a product"


class DigitalLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a Digital Link says: `attributes` by Application Identifier, `extras` the query pairs that are not GS1's."""

    gtin: str
    variant: str | None = None
    lot: str | None = None
    serial: str | None = None
    attributes: dict[str, str] = {}
    extras: tuple[tuple[str, str], ...] = ()


def format_link(
    base_url: str, *, gtin: str, serial: str | None = None, lot: str | None = None, variant: str | None = None
) -> str:
    """Write the Digital Link of a product or item under `base_url` (scheme, host and maybe a path).

    Raises InvalidInputError on a wrong GTIN, DigitalLinkError on a value that a qualifier cannot have.
    """
    parts = [base_url.rstrip("/"), _GTIN, normalise_gtin(gtin)]
    for identifier, value in zip(QUALIFIERS, (variant, lot, serial), strict=True):
        if value is not None:
            _check_value(identifier, value, part="path")
            parts += [identifier, quote(value, safe="")]
    return "/".join(parts)


def parse_link(uri: str) -> DigitalLink:
    """Read a Digital Link: a whole URI, or its path and query. A path before `/01/` is allowed, a fragment ignored.

    Raises DigitalLinkError naming the part at fault and the reason.
    """
    if len(uri) > _URI_LIMIT:
        raise DigitalLinkError(f"longer than {_URI_LIMIT} characters", field="uri")
    if not _URI.fullmatch(uri):
        raise DigitalLinkError("empty, or a character that a URI cannot have: percent-encode it", field="uri")
    try:
        split = urlsplit(uri)
    except ValueError as error:
        raise DigitalLinkError(f"not a URI: {error}", field="uri") from error
    if split.scheme or split.netloc:
        if split.scheme.lower() not in ("http", "https"):
            raise DigitalLinkError("the scheme is not http or https", field="scheme")
        if not split.hostname:
            raise DigitalLinkError("there is no host", field="host")
    elif not uri.startswith("/"):
        raise DigitalLinkError("neither a URI nor a path that starts with /", field="uri")
    values = _read_path(split.path)
    attributes, extras = _read_query(split.query)
    return DigitalLink(
        gtin=values[_GTIN],
        variant=values.get("22"),
        lot=values.get("10"),
        serial=values.get("21"),
        attributes=attributes,
        extras=extras,
    )


def _read_path(path: str) -> dict[str, str]:
    """The values of the primary key and its qualifiers, by identifier."""
    segments = path.split("/")[1:]
    start = next((place for place, segment in enumerate(segments) if segment == _GTIN or segment in PRIMARY_KEYS), None)
    if start is None:
        raise DigitalLinkError("there is no /01/ with a GTIN", field="path")
    if segments[start] != _GTIN:
        raise DigitalLinkError(f"the key {segments[start]} is not that of a product; 01 is", field="path")
    pairs = segments[start:]
    values: dict[str, str] = {}
    allowed: tuple[str, ...] = (_GTIN, *QUALIFIERS)
    for place in range(0, len(pairs), 2):
        identifier = pairs[place]
        if identifier not in allowed:
            raise DigitalLinkError(_misplaced(identifier, values), field=f"path[{start + place}]")
        allowed = allowed[allowed.index(identifier) + 1 :]
        encoded = pairs[place + 1] if place + 1 < len(pairs) else ""
        value = _decode(encoded, part=identifier)
        if identifier == _GTIN:
            _check_gtin(value)
        else:
            _check_value(identifier, value, part=identifier)
        values[identifier] = value
    return values


def _misplaced(identifier: str, before: Iterable[str]) -> str:
    if not identifier:
        return "an empty part: two slashes, or one at the end"
    if identifier in before:
        return f"{identifier} is there twice"
    if identifier in QUALIFIERS:
        return f"{identifier} is out of order; the order is {', '.join(QUALIFIERS)}"
    if identifier == _GTIN or identifier in PRIMARY_KEYS:
        return f"a second primary key, {identifier}"
    return f"{identifier[:40]!r} is not a qualifier of a GTIN; those are {', '.join(QUALIFIERS)}"


def _read_query(query: str) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """The attributes by identifier, and the pairs that are no business of GS1's, as they are written."""
    attributes: dict[str, str] = {}
    extras: list[tuple[str, str]] = []
    for pair in query.split("&"):
        key, _, encoded = pair.partition("=")
        if not (key.isascii() and key.isdecimal()):
            if pair:
                extras.append((key, encoded))
            continue
        field = f"query[{key}]"
        if key == _GTIN:
            raise DigitalLinkError("the GTIN belongs in the path, once", field=field)
        if key in QUALIFIERS:
            raise DigitalLinkError(f"{key} ({_NAMES[key]}) belongs in the path", field=field)
        if not is_attribute(key):
            raise DigitalLinkError(f"{key[:10]} is not an identifier that can be said of a product", field=field)
        # In a query a plus is a space, as forms write it; no value of GS1's has one.
        value = _decode(encoded.replace("+", " "), part=field)
        _check_value(key, value, part=field)
        if attributes.setdefault(key, value) != value:
            raise DigitalLinkError(f"{key} is there twice, with different values", field=field)
    return attributes, tuple(extras)


def _decode(encoded: str, *, part: str) -> str:
    if not encoded:
        raise DigitalLinkError(f"{part} has no value", field=part)
    if _BROKEN_PERCENT.search(encoded):
        raise DigitalLinkError("a percent sign without two hexadecimal digits", field=part)
    decoded = unquote_to_bytes(encoded)
    if not decoded.isascii():
        raise DigitalLinkError("a character outside GS1's set of 82", field=part)
    return decoded.decode("ascii")


def _check_gtin(value: str) -> None:
    if len(value) != _GTIN_LENGTH:
        raise DigitalLinkError(f"a GTIN has {_GTIN_LENGTH} digits here, not {len(value)}", field=_GTIN)
    try:
        normalise_gtin(value)
    except InvalidInputError as error:
        raise DigitalLinkError(error.detail, field=_GTIN) from error


def _check_value(identifier: str, value: str, *, part: str) -> None:
    if not fits(identifier, value):
        raise DigitalLinkError(f"{value[:40]!r} is not a value that {identifier} can have", field=part)
