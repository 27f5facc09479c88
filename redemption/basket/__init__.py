"""The basket engine: one answer to what coupons and points take off a basket, online and in the store.

`price_basket` says what the chosen coupons and points take off, line by line, and why the others do not;
`best_combination` chooses them. Both are pure: no database, no clock, and the same question has the same answer. What a
coupon's terms say is in `redemption.terms`; whether it is still in the wallet is for who asks.
"""

from redemption.basket.best import Best, best_combination
from redemption.basket.pricing import price_basket
from redemption.basket.shapes import (
    Applied,
    Basket,
    Candidate,
    Gift,
    Line,
    Member,
    PointsPaid,
    PointsWish,
    Priced,
    PricedLine,
    Reason,
    ReasonCode,
    Refused,
    check_basket,
)

__all__ = [
    "Applied",
    "Basket",
    "Best",
    "Candidate",
    "Gift",
    "Line",
    "Member",
    "PointsPaid",
    "PointsWish",
    "Priced",
    "PricedLine",
    "Reason",
    "ReasonCode",
    "Refused",
    "best_combination",
    "check_basket",
    "price_basket",
]
