"""Keys, versions, types of content, addresses: what EPCIS says beside documents."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.programme import Programme
from loyalty.web.epcis.headers import ADDRESS_LIMIT
from loyalty.web.security.api_keys import Scope
from tests.epcis_examples import SHIPPED, alone, document, encoded
from tests.web.epcis.conftest import Epcis, make_epcis, problem

RESOURCES = (
    "/capture", "/events", "/eventTypes", "/epcs", "/bizSteps", "/bizLocations", "/readPoints", "/dispositions",
)  # fmt: skip


@pytest.mark.parametrize("path", ["/", *RESOURCES, "/epcs/urn:x:1/events", "/events/urn:x:1"])
async def test_nobody_reads_without_a_key(epcis: Epcis, path: str) -> None:
    problem(await epcis.client.get(f"/epcis{path}"), 401, "SecurityException")
    wrong = {"Authorization": "Bearer tsk_0000000000_0000000000000000000000000000"}
    problem(await epcis.client.get(f"/epcis{path}", headers=wrong), 401, "SecurityException")


@pytest.mark.parametrize("path", ["/capture", "/events"])
async def test_nobody_captures_without_a_key(epcis: Epcis, path: str) -> None:
    answered = await epcis.client.post(
        f"/epcis{path}", content=encoded(alone(SHIPPED)), headers={"Content-Type": "application/json"}
    )
    problem(answered, 401, "SecurityException")
    assert answered.headers["WWW-Authenticate"].startswith("Bearer")


async def test_reading_and_capturing_are_two_rights(
    client: httpx.AsyncClient, engine: AsyncEngine, app: Litestar, brand: Programme
) -> None:
    async def with_scopes(*scopes: Scope) -> Epcis:
        return await make_epcis(client, engine, app, brand, scopes=scopes)

    reader, writer = await with_scopes("epcis:read"), await with_scopes("epcis:write")
    nobody = await with_scopes("items:read", "items:write")
    assert (await writer.capture_one(SHIPPED)).status_code == 201
    assert (await writer.post("/capture", document(SHIPPED))).status_code == 202
    assert len(await reader.events()) == 1
    for refused in (
        await reader.capture_one(SHIPPED),
        await reader.post("/capture", document(SHIPPED)),
        await writer.get("/events"),
        await writer.get("/epcs"),
        await writer.get("/capture"),
        await nobody.get("/events"),
        await nobody.get("/"),
        await nobody.capture_one(SHIPPED),
    ):
        problem(refused, 403, "SecurityException")


async def test_there_is_a_list_of_what_is_here(epcis: Epcis) -> None:
    told = (await epcis.get("/")).json()
    assert told["type"] == "Collection"
    assert {f"/{name}" for name in told["member"]} == set(RESOURCES)
    for path in RESOURCES:
        assert (await epcis.get(path)).status_code == 200, path


ALLOWED = {
    "/": {"GET"},
    "/capture": {"GET", "POST"},
    "/capture/cap_x": {"GET"},
    "/events": {"GET", "POST"},
    "/events/urn:x:1": {"GET"},
    "/epcs": {"GET"},
    "/epcs/urn:x:1/events": {"GET"},
    "/bizSteps/shipping/events": {"GET"},
}


@pytest.mark.parametrize("path", ALLOWED)
async def test_an_address_says_what_it_speaks(epcis: Epcis, path: str) -> None:
    answered = await epcis.options(path)
    assert (answered.status_code, answered.content) == (204, b"")
    assert set(answered.headers["Allow"].split(", ")) - {"HEAD"} == ALLOWED[path] | {"OPTIONS"}
    said = {name: answered.headers[name] for name in answered.headers if name.startswith("gs1-")}
    for subject in ("epcis", "cbv"):
        assert [said[f"gs1-{subject}-{bound}"] for bound in ("version", "min", "max")] == ["2.0"] * 3
    assert said["gs1-epc-format"] == "Never_Translates"
    assert ("gs1-epcis-capture-limit" in said) == (path == "/capture")


async def test_capturing_says_its_limits(epcis: Epcis) -> None:
    headers = (await epcis.options("/capture")).headers
    assert headers["GS1-EPCIS-Capture-Limit"] == "20000"
    assert headers["GS1-EPCIS-Capture-File-Size-Limit"] == "100000000"
    assert headers["GS1-Capture-Error-Behaviour"] == "rollback"


@pytest.mark.parametrize("path", RESOURCES)
async def test_each_answer_says_its_versions(epcis: Epcis, path: str) -> None:
    answered = await epcis.get(path)
    assert (answered.headers["GS1-EPCIS-Version"], answered.headers["GS1-CBV-Version"]) == ("2.0", "2.0")
    assert answered.headers["content-type"] == "application/json"


VERSIONS = [
    ({"GS1-EPCIS-Version": "2.0"}, 200),
    ({"GS1-EPCIS-Version": "2.0.0"}, 200),
    ({"GS1-EPCIS-Version": "1.2"}, 406),
    ({"GS1-EPCIS-Version": "3.0"}, 406),
    ({"GS1-EPCIS-Version": "two"}, 400),
    ({"GS1-EPCIS-Min": "2.0", "GS1-EPCIS-Max": "2.1"}, 200),
    ({"GS1-EPCIS-Min": "1.2", "GS1-EPCIS-Max": "2.0"}, 200),
    ({"GS1-EPCIS-Min": "2.1"}, 406),
    ({"GS1-EPCIS-Max": "1.2"}, 406),
    ({"GS1-CBV-Version": "2.0"}, 200),
    ({"GS1-CBV-Version": "1.2"}, 406),
    ({"GS1-CBV-Max": "1.2"}, 406),
    ({"Accept": "application/ld+json"}, 200),
    ({"Accept": "application/*"}, 200),
    ({"Accept": "text/html, */*;q=0.1"}, 200),
    ({"Accept": "application/xml"}, 406),
    ({"Accept": "application/json;q=0"}, 406),
    ({"GS1-EPC-Format": "No_Preference"}, 200),
    ({"GS1-EPC-Format": "Always_EPC_URN"}, 406),
    ({"GS1-EPC-Format": "Sometimes"}, 406),
]


@pytest.mark.parametrize(("headers", "status"), VERSIONS, ids=str)
async def test_what_is_asked_for_is_answered_or_refused(epcis: Epcis, headers: dict[str, str], status: int) -> None:
    answered = await epcis.get("/events", headers)
    if status == 200:
        assert answered.status_code == 200
        assert answered.headers["content-type"] == (
            "application/ld+json" if headers.get("Accept") == "application/ld+json" else "application/json"
        )
    else:
        problem(answered, status, "NotAcceptableException" if status == 406 else "ValidationException")


async def test_a_refusal_is_never_a_page(epcis: Epcis) -> None:
    answered = await epcis.get("/events/urn:x:1", {"Accept": "text/html,*/*"})
    problem(answered, 404, "NoSuchResourceException")


@pytest.mark.parametrize("path", ["/capture", "/events"])
@pytest.mark.parametrize("media_type", ["application/xml", "text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_captured(epcis: Epcis, path: str, media_type: str) -> None:
    problem(await epcis.post(path, b"<epcis/>", media_type=media_type), 415, "UnsupportedMediaTypeException")


@pytest.mark.parametrize("path", ["/capture", "/events"])
async def test_linked_data_is_json_too(epcis: Epcis, path: str) -> None:
    body = document(SHIPPED) if path == "/capture" else alone(SHIPPED)
    answered = await epcis.post(path, body, media_type="application/ld+json; charset=utf-8")
    assert answered.status_code in (201, 202)


async def test_an_address_that_is_too_long_is_refused(epcis: Epcis) -> None:
    problem(await epcis.get("/events", EQ_eventID="urn:x:" + "1" * ADDRESS_LIMIT), 414, "URITooLongException")


async def test_what_cannot_be_done_to_an_address_is_refused(epcis: Epcis) -> None:
    authorization = {"Authorization": f"Bearer {epcis.token}"}
    for method, path in (("DELETE", "/events"), ("PUT", "/capture"), ("POST", "/epcs")):
        answered = await epcis.client.request(method, f"/epcis{path}", headers=authorization)
        assert answered.status_code == 405
        assert "GET" in answered.headers["Allow"]
