"""Examples of requests and answers about campaigns and missions, for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_ACTOR: Final = {"actor": "li.na"}
_STEP: Final = {"seen": 2, **_ACTOR}
_MOMENT: Final = "2026-11-01T02:00:00Z"
_DEFINITION: Final = {
    "name": {"zh": "双十一茶类双倍积分", "en": "Double points on tea at 11.11"},
    "reward": {"kind": "times", "factor_bp": 20000},
    "items": {"categories": ["tea"]},
    "double_days": True,
    "holdout_bp": 500,
    "budget_points": 500000,
    "member_day_points": 2000,
}
_MISSION: Final = {
    "name": {"zh": "连续签到七天", "en": "Seven days in a row"},
    "task": {"kind": "sign_in", "days": 7},
    "points": 50,
    "benefit": "welcome",
}

_DRAW: Final = {
    "name": {"zh": "新年抽奖", "en": "New Year draw"},
    "prizes": [
        {"code": "tea-set", "name": {"zh": "茶具一套", "en": "A tea set"}, "count": 3, "benefit": "tea-set"},
        {"code": "points", "name": {"zh": "500 积分", "en": "500 points"}, "count": 50, "points": 500},
    ],
    "places": 1000,
    "price_points": 50,
    "per_member": 5,
    "beacon": {"zh": "次日上证指数收盘点位", "en": "The closing index of the Shanghai exchange on the next day"},
}

REQUESTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "createCampaign": {"code": "double-day-2026", "definition": _DEFINITION, **_ACTOR},
    "saveCampaignDraft": {"definition": {**_DEFINITION, "budget_points": 600000}, "seen": 1, **_ACTOR},
    "undoCampaignDraft": _STEP,
    "publishCampaign": {
        "starts_at": "2026-11-10T16:00:00Z",
        "ends_at": "2026-11-12T16:00:00Z",
        "seen": 1,
        **_ACTOR,
    },
    "withdrawCampaign": _STEP,
    "stopCampaign": _STEP,
    "createMission": {"code": "seven-days", "definition": _MISSION, **_ACTOR},
    "stopMission": _ACTOR,
    "createDraw": {"code": "new-year", "definition": _DRAW, "closes_at": "2027-01-10T16:00:00Z", **_ACTOR},
    "withdrawDraw": _ACTOR,
    "drawPrizes": {"beacon": "3,312.55", **_ACTOR},
}

ANSWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "createCampaign": {
        "id": "ecp_01KA0B1C2D3E4F5G6H7J8K9M0N",
        "code": "double-day-2026",
        "state": "draft",
        "draft": _DEFINITION,
        "versions": [],
        "changes": 1,
        "ended_at": None,
        "created_at": _MOMENT,
        "result": {
            "points": 0,
            "taken_back": 0,
            "benefits": 0,
            "members": 0,
            "orders": 0,
            "held_out": 0,
            "budget": None,
        },
    },
    "listMemberMissions": {
        "data": [
            {
                "mission_id": "msn_01KA0B1C2D3E4F5G6H7J8K9M0P",
                "code": "seven-days",
                "name": _MISSION["name"],
                "done": 3,
                "steps": 7,
                "complete": False,
                "collected_at": None,
            }
        ]
    },
    "checkIn": {"first": True},
    "enterDraw": {
        "draw_id": "prz_01KA0B1C2D3E4F5G6H7J8K9M0R",
        "number": 17,
        "ticket": "7K3M0QX2Z9V4",
        "source": "points",
        "points": 50,
        "entered_at": _MOMENT,
        "prize": None,
        "given_at": None,
    },
}
