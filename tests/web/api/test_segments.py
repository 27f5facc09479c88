"""Segments and tags over the API: made, counted, listed, and pinned to the version that a first page saw."""

from __future__ import annotations

import httpx

from tests.web.conftest import Api, assert_problem

VIP = {"rule": "compare", "field": "tag:name=vip", "op": "eq", "value": True}
NOT_VIP = {"rule": "not", "inner": VIP}


async def send(api: Api, method: str, path: str) -> httpx.Response:
    return await api.client.request(method, f"/v1{path}", headers={"Authorization": f"Bearer {api.token}"})


async def join(api: Api, phone: str) -> str:
    made = await api.post("/members", {"channel": "online", "identities": [{"kind": "phone", "value": phone}]})
    return str(made.json()["member"]["id"])


async def test_members_are_tagged_found_and_listed(brand_api: Api) -> None:
    members = sorted([await join(brand_api, f"1990000{number:04d}") for number in range(3)])
    for member in members[:2]:
        tagged = await send(brand_api, "PUT", f"/members/{member}/tags/VIP")
        assert (tagged.status_code, tagged.json()) == (200, {"data": ["vip"]})
    assert (await brand_api.post("/segments/count", {"rule": VIP})).json() == {
        "members": 2,
        "of": 3,
        "about": False,
        "margin": 0,
    }

    made = (await brand_api.post("/segments", {"name": "VIP", "rule": VIP})).json()
    assert (made["name"], made["version"]) == ("VIP", 1)
    path = f"/segments/{made['id']}"
    first = (await brand_api.get(f"{path}/members", limit=1)).json()
    await brand_api.post(f"{path}/versions", {"rule": NOT_VIP, "note": "the others"})
    second = (await brand_api.get(f"{path}/members", limit=1, cursor=first["next_cursor"])).json()
    assert first["data"] + second["data"] == members[:2]
    assert second["version"] == 1  # although there is another version by now
    assert (await brand_api.get(f"{path}/members")).json() == {
        "data": members[2:],
        "version": 2,
        "next_cursor": None,
    }
    assert (await brand_api.get(f"{path}/count", version=1)).json()["members"] == 2
    versions = (await brand_api.get(f"{path}/versions")).json()["data"]
    assert [(each["version"], each["rule"], each["note"]) for each in versions] == [
        (2, NOT_VIP, "the others"),
        (1, VIP, ""),
    ]
    assert [each["id"] for each in (await brand_api.get("/segments")).json()["data"]] == [made["id"]]

    assert (await send(brand_api, "DELETE", f"/members/{members[0]}/tags/vip")).status_code == 204
    assert (await brand_api.get(f"/members/{members[0]}/tags")).json() == {"data": []}


async def test_a_rule_that_asks_for_what_is_sealed_is_refused_by_its_path(brand_api: Api) -> None:
    refused = await brand_api.post(
        "/segments", {"name": "Phones", "rule": {"rule": "any", "rules": [VIP, {**VIP, "field": "phone"}]}}
    )
    assert_problem(refused, 400, "invalid-input")
    assert refused.json()["errors"][0]["field"] == "rule.rules[1].field"
    assert (await brand_api.get("/segments")).json() == {"data": []}
