"""Tier policies over `/v1/tiers`: from a draft into force, refusals by the field, and who may."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.clock import utc_now
from tests.web.conftest import Api, assert_problem, make_api

EXAMPLE: dict[str, Any] = json.loads((Path(__file__).parents[3] / "docs" / "examples" / "tier-policy.json").read_text())
SOON = (utc_now() + timedelta(days=30)).isoformat()


async def _draft(api: Api, **fields: Any) -> dict[str, Any]:
    answer = await api.post("/tiers/policies", {"policy": EXAMPLE | fields, "title": "Spring", "by": "li.na"})
    assert answer.status_code == 201, answer.text
    draft: dict[str, Any] = answer.json()
    return draft


async def test_a_draft_is_edited_simulated_and_published_and_all_of_it_is_told(api: Api) -> None:
    draft = await _draft(api)
    address = f"/tiers/policies/{draft['version']}"
    member = await api.register("+8619900000001")

    edited = await api.put(address, {"revision": 1, "policy": EXAMPLE | {"grace_days": 7}, "title": "Spring"})
    assert (edited.json()["revision"], edited.json()["policy"]["grace_days"]) == (2, 7)

    assert_problem(await api.get(f"{address}/simulation"), 404, "not-found", "version")
    tried = (await api.post(f"{address}/simulate", {"by": "li.na"})).json()
    assert (tried["revision"], tried["members"], tried["simulated_by"]) == (2, 1, "li.na")
    assert (await api.get(f"{address}/simulation")).json() == tried

    preview = (await api.get(f"{address}/preview", member_id=member)).json()
    assert (preview["member_id"], preview["then"]) == (member, "member")
    assert [reason["value"] for reason in preview["asked"]["gold"]] == [0, 0]

    assert (await api.post(f"{address}/publish", {"effective_at": SOON})).json()["state"] == "scheduled"
    assert (await api.post(f"{address}/withdraw", {})).json()["state"] == "draft"
    assert (await api.post(f"{address}/publish", {})).json()["state"] == "in_force"
    assert (await api.get(address)).json()["state"] == "in_force"
    actions = [event["action"] for event in (await api.get(f"{address}/history")).json()["data"]]
    assert actions == ["published", "withdrawn", "published", "simulated", "edited", "created"]
    assert (await api.get("/tiers/warnings")).json() == {"data": []}


async def test_the_same_request_again_is_answered_as_at_first(api: Api) -> None:
    draft = await _draft(api)
    path = f"/tiers/policies/{draft['version']}/retire"
    first = await api.post(path, {"by": "li.na"}, key="retire-1")
    again = await api.post(path, {"by": "li.na"}, key="retire-1")
    assert (first.json()["state"], again.json()) == ("retired", first.json())
    assert_problem(await api.post(path, {"by": "wang.wei"}, key="retire-1"), 422, "idempotency-key-reused")
    assert_problem(await api.post(path, {}, key=None), 400, "invalid-input", "Idempotency-Key")


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"grace_days": -1}, "policy.grace_days"),
    ({"keep": {"type": "months", "months": 0}}, "policy.keep.months"),
    ({"tiers": []}, "policy.tiers"),
    ({"tiers": [EXAMPLE["tiers"][0], EXAMPLE["tiers"][1] | {"qualify": None}]}, "policy.tiers[1].qualify"),
    ({"tiers": [EXAMPLE["tiers"][0], EXAMPLE["tiers"][1] | {"rank": 1}]}, "policy.tiers[1].rank"),
    ({"tiers": [EXAMPLE["tiers"][0] | {"name": {"zh": "会员"}}]}, "policy.tiers[0].name.en"),
    ({"downgrade": "sideways"}, "policy.downgrade"),
    ({"surprise": 1}, "policy"),
]


@pytest.mark.parametrize(("fields", "field"), FAULTS, ids=[field for _, field in FAULTS])
async def test_a_policy_at_fault_is_refused_by_the_field(api: Api, fields: dict[str, Any], field: str) -> None:
    before = len((await api.get("/tiers/policies")).json()["data"])
    answer = await api.post("/tiers/policies", {"policy": EXAMPLE | fields})
    assert_problem(answer, 400, "invalid-input", field)
    assert len((await api.get("/tiers/policies")).json()["data"]) == before


async def test_what_cannot_be_done_now_is_a_conflict(api: Api) -> None:
    draft = await _draft(api)
    address = f"/tiers/policies/{draft['version']}"
    assert_problem(await api.put(address, {"revision": 9, "policy": EXAMPLE}), 409, "stale-revision")
    assert_problem(await api.post(f"{address}/withdraw", {}), 409, "conflict")
    await api.post(f"{address}/publish", {})
    assert_problem(await api.put(address, {"revision": 1, "policy": EXAMPLE}), 409, "conflict")
    assert_problem(await api.get("/tiers/policies/999"), 404, "not-found", "version")


async def test_reading_and_writing_are_scopes_of_their_own(
    api: Api, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    draft = await _draft(api)
    reader = await make_api(client, engine, api.programme, scopes=("tiers:read",))
    stranger = await make_api(client, engine, api.programme, scopes=("points:read",))
    path = f"/tiers/policies/{draft['version']}"

    assert (await reader.get(path)).status_code == 200
    for action in ("simulate", "publish", "withdraw", "retire"):
        assert_problem(await reader.post(f"{path}/{action}", {}), 403, "not-permitted")
    assert_problem(await reader.post("/tiers/policies", {"policy": EXAMPLE}), 403, "not-permitted")
    assert_problem(await stranger.get(path), 403, "not-permitted")
