"""The trace of an item, alerts and dealers over the API, as a brand's own systems ask for them."""

from __future__ import annotations

import io
import zipfile

from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.trace.alerts import watch
from tests.web.conftest import Api, assert_problem, make_api

GTIN = "09521234001003"


async def shipped(api: Api, count: int = 5) -> str:
    """A shipped print order for Shanghai; answers its id."""
    await api.put(f"/products/{GTIN}", {"names": {"zh": "茶", "en": "Tea"}})
    body = {"gtin": GTIN, "count": count, "print_order": "PO-1", "lot": "L1", "region": "CN-SH"}
    minted = (await api.post("/ranges", body)).json()
    moved = await api.post(f"/ranges/{minted['id']}/state", {"state": "shipped"})
    assert moved.status_code == 201, moved.text
    return str(minted["id"])


async def test_an_item_is_traced_an_alert_read_changed_and_its_evidence_taken(api: Api, app: Litestar) -> None:
    range_id = await shipped(api)
    services = app.state["services"]
    sold = await api.put(f"/ranges/{range_id}/dealer", {"dealer": "Xiling", "region": "CN-SH", "lo": 0, "hi": 2})
    assert [part["dealer"] for part in sold.json()["data"]] == ["Xiling"]
    ordered = (await api.get(f"/ranges/{range_id}")).json()
    serial = services.item_keys.for_product(GTIN, ordered["kid"]).mint(ordered["lo"])
    places = (("上海", "CN-SH", 31.23, 121.47), ("成都", "CN-SC", 30.57, 104.07))
    for number, (city, region, latitude, longitude) in enumerate(places):
        scan = {"gtin": GTIN, "serial": serial, "device": f"d{number}", "city": city, "region": region}
        answered = await api.post("/items/scan", {**scan, "latitude": latitude, "longitude": longitude}, key=None)
        assert answered.status_code == 200, answered.text

    traced = (await api.get(f"/items/{GTIN}/{serial}/trace")).json()

    assert (traced["state"], traced["verdict"], traced["dealer"]) == ("shipped", "suspected_copy", "Xiling")
    assert [said["of"] for said in traced["reasons"] if said["decides"]] == ["range"]
    assert traced["claim_blocker"] == "suspected_copy"
    assert [scan["city"] for scan in traced["scans"]] == ["成都", "上海"]
    assert_problem(await api.get(f"/items/{GTIN}/{'0' * 16}/trace"), 404, "not-found", "serial")

    assert (await api.get("/alerts")).json()["data"] == []
    async with services.transaction() as connection:
        await watch(connection, services.item_keys, programme_id=api.programme.id)
    listed = (await api.get("/alerts", kind="suspected_copy", state="open", limit=1)).json()
    (alert,) = listed["data"]
    assert (alert["about"]["index"], alert["times"]) == (ordered["lo"], 2)
    assert (await api.get("/alerts", limit=1, cursor=listed["next_cursor"])).json()["data"] == []

    path = f"/alerts/{alert['id']}"
    assert_problem(await api.patch(path, {"state": "closed"}), 400, "invalid-input", "note")
    closed = (await api.patch(path, {"state": "closed", "note": "a copy", "actor": "li.na"})).json()
    assert (closed["alert"]["state"], closed["alert"]["state_by"]) == ("closed", "li.na")
    taken = await api.get(f"{path}/evidence")
    assert "leaps.csv" in zipfile.ZipFile(io.BytesIO(taken.content)).namelist()
    history = (await api.get(path)).json()["history"]
    assert [event["kind"] for event in history] == ["raised", "closed", "evidence"]


async def test_reading_and_changing_are_two_scopes(api: Api, engine: AsyncEngine) -> None:
    reader = await make_api(api.client, engine, api.programme, scopes=("items:read",))
    assert (await reader.get("/alerts")).status_code == 200
    nobody = f"/alerts/alr_{'0' * 26}"
    assert_problem(await reader.patch(nobody, {"state": "open"}), 403, "not-permitted")
    assert_problem(await api.patch(nobody, {"state": "open"}), 404, "not-found", "alert")
    assert_problem(await api.get("/alerts", state="lost"), 400, "invalid-input", "state")
