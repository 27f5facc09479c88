"""GS1 Application Identifiers: what each may hold, and what it may be in a Digital Link.

Facts of the GS1 General Specifications, sections 3 and 7, as the GS1 Barcode Syntax Dictionary of 2026-01-27 puts them,
and of GS1 Digital Link: URI Syntax 1.6. Codes of other bodies' lists (countries, currencies, coupons) are held to their
form and not looked up: those lists change, and a package that is printed cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from loyalty.items import value_checks

Use = Literal["key", "qualifier", "attribute", "other"]

CHARACTERS: Final = {
    "N": r"[0-9]",
    "X": r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]",
    "Y": r"[#\-/0-9A-Z]",
    "Z": r"[\-0-9A-Z_a-z=]",
}
"""Digits, and GS1's AI encodable character sets 82, 39 and 64 (General Specifications, section 7.11)."""

_TABLE: Final = """
00 key N18 digit; 01 key N14 digit; 02 attribute N14 digit; 03 other N14 digit
10 attribute X..20; 21 qualifier X..20; 22 qualifier X..20; 235 qualifier X..28
11 attribute N6 day; 12 attribute N6 day; 13 attribute N6 day; 15 attribute N6 day; 16 attribute N6 day
17 attribute N6 day; 20 attribute N2; 30 attribute N..8; 37 attribute N..8
240 attribute X..30; 241 attribute X..30; 242 attribute N..6; 243 attribute X..20; 250 attribute X..30
251 attribute X..30; 253 key N13 digit [X..17]; 254 qualifier X..20; 255 key N13 digit [N..12]
3100-3105 attribute N6; 3110-3115 attribute N6; 3120-3125 attribute N6; 3130-3135 attribute N6
3140-3145 attribute N6; 3150-3155 attribute N6; 3160-3165 attribute N6; 3200-3205 attribute N6
3210-3215 attribute N6; 3220-3225 attribute N6; 3230-3235 attribute N6; 3240-3245 attribute N6
3250-3255 attribute N6; 3260-3265 attribute N6; 3270-3275 attribute N6; 3280-3285 attribute N6
3290-3295 attribute N6; 3300-3305 attribute N6; 3310-3315 attribute N6; 3320-3325 attribute N6
3330-3335 attribute N6; 3340-3345 attribute N6; 3350-3355 attribute N6; 3360-3365 attribute N6
3370-3375 attribute N6; 3400-3405 attribute N6; 3410-3415 attribute N6; 3420-3425 attribute N6
3430-3435 attribute N6; 3440-3445 attribute N6; 3450-3455 attribute N6; 3460-3465 attribute N6
3470-3475 attribute N6; 3480-3485 attribute N6; 3490-3495 attribute N6; 3500-3505 attribute N6
3510-3515 attribute N6; 3520-3525 attribute N6; 3530-3535 attribute N6; 3540-3545 attribute N6
3550-3555 attribute N6; 3560-3565 attribute N6; 3570-3575 attribute N6; 3600-3605 attribute N6
3610-3615 attribute N6; 3620-3625 attribute N6; 3630-3635 attribute N6; 3640-3645 attribute N6
3650-3655 attribute N6; 3660-3665 attribute N6; 3670-3675 attribute N6; 3680-3685 attribute N6
3690-3695 attribute N6; 3900-3909 attribute N..15; 3910-3919 attribute N3 N..15; 3920-3929 attribute N..15
3930-3939 attribute N3 N..15; 3940-3943 attribute N4; 3950-3955 attribute N6
400 attribute X..30; 401 key X..30 prefix; 402 key N17 digit; 403 attribute X..30
410-413 attribute N13 digit; 414 key N13 digit; 415 key N13 digit; 416 attribute N13 digit; 417 key N13 digit
420 attribute X..20; 421 attribute N3 X..9; 422 attribute N3; 423 attribute N3 [N3] [N3] [N3] [N3]
424 attribute N3; 425 attribute N3 [N3] [N3] [N3] [N3]; 426 attribute N3; 427 attribute X..3
4300-4301 attribute X..35 encoded; 4302-4306 attribute X..70 encoded; 4307 attribute X2 country
4308 attribute X..30; 4309 attribute N10 latitude N10 longitude; 4310-4311 attribute X..35 encoded
4312-4316 attribute X..70 encoded; 4317 attribute X2 country; 4318 attribute X..20; 4319 attribute X..30
4320 attribute X..35 encoded; 4321-4323 attribute N1 flag; 4324-4325 attribute N6 day N4 time
4326 attribute N6 date; 4330-4333 attribute N6 [X1 minus]
7001 attribute N13; 7002 attribute X..30; 7003 attribute N6 date N4 time; 7004 attribute N..4
7005 attribute X..12; 7006 attribute N6 date; 7007 attribute N6 date [N6 date]; 7008 attribute X..3
7009 attribute X..10; 7010 attribute X..2; 7011 attribute N6 date [N4 time]; 7020-7022 attribute X..20
7023 attribute X..30 prefix; 7030-7039 attribute N3 X..27; 7040 qualifier N1 X3; 7041 other X..4
710-717 attribute X..20; 7230-7239 attribute X2 X..28; 7240 attribute X..20; 7241 attribute N2 medium
7242 attribute X..25; 7250 attribute N8 birthday; 7251 attribute N8 birthday N4 time; 7252 attribute N1 sex
7253-7254 attribute X..40 encoded; 7255 attribute X..10; 7256 attribute X..90 encoded
7257 attribute X..70 encoded; 7258 attribute X3 sequence; 7259 attribute X..40 encoded
8001 attribute N4 positive N5 positive N3 positive N1 winding N1; 8002 attribute X..20
8003 key N1 zero N13 digit [X..16]; 8004 key X..30 prefix; 8005 attribute N6; 8006 key N14 digit N4 piece
8007 attribute X..34 iban; 8008 attribute N6 date N2 hour [N2 minute] [N2 minute]; 8009 attribute X..50
8010 key Y..30 prefix; 8011 qualifier N..12 leading; 8012 attribute X..20; 8013 key X..25 pair+prefix
8014 other X..25 pair+prefix; 8017 key N18 digit; 8018 key N18 digit; 8019 qualifier N..10
8020 qualifier X..25; 8026 attribute N14 digit N4 piece; 8030 attribute Z..90; 8040-8041 other N15; 8042 other N32
8043 other N18 [N..2]; 8110 attribute X..70
8111 attribute N4; 8112 attribute X..70; 8200 other X..70; 90 attribute X..30; 91-99 attribute X..90
"""
"""One identifier or a run of them, its use in a Digital Link, then its parts: `N6` six digits, `X..20` one to twenty
characters of a set, in brackets a part that may be left out; after a part the checks it has to pass. Every key but 415
may also be an attribute of something else; 10 is a qualifier of some keys and an attribute of others."""

