"""Examples of requests about benefits and checkouts, for the reference. A test holds them against the shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_MEMBER: Final = "mem_01KA0000000000000000000000"
_ACTOR: Final = {"actor": "li.na"}
_BASKET: Final = {
    "member_id": _MEMBER,
    "channel": "online",
    "currency": "CNY",
    "lines": [
        {"sku": "tea-100", "quantity": 2, "amount_minor": 25600, "category": "tea"},
        {"sku": "cup-1", "quantity": 1, "amount_minor": 8900},
    ],
    "shipping_minor": 1000,
    "coupons": ["7K3M0QX2Z9V4T1RB"],
    "points": "most",
}

REQUESTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "saveBenefitDraft": {
        "definition": {
            "name": {"zh": "满百减二十", "en": "20 off 100"},
            "gives": {
                "kind": "coupon",
                "terms": {
                    "currency": "CNY",
                    "effect": {"kind": "fixed", "amount_minor": 2000},
                    "minimum": {"amount_minor": 10000},
                    "places": {"kinds": ["store"]},
                    "audience": {"tiers": ["gold"]},
                },
            },
            "validity": {"by": "days", "days": 30},
            "per_member": 1,
        },
        **_ACTOR,
    },
    "undoBenefitDraft": _ACTOR,
    "publishBenefitTemplate": _ACTOR,
    "retireBenefitTemplate": _ACTOR,
    "setBenefitStock": {"kind": "counted", "total": 1000, **_ACTOR},
    "setBenefitBudget": {"uses": 500, "amount_minor": 1000000, **_ACTOR},
    "importBenefitCodes": {"codes": ["A-0001", "A-0002"], **_ACTOR},
    "saveBenefitBudget": {
        "name": {"zh": "春季活动", "en": "Spring"},
        "currency": "CNY",
        "amount_minor": 5000000,
        **_ACTOR,
    },
    "beginBenefitIssue": {
        "template": "welcome",
        "name": "Gold members in May",
        "audience": {"kind": "tiers", "tiers": ["gold"]},
        "campaign": "may-2026",
        "hold_out_bp": 500,
        **_ACTOR,
    },
    "issueBenefit": {"template": "welcome", "source": "campaign:spring"},
    "claimBenefit": {"template": "welcome"},
    "revokeBenefit": {},
    "transferBenefit": {"to_member_id": "mem_01KA0000000000000000000001"},
    "quoteCheckout": _BASKET,
    "lockCheckout": {**_BASKET, "expires_in_seconds": 900},
    "useCheckout": {"order_number": "R-1001"},
    "releaseCheckout": {},
    "refundCheckout": {"lines": [1]},
}
