"""EPCs: names of objects, places, parties and documents, in the spellings that GS1 has, and the one we match by.

An EPC comes as a URN (`urn:epc:id:sgtin:4012345.011111.9876`) or as a GS1 Digital Link
(`https://example.com/01/04012345111118/21/9876?11=…`). Both become the path of the constrained canonical Digital Link,
`01/04012345111118/21/9876`: the key and its finest qualifier alone (CBV 2.0, section 8.9.2, rules 17 and 18). The way
back to a URN needs the length of the company prefix, which a Digital Link does not tell; so what was given is kept.

Sources: GS1 EPC Tag Data Standard, section 6.3 (URN syntax); GS1 Digital Link URI Syntax 1.6, section 4.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes, urlsplit

import msgspec

from loyalty.items.epcis.schemes import LINKS, QUALIFIER_FORMS, URNS, Link
from loyalty.items.epcis.uris import is_uri
from loyalty.items.gtin import check_digit

CANONICAL_DOMAIN: Final = "https://id.gs1.org/"
"""What canonical Digital Links start with."""

Level = Literal["instance", "class", "place", "other"]
"""What a name names: one object, a class of objects, a place or party, or what only its maker knows."""

_STARTS_LIKE_A_KEY: Final = re.compile(r"\d{4}")
_EPC_URN: Final = "urn:epc:"
_UNESCAPED: Final = "';="
"""Characters that stay as they are in a path, beside letters, digits and `-._~`."""
_BROKEN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SHORT_GTINS: Final = (8, 12, 13)
_OTHER_SCHEMES: Final = re.compile(r"urn:epc:id:(?:gid|usdod|adi|bic|imovn):\S+")
"""EPC schemes without a GS1 key: they have no Digital Link, and are matched as they are."""


class Epc(msgspec.Struct, frozen=True, kw_only=True):
    """A name in its one spelling. `canonical` is a path under CANONICAL_DOMAIN, or a whole URI that is not GS1's."""

    canonical: str
    level: Level
    gtin: str | None = None
    serial: str | None = None

    @property
    def link(self) -> str:
        """The name as a canonical GS1 Digital Link, or the URI that it is."""
        return self.canonical if self.level == "other" else CANONICAL_DOMAIN + self.canonical


def parse_epc(text: str) -> Epc:
    """Read a name in any of its spellings, strictly. Raises ValueError with the reason.

    A URI that is neither an EPC URN nor a Digital Link is a name of its maker's own, and taken as it is.
    """
    found = _read(text, strict=True)
    if found is not None:
        return found
    if not is_uri(text):
        message = f"{text[:80]!r} is not a URI"
        raise ValueError(message)
    return Epc(canonical=text, level="other")


def canonical_link(text: str) -> str | None:
    """The canonical Digital Link of any value that is an EPC, check digits unseen; None where it is none.

    This is what the event hash writes: it is about values of any field, and refuses nothing.
    """
    try:
        found = _read(text, strict=False)
    except ValueError:
        return None
    return None if found is None or found.level == "other" else found.link


def pattern_prefix(text: str) -> str | None:
    """What the canonical names of a pattern's objects start with (`urn:epc:idpat:sgtin:4012345.011111.*`).

    None for what is no pattern. Raises ValueError where it is a malformed one.
    """
    if not text.startswith("urn:epc:idpat:"):
        return None
    canonical = parse_epc(text).canonical
    # A GRAI, a GDTI and a coupon carry their serial in the key; the others have it in a segment of its own.
    return canonical if canonical.startswith(("8003/", "253/", "255/")) else f"{canonical}/"


def _read(text: str, *, strict: bool) -> Epc | None:
    if text.startswith(_EPC_URN):
        return _from_urn(text)
    if text.startswith(("https://", "http://")):
        return _from_link(text, strict=strict)
    return None


