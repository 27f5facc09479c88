"""Benefits over HTTP: a template from draft to retirement, stock, issues to many, and members' wallets."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.giving import find_audience
from loyalty.kit.ids import parse_public_id
from redemption.benefits.bulk import work_on_issue
from tests.web.conftest import Api, assert_problem

ACTOR = {"actor": "li.na"}
DEFINITION: dict[str, Any] = {
    "name": {"zh": "五元券", "en": "Five off"},
    "gives": {"kind": "money_off", "amount_minor": 500, "currency": "CNY"},
    "validity": {"by": "days", "days": 30},
    "per_member": 1,
    "transferable": True,
    "claimable": True,
}
FIVE = "/benefits/templates/five"


async def _publish(api: Api, **changed: Any) -> None:
    await api.post(f"{FIVE}/draft", {"definition": DEFINITION | changed, **ACTOR})
    answered = await api.post(f"{FIVE}/publish", ACTOR)
    assert answered.json()["state"] == "published", answered.text


async def test_a_template_is_drafted_undone_published_stocked_and_retired(brand_api: Api) -> None:
    bad = DEFINITION | {"per_member": 0}
    refused = await brand_api.post(f"{FIVE}/draft", {"definition": bad, **ACTOR})
    assert_problem(refused, 400, "invalid-input", "per_member")
    assert_problem(await brand_api.get(FIVE), 404, "unknown-template")

    await brand_api.post(f"{FIVE}/draft", {"definition": DEFINITION, **ACTOR})
    await brand_api.post(f"{FIVE}/draft", {"definition": DEFINITION | {"per_member": 2}, **ACTOR})
    undone = (await brand_api.post(f"{FIVE}/undo", ACTOR)).json()
    assert (undone["state"], undone["draft"]["per_member"]) == ("draft", 1)
    assert_problem(await brand_api.post(f"{FIVE}/undo", ACTOR), 409, "nothing-to-undo")
    published = (await brand_api.post(f"{FIVE}/publish", ACTOR)).json()
    assert (published["version"], published["draft"]) == (1, None)
    stocked = (await brand_api.post(f"{FIVE}/stock", {"kind": "counted", "total": 10, **ACTOR})).json()
    assert stocked["figures"]["stock"] == {"total": 10, "left": 10}
    limited = (await brand_api.post(f"{FIVE}/budget", {"uses": 3, **ACTOR})).json()
    assert limited["figures"]["uses"] == {"total": 3, "left": 3}
    assert (await brand_api.post(f"{FIVE}/retire", ACTOR)).json()["state"] == "retired"
    again = (await brand_api.post(f"{FIVE}/publish", ACTOR)).json()
    assert (again["state"], again["version"]) == ("published", 1)
    listed = (await brand_api.get("/benefits/templates", state="published")).json()["data"]
    assert "five" in [each["code"] for each in listed]


async def test_a_benefit_is_given_seen_given_on_and_revoked(brand_api: Api) -> None:
    await _publish(brand_api)
    ann, bo = [await brand_api.register(f"+861990000000{number}") for number in (1, 2)]
    given = {"template": "five", "source": "campaign:spring"}
    first = await brand_api.post(f"/members/{ann}/benefits", given, key="give")
    assert first.status_code == httpx.codes.CREATED
    assert (await brand_api.post(f"/members/{ann}/benefits", given, key="give")).json() == first.json()
    assert_problem(await brand_api.post(f"/members/{ann}/benefits", given), 409, "member-limit-reached")
    assert (await brand_api.put(f"/members/{ann}/benefits/seen", None)).status_code == httpx.codes.NO_CONTENT

    benefit = first.json()["id"]
    theirs = await brand_api.post(f"/members/{ann}/benefits/{benefit}/transfer", {"to_member_id": bo})
    assert theirs.json()["member_id"] == bo
    assert (await brand_api.get(f"/members/{ann}/benefits")).json()["data"] == []
    own = await brand_api.post(f"/members/{bo}/benefits/claim", {"template": "five"})
    assert own.json()["source"] == "claim"
    revoked = await brand_api.post(f"/members/{bo}/benefits/{own.json()['id']}/revoke", {})
    assert revoked.json()["state"] == "revoked"
    (left,) = (await brand_api.get(f"/members/{bo}/benefits")).json()["data"]
    assert left["id"] == theirs.json()["id"]
    unknown = await brand_api.post(f"/members/{ann}/benefits/{own.json()['id']}/revoke", {})
    assert_problem(unknown, 404, "unknown-benefit", "benefit_id")


async def test_an_issue_to_a_list_is_followed_stopped_resumed_and_taken_back(
    brand_api: Api, engine: AsyncEngine
) -> None:
    await _publish(brand_api)
    people = [await brand_api.register(f"+861990000001{number}") for number in range(3)]
    begin = {"template": "five", "name": "May", "audience": {"kind": "list", "members": people}, **ACTOR}
    issue = (await brand_api.post("/benefits/issues", begin)).json()
    assert (issue["state"], issue["total"], issue["issued"]) == ("running", 3, 0)
    address = f"/benefits/issues/{issue['id']}"
    assert (await brand_api.put(f"{address}/stop", None)).json()["state"] == "stopped"
    assert (await brand_api.put(f"{address}/resume", None)).json()["state"] == "running"

    async def work() -> dict[str, Any]:
        await work_on_issue(engine, parse_public_id("iss", issue["id"]), find_audience=find_audience)
        found: dict[str, Any] = (await brand_api.get(address)).json()
        return found

    done = await work()
    assert (done["state"], done["done"], done["issued"]) == ("done", 3, 3)
    assert (await brand_api.put(f"{address}/stop", None)).json() == done
    await brand_api.put(f"{address}/revoke", None)
    over = await work()
    assert (over["state"], over["reason"], over["issued"]) == ("stopped", "revoked", 0)
    assert (await brand_api.get(f"/members/{people[0]}/benefits")).json()["data"] == []
    nobody = begin | {"audience": {"kind": "list", "members": [f"mem_{'0' * 26}"]}}
    assert_problem(await brand_api.post("/benefits/issues", nobody), 404, "not-found")


async def test_codes_and_shared_budgets(brand_api: Api) -> None:
    partner = {"kind": "third_party", "provider": "Cinema", "link": "https://example.com"}
    await brand_api.post(f"{FIVE}/draft", {"definition": DEFINITION | {"gives": partner}, **ACTOR})
    assert_problem(await brand_api.post(f"{FIVE}/publish", ACTOR), 409, "conflict", "stock")
    codes = {"codes": ["A-1", "A-2", "A-1"], **ACTOR}
    told = (await brand_api.put(f"{FIVE}/codes", codes)).json()
    assert (told["added"], told["refused"]) == (2, 1)
    assert (await brand_api.post(f"{FIVE}/publish", ACTOR)).json()["codes"] == {"total": 2, "left": 2}

    budget = {"name": {"zh": "春", "en": "Spring"}, "currency": "CNY", "amount_minor": 10_000, **ACTOR}
    saved = (await brand_api.put("/benefits/budgets/spring", budget)).json()
    assert saved["figures"]["amount_minor"] == {"total": 10_000, "left": 10_000}
    assert (await brand_api.get("/benefits/budgets/spring")).json() == saved
    other = DEFINITION | {"budget": "summer"}
    assert_problem(await brand_api.post(f"{FIVE}/draft", {"definition": other, **ACTOR}), 404, "not-found")
