"""Campaigns and missions over the API: drafted, published, stopped, and what they gave."""

from __future__ import annotations

from tests.web.conftest import Api, assert_problem

NAME = {"zh": "活动", "en": "Campaign"}
ACTOR = {"actor": "li.na"}


async def test_a_campaign_from_its_draft_to_its_end(brand_api: Api) -> None:
    definition = {"name": NAME, "reward": {"kind": "fixed", "points": 30}, "budget_points": 40}
    refused = await brand_api.post("/campaigns", {"code": "c", "definition": definition | {"unit": "gold"}, **ACTOR})
    assert_problem(refused, 400, "invalid-input", "unit")
    made = (await brand_api.post("/campaigns", {"code": "c", "definition": definition, **ACTOR})).json()
    assert (made["state"], made["changes"], made["draft"]["budget_points"]) == ("draft", 1, 40)
    path = f"/campaigns/{made['id']}"
    saved = {"definition": definition | {"budget_points": 50}, "seen": 1, **ACTOR}
    assert (await brand_api.post(f"{path}/draft", saved)).json()["draft"]["budget_points"] == 50
    assert_problem(await brand_api.post(f"{path}/publish", {"seen": 1, **ACTOR}), 409, "campaign-changed", "seen")
    undone = (await brand_api.post(f"{path}/undo", {"seen": 2, **ACTOR})).json()
    assert undone["draft"]["budget_points"] == 40

    later = {"seen": 3, "starts_at": "2099-01-01T00:00:00Z", **ACTOR}
    assert (await brand_api.post(f"{path}/publish", later)).json()["state"] == "scheduled"
    assert (await brand_api.post(f"{path}/withdraw", {"seen": 4, **ACTOR})).json()["state"] == "draft"
    published = (await brand_api.post(f"{path}/publish", {"seen": 5, **ACTOR})).json()
    assert (published["state"], [each["version"] for each in published["versions"]]) == ("running", [2, 1])
    assert published["result"]["budget"] == {"total": 40, "used": 0, "left": 40}
    assert (await brand_api.get("/campaigns", state="running")).json()["data"] == [published]
    assert (await brand_api.get("/campaigns", state="draft")).json()["data"] == []

    stopped = (await brand_api.post(f"{path}/stop", {"seen": 6, **ACTOR})).json()
    assert (stopped["state"], (await brand_api.get(path)).json()) == ("ended", stopped)
    history = (await brand_api.get(f"{path}/history")).json()["data"]
    assert [each["what"] for each in reversed(history)] == [
        "created",
        "saved",
        "undone",
        "published",
        "withdrawn",
        "published",
        "ended",
    ]


async def test_a_mission_is_done_step_by_step_and_collected_once(brand_api: Api) -> None:
    member_id = await brand_api.register("19900000001")
    definition = {"name": NAME, "task": {"kind": "sign_in", "days": 1}, "points": 20}
    refused = await brand_api.post("/missions", {"code": "m", "definition": definition | {"benefit": "no"}, **ACTOR})
    assert_problem(refused, 404, "unknown-template", "template")
    made = (await brand_api.post("/missions", {"code": "m", "definition": definition, **ACTOR})).json()
    collecting = f"/members/{member_id}/missions/{made['id']}/collect"
    assert_problem(await brand_api.post(collecting, None), 409, "mission-not-complete", "mission")
    visits = [(await brand_api.put(f"/members/{member_id}/visits/today", None)).json() for _ in range(2)]
    assert visits == [{"first": True}, {"first": False}]
    (told,) = (await brand_api.get(f"/members/{member_id}/missions")).json()["data"]
    assert (told["done"], told["steps"], told["complete"], told["collected_at"]) == (1, 1, True, None)
    for _ in range(2):
        assert (await brand_api.post(collecting, None)).json()["collected_at"] is not None
    (balance,) = (await brand_api.get(f"/members/{member_id}/points")).json()["data"]
    assert balance["spendable"] == 20
    stopped = (await brand_api.post(f"/missions/{made['id']}/stop", ACTOR)).json()
    assert (stopped["collected"], stopped["ends_at"] is not None, stopped["ended_by"]) == (1, True, ACTOR["actor"])
    assert (await brand_api.get("/missions")).json()["data"] == [stopped]
    assert (await brand_api.get(f"/members/{member_id}/missions")).json()["data"] == []
