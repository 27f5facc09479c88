"""Examples of requests and answers, by operation, for the OpenAPI document. A test reads each as its own type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loyalty.web.api.examples_benefits import REQUESTS as BENEFITS
from loyalty.web.api.examples_campaigns import ANSWERS as CAMPAIGN_ANSWERS
from loyalty.web.api.examples_campaigns import REQUESTS as CAMPAIGNS

_MEMBER: Final = "mem_01KA0B1C2D3E4F5G6H7J8K9M0N"
_OTHER: Final = "mem_01KA0B1C2D3E4F5G6H7J8K9M0P"
_HOLD: Final = "hld_01KA0B1C2D3E4F5G6H7J8K9M0Q"
_REDEMPTION: Final = "rdm_01KA0B1C2D3E4F5G6H7J8K9M0R"
_ORDER: Final = "ord_01KA0B1C2D3E4F5G6H7J8K9M0S"
_RANGE: Final = "rng_01KA0B1C2D3E4F5G6H7J8K9M0T"
_PRINTER: Final = "prn_01KA0B1C2D3E4F5G6H7J8K9M0W"
_MOMENT: Final = "2026-03-01T02:00:00Z"
_GTIN: Final = "06901234567892"
_SERIAL: Final = "10Y7DJPF72MHRCYR"
_DEVICE: Final = "app-5f1c9e0a"

_LINES: Final = [{"line_id": "1", "sku": "CREAM-50", "quantity": 2, "amount_minor": 59800, "category": "face"}]
_PHONE: Final = {"kind": "phone", "value": "199 0000 0001"}
_REASON: Final = {"reason": "two accounts of one person", "actor": "li.na"}

_LINK: Final = {
    "value": _GTIN,
    "qualifiers": {"10": None},
    "link_type": "gs1:certificationInfo",
    "target": "https://shop.example/certificates/{lot}.pdf",
    "title": "检测报告",
    "languages": ["zh"],
    "media_type": "application/pdf",
}

_LAPSED: Final = {
    "rule": "all",
    "rules": [
        {"rule": "compare", "field": "days_since_order", "op": "ge", "value": 90},
        {"rule": "compare", "field": "consent:purpose=marketing_sms", "op": "eq", "value": True},
    ],
}

_SPEND_A_YEAR: Final = {
    "rule": "reach",
    "metric": {"type": "spend", "currency": "CNY"},
    "window": {"type": "rolling_months", "months": 12},
    "at_least": 500000,
}
_TIER_POLICY: Final = {
    "tiers": [
        {"code": "silver", "name": {"zh": "银卡", "en": "Silver"}, "rank": 1},
        {
            "code": "gold",
            "name": {"zh": "金卡", "en": "Gold"},
            "rank": 2,
            "qualify": {
                "rule": "all",
                "rules": [
                    _SPEND_A_YEAR,
                    {
                        "rule": "reach",
                        "metric": {"type": "orders"},
                        "window": {"type": "rolling_months", "months": 12},
                        "at_least": 4,
                    },
                ],
            },
            "benefit_cost_minor": 1200,
            "earn_rate_bp": 12000,
        },
    ],
    "keep": {"type": "next_year_end"},
    "grace_days": 30,
    "warning_days": 30,
}

REQUESTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "changeAlert": {"state": "closed", "note": "bought and tested: a copy", "actor": "li.na"},
    "assignDealer": {"dealer": "Xiling Tea Trading", "region": "CN-SC"},
    "changeScanThresholds": {"amber_devices": 5, "claims_per_member_day": 10, "window_hours": None},
    "packUnits": {
        "units": [{"sscc": "069012340000000009", "items": [{"gtin": _GTIN, "serials": [_SERIAL]}]}],
        "actor": "line 1",
    },
    "packFile": {"file": f"sscc,code\n069012340000000009,(01){_GTIN}(21){_SERIAL}\n", "actor": "line 1"},
    "changeUnitState": {"state": "shipped", "place": {"zh": "上海", "en": "Shanghai"}},
    "unpackUnit": {"sscc": "069012340000000009", "items": [{"gtin": _GTIN, "serials": [_SERIAL]}]},
    "registerMember": {
        "channel": "online",
        "identities": [{**_PHONE, "verified": True}, {"kind": "customer", "value": "17850"}],
        "locale": "zh",
        "profile": {"name": "李娜"},
        "consents": [
            {
                "purpose": "terms",
                "granted": True,
                "text_version": "terms-2026-01",
                "source": "shop:checkout",
                "given_at": _MOMENT,
            }
        ],
    },
    "findMember": {"text": "19900000001"},
    "updateProfile": {"name": "李娜", "birthday": "1990-05-17"},
    "recordConsent": {
        "purpose": "marketing_sms",
        "granted": False,
        "text_version": "sms-2026-01",
        "source": "till:store-1",
        "given_at": _MOMENT,
    },
    "mergeMembers": {"absorbed_id": _OTHER, **_REASON},
    "undoMerge": {"reason": "mother and daughter", "actor": "li.na"},
    "eraseMember": {"reason": "asked by the member", "actor": "li.na"},
    "earnPoints": {"amount": 100, "source": "review:8812"},
    "postBatch": {
        "items": [
            {
                "kind": "earn",
                "member_id": _MEMBER,
                "idempotency_key": "review-8812",
                "amount": 100,
                "source": "review:8812",
            },
            {
                "kind": "spend",
                "member_id": _OTHER,
                "idempotency_key": "wheel-771",
                "amount": 500,
                "source": "game:wheel/771",
            },
        ]
    },
    "reversePosting": {"sequence": 3, "amount": 40, "source": "review:8812/removed"},
    "spendPoints": {"amount": 100, "source": "game:wheel/771"},
    "confirmPoints": {"sequence": 3, "source": "order:online/536381/delivered"},
    "adjustPoints": {"amount": -50, "reason": "given twice by mistake", "actor": "li.na", "source": "ticket:4711"},
    "transferPoints": {"to_member_id": _OTHER, "amount": 200, "source": "gift:19"},
    "holdPoints": {"amount": 500, "source": "till:store-1/R-1001", "expires_in_seconds": 900},
    "captureHold": {"source": "till:store-1/R-1001"},
    "releaseHold": {"source": "till:store-1/R-1001"},
    "postOrder": {
        "channel": "online",
        "external_id": "536381",
        "placed_at": _MOMENT,
        "currency": "CNY",
        "identities": [_PHONE],
        "lines": _LINES,
        "discount_minor": 9800,
    },
    "postRefund": {
        "channel": "online",
        "external_id": "R-88",
        "order_external_id": "536381",
        "refunded_at": _MOMENT,
        "currency": "CNY",
        "lines": [{"line_id": "1", "quantity": 1, "amount_minor": 25000}],
    },
    "postCancellation": {
        "channel": "online",
        "external_id": "C-12",
        "order_external_id": "536381",
        "cancelled_at": _MOMENT,
        "currency": "CNY",
    },
    **BENEFITS,
    **CAMPAIGNS,
    "createTierPolicy": {"title": "2027", "policy": _TIER_POLICY, "by": "li.na"},
    "editTierPolicy": {"revision": 1, "title": "2027, easier", "policy": _TIER_POLICY, "by": "li.na"},
    "simulateTierPolicy": {"by": "li.na"},
    "publishTierPolicy": {"effective_at": "2027-01-01T00:00:00+08:00", "by": "li.na"},
    "withdrawTierPolicy": {"by": "li.na"},
    "retireTierPolicy": {"by": "li.na"},
    "grantTier": {"tier": "gold", "ends_at": "2027-01-01T00:00:00+08:00", "reason": "A gift", "by": "li.na"},
    "quoteRedemption": {"member_id": _MEMBER, "basket_minor": 45000, "currency": "CNY"},
    "beginRedemption": {
        "member_id": _MEMBER,
        "channel": "store-1",
        "points": 500,
        "basket_minor": 45000,
        "currency": "CNY",
        "clerk": "li.na",
    },
    "captureRedemption": {"receipt_number": "R-1001"},
    "voidRedemption": {},
    "refundRedemption": {"points": 200, "clerk": "li.na"},
    "saveProduct": {
        "names": {"zh": "舒缓面霜 50 毫升", "en": "Soothing cream 50 ml"},
        "category": "face",
        "points_on_claim": 50,
    },
    "mintRange": {"gtin": _GTIN, "count": 10000, "print_order": "PO-2026-014", "lot": "L2603A", "region": "CN"},
    "saveProductLot": {"made_on": "2026-02-20", "expires_on": "2028-02-19", "region": "CN"},
    "changeProductLotState": {"state": "recalled", "actor": "wang.wei"},
    "changeItemState": {"gtin": _GTIN, "serial": _SERIAL, "state": "sold", "actor": "till-4"},
    "checkSerials": {"gtin": _GTIN, "serials": [_SERIAL, "10Y7DJPF72MHRCYS"]},
    "importSerials": {"gtin": _GTIN, "file": "serial\nAB-0001\nAB-0002\n", "print_order": "printed in 2024"},
    "savePrinter": {
        "name": "Golden Press",
        "recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    },
    "exportRange": {"printer_id": _PRINTER, "case_size": 24, "honey": 12},
    "exportPins": {"printer_id": "prn_01KA0B1C2D3E4F5G6H7J8K9M0X"},
    "addMedia": {
        "kind": "document",
        "link": "https://shop.example/certificates/l2603a.pdf",
        "titles": {"zh": "检测报告", "en": "Certificate of analysis"},
    },
    "addLink": _LINK,
    "createSegment": {"name": "Not seen for 90 days", "rule": _LAPSED},
    "saveSegmentVersion": {"rule": _LAPSED, "note": "90 days, not 60"},
    "countByRule": {"rule": _LAPSED},
    "changeLink": {**_LINK, "default": True},
    "changeRangeState": {"state": "activated", "place": {"zh": "上海", "en": "Shanghai"}, "actor": "wang.wei"},
    "scanItem": {"gtin": _GTIN, "serial": _SERIAL, "device": _DEVICE, "city": "Shanghai", "region": "CN-31"},
    "claimItem": {"gtin": _GTIN, "serial": _SERIAL, "member_id": _MEMBER, "device": _DEVICE},
}

_MEMBER_ANSWER: Final = {
    "id": _MEMBER,
    "state": "active",
    "merged_into": None,
    "joined_at": _MOMENT,
    "joined_channel": "online",
    "locale": "zh",
    "name": "李娜",
    "masked_phone": "199****0001",
    "masked_email": None,
}


def _posting(sequence: int, *, spendable: int, held: int = 0, hold: str | None = None) -> Mapping[str, Any]:
    return {
        "member_id": _MEMBER,
        "sequence": sequence,
        "balance": {"unit": "points", "spendable": spendable, "pending": 0, "held": held, "debt": 0},
        "recorded_at": _MOMENT,
        "hold_id": hold,
    }


def _redemption(state: str, **changed: Any) -> Mapping[str, Any]:
    return {
        "id": _REDEMPTION,
        "member_id": _MEMBER,
        "kind": "money_off",
        "state": state,
        "points": 500,
        "amount_minor": 500,
        "currency": "CNY",
        "basket_minor": 45000,
        "clerk": "li.na",
        "benefit_id": None,
        "checkout_id": None,
        "name": None,
        "begun_at": _MOMENT,
        "hold_expires_at": "2026-03-01T02:15:00Z",
        "receipt_number": None,
        "captured_at": None,
        "refunded_points": 0,
        "refunded_minor": 0,
        "closed_at": None,
        **changed,
    }


_RANGE_ANSWER: Final = {
    "id": _RANGE,
    "origin_id": _RANGE,
    "gtin": _GTIN,
    "kid": 1,
    "lo": 0,
    "hi": 9999,
    "count": 10000,
    "state": "issued",
    "print_order": "PO-2026-014",
    "lot": "L2603A",
    "region": "CN",
    "expires_on": None,
    "pin_required": False,
    "points_on_claim": None,
    "exempt_at": None,
    "created_at": _MOMENT,
}

ANSWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    **CAMPAIGN_ANSWERS,
    "packUnits": {"items": 24},
    "packFile": {"lines": 24, "items": 24, "units": 1},
    "changeUnitState": {"sscc": "069012340000000009", "state": "shipped", "items": 24},
    "unpackUnit": {"items": 1},
    "getUnit": {
        "sscc": "069012340000000009",
        "parents": [],
        "packed_at": _MOMENT,
        "intervals": [{"gtin": _GTIN, "kid": 1, "first_index": 0, "last_index": 23, "items": 24}],
        "units": [],
        "items": 24,
    },
    "getItemPacking": {"gtin": _GTIN, "serial": _SERIAL, "units": ["069012340000000009"]},
    "getProgramme": {
        "code": "demo",
        "name": "Demo",
        "time_zone": "Asia/Shanghai",
        "currency": "CNY",
        "locale": "zh",
        "channels": [
            {"code": "online", "name": "Shop", "kind": "online", "currency": "CNY", "time_zone": "Asia/Shanghai"}
        ],
        "units": [{"code": "points", "spendable": True, "expiry_kind": "end_of_month"}],
        "key": {"name": "shop", "scopes": ["members:read", "orders:write"], "channel": "online"},
    },
    "registerMember": {"member": _MEMBER_ANSWER, "created": True, "merges": []},
    "findMember": {"data": [_MEMBER_ANSWER], "next_cursor": None},
    "getMember": _MEMBER_ANSWER,
    "getBalances": {"data": [{"unit": "points", "spendable": 1200, "pending": 0, "held": 0, "debt": 0}]},
    "earnPoints": _posting(4, spendable=1300),
    "postBatch": {
        "posted": 1,
        "replayed": 0,
        "refused": 1,
        "results": [
            {
                "index": 0,
                "idempotency_key": "review-8812",
                "status": 201,
                "replayed": False,
                "posting": _posting(4, spendable=1300),
                "problem": None,
            },
            {
                "index": 1,
                "idempotency_key": "wheel-771",
                "status": 409,
                "replayed": False,
                "posting": None,
                "problem": {
                    "type": "/problems/insufficient-balance",
                    "title": "Not enough points",
                    "status": 409,
                    "detail": "300 points can be spent, 500 were asked for",
                    "errors": [{"field": "amount", "reason": "300 points can be spent, 500 were asked for"}],
                },
            },
        ],
    },
    "spendPoints": _posting(5, spendable=1200),
    "reversePosting": _posting(6, spendable=1160),
    "confirmPoints": _posting(6, spendable=1300),
    "adjustPoints": _posting(7, spendable=1110),
    "transferPoints": _posting(8, spendable=910),
    "holdPoints": _posting(9, spendable=410, held=500, hold=_HOLD),
    "captureHold": _posting(10, spendable=410, hold=_HOLD),
    "releaseHold": _posting(10, spendable=910, hold=_HOLD),
    "postOrder": {
        "state": "booked",
        "external_id": "536381",
        "id": _ORDER,
        "member_id": _MEMBER,
        "earned": {"points": 500},
        "refunds": [],
    },
    "postRefund": {
        "state": "booked",
        "kind": "refund",
        "external_id": "R-88",
        "id": "ref_01KA0B1C2D3E4F5G6H7J8K9M0V",
        "order_id": _ORDER,
        "member_id": _MEMBER,
        "taken_back": {"points": 250},
        "given_back": {},
    },
    "quoteRedemption": {
        "currency": "CNY",
        "policy_version": 1,
        "max_points": 1200,
        "max_amount_minor": 1200,
        "step_points": 100,
        "step_amount_minor": 100,
        "minimum_points": 100,
        "limit_minor": 22500,
        "reasons": [],
    },
    "beginRedemption": _redemption("held"),
    "captureRedemption": _redemption("captured", receipt_number="R-1001", captured_at=_MOMENT),
    "voidRedemption": _redemption("voided", closed_at=_MOMENT),
    "mintRange": _RANGE_ANSWER,
    "addLink": {
        **_LINK,
        "id": "lnk_01KA0B1C2D3E4F5G6H7J8K9M0V",
        "key": "01",
        "contexts": [],
        "default": False,
        "valid_from": None,
        "valid_until": None,
        "created_at": _MOMENT,
    },
    "changeRangeState": {"data": [{**_RANGE_ANSWER, "state": "activated"}], "next_cursor": None},
    "claimItem": {"claimed": True, "points": 50, "claimed_at": _MOMENT, "refusal": None, "tries_left": None},
}
