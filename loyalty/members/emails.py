"""E-mail addresses: trimmed, the domain in lower case, and only what could be delivered."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from loyalty.kit.errors import InvalidInputError

_LONGEST_ADDRESS: Final = 254  # RFC 5321, 4.5.3.1.3, less its angle brackets
_LONGEST_LOCAL_PART: Final = 64  # RFC 5321, 4.5.3.1.1
_LOCAL_PART: Final = re.compile(r"[^\s@\"(),:;<>\[\]\\.\x00-\x1f\x7f]+(?:\.[^\s@\"(),:;<>\[\]\\.\x00-\x1f\x7f]+)*")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def normalise_email(text: str) -> str:
    """Trim an address and lower its domain, writing an international domain in its ASCII form.

    The part before the @ is kept as written: RFC 5321 leaves its meaning to the receiving host. For look-up see
    `email_key`. Raises InvalidInputError for the field `email` with the reason.
    """
    address = unicodedata.normalize("NFC", text).strip()
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise _refuse(text, "is not an e-mail address: name@domain is expected")
    if not _LOCAL_PART.fullmatch(local) or len(local.encode()) > _LONGEST_LOCAL_PART:
        raise _refuse(text, "is not an e-mail address: what stands before the @ cannot be delivered to")
    try:
        labels = domain.lower().encode("idna").decode().split(".")
    except UnicodeError as error:
        raise _refuse(text, "is not an e-mail address: its domain cannot exist") from error
    if len(labels) < len(("example", "com")) or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refuse(text, "is not an e-mail address: its domain cannot exist")
    if labels[-1].isdecimal():
        raise _refuse(text, "is not an e-mail address: an IP number is not a domain")
    normalised = f"{local}@{'.'.join(labels)}"
    if len(normalised.encode()) > _LONGEST_ADDRESS:
        raise _refuse(text, "is too long for an e-mail address")
    return normalised


def email_key(address: str) -> str:
    """What two spellings of one mailbox share: the whole normalised address in lower case.

    No host in use tells `Ann@` from `ann@`; dots and plus tags are left alone, because some do tell those apart.
    """
    return address.lower()


def mask_email(address: str) -> str:
    """Show an address without giving it away: `shopper@example.com` becomes `s****@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}****@{domain}"


def _refuse(text: str, reason: str) -> InvalidInputError:
    return InvalidInputError(f"{text[:60]!r} {reason}", field="email")
