"""GS1 Application Identifiers that may stand beside a GTIN, and the form of their values.

From the GS1 General Specifications, section 3. Identifiers that name something other than a trade item (a pallet, a
place, an asset…) are left out: they cannot be attributes of an item's Digital Link.
"""

from __future__ import annotations

import re
from typing import Final

_CHARACTERS_82: Final = r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]"
"""GS1 AI encodable character set 82 (General Specifications, section 7.11)."""

_FORMS: Final = """
10 X..20; 21 X..20; 22 X..20
11 D; 12 D; 13 D; 15 D; 16 D; 17 D
20 N2; 30 N..8; 37 N..8
235 X..28; 240 X..30; 241 X..30; 242 N..6; 243 X..20; 250 X..30; 251 X..30; 254 X..20
3100-3105 N6; 3110-3115 N6; 3120-3125 N6; 3130-3135 N6; 3140-3145 N6; 3150-3155 N6; 3160-3165 N6
3200-3205 N6; 3210-3215 N6; 3220-3225 N6; 3230-3235 N6; 3240-3245 N6; 3250-3255 N6; 3260-3265 N6; 3270-3275 N6
3280-3285 N6; 3290-3295 N6
3300-3305 N6; 3310-3315 N6; 3320-3325 N6; 3330-3335 N6; 3340-3345 N6; 3350-3355 N6; 3360-3365 N6; 3370-3375 N6
3400-3405 N6; 3410-3415 N6; 3420-3425 N6; 3430-3435 N6; 3440-3445 N6; 3450-3455 N6; 3460-3465 N6; 3470-3475 N6
3480-3485 N6; 3490-3495 N6
3500-3505 N6; 3510-3515 N6; 3520-3525 N6; 3530-3535 N6; 3540-3545 N6; 3550-3555 N6; 3560-3565 N6; 3570-3575 N6
3600-3605 N6; 3610-3615 N6; 3620-3625 N6; 3630-3635 N6; 3640-3645 N6; 3650-3655 N6; 3660-3665 N6; 3670-3675 N6
3680-3685 N6; 3690-3695 N6
3900-3909 N..15; 3910-3919 N3 N..15; 3920-3929 N..15; 3930-3939 N3 N..15; 3940-3943 N4; 3950-3955 N6
400 X..30; 403 X..30; 410-413 N13; 416 N13; 420 X..20; 421 N3 X..9; 422 N3; 423 N..15; 424 N3; 425 N..15; 426 N3
427 X..3
7001 N13; 7002 X..30; 7003 D N4; 7004 N..4; 7005 X..12; 7006 D; 7007 D d; 7008 X..3; 7009 X..10; 7010 X..2
7011 D n4; 7020 X..20; 7021 X..20; 7022 X..20; 7023 X..30; 7030-7039 N3 X..27
710-717 X..20; 7230-7239 X2 X..28; 7240 X..20
8001 N14; 8002 X..20; 8005 N6; 8008 D N2 n..4; 8009 X..50; 8012 X..20; 8020 X..25; 8026 N18; 8110 X..70; 8111 N4
8112 X..70; 8200 X..70; 90 X..30; 91-99 X..90
"""
"""`N6` six digits, `X..20` up to twenty characters, `D` a date YYMMDD; in lower case where the part may be left out."""


def _part(form: str) -> str:
    if form.upper() == "D":
        # The day may be 00, which stands for the last of the month.
        pattern = r"\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])"
    else:
        characters = r"\d" if form[0].upper() == "N" else _CHARACTERS_82
        length = form[1:]
        pattern = f"{characters}{{1,{length[2:]}}}" if length.startswith("..") else f"{characters}{{{length}}}"
    return f"(?:{pattern})?" if form[0].islower() else pattern


def _patterns() -> dict[str, re.Pattern[str]]:
    patterns = {}
    for entry in _FORMS.replace("\n", ";").split(";"):
        if not entry.strip():
            continue
        numbers, *forms = entry.split()
        first, _, last = numbers.partition("-")
        pattern = re.compile("".join(_part(form) for form in forms), re.ASCII)
        for number in range(int(first), int(last or first) + 1):
            patterns[str(number)] = pattern
    return patterns


_PATTERNS: Final = _patterns()

PRIMARY_KEYS: Final = frozenset(
    {"00", "253", "255", "401", "402", "414", "415", "417", "8003", "8004", "8006", "8010", "8013", "8017", "8018"}
)
"""The Digital Link primary keys other than 01, the GTIN."""


def is_attribute(identifier: str) -> bool:
    """Whether an Application Identifier may be said of a trade item."""
    return identifier in _PATTERNS


def fits(identifier: str, value: str) -> bool:
    """Whether a value has the form of a known identifier: its characters and its length."""
    return _PATTERNS[identifier].fullmatch(value) is not None
