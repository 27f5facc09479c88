"""Checks of what stands in a GS1 element string beyond characters and length: check digits, days, codes.

The rules are those of the GS1 General Specifications, section 7, and of the standards they name. A check takes a text
that has its characters and length already, and answers why it is wrong, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from loyalty.items.gtin import check_digit

_CHARACTERS_82: Final = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_CHARACTERS_32: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_WEIGHTS: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)
_PAIR_MODULUS: Final = 1021
_PREFIX_LENGTH: Final = 4
"""The shortest GS1 company prefix (General Specifications, section 1.4.4). How long one is, only GS1 knows."""
_HOURS, _MINUTES = 23, 59
_LATITUDE_LIMIT, _LONGITUDE_LIMIT = 1_800_000_000, 3_600_000_000
_MEDIA: Final = frozenset({*range(1, 11), *range(80, 100)})
_CENTURY: Final = 2000
_WINDINGS: Final = ("0", "1", "9")
_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{1,30}")
_SEQUENCE: Final = re.compile(r"([1-9]\d*)/([1-9]\d*)")


def check_pair(text: str) -> str:
    """The two check characters of an alphanumeric key (General Specifications, section 7.9.5)."""
    weighted = zip(reversed(text), _WEIGHTS, strict=False)
    total = sum(_CHARACTERS_82.index(character) * weight for character, weight in weighted) % _PAIR_MODULUS
    return _CHARACTERS_32[total >> 5] + _CHARACTERS_32[total & 31]


def _digit(text: str) -> str | None:
    expected = check_digit(text[:-1])
    if int(text[-1]) == expected:
        return None
    return f"the check digit of {text} should be {expected}, not {text[-1]}"


def _pair(text: str) -> str | None:
    body = text[:-2]
    if not body:
        return f"{text!r} is too short for its check characters"
    expected = check_pair(body)
    return None if text[-2:] == expected else f"the check characters of {text} should be {expected}, not {text[-2:]}"


def _prefix(text: str) -> str | None:
    head = text[:_PREFIX_LENGTH]
    if len(head) == _PREFIX_LENGTH and head.isdecimal():
        return None
    return f"{text[:40]!r} does not begin with a GS1 company prefix"


def _calendar_day(text: str, *, whole_month: bool) -> str | None:
    """YYMMDD. A year's century does not matter: no year that ends in 00 and is meant here lacks its 29 February."""
    year, month, day = (int(text[place : place + 2]) for place in (0, 2, 4))
    try:
        date(_CENTURY + year, month, 1 if whole_month and day == 0 else day)
    except ValueError:
        return f"{text} is not a day written YYMMDD"
    return None


def _day(text: str) -> str | None:
    return _calendar_day(text, whole_month=True)


def _date(text: str) -> str | None:
    return _calendar_day(text, whole_month=False)


def _birthday(text: str) -> str | None:
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return f"{text} is not a day written YYYYMMDD"
    return None


def _hour(text: str) -> str | None:
    return None if int(text) <= _HOURS else f"{text} is not an hour"


def _minute(text: str) -> str | None:
    return None if int(text) <= _MINUTES else f"{text} is not a minute or second"


def _time(text: str) -> str | None:
    return _hour(text[:2]) or _minute(text[2:])


def _zero(text: str) -> str | None:
    return None if not text.strip("0") else f"begins with {text}, not with zero"


def _positive(text: str) -> str | None:
    return None if text.strip("0") else f"{text} is not a measure"


def _winding(text: str) -> str | None:
    return None if text in _WINDINGS else f"{text} is not a direction of winding"


def _flag(text: str) -> str | None:
    return None if text in ("0", "1") else f"{text} is neither 0 nor 1"


def _minus(text: str) -> str | None:
    return None if text == "-" else f"{text!r} is not a minus"


def _piece(text: str) -> str | None:
    piece, total = int(text[:2]), int(text[2:])
    return None if 1 <= piece <= total else f"piece {text[:2]} of {text[2:]} cannot be"


def _leading(text: str) -> str | None:
    return None if text[0] != "0" else f"{text} begins with zero"


def _sex(text: str) -> str | None:
    return None if text in ("0", "1", "2", "9") else f"{text} is not a code of ISO/IEC 5218"


def _medium(text: str) -> str | None:
    return None if int(text) in _MEDIA else f"{text} is not an AIDC media type"


def _sequence(text: str) -> str | None:
    match = _SEQUENCE.fullmatch(text)
    return None if match and int(match[1]) <= int(match[2]) else f"{text!r} is not a place among several, such as 1/2"


def _latitude(text: str) -> str | None:
    return None if int(text) <= _LATITUDE_LIMIT else f"{text} is not a latitude"


def _longitude(text: str) -> str | None:
    return None if int(text) <= _LONGITUDE_LIMIT else f"{text} is not a longitude"


def _country(text: str) -> str | None:
    return None if text.isalpha() and text.isupper() else f"{text!r} is not a country of two capital letters"


def _encoded(text: str) -> str | None:
    return f"{text[:40]!r} has a percent sign without two hexadecimal digits" if _PERCENT.search(text) else None


def _iban(text: str) -> str | None:
    if not _IBAN.fullmatch(text):
        return f"{text!r} is not an IBAN"
    digits = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return None if int(digits) % 97 == 1 else f"the check digits of the IBAN {text} are wrong"


CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "digit": _digit,
    "pair": _pair,
    "prefix": _prefix,
    "day": _day,
    "date": _date,
    "birthday": _birthday,
    "time": _time,
    "hour": _hour,
    "minute": _minute,
    "zero": _zero,
    "positive": _positive,
    "winding": _winding,
    "flag": _flag,
    "minus": _minus,
    "piece": _piece,
    "leading": _leading,
    "sex": _sex,
    "medium": _medium,
    "sequence": _sequence,
    "latitude": _latitude,
    "longitude": _longitude,
    "country": _country,
    "encoded": _encoded,
    "iban": _iban,
}
"""The checks by the names that the table of identifiers uses; `day` allows 00, which stands for a month's last."""
