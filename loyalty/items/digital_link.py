"""GS1 Digital Link URIs, written and read strictly: `https://{host}/01/{gtin}/21/{serial}` and all other keys.

The rules are those of GS1 Digital Link: URI Syntax 1.6: in the path one primary key, then its qualifiers in their
order; in the query what else is said of the thing, each identifier once. Identifiers are digits (short names such as
`gtin` went out of use with 1.2), and a GTIN has 14 of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

import msgspec

from loyalty.items.application_identifiers import (
    IDENTIFIERS,
    NAMES,
    PATH_IDENTIFIERS,
    PRIMARY_KEYS,
    QUALIFIERS,
    REQUIRED_QUALIFIERS,
    contradiction,
    fault,
    fits,
    is_attribute,
)
from loyalty.items.gtin import normalise_gtin
from loyalty.kit.errors import InvalidInputError

GTIN: Final = "01"
VARIANT: Final = "22"
LOT: Final = "10"
SERIAL: Final = "21"

_URI_LIMIT: Final = 2000
_SHOWN: Final = 40
"""Characters of a stranger's text that a refusal repeats."""
_URI: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_NOT_IN_HOST: Final = re.compile(r"[_~?#@!$&'()*+,;=%]")
_AUTHORITY: Final = re.compile(r"(?:\[[^\[\]]*\]|[^\[\]:]*)(?::[0-9]{0,5})?")
_STEM: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
"""Segments of a path (RFC 3986, section 3.3): brackets belong to a host alone."""
_BROKEN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PAIRS: Final = re.compile("[&;]")


class DigitalLinkError(InvalidInputError):
    """An address that is not a GS1 Digital Link; `field` names the part that is wrong."""

    type = "invalid-digital-link"
    title = "This is not a GS1 Digital Link"


class DigitalLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a Digital Link says: a key and its qualifiers identify a thing, attributes tell more of it.

    Qualifiers and attributes are by Application Identifier, qualifiers in the order of the path. `extras` are the query
    pairs that are not GS1's, as they are written.
    """

    key: str = GTIN
    value: str
    qualifiers: dict[str, str] = {}
    attributes: dict[str, str] = {}
    extras: tuple[tuple[str, str], ...] = ()

    @property
    def gtin(self) -> str | None:
        """The product's number, of 14 digits, where the key is one."""
        return self.value if self.key == GTIN else None

    @property
    def variant(self) -> str | None:
        """The consumer product variant."""
        return self.qualifiers.get(VARIANT)

    @property
    def lot(self) -> str | None:
        """The batch or lot."""
        return self.qualifiers.get(LOT)

    @property
    def serial(self) -> str | None:
        """The serial number."""
        return self.qualifiers.get(SERIAL)

    @property
    def path(self) -> str:
        """The canonical path that identifies the thing: key and qualifiers, encoded, without attributes."""
        return qualifier_path({self.key: self.value, **self.qualifiers})


def qualifier_path(qualifiers: Mapping[str, str]) -> str:
    """The part of a path that qualifies a key, such as `/10/L1`; empty where there is nothing to qualify it."""
    return "".join(f"/{identifier}/{_segment(value)}" for identifier, value in qualifiers.items())


def _segment(value: str) -> str:
    """A value as a part of a path. One of dots alone would be taken for a direction, so its dots are encoded too."""
    return quote(value, safe="") if value not in (".", "..") else value.replace(".", "%2E")


def format_link(
    base_url: str, *, gtin: str, serial: str | None = None, lot: str | None = None, variant: str | None = None
) -> str:
    """Write the Digital Link of a product or item under `base_url` (scheme, host and maybe a path).

    Raises InvalidInputError on a wrong GTIN, DigitalLinkError on a value that a qualifier cannot have.
    """
    given = {VARIANT: variant, LOT: lot, SERIAL: serial}
    qualifiers = {identifier: value for identifier, value in given.items() if value is not None}
    return build_link(base_url, DigitalLink(value=normalise_gtin(gtin), qualifiers=qualifiers))


