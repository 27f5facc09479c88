"""Compressed Digital Links: an EPC in the binary form of a radio tag, as the last part of an address.

GS1 Digital Link URI: Compression Technical Standard for EPC Binary Strings, section 4: after `eh` come hexadecimal
digits, after `ex` base 64 for addresses; the bits are an EPC of the Tag Data Standard (TDS 2.3, chapter 14), beginning
with its header. Read are all its schemes that have a Digital Link. Of what may follow one (TDS 15.3) we read lots,
variants and dates, and refuse the rest by name. A host name that follows an EPC is not ours to answer for, so it is
left unread, as is the filter, which says how to read tags and nothing about the thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from loyalty.items.application_identifiers import IDENTIFIERS, QUALIFIERS
from loyalty.items.digital_link import GTIN, LOT, SERIAL, VARIANT, DigitalLink, DigitalLinkError, build_link
from loyalty.items.gtin import check_digit

_SEGMENT: Final = re.compile(r"eh[0-9a-f]{8,400}|ex[A-Za-z0-9_-]{8,300}")
_BASE_64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_CODE_40: Final = "\0ABCDEFGHIJKLMNOPQRSTUVWXYZ-.:0123456789"
_HEX: Final = "0123456789ABCDEF"
_HEADER_BITS: Final = 8
_STEM: Final = "https://example.com"


class _Bits:
    """What is left to read of a string of bits."""

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def is_padding(self) -> bool:
        return "1" not in self._text

    def take(self, count: int) -> int:
        """The next bits as a number. Raises DigitalLinkError where there are fewer."""
        if count > len(self._text):
            raise _refusal("ends before its EPC does")
        taken, self._text = self._text[:count], self._text[count:]
        return int(taken or "0", 2)

    def letters(self, count: int, alphabet: str, bits: int) -> str:
        return "".join(alphabet[self.take(bits)] for _ in range(count))

    def digits(self, count: int) -> str:
        """Digits of four bits each."""
        return _decimal(self.letters(count, _HEX, 4))

    def number(self, count: int) -> str:
        """A number of so many digits, in as many bits as the largest takes."""
        return self.padded((10**count - 1).bit_length(), count)

    def padded(self, bits: int, count: int) -> str:
        """A number in so many bits, with zeros to have so many digits."""
        number = self.take(bits)
        digits = str(number).zfill(count) if count or number else ""
        if len(digits) > count:
            raise _refusal("has a number that is too large for its place")
        return digits

    def text(self, bits: int) -> str:
        """Seven bits a character, and zeros where the text is shorter than its place."""
        characters = "".join(chr(self.take(7)) for _ in range(bits // 7)).rstrip("\0")
        if self.take(bits % 7) or "\0" in characters:
            raise _refusal("has a text with a gap in it")
        return characters


def _refusal(reason: str) -> DigitalLinkError:
    return DigitalLinkError(f"the compressed address {reason}", field="path")


def _decimal(text: str) -> str:
    if text and not text.isdecimal():
        raise _refusal("has a letter where a digit has to be")
    return text


_PREFIX_BITS: Final = (40, 37, 34, 30, 27, 24, 20)
"""Of a company prefix, by partition: of 12 digits, 11, …, 6 (TDS 14.3.3)."""


class _Body(NamedTuple):
    prefix: str
    reference: str

    @property
    def with_indicator(self) -> str:
        """The reference's first digit in front, as GTINs and SSCCs have it, and the check digit."""
        return _checked(self.reference[:1] + self.prefix + self.reference[1:])

    @property
    def in_order(self) -> str:
        return _checked(self.prefix + self.reference)


def _checked(digits: str) -> str:
    return digits + str(check_digit(digits))


def _prefix(bits: _Bits) -> tuple[str, int]:
    """A company prefix and how many bits it took, behind the filter that nothing is made of here."""
    bits.take(3)
    partition = bits.take(3)
    if partition >= len(_PREFIX_BITS):
        raise _refusal("has a partition that is not in use")
    taken = _PREFIX_BITS[partition]
    return bits.padded(taken, 12 - partition), taken


def _body(bits: _Bits, total_bits: int, digits: int) -> _Body:
    prefix, taken = _prefix(bits)
    return _Body(prefix, bits.padded(total_bits - taken, digits - len(prefix)))


_Said = list[tuple[str, str]]
"""What an EPC says, by Application Identifier; its key first."""
_Reader = Callable[[_Bits], _Said]


def _numeric(serial_bits: int) -> Callable[[_Bits], str]:
    return lambda bits: str(bits.take(serial_bits))


def _textual(serial_bits: int) -> Callable[[_Bits], str]:
    return lambda bits: bits.text(serial_bits)


def _led_by_one(serial_bits: int) -> Callable[[_Bits], str]:
    """Digits that may begin with zeros, so that a one stands before them."""

    def read(bits: _Bits) -> str:
        digits = str(bits.take(serial_bits))
        if not digits.startswith("1"):
            raise _refusal("has a serial number without the one before it")
        return digits[1:]

    return read


