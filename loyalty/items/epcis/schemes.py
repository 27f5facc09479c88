"""The EPC schemes: how a URN is cut into a GS1 key, and what a Digital Link of that key looks like.

From the GS1 EPC Tag Data Standard, section 6.3, and the GS1 General Specifications, section 3 (lengths, characters).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec

_ANY: Final = r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]"
"""GS1 AI encodable character set 82 (General Specifications, section 7.11)."""
_PART: Final = r"[#/0-9A-Z-]"
"""Character set 39, of component and part identifiers (section 7.11)."""
_PREFIX: Final = re.compile(r"\d{6,12}", re.ASCII)

Level = Literal["instance", "class", "place"]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A primary key of a Digital Link: the form of its value, and its qualifiers in their order."""

    identifier: str
    pattern: re.Pattern[str]
    qualifiers: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """The qualifiers that the canonical form keeps; where a path has several, the last."""
    checked: int = 0
    """Which digit is the check digit, counted from 1; 0 where there is none."""
    named: tuple[str, ...] = ()
    """The qualifiers that make one object of a class; empty where the key names one by itself."""
    class_length: int = 0
    """The length of a value that names a class; 0 where none does."""
    place: bool = False

    def level(self, value: str, qualifier: str | None) -> Level:
        """Whether this names one object, a class of them, or a place or party."""
        if self.place:
            return "place"
        if self.named:
            return "instance" if qualifier in self.named else "class"
        return "class" if len(value) == self.class_length else "instance"


class Urn(msgspec.Struct, frozen=True, kw_only=True):
    """A scheme of EPC URNs: company prefix, reference, and further parts, with full stops between them."""

    form: str
    identifier: str
    digits: int = 0
    """Digits of prefix and reference together; 0 where the reference is text."""
    characters: str = _ANY
    """What a reference that is text is made of; with the prefix it has at most 30 characters."""
    indicator: bool = False
    """The reference's first digit, an indicator or extension, goes before the prefix."""
    lead: str = ""
    checked: bool = True
    rest: tuple[re.Pattern[str], ...] = ()
    build: Callable[[str, list[str]], tuple[str, str | None]] = lambda key, _rest: (key, None)
    """From the key with its check digit and the further parts: the Digital Link's value, and its qualifier."""

    def reference_fits(self, prefix: str, reference: str) -> bool:
        """Whether prefix and reference have the right lengths and characters together."""
        if _PREFIX.fullmatch(prefix) is None:
            return False
        form = rf"\d{{{self.digits - len(prefix)}}}" if self.digits else f"{self.characters}{{1,{30 - len(prefix)}}}"
        return re.fullmatch(form, reference, re.ASCII) is not None


def _text(limit: int, characters: str = _ANY) -> re.Pattern[str]:
    return re.compile(f"{characters}{{1,{limit}}}", re.ASCII)


def _digits(low: int, high: int | None = None) -> re.Pattern[str]:
    return re.compile(rf"\d{{{low},{high or low}}}", re.ASCII)


_STAR: Final = re.compile(r"\*")

QUALIFIER_FORMS: Final = {
    "10": _text(20),
    "21": _text(20),
    "22": _text(20),
    "235": _text(28),
    "254": _text(20),
    "7040": _text(4),
    "8011": _digits(1, 12),
    "8019": _digits(1, 10),
}

LINKS: Final = {
    link.identifier: link
    for link in (
        Link(identifier="00", pattern=_digits(18), checked=18),
        Link(
            identifier="01",
            pattern=_digits(14),
            checked=14,
            qualifiers=("22", "10", "21", "235"),
            kept=("10", "21", "235"),
            named=("21", "235"),
        ),
        Link(identifier="253", pattern=re.compile(rf"\d{{13}}{_ANY}{{0,17}}", re.ASCII), checked=13, class_length=13),
        Link(identifier="255", pattern=_digits(13, 25), checked=13, class_length=13),
        Link(identifier="401", pattern=_text(30)),
        Link(identifier="402", pattern=_digits(17), checked=17),
        Link(
            identifier="414",
            pattern=_digits(13),
            checked=13,
            qualifiers=("254", "7040"),
            kept=("254",),
            place=True,
        ),
        Link(identifier="417", pattern=_digits(13), checked=13, qualifiers=("7040",), place=True),
        Link(identifier="8003", pattern=re.compile(rf"0\d{{13}}{_ANY}{{0,16}}", re.ASCII), checked=14, class_length=14),
        Link(identifier="8004", pattern=_text(30)),
        Link(
            identifier="8006",
            pattern=_digits(18),
            checked=14,
            qualifiers=("22", "10", "21"),
            kept=("10", "21"),
            named=("21",),
        ),
        Link(
            identifier="8010",
            pattern=_text(30, _PART),
            qualifiers=("8011",),
            kept=("8011",),
            named=("8011",),
        ),
        Link(identifier="8017", pattern=_digits(18), checked=18, qualifiers=("8019",)),
        Link(identifier="8018", pattern=_digits(18), checked=18, qualifiers=("8019",)),
    )
}
"""The keys that EPCIS knows (CBV 2.0, section 8.9.2, rule 18), by Application Identifier."""