def build_link(base_url: str, link: DigitalLink) -> str:
    """Write any Digital Link under `base_url`. `parse_link` reads it back as it was.

    Raises DigitalLinkError where a value, an order or a combination is not allowed.
    """
    pairs = [(link.key, link.value), *link.qualifiers.items()]
    if link.key not in PRIMARY_KEYS:
        raise DigitalLinkError(f"{link.key[:_SHOWN]!r} is not a primary key", field="path")
    _check_order([identifier for identifier, _ in pairs], [2 * count for count in range(len(pairs))])
    for identifier, value in pairs:
        _check_value(identifier, value, part=identifier)
    for identifier, value in link.attributes.items():
        _check_attribute(identifier, value, link)
    _check_agreement([link.key, *link.qualifiers, *link.attributes])
    query = [f"{identifier}={quote(value, safe='')}" for identifier, value in link.attributes.items()]
    query += [f"{key}={value}" if value else key for key, value in link.extras]
    return base_url.rstrip("/") + link.path + (f"?{'&'.join(query)}" if query else "")


def parse_link(uri: str, *, stem: str | None = None) -> DigitalLink:
    """Read a Digital Link: a whole URI, or its path and query. A fragment is ignored.

    `stem` is what the path has before the key; with None that is whatever is there, and the key is the first one whose
    value has the key's form. Raises DigitalLinkError naming the part at fault and the reason.
    """
    split = _split(uri)
    segments = split.path.split("/")[1:]
    start = _find_key(segments) if stem is None else len(stem.split("/")) - 1
    if not split.path.startswith(f"{stem or ''}/") or start >= len(segments) or segments[start] not in PRIMARY_KEYS:
        raise DigitalLinkError(_no_key(segments), field="path")
    if not _STEM.fullmatch("/".join(segments[:start])):
        raise DigitalLinkError("before the key is something that a path cannot have", field="path")
    places = list(range(start, len(segments), 2))
    segments.append("")  # an identifier at the very end has an empty value
    pairs = [(segments[place], segments[place + 1]) for place in places]
    _check_order([identifier for identifier, _ in pairs], places)
    values: dict[str, str] = {}
    for identifier, encoded in pairs:
        values[identifier] = _decode(encoded, part=identifier)
        _check_value(identifier, values[identifier], part=identifier)
    key = pairs[0][0]
    link = DigitalLink(key=key, value=values.pop(key), qualifiers=values)
    attributes, extras = _read_query(split.query, link)
    _check_agreement([key, *link.qualifiers, *attributes])
    return msgspec.structs.replace(link, attributes=attributes, extras=extras)


def _split(uri: str) -> SplitResult:
    if len(uri) > _URI_LIMIT:
        raise DigitalLinkError(f"longer than {_URI_LIMIT} characters", field="uri")
    if not _URI.fullmatch(uri):
        raise DigitalLinkError("empty, or a character that a URI cannot have: percent-encode it", field="uri")
    if uri.startswith("/") and not uri.startswith("//"):
        path, _, query = uri.partition("#")[0].partition("?")
        return SplitResult("", "", path, query, "")
    try:
        split = urlsplit(uri)
    except ValueError as error:
        raise DigitalLinkError(f"not a URI: {error}", field="uri") from error
    if not split.scheme and not split.netloc:
        raise DigitalLinkError("neither a URI nor a path that starts with /", field="uri")
    if split.scheme.lower() not in ("http", "https"):
        raise DigitalLinkError("the scheme is not http or https", field="scheme")
    if not split.hostname:
        raise DigitalLinkError("there is no host", field="host")
    if bad := _NOT_IN_HOST.search(split.netloc):
        raise DigitalLinkError(f"{bad[0]!r} cannot be in the name of a host", field="host")
    if not _AUTHORITY.fullmatch(split.netloc):
        raise DigitalLinkError("after a host there can only be a colon and a port", field="host")
    return split


def _find_key(segments: list[str]) -> int:
    """Where the key is: the first whose value has its form, so that a shop's own path may hold 00 or 01 as well."""
    keys = [place for place, segment in enumerate(segments[:-1]) if segment in PRIMARY_KEYS]
    for place in keys:
        if fits(segments[place], unquote_to_bytes(segments[place + 1]).decode("ascii", "replace")):
            return place
    return keys[0] if keys else len(segments) - 1


def _no_key(segments: list[str]) -> str:
    short = next((each for each in segments if each in _SHORT_NAMES), None)
    if short is not None:
        return f"short names are not used any more: write {_SHORT_NAMES[short]} instead of {short}"
    return "there is no primary key, such as /01/ with a GTIN"


_SHORT_NAMES: Final = {
    "cpid": "8010",
    "gcn": "255",
    "gdti": "253",
    "giai": "8004",
    "ginc": "401",
    "gln": "414",
    "gmn": "8013",
    "grai": "8003",
    "gsin": "402",
    "gsrn": "8018",
    "gsrnp": "8017",
    "gtin": "01",
    "itip": "8006",
    "party": "417",
    "sscc": "00",
}


