"""Tries of codes that are not ours: counted by device and by network address, and refused beyond a limit.

A guess is right once in 2**40 tries, so this is less about guessing than about noticing it, and about a log that an
attacker cannot fill. A device over its limit is refused whatever it scans; an address over its limit (many shoppers may
share one) is refused only wrong codes, so that nobody with a true item in hand is turned away for a neighbour.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, Integer, Select, bindparam, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.tables import refused_scan_table
from loyalty.items.verdicts import ItemSettings, UnknownReason
from loyalty.kit.errors import InvalidInputError, TooManyAttemptsError
from loyalty.kit.ids import new_id

_DEVICE_LIMIT = 500
_TEXT_LIMIT = 64
_refused = refused_scan_table.c


def _tries(column: Column[Any]) -> Select[int]:
    """Count the wrong tries from one place in a time, and stop counting at the limit."""
    recent = (
        select(_refused.id)
        .where(column == bindparam("tried_from"), _refused.at > bindparam("since"), _refused.at <= bindparam("until"))
        .limit(bindparam("most", type_=Integer))
    )
    return select(func.count()).select_from(recent.subquery())


_TRIES_OF_ADDRESS: Final = _tries(_refused.address_prefix)


def device_hash(device: str) -> bytes:
    """The 16 bytes that stand for a device in our tables; the device's own id is not kept.

    Raises InvalidInputError where there is none, or one too long to be one.
    """
    if not 0 < len(device) <= _DEVICE_LIMIT:
        raise InvalidInputError(f"a device id has 1 to {_DEVICE_LIMIT} characters", field="device")
    return hashlib.sha256(device.encode()).digest()[:16]


@lru_cache(4096)
def address_prefix(address: str | None) -> str | None:
    """The network of an IP address, /24 or /48: enough to see an attack, too little to name a person.

    None where there is no address, or it is not one, such as that of a Unix socket.
    """
    if not address:
        return None
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    length = 24 if parsed.version == 4 else 48  # noqa: PLR2004  (the versions of IP)
    return str(ipaddress.ip_network((parsed, length), strict=False))


async def check_address(
    connection: AsyncConnection, *, prefix: str | None, at: datetime, settings: ItemSettings
) -> None:
    """Raise TooManyAttemptsError where a network tried more wrong codes lately than the settings allow."""
    if prefix is None:
        return
    limit = settings.bad_codes_per_address
    since = at - timedelta(minutes=settings.bad_codes_minutes)
    parameters = {"tried_from": prefix, "since": since, "until": at, "most": limit}
    if (await connection.scalar(_TRIES_OF_ADDRESS, parameters) or 0) >= limit:
        raise too_many(settings)


async def record_refusal(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    device: bytes,
    prefix: str | None,
    gtin: str,
    serial: str,
    reason: UnknownReason,
    at: datetime,
) -> None:
    """Write down a wrong try, so that it counts."""
    await connection.execute(
        insert(refused_scan_table).values(
            device=device,
            at=at,
            id=new_id(),
            programme_id=programme_id,
            address_prefix=prefix,
            gtin=gtin[:_TEXT_LIMIT],
            serial=serial[:_TEXT_LIMIT],
            reason=reason,
        )
    )


def too_many(settings: ItemSettings) -> TooManyAttemptsError:
    """What a device or a network over its limit is told."""
    minutes = settings.bad_codes_minutes
    return TooManyAttemptsError(
        f"too many codes that are not ours were tried from here; try again in {minutes} minutes",
        retry_after_seconds=minutes * 60,
    )
