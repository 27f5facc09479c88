"""Signing what leaves for other systems, as Standard Webhooks 1.0.0 says.

The receiver computes the same over the raw body and compares in constant time; it refuses timestamps that are more than
five minutes off. The id stays the same over repetitions, the timestamp is each attempt's own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from loyalty.kit.errors import InvalidInputError

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105  (the published prefix of Standard Webhooks secrets)
_SECRET_BYTES: Final = range(24, 65)


def webhook_key(secret: str, *, field: str = "secret") -> bytes:
    """The key in a Standard Webhooks secret: 24 to 64 bytes in base64, `whsec_` before them or not.

    Raises InvalidInputError, naming the field or setting that holds it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) not in _SECRET_BYTES:
        message = "is not a Standard Webhooks secret: whsec_ and 24 to 64 bytes in base64"
        raise InvalidInputError(message, field=field)
    return key


def sign_webhook(key: bytes, identifier: str, moment: int, body: bytes) -> str:
    """The `webhook-signature` of Standard Webhooks 1.0.0: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`."""
    digest = hmac.digest(key, f"{identifier}.{moment}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