def _check_order(identifiers: list[str], places: list[int]) -> None:
    """Whether a path's identifiers follow each other as their key wants it. Raises DigitalLinkError."""
    key, *rest = identifiers
    sequences = QUALIFIERS.get(key, ())
    for count, identifier in enumerate(rest, start=1):
        fitting = [run for run in sequences if _is_subsequence(rest[:count], run)]
        if not fitting:
            raise DigitalLinkError(_misplaced(identifier, identifiers[:count], key), field=f"path[{places[count]}]")
    if (required := REQUIRED_QUALIFIERS.get(key)) and required not in rest:
        raise DigitalLinkError(f"{key} ({NAMES[key]}) needs {required} ({NAMES[required]}) after it", field="path")


def _is_subsequence(some: Iterable[str], run: Iterable[str]) -> bool:
    remaining = iter(run)
    return all(each in remaining for each in some)


def _misplaced(identifier: str, before: list[str], key: str) -> str:
    if not identifier:
        return "an empty part: two slashes, or one at the end"
    if identifier in before:
        return f"{identifier} is there twice"
    sequences = QUALIFIERS.get(key, ())
    allowed = " or ".join(", ".join(run) for run in sequences) or "none"
    if any(identifier in run for run in sequences):
        return f"{identifier} is out of order; the order is {allowed}"
    if identifier in PRIMARY_KEYS:
        return f"a second primary key, {identifier}"
    return f"{identifier[:_SHOWN]!r} is not a qualifier of {_named(key)}; those are {allowed}"


def _named(key: str) -> str:
    return f"{'an' if NAMES[key][0] in 'SI' else 'a'} {NAMES[key]}"


def _check_value(identifier: str, value: str, *, part: str) -> None:
    if identifier == GTIN and value.isascii() and value.isdecimal() and not fits(identifier, value):
        raise DigitalLinkError(f"a GTIN has 14 digits here, not {len(value)}", field=part)
    if reason := fault(identifier, value):
        raise DigitalLinkError(reason, field=part)


def _check_attribute(identifier: str, value: str, link: DigitalLink) -> None:
    field = f"query[{identifier[:_SHOWN]}]"
    if identifier == link.key or identifier in link.qualifiers:
        raise DigitalLinkError(f"{identifier} ({NAMES[identifier]}) belongs in the path, once", field=field)
    rest = [*link.qualifiers, identifier]
    if any(identifier in run and set(rest) <= set(run) for run in QUALIFIERS.get(link.key, ())):
        raise DigitalLinkError(f"{identifier} ({NAMES[identifier]}) belongs in the path", field=field)
    if identifier not in IDENTIFIERS:
        raise DigitalLinkError(f"{identifier[:_SHOWN]} is not a GS1 identifier", field=field)
    if not is_attribute(identifier):
        named = f" ({NAMES[identifier]})" if identifier in PATH_IDENTIFIERS else ""
        raise DigitalLinkError(f"{identifier}{named} is not an identifier that a query can have", field=field)
    _check_value(identifier, value, part=field)


def _check_agreement(identifiers: list[str]) -> None:
    if pair := contradiction(identifiers):
        raise DigitalLinkError(f"{pair[0]} and {pair[1]} cannot be said of one thing", field=f"query[{pair[1]}]")


def _read_query(query: str, link: DigitalLink) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """The attributes by identifier, and the pairs that are no business of GS1's, as they are written."""
    attributes: dict[str, str] = {}
    extras: list[tuple[str, str]] = []
    for pair in _PAIRS.split(query):
        key, _, encoded = pair.partition("=")
        if not (key.isascii() and key.isdecimal()):
            if key or encoded:
                extras.append((key, encoded))
            continue
        # In a query a plus is a space, as forms write it; no value of GS1's has one.
        value = _decode(encoded.replace("+", " "), part=f"query[{key[:_SHOWN]}]")
        _check_attribute(key, value, link)
        if attributes.setdefault(key, value) != value:
            raise DigitalLinkError(f"{key} is there twice, with different values", field=f"query[{key}]")
    return attributes, tuple(extras)


def _decode(encoded: str, *, part: str) -> str:
    if not encoded:
        raise DigitalLinkError(f"{part} has no value", field=part)
    if _BROKEN_PERCENT.search(encoded):
        raise DigitalLinkError("a percent sign without two hexadecimal digits", field=part)
    decoded = unquote_to_bytes(encoded)
    if not decoded.isascii():
        raise DigitalLinkError("a character outside GS1's sets", field=part)
    return decoded.decode("ascii")