def _sgtin(serial: Callable[[_Bits], str]) -> _Reader:
    return lambda bits: [(GTIN, _body(bits, 44, 13).with_indicator), (SERIAL, serial(bits))]


def _sscc(bits: _Bits) -> _Said:
    return [("00", _body(bits, 58, 17).with_indicator)]


def _service(key: str) -> _Reader:
    return lambda bits: [(key, _body(bits, 58, 17).in_order)]


def _place(extension: Callable[[_Bits], str]) -> _Reader:
    return lambda bits: _with_extension(_body(bits, 41, 12).in_order, extension(bits))


def _with_extension(gln: str, extension: str) -> _Said:
    """A place; the extension `0` stands for none (TDS 6.3.3)."""
    return [("414", gln), *([("254", extension)] if extension != "0" else [])]


def _with_serial(key: str, total_bits: int, serial: Callable[[_Bits], str], *, lead: str = "") -> _Reader:
    return lambda bits: [(key, lead + _body(bits, total_bits, 12).in_order + serial(bits))]


def _piece(serial: Callable[[_Bits], str]) -> _Reader:
    def read(bits: _Bits) -> _Said:
        gtin = _body(bits, 44, 13).with_indicator
        return [("8006", gtin + bits.padded(7, 2) + bits.padded(7, 2)), (SERIAL, serial(bits))]

    return read


def _asset(bits: _Bits) -> _Said:
    prefix, taken = _prefix(bits)
    return [("8004", prefix + str(bits.take(82 - taken)))]


def _asset_text(bits: _Bits) -> _Said:
    prefix, taken = _prefix(bits)
    return [("8004", prefix + bits.text(188 - taken))]


def _part(bits: _Bits) -> _Said:
    prefix, taken = _prefix(bits)
    return [("8010", prefix + str(bits.take(51 - taken))), ("8011", str(bits.take(31)))]


def _part_text(bits: _Bits) -> _Said:
    part, _ = _prefix(bits)
    while code := bits.take(6):
        part += chr(code if code >= 0x20 else code | 0x40)  # noqa: PLR2004  (letters without their first bit)
    return [("8010", part), ("8011", str(bits.take(40)))]


_CLASSIC: Final[Mapping[int, _Reader]] = {
    0x30: _sgtin(_numeric(38)),
    0x36: _sgtin(_textual(140)),
    0x31: _sscc,
    0x32: _place(_numeric(41)),
    0x39: _place(_textual(140)),
    0x33: _with_serial("8003", 44, _numeric(38), lead="0"),
    0x37: _with_serial("8003", 44, _textual(112), lead="0"),
    0x34: _asset,
    0x38: _asset_text,
    0x2D: _service("8018"),
    0x2E: _service("8017"),
    0x2C: _with_serial("253", 41, _numeric(41)),
    0x3A: _with_serial("253", 41, _led_by_one(58)),
    0x3E: _with_serial("253", 41, _textual(119)),
    0x3F: _with_serial("255", 41, _led_by_one(41)),
    0x3C: _part,
    0x3D: _part_text,
    0x40: _piece(_numeric(38)),
    0x41: _piece(_textual(140)),
}
"""Schemes of before TDS 2.0, by header: a company prefix of known length, what is under it, a serial number."""


def _alphanumeric(bits: _Bits) -> str:
    """Text in the most compact of six ways (TDS 14.5.6)."""
    way, length = bits.take(3), bits.take(5)
    if way == 0:
        return bits.number(length)
    if way in (1, 2):
        return bits.letters(length, _HEX if way == 1 else _HEX.lower(), 4)
    if way == 3:  # noqa: PLR2004
        return bits.letters(length, _BASE_64, 6)
    if way == 4:  # noqa: PLR2004
        return "".join(chr(bits.take(7)) for _ in range(length))
    if way == 5:  # noqa: PLR2004
        return _code_40(bits, length)
    raise _refusal("has a text in a way that is not in use")


