"""What is remembered between the steps of joining: a sealed cookie, so that no phone number is in an address or a log.

Without a row in the database: somebody who types a phone and leaves has left nothing.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote
from uuid import UUID

import msgspec
from litestar.datastructures import Cookie

from loyalty.kit.crypto import Keyring, KeyringError

COOKIE: Final = "joining"
LIFETIME: Final = timedelta(minutes=20)
_FIELD: Final = "joining"
_ITEM_ADDRESS: Final = re.compile(r"/01/\d{8,14}/21/[A-Za-z0-9%._~-]{1,90}")


class Joining(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody on the way to becoming, or being recognised as, a member.

    `item` is the address of the item they scanned, or empty; `shown_code` is set in a demo alone; `verified` says that
    the phone was proven with its code.
    """

    phone: str
    item: str
    expires_at: datetime
    shown_code: str | None = None
    verified: bool = False


def item_or_nothing(address: str) -> str:
    """The address if it is that of an item's page, else empty: nobody is sent to another site from here."""
    return address if _ITEM_ADDRESS.fullmatch(address) else ""


def read_item(address: str) -> tuple[str, str]:
    """The GTIN and the serial of an address that `item_or_nothing` let pass."""
    _, gtin, _, serial = address.removeprefix("/").split("/")
    return gtin, unquote(serial)


def seal_joining(keyring: Keyring, programme_id: UUID, joining: Joining, *, https: bool) -> Cookie:
    """The cookie that carries it, readable by this server alone."""
    sealed = keyring.encrypt(msgspec.json.encode(joining).decode(), owner=programme_id, field=_FIELD)
    return Cookie(
        COOKIE,
        value=urlsafe_b64encode(sealed).decode(),
        path="/join",
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        secure=https,
        samesite="lax",
    )


def open_joining(keyring: Keyring, programme_id: UUID, cookie: str | None, now: datetime) -> Joining | None:
    """What a cookie carries; None where there is none, it was changed, or its time is over."""
    if not cookie:
        return None
    try:
        text = keyring.decrypt(urlsafe_b64decode(cookie), owner=programme_id, field=_FIELD)
        joining = msgspec.json.decode(text, type=Joining)
    except (KeyringError, binascii.Error, UnicodeError, msgspec.DecodeError):
        return None
    return joining if joining.expires_at > now else None


def end_joining() -> Cookie:
    """The cookie that makes a browser forget it."""
    return Cookie(COOKIE, value="", path="/join", max_age=0, httponly=True, samesite="lax")
