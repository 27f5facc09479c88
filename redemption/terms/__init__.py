"""The terms of a coupon or other money-off benefit: what it takes off, from what, when, where, for whom, beside what.

`Terms` is the whole, and the same thing as a JSON document: `parse_terms` reads and checks one, `msgspec.to_builtins`
writes one, and what is written can be stored in a template and read back for years. Nothing here computes: a basket is
priced by `redemption.basket`.
"""

from redemption.terms.conditions import Audience, Hours, Items, Minimum, Places, Schedule
from redemption.terms.effects import (
    BuyGet,
    Effect,
    EveryOff,
    FixedOff,
    FreeShipping,
    GiftLine,
    ItemPrice,
    PercentOff,
    Step,
    SteppedOff,
)
from redemption.terms.stacking import Stacking
from redemption.terms.whole import Terms, check_terms, parse_terms

__all__ = [
    "Audience",
    "BuyGet",
    "Effect",
    "EveryOff",
    "FixedOff",
    "FreeShipping",
    "GiftLine",
    "Hours",
    "ItemPrice",
    "Items",
    "Minimum",
    "PercentOff",
    "Places",
    "Schedule",
    "Stacking",
    "Step",
    "SteppedOff",
    "Terms",
    "check_terms",
    "parse_terms",
]