QUALIFIERS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "01": (("22", "10", "21"), ("235",)),
    "8006": (("22", "10", "21"),),
    "414": (("254",), ("7040",)),
    "415": (("8020",),),
    "417": (("7040",),),
    "8004": (("7040",),),
    "8010": (("8011",),),
    "8017": (("8019",),),
    "8018": (("8019",),),
}
"""The qualifiers of a key, in the order in which a path has them; of several sequences a path uses one."""

REQUIRED_QUALIFIERS: Final = {"415": "8020"}
"""A payee's number names nothing without the reference of what is to be paid."""

NAMES: Final = {
    "00": "SSCC",
    "01": "GTIN",
    "10": "lot",
    "21": "serial",
    "22": "consumer product variant",
    "235": "third-party controlled serial",
    "253": "GDTI",
    "254": "GLN extension",
    "255": "GCN",
    "401": "GINC",
    "402": "GSIN",
    "414": "GLN",
    "415": "payee's GLN",
    "417": "party GLN",
    "7040": "UIC extension",
    "8003": "GRAI",
    "8004": "GIAI",
    "8006": "ITIP",
    "8010": "CPID",
    "8011": "CPID serial",
    "8013": "GMN",
    "8017": "GSRN of a provider",
    "8018": "GSRN of a recipient",
    "8019": "service relation instance",
    "8020": "payment reference",
}
"""What keys and qualifiers are called."""

_NEVER_TOGETHER: Final = (
    ("01", "02|255|37|8006"),
    ("02", "8026|255"),
    ("255", "415|8006|8020|8026"),
    ("8006", "37|8026"),
    ("8017", "8018"),
    ("390\\d", "39[14]\\d|8111"),
    ("392\\d", "39[35]\\d"),
    ("393\\d", "395\\d"),
    ("394\\d", "8111"),
    ("395\\d", "8005"),
    ("420", "421"),
    ("421", "4307"),
    ("426", "42[2345]"),
    ("4330", "4331"),
    ("4332", "4333"),
    ("7250", "7251"),
    ("725[345]", "7256|7259"),
    ("7256", "7259"),
)
"""Pairs that contradict each other (General Specifications, section 4.13): a GTIN beside the GTIN of contents, …"""
_ONE_OF_FAMILY: Final = re.compile(r"(?:3[1-6]\d|39[0-5])(?=\d$)")
"""Measures and amounts whose last digit is the place of the decimal point: a thing has one net weight in kilograms."""