def _qualified(identifier: str) -> Callable[[str, list[str]], tuple[str, str | None]]:
    return lambda key, rest: (key, f"{identifier}/{rest[0]}")


def _joined(key: str, rest: list[str]) -> tuple[str, str | None]:
    return key + rest[0], None


def _place(key: str, rest: list[str]) -> tuple[str, str | None]:
    return key, None if rest[0] == "0" else f"254/{rest[0]}"  # an extension of 0 says that there is none


def _piece(key: str, rest: list[str]) -> tuple[str, str | None]:
    return key + rest[0] + rest[1], f"21/{rest[2]}"


def _sgtin(form: str, rest: tuple[re.Pattern[str], ...], qualifier: str) -> Urn:
    return Urn(form=form, identifier="01", digits=13, indicator=True, rest=rest, build=_qualified(qualifier))


_SINGLE: Final = {
    "id:sgtin": _sgtin("urn:epc:id:sgtin:prefix.item.serial, prefix and item 13 digits", (_text(20),), "21"),
    "id:upui": _sgtin("urn:epc:id:upui:prefix.item.extension, prefix and item 13 digits", (_text(28),), "235"),
    "class:lgtin": _sgtin("urn:epc:class:lgtin:prefix.item.lot, prefix and item 13 digits", (_text(20),), "10"),
    "id:sscc": Urn(
        form="urn:epc:id:sscc:prefix.serial, 17 digits together", identifier="00", digits=17, indicator=True
    ),
    "id:sgln": Urn(
        form="urn:epc:id:sgln:prefix.location.extension, prefix and location 12 digits",
        identifier="414",
        digits=12,
        rest=(_text(20),),
        build=_place,
    ),
    "id:pgln": Urn(form="urn:epc:id:pgln:prefix.party, 12 digits together", identifier="417", digits=12),
    "id:grai": Urn(
        form="urn:epc:id:grai:prefix.type.serial, prefix and type 12 digits",
        identifier="8003",
        digits=12,
        lead="0",
        rest=(_text(16),),
        build=_joined,
    ),
    "id:giai": Urn(form="urn:epc:id:giai:prefix.reference", identifier="8004", checked=False),
    "id:gsrn": Urn(form="urn:epc:id:gsrn:prefix.reference, 17 digits together", identifier="8018", digits=17),
    "id:gsrnp": Urn(form="urn:epc:id:gsrnp:prefix.reference, 17 digits together", identifier="8017", digits=17),
    "id:gdti": Urn(
        form="urn:epc:id:gdti:prefix.type.serial, prefix and type 12 digits",
        identifier="253",
        digits=12,
        rest=(_text(17),),
        build=_joined,
    ),
    "id:cpi": Urn(
        form="urn:epc:id:cpi:prefix.part.serial, the serial digits",
        identifier="8010",
        characters=_PART,
        checked=False,
        rest=(_digits(1, 12),),
        build=_qualified("8011"),
    ),
    "id:sgcn": Urn(
        form="urn:epc:id:sgcn:prefix.coupon.serial, prefix and coupon 12 digits",
        identifier="255",
        digits=12,
        rest=(_digits(1, 12),),
        build=_joined,
    ),
    "id:ginc": Urn(form="urn:epc:id:ginc:prefix.reference", identifier="401", checked=False),
    "id:gsin": Urn(form="urn:epc:id:gsin:prefix.reference, 16 digits together", identifier="402", digits=16),
    "id:itip": Urn(
        form="urn:epc:id:itip:prefix.item.piece.total.serial, prefix and item 13 digits",
        identifier="8006",
        digits=13,
        indicator=True,
        rest=(_digits(2), _digits(2), _text(20)),
        build=_piece,
    ),
}
"""URNs of single objects, places and parties, and of lots."""

_PATTERNS: Final = {
    f"idpat:{name}": Urn(
        form=f"urn:epc:idpat:{name}:prefix.{'.'.join(['reference'] + ['number'] * len(rest))}.*",
        identifier=_SINGLE[f"id:{name}"].identifier,
        digits=_SINGLE[f"id:{name}"].digits,
        characters=_SINGLE[f"id:{name}"].characters,
        indicator=_SINGLE[f"id:{name}"].indicator,
        lead=_SINGLE[f"id:{name}"].lead,
        checked=_SINGLE[f"id:{name}"].checked,
        rest=(*rest, _STAR),
        build=lambda key, rest: (key + "".join(rest[:-1]), None),
    )
    for name, rest in {
        "sgtin": (),
        "upui": (),
        "grai": (),
        "gdti": (),
        "sgcn": (),
        "cpi": (),
        "itip": (_digits(2), _digits(2)),
    }.items()
}
"""Patterns that stand for a class: all objects of it, whatever their serial."""

URNS: Final = _SINGLE | _PATTERNS
"""Every scheme, by kind and name: `id:sgtin`, `class:lgtin`, `idpat:sgtin`."""