def _from_urn(text: str) -> Epc:
    kind, _, rest = text.removeprefix(_EPC_URN).partition(":")
    scheme, _, body = rest.partition(":")
    urn = URNS.get(f"{kind}:{scheme}")
    if urn is None:
        if _OTHER_SCHEMES.fullmatch(text) and is_uri(text):
            return Epc(canonical=text, level="other")
        message = f"{text[:60]!r} is of no EPC scheme that is read here"
        raise ValueError(message)
    parts = [_decode(part) for part in body.split(".", len(urn.rest) + 1)]
    further = parts[2:]
    if (
        not is_uri(text)
        or len(further) != len(urn.rest)
        or not urn.reference_fits(parts[0], parts[1] if len(parts) > 1 else "")
        or not all(form.fullmatch(part) for form, part in zip(urn.rest, further, strict=True))
    ):
        message = f"{text[:120]!r} is not of the form {urn.form}"
        raise ValueError(message)
    prefix, reference = parts[0], parts[1] if len(parts) > 1 else ""
    key = urn.lead + (reference[:1] + prefix + reference[1:] if urn.indicator else prefix + reference)
    value, qualifier = urn.build(key + (str(check_digit(key)) if urn.checked else ""), further)
    return _made(LINKS[urn.identifier], value, qualifier)


def _from_link(text: str, *, strict: bool) -> Epc | None:
    try:
        segments = urlsplit(text).path.split("/")[1:]
    except ValueError:
        return None
    pairs = enumerate(pairwise(segments))
    place = next((at for at, (key, value) in pairs if key in LINKS and _STARTS_LIKE_A_KEY.match(value)), None)
    if place is None:
        return None
    if strict and not is_uri(text):
        message = f"{text[:80]!r} is not a URI"
        raise ValueError(message)
    link = LINKS[segments[place]]
    value, *rest = [_decode(segment) for segment in segments[place + 1 :]]
    if link.identifier == "01" and len(value) in _SHORT_GTINS:
        value = value.zfill(14)
    if strict and link.checked and link.pattern.fullmatch(value):
        expected = check_digit(value[: link.checked - 1])
        if value[link.checked - 1] != str(expected):
            message = f"the check digit of {value[: link.checked]} should be {expected}"
            raise ValueError(message)
    return _made(link, value, _finest(link, rest))


def _finest(link: Link, pairs: list[str]) -> str | None:
    """The finest qualifier of a path, as `21/9876`; qualifiers are in the order that the key gives them.

    Raises ValueError where one is out of order, not of this key, or without a value.
    """
    allowed = link.qualifiers
    finest = None
    for identifier, value in zip(pairs[::2], pairs[1::2], strict=False):
        if identifier not in allowed:
            message = f"{identifier[:20]!r} is not a qualifier of {link.identifier}, or not in its place"
            raise ValueError(message)
        allowed = allowed[allowed.index(identifier) + 1 :]
        if identifier in link.kept:
            finest = f"{identifier}/{value}"
    if len(pairs) % 2:
        message = f"{pairs[-1][:20]!r} at the end of the path has no value"
        raise ValueError(message)
    return finest


def _made(link: Link, value: str, qualifier: str | None) -> Epc:
    """The EPC of a key's value and, as `21/serial`, its qualifier, neither encoded. Raises ValueError."""
    if not link.pattern.fullmatch(value):
        message = f"{value[:60]!r} is not a value that {link.identifier} can have"
        raise ValueError(message)
    identifier, _, content = (qualifier or "").partition("/")
    if qualifier is not None and not QUALIFIER_FORMS[identifier].fullmatch(content):
        message = f"{content[:60]!r} is not a value that {identifier} can have"
        raise ValueError(message)
    canonical = f"{link.identifier}/{_encode(value)}"
    return Epc(
        canonical=canonical if qualifier is None else f"{canonical}/{identifier}/{_encode(content)}",
        level=link.level(value, identifier or None),
        gtin=value if link.identifier == "01" else None,
        serial=content if link.identifier == "01" and identifier == "21" else None,
    )


def _encode(value: str) -> str:
    return quote(value, safe=_UNESCAPED)


def _decode(value: str) -> str:
    if _BROKEN_PERCENT.search(value):
        message = f"{value[:60]!r} has a percent sign without two hexadecimal digits"
        raise ValueError(message)
    decoded = unquote_to_bytes(value)
    if not decoded.isascii():
        message = f"{value[:60]!r} has a character outside GS1's set of 82"
        raise ValueError(message)
    return decoded.decode("ascii")
