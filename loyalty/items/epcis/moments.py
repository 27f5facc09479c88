"""Moments as EPCIS writes them: xsd:dateTimeStamp, which always says its zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?(Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)",
    re.ASCII,
)
_ZONE_LESS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?", re.ASCII)
_OFFSET: Final = re.compile(r"[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)", re.ASCII)
_MICROSECONDS: Final = 6
_MILLISECONDS: Final = 3
_ROUNDS_UP: Final = "5"


def parse_moment(text: str) -> datetime:
    """A moment in UTC, cut at the microsecond. Raises ValueError with the reason."""
    return _split(text)[0]


def hash_moment(text: str) -> str:
    """A moment as the event hash writes it: UTC, milliseconds, rounded half up. Raises ValueError.

    CBV 2.0, section 8.9.2, rules 8 and 9; the rounding is that of the reference implementation.
    """
    moment, fraction = _split(text)
    moment = moment.replace(microsecond=int(fraction[:_MILLISECONDS].ljust(_MILLISECONDS, "0")) * 1000)
    if fraction[_MILLISECONDS : _MILLISECONDS + 1] >= _ROUNDS_UP:
        moment += timedelta(milliseconds=1)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def write_moment(moment: datetime) -> str:
    """A moment as it is answered: UTC, milliseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def is_offset(text: str) -> bool:
    """Whether a text is an `eventTimeZoneOffset`: -14:00 to +14:00 (epcis-json-schema.json)."""
    return _OFFSET.fullmatch(text) is not None


def _split(text: str) -> tuple[datetime, str]:
    match = _MOMENT.fullmatch(text)
    if match is None:
        needs_zone = _ZONE_LESS.fullmatch(text)
        message = "says no time zone: add Z or an offset such as +08:00" if needs_zone else "is not a date and time"
        raise ValueError(message)
    seconds, fraction, zone = match[1], match[2] or "", match[3]
    micro = fraction[:_MICROSECONDS].ljust(_MICROSECONDS, "0")
    try:
        return datetime.fromisoformat(f"{seconds}.{micro}{zone}").astimezone(UTC), fraction
    except (ValueError, OverflowError) as error:
        message = "is a date or time that does not exist"
        raise ValueError(message) from error
