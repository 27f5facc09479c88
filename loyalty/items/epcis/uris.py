"""URIs, as far as EPCIS asks: absolute, and of characters that a URI can have (RFC 3986)."""

from __future__ import annotations

import re
from typing import Final

URI_LIMIT: Final = 2000
"""The longest URI that is read, in characters."""

_URI: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*:(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?#\[\]]|%[0-9A-Fa-f]{2})+", re.ASCII
)


def is_uri(text: str) -> bool:
    """Whether a text is an absolute URI."""
    return len(text) <= URI_LIMIT and _URI.fullmatch(text) is not None
