"""Targets: the addresses that links lead to, stored by the brand, with places for what a code says.

A resolver must not be a way to send people anywhere: only what a brand stored is ever redirected to, and what stands in
a code goes into the path or query of that address, encoded, never into its host.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from loyalty.items.digital_link import LOT, SERIAL, VARIANT, DigitalLink, DigitalLinkError, parse_link
from loyalty.kit.errors import InvalidInputError

TARGET_LIMIT: Final = 1500
WEB_PAGE: Final = "text/html"
PLACES: Final[Mapping[str, str]] = {"variant": VARIANT, "lot": LOT, "serial": SERIAL}
"""What may stand in braces in a target, beside `{gtin}` and, for any key, `{value}`."""

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_SAFE: Final = "%/:?#[]@!$&'()*+,;=-._~{}"
_PORTS: Final = range(1, 65536)


def check_target(text: str, *, https_only: bool = True, own_address: str | None = None) -> str:
    """A target as it is stored: whole, ASCII, its host as it is looked up. Its places are left as they are.

    `own_address` is this server's: a target that is one of its own Digital Links would lead in a circle. Raises
    InvalidInputError naming `target` and the reason.
    """
    target = _encode(text.strip())
    split = urlsplit(target)
    if split.scheme not in (("https",) if https_only else ("https", "http")):
        raise _refusal("has to begin with https://" if https_only else "has to begin with https:// or http://")
    if not split.hostname or "{" in split.netloc or "}" in split.netloc:
        raise _refusal("names no host, or leaves it open: places such as {serial} belong in the path or the query")
    for name in _PLACE.findall(target):
        if name not in PLACES and name not in ("gtin", "value"):
            known = ", ".join(f"{{{each}}}" for each in ("gtin", *PLACES))
            raise _refusal(f"{{{name[:20]}}} is not known; known are {known}")
    if "{" in _PLACE.sub("", target) or "}" in _PLACE.sub("", target):
        raise _refusal("has a brace without its other half")
    if own_address is not None and _leads_back(target, own_address):
        raise _refusal("is a Digital Link of this server and would lead in a circle")
    return target


def _refusal(reason: str) -> InvalidInputError:
    return InvalidInputError(reason, field="target")


def _encode(text: str) -> str:
    """The address in ASCII: a host in IDNA, other characters percent-encoded. Raises InvalidInputError."""
    if len(text) > TARGET_LIMIT:
        raise _refusal(f"is longer than {TARGET_LIMIT} characters")
    if any(character.isspace() or not character.isprintable() for character in text) or "\\" in text:
        raise _refusal("has a blank, a backslash or a character that cannot be printed")
    try:
        split = urlsplit(text)
        port = split.port
        host = (split.hostname or "").encode("idna").decode("ascii")
    except (ValueError, UnicodeError) as error:
        raise _refusal("is not a web address") from error
    if split.username is not None or split.password is not None:
        raise _refusal("holds a user name; such addresses mislead")
    if port is not None and port not in _PORTS:
        raise _refusal("is not a web address")
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    rest = (quote(part, safe=_SAFE) for part in (split.path, split.query, split.fragment))
    encoded = urlunsplit((split.scheme.lower(), netloc, *rest))
    if len(encoded) > TARGET_LIMIT:
        raise _refusal(f"is longer than {TARGET_LIMIT} characters once it is encoded")
    return encoded


def _leads_back(target: str, own_address: str) -> bool:
    if not target.lower().startswith(own_address.lower().rstrip("/") + "/"):
        return False
    path = target[len(own_address.rstrip("/")) :].partition("#")[0].partition("?")[0]
    filled = _PLACE.sub(lambda place: {"gtin": "00000000000000", "value": "00000000000000"}.get(place[1], "A"), path)
    try:
        parse_link(filled, stem="")
    except DigitalLinkError:
        return False
    return True


def fill_target(target: str, link: DigitalLink) -> str | None:
    """The address for one thing: the values of its code in their places. None where the code has not all of them."""
    values = {name: link.qualifiers.get(identifier) for name, identifier in PLACES.items()}
    values |= {"value": link.value, "gtin": link.gtin}
    names = _PLACE.findall(target)
    if any(values.get(name) is None for name in names):
        return None
    return _PLACE.sub(lambda place: quote(values[place[1]] or "", safe=""), target)


def pass_query(address: str, query: str) -> str:
    """An address with the query string of the request behind its own, as it was sent (standard, section 2.12)."""
    if not query:
        return address
    head, mark, fragment = address.partition("#")
    return f"{head}{'&' if '?' in head else '?'}{query}{mark}{fragment}"


def guess_media_type(target: str) -> str:
    """The media type that the address of a target suggests; a web page where it suggests none."""
    guessed, _ = mimetypes.guess_type(urlsplit(target).path)
    return guessed or WEB_PAGE