class Part(msgspec.Struct, frozen=True):
    """A part of a value: its characters and length as a pattern, and the checks that it has to pass."""

    pattern: str
    optional: bool
    checks: tuple[Callable[[str], str | None], ...] = ()


class ApplicationIdentifier(msgspec.Struct, frozen=True):
    """What one identifier's value looks like, and what the identifier may be in a Digital Link."""

    number: str
    use: Use
    pattern: re.Pattern[str]
    parts: tuple[Part, ...]


def _read_table() -> dict[str, ApplicationIdentifier]:
    known = {}
    for entry in _TABLE.replace("\n", ";").split(";"):
        if not entry.strip():
            continue
        numbers, use, *words = entry.split()
        pattern, parts = _read_form(words)
        first, _, last = numbers.partition("-")
        for value in range(int(first), int(last or first) + 1):
            number = str(value).zfill(len(first))
            known[number] = ApplicationIdentifier(number, msgspec.convert(use, Use), pattern, parts)
    return known


def _read_form(words: list[str]) -> tuple[re.Pattern[str], tuple[Part, ...]]:
    """The pattern of a whole value, and its parts. Only the last part has a length that varies."""
    expression, closing = "", ""
    parts: list[Part] = []
    for word in words:
        bare = word.strip("[]")
        if bare[0] in CHARACTERS and bare[1:].lstrip(".").isdecimal():
            shortest, length = "1," if bare[1] == "." else "", bare[1:].lstrip(".")
            part = Part(f"{CHARACTERS[bare[0]]}{{{shortest}{length}}}", optional=word.startswith("["))
            # A part that may be left out holds those after it: none follows one that is missing.
            expression += f"(?:({part.pattern})" if part.optional else f"({part.pattern})"
            closing += ")?" if part.optional else ""
            parts.append(part)
        else:
            checks = tuple(value_checks.CHECKS[name] for name in bare.split("+"))
            parts[-1] = msgspec.structs.replace(parts[-1], checks=checks)
    return re.compile(expression + closing), tuple(parts)


IDENTIFIERS: Final = _read_table()
"""Every identifier by its number."""

PRIMARY_KEYS: Final = frozenset(number for number, known in IDENTIFIERS.items() if known.use == "key")
"""The identifiers that a Digital Link's path may begin with."""

PATH_IDENTIFIERS: Final = PRIMARY_KEYS | {each for runs in QUALIFIERS.values() for run in runs for each in run}
"""The identifiers that may be in a path at all."""


def is_attribute(identifier: str) -> bool:
    """Whether an identifier may be in a Digital Link's query, where the key has no place for it in the path."""
    known = IDENTIFIERS.get(identifier)
    return known is not None and known.use in ("key", "attribute")


def fits(identifier: str, value: str) -> bool:
    """Whether a value has the characters and the length of a known identifier, whatever its check digit."""
    return IDENTIFIERS[identifier].pattern.fullmatch(value) is not None


def fault(identifier: str, value: str) -> str | None:
    """Why a value cannot be that of a known identifier, as a sentence's end; None where it can."""
    known = IDENTIFIERS[identifier]
    match = known.pattern.fullmatch(value)
    if match is None:
        return f"{value[:40]!r} is not a value that {identifier} can have"
    for part, text in zip(known.parts, match.groups(), strict=True):
        if text is not None:
            for check in part.checks:
                if reason := check(text):
                    return reason
    return None


def contradiction(identifiers: list[str]) -> tuple[str, str] | None:
    """Two of these identifiers that cannot be said of one thing; None where all can."""
    for place, later in enumerate(identifiers):
        for earlier in identifiers[:place]:
            if _contradict(earlier, later) or _contradict(later, earlier):
                return earlier, later
    return None


def _contradict(one: str, other: str) -> bool:
    if one != other and (family := _ONE_OF_FAMILY.match(one)) and other[:-1] == family[0]:
        return True
    return any(pattern.fullmatch(one) and others.fullmatch(other) for pattern, others in _CONTRADICTIONS)


_CONTRADICTIONS: Final = tuple((re.compile(one), re.compile(others)) for one, others in _NEVER_TOGETHER)
