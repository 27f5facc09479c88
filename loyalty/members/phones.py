"""Phone numbers: every spelling of one number becomes one E.164 text, and what is no person's number is refused."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from loyalty.kit.errors import InvalidInputError

DEFAULT_REGION: Final = "CN"
"""The region of numbers written without a country code, where the caller names none."""

_LONGEST_TEXT: Final = 40
_SPELLING: Final = re.compile(r"(?:tel:)?[\s(]*\+?[\d\s().\-\u2010-\u2015\u00b7\u2212]+", re.IGNORECASE)
_NOT_ONE_PERSONS: Final = frozenset(
    {
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.PAGER,
    }
)
_REASONS: Final = {
    phonenumbers.ValidationResult.TOO_SHORT: "has too few digits",
    phonenumbers.ValidationResult.TOO_LONG: "has too many digits",
    phonenumbers.ValidationResult.INVALID_COUNTRY_CODE: "has a country code that nobody has",
}


def _refuse(text: str, reason: str) -> InvalidInputError:
    return InvalidInputError(f"{text[:_LONGEST_TEXT]!r} {reason}", field="phone")


def normalise_phone(text: str, region: str | None = DEFAULT_REGION) -> str:
    """Read a phone number in any spelling (spaces, hyphens, `0086`, `+86`, `tel:`, full-width) and give its E.164 form.

    `region` (ISO 3166, such as CN) is where a number without a country code is dialled; None accepts none of those.
    Raises InvalidInputError for the field `phone` with the reason: no digits, too few or too many, not a number that
    is given to anybody by its country's numbering plan (libphonenumber's metadata), or not one person's (toll-free,
    premium rate, switchboard extension).
    """
    spelling = unicodedata.normalize("NFKC", text).strip()
    if not any(character.isdecimal() for character in spelling):
        raise _refuse(text, "is not a phone number: it has no digits")
    if len(spelling) > _LONGEST_TEXT or not _SPELLING.fullmatch(spelling):
        raise _refuse(text, "is not a phone number: digits, spaces, hyphens, brackets and one leading + are expected")
    try:
        number = phonenumbers.parse(spelling, region)
    except NumberParseException as error:
        if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
            raise _refuse(text, "needs a country code, such as +86") from error
        raise _refuse(text, "is not a phone number: it has too few digits") from error
    if not phonenumbers.is_valid_number(number):
        reason = _REASONS.get(phonenumbers.is_possible_number_with_reason(number), "is not a number in use anywhere")
        raise _refuse(text, reason)
    if phonenumbers.number_type(number) in _NOT_ONE_PERSONS:
        raise _refuse(text, "is a service number, not one person's")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def mask_phone(number: str) -> str:
    """Show an E.164 number to its owner without giving it away: `+8619900009452` becomes `199****9452`.

    Four digits before the last four are hidden and the country code is left out; a short number shows its last two.
    """
    national = str(phonenumbers.parse(number).national_number)
    if len(national) <= len("****9452"):
        return f"****{national[-2:]}"
    return f"{national[:-8]}****{national[-4:]}"