def _code_40(bits: _Bits, length: int) -> str:
    """Three characters in sixteen bits (TDS 14.5.6.5)."""
    text = ""
    for _ in range(-(-length // 3)):
        three = bits.take(16) - 1
        if not 0 <= three < 40**3:
            raise _refusal("has a text in a way that is not in use")
        text += _CODE_40[three // 1600] + _CODE_40[three // 40 % 40] + _CODE_40[three % 40]
    return text[:length]


def _delimited(bits: _Bits) -> str:
    """Digits of four bits each up to an end sign, or up to a sign that text follows (TDS 14.5.5)."""
    digits = ""
    while (nibble := bits.take(4)) < 10:  # noqa: PLR2004
        digits += str(nibble)
    if nibble == 0xE:  # noqa: PLR2004
        return digits + _alphanumeric(bits)
    return _decimal(digits + ("" if nibble == 0xF else _HEX[nibble]))  # noqa: PLR2004


def _short_number(bits: _Bits) -> str:
    return bits.number(bits.take(4))


_PLUS: Final[Mapping[str, _Reader]] = {
    GTIN: lambda bits: [(GTIN, bits.digits(14)), (SERIAL, _alphanumeric(bits))],
    "00": lambda bits: [("00", bits.digits(18))],
    "414": lambda bits: _with_extension(bits.digits(13), _alphanumeric(bits)),
    "8003": lambda bits: [("8003", bits.digits(14) + _alphanumeric(bits))],
    "8004": lambda bits: [("8004", _delimited(bits))],
    "8018": lambda bits: [("8018", bits.digits(18))],
    "8017": lambda bits: [("8017", bits.digits(18))],
    "253": lambda bits: [("253", bits.digits(13) + _alphanumeric(bits))],
    "8010": lambda bits: [("8010", _delimited(bits)), ("8011", _short_number(bits))],
    "255": lambda bits: [("255", bits.digits(13) + _short_number(bits))],
    "8006": lambda bits: [("8006", bits.digits(18)), (SERIAL, _alphanumeric(bits))],
}
"""Schemes of TDS 2.0 and later, by the key that they begin with: digits as they are read."""

_PLUS_KEYS: Final = (GTIN, GTIN, "00", "414", "8003", "8004", "8018", "8017", "253", "8010", "255", "8006")
_PLUS_HEADERS: Final = dict(zip(bytes.fromhex("F7FBF9F2F1FAF4F5F6F0F8F3"), _PLUS_KEYS, strict=True))
_HOST_HEADERS: Final = dict(zip(bytes.fromhex("FDFCEFE9EBEEE7E8EAE6ECED"), _PLUS_KEYS, strict=True))
"""The same schemes with a host name behind them (TDS 2.3)."""
_DATED: Final = (0xFB, 0xFC)
_DATES: Final = ("11", "13", "15", "16", "17", "7006")
_NOT_GS1: Final = {0x35: "GID", 0x3B: "ADI", 0x2F: "USDOD"}
_HEADERS: Final = {*_CLASSIC, *_PLUS_HEADERS, *_HOST_HEADERS, *_NOT_GS1}


def is_compressed(segment: str) -> bool:
    """Whether the last part of a path is meant as a compressed Digital Link. Words that begin with `ex` are not."""
    if not _SEGMENT.fullmatch(segment):
        return False
    return segment.startswith("eh") or _bits(segment).take(_HEADER_BITS) in _HEADERS


def _bits(segment: str) -> _Bits:
    alphabet, width = (_HEX.lower(), 4) if segment.startswith("eh") else (_BASE_64, 6)
    return _Bits("".join(format(alphabet.index(character), f"0{width}b") for character in segment[2:]))


def expand(segment: str) -> DigitalLink:
    """The Digital Link that a compressed one stands for. Raises DigitalLinkError saying what cannot be read of it."""
    bits = _bits(segment)
    header = bits.take(_HEADER_BITS)
    if header in _NOT_GS1:
        raise _refusal(f"is of the scheme {_NOT_GS1[header]}, which has no Digital Link")
    if header in _CLASSIC:
        said = _CLASSIC[header](bits)
        if not bits.is_padding:
            raise _refusal("has more in it than its EPC")
    elif header in _PLUS_HEADERS or header in _HOST_HEADERS:
        said = _read_plus(bits, header)
    else:
        raise _refusal(f"begins with {header:02X}, which is no header of an EPC")
    return _link(said)


def _read_plus(bits: _Bits, header: int) -> _Said:
    bits.take(1 + 3)  # whether more follows, which the bits say themselves, and the filter
    dates: _Said = []
    if header in _DATED:
        kind = bits.take(4)
        if kind >= len(_DATES):
            raise _refusal("has a date of a kind that is not read here")
        dates.append((_DATES[kind], _day(bits)))
    said = _PLUS[_PLUS_HEADERS.get(header) or _HOST_HEADERS[header]](bits) + dates
    return said if header in _HOST_HEADERS else said + _more(bits)


def _day(bits: _Bits) -> str:
    return bits.padded(7, 2) + bits.padded(4, 2) + bits.padded(5, 2)


def _more(bits: _Bits) -> _Said:
    """What else is said behind an EPC (TDS 15.3)."""
    found: _Said = []
    while not bits.is_padding:
        identifier = bits.digits(2)
        more_digits = next((len(each) - 2 for each in IDENTIFIERS if each.startswith(identifier)), 0)
        identifier += bits.digits(more_digits)
        if identifier in (LOT, VARIANT):
            found.append((identifier, _alphanumeric(bits)))
        elif identifier in _DATES:
            found.append((identifier, _day(bits)))
        else:
            raise _refusal(f"says something by {identifier}, which is not read here in its compressed form")
    return found


def _link(said: _Said) -> DigitalLink:
    """The link, checked as any other."""
    (key, value), *rest = said
    if len({identifier for identifier, _ in said}) != len(said):
        raise _refusal("says the same thing twice")
    given = dict(rest)
    order = [each for run in QUALIFIERS.get(key, ()) for each in run]
    link = DigitalLink(
        key=key,
        value=value,
        qualifiers={each: given[each] for each in dict.fromkeys(order) if each in given},
        attributes={each: given[each] for each in given if each not in order},
    )
    build_link(_STEM, link)
    return link
