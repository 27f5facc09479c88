"""Prize draws over the API: odds and commitment before, entries, and a proof afterwards."""

from __future__ import annotations

from tests.web.conftest import Api, assert_problem

NAME = {"zh": "抽奖", "en": "Draw"}
PRIZE = {"code": "points", "name": NAME, "count": 2, "points": 500}
DEFINITION = {"name": NAME, "prizes": [PRIZE], "places": 5, "price_points": 10, "per_member": 1}
ACTOR = {"actor": "li.na"}


async def test_a_draw_is_published_entered_and_not_drawn_before_its_time(brand_api: Api) -> None:
    asked = {"code": "d", "definition": DEFINITION, "closes_at": "2099-01-01T00:00:00Z", **ACTOR}
    refused = await brand_api.post("/draws", asked | {"definition": DEFINITION | {"places": 1}})
    assert_problem(refused, 400, "invalid-input", "prizes")
    draw = (await brand_api.post("/draws", asked)).json()
    assert (draw["state"], draw["odds"]) == ("open", [{"prize": "points", "wins": 2, "places": 5}])
    assert len(draw["commitment"]) == 64
    assert draw["seed"] is None
    member_id = await brand_api.register("19900000001")
    entering = f"/members/{member_id}/draws/{draw['id']}/entries"
    assert_problem(await brand_api.post(entering, None), 409, "insufficient-balance", "amount")
    await brand_api.post(f"/members/{member_id}/points/earn", {"amount": 25, "source": "gift"})
    entry = (await brand_api.post(entering, None, key="once")).json()
    assert entry == (await brand_api.post(entering, None, key="once")).json()
    assert (entry["number"], entry["points"], entry["prize"]) == (1, 10, None)
    assert_problem(await brand_api.post(entering, None), 409, "entry-limit-reached", "draw")
    assert (await brand_api.get(entering)).json()["data"] == [entry]
    (points,) = (await brand_api.get(f"/members/{member_id}/points")).json()["data"]
    assert points["spendable"] == 15
    path = f"/draws/{draw['id']}"
    assert (await brand_api.get(path)).json() == draw | {"entries": 1}
    assert_problem(await brand_api.post(f"{path}/draw", ACTOR), 409, "draw-not-closed", "draw")
    assert_problem(await brand_api.get(f"{path}/proof"), 409, "draw-not-closed", "draw")
    assert_problem(await brand_api.post(f"{path}/withdraw", ACTOR), 409, "conflict", "draw")
    other = (await brand_api.post("/draws", asked | {"code": "e"})).json()
    withdrawn = (await brand_api.post(f"/draws/{other['id']}/withdraw", ACTOR)).json()
    assert (withdrawn["state"], withdrawn["withdrawn_by"]) == ("withdrawn", "li.na")
    assert withdrawn["withdrawn_at"] is not None
    assert [each["code"] for each in (await brand_api.get("/draws")).json()["data"]] == ["e", "d"]
