"""Exports, lots, single items, imports and pictures over HTTP."""

from __future__ import annotations

import asyncio
import base64
import io
from hashlib import sha256
from typing import Any

import httpx
import pyrage
import pytest
from litestar import Litestar
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.handing_out import begin_download
from loyalty.items.products import Product
from loyalty.kit.db import transaction
from loyalty.kit.ids import parse_public_id
from loyalty.kit.programme import Programme
from loyalty.web.handing_out import pieces_of
from loyalty.web.security.api_keys import SCOPES
from loyalty.web.state import Services
from tests.factories import make_product
from tests.web.conftest import Api, assert_problem, make_api

IDENTITY = pyrage.x25519.Identity.generate()


@pytest.fixture
async def product(engine: AsyncEngine, brand: Programme) -> Product:
    async with transaction(engine) as connection:
        return await make_product(connection, brand)


async def mint(api: Api, product: Product, count: int = 20, **fields: Any) -> dict[str, Any]:
    body = {"gtin": product.gtin, "count": count, "print_order": "PO-1", **fields}
    minted: dict[str, Any] = (await api.post("/ranges", body)).json()
    return minted


async def printer(api: Api, name: str = "Golden Press", *, encrypted: bool = True) -> str:
    body = {"name": name, "recipient": str(IDENTITY.to_public()) if encrypted else None}
    answered = await api.put("/printers", body)
    assert answered.status_code == 200, answered.text
    return str(answered.json()["id"])


async def export(api: Api, minted: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answered = await api.post(f"/ranges/{minted['id']}/exports", fields)
    assert answered.status_code == 201, answered.text
    made: dict[str, Any] = answered.json()
    return made


async def delete(api: Api, path: str) -> httpx.Response:
    return await api.client.delete(f"/v1{path}", headers={"Authorization": f"Bearer {api.token}"})


async def serials(api: Api, minted: dict[str, Any]) -> list[str]:
    made = await export(api, minted)
    return [line.split(",")[2] for line in (await api.get(f"/exports/{made['id']}/file")).text.splitlines()[1:]]


async def test_an_export_is_fetched_once_by_its_printer_and_written_down(brand_api: Api, product: Product) -> None:
    minted, golden = await mint(brand_api, product), await printer(brand_api)
    made = await export(brand_api, minted, printer_id=golden, honey=2, case_size=5)
    assert (made["state"], made["lines"], made["honey"], made["encrypted"]) == ("ready", 22, 2, True)
    assert "honey_lines" not in str(made)

    fetched = await brand_api.get(f"/exports/{made['id']}/file")

    assert fetched.headers["content-disposition"] == f'attachment; filename="{made["file_name"]}"'
    assert fetched.headers["cache-control"] == "no-store"
    assert int(fetched.headers["content-length"]) == len(fetched.content)
    assert len(pyrage.decrypt(fetched.content, [IDENTITY]).splitlines()) == 23
    details = (await brand_api.get(f"/exports/{made['id']}")).json()
    assert details["export"]["state"] == "completed"
    assert details["export"]["sha256"] == sha256(fetched.content).hexdigest()
    (download,) = details["downloads"]
    assert (download["sent_bytes"], download["completed"]) == (len(fetched.content), True)
    assert download["actor"].startswith("api:")
    assert download["address"]
    assert_problem(await brand_api.get(f"/exports/{made['id']}/file"), 409, "export-state", "export")
    again = await brand_api.post(f"/ranges/{minted['id']}/exports", {})
    assert_problem(again, 409, "codes-handed-out", "again")


async def test_a_download_goes_on_where_it_stopped(
    brand_api: Api, product: Product, app: Litestar, engine: AsyncEngine
) -> None:
    minted = await mint(brand_api, product, count=30_000)
    made = await export(brand_api, minted, printer_id=await printer(brand_api))
    services: Services = app.state["services"]
    async with transaction(engine) as connection:
        download = await begin_download(
            connection,
            services.item_keys,
            programme_id=brand_api.programme.id,
            export_id=parse_public_id("exp", made["id"]),
            actor=f"api:{brand_api.token.split('_')[1]}",
        )
    pieces = pieces_of(services, download)
    begun = b"".join([await anext(pieces) for _ in range(4)])
    await pieces.aclose()  # type: ignore[attr-defined]
    first = len(begun) - 11
    token = {"Authorization": f"Bearer {brand_api.token}"}

    rest = await brand_api.client.get(f"/v1/exports/{made['id']}/file", headers=token | {"Range": f"bytes={first}-"})

    assert rest.status_code == 206
    whole = begun[:first] + rest.content
    assert rest.headers["content-range"] == f"bytes {first}-{len(whole) - 1}/{len(whole)}"
    assert len(pyrage.decrypt(whole, [IDENTITY]).splitlines()) == 30_001
    details = (await brand_api.get(f"/exports/{made['id']}")).json()
    assert details["export"]["sha256"] == sha256(whole).hexdigest()
    assert [(each["sent_bytes"], each["completed"]) for each in details["downloads"]] == [
        (len(rest.content), True),
        (len(begun), False),
    ]


async def test_nobody_goes_on_where_nothing_was_sent(brand_api: Api, product: Product) -> None:
    made = await export(brand_api, await mint(brand_api, product))
    address = f"/v1/exports/{made['id']}/file"
    token = {"Authorization": f"Bearer {brand_api.token}"}
    refused = await brand_api.client.get(address, headers=token | {"Range": "bytes=100-"})
    assert_problem(refused, 416, "no-such-bytes", "Range")
    strange = await brand_api.client.get(address, headers=token | {"Range": "lines=1-2"})
    assert_problem(strange, 400, "invalid-input", "Range")
    other_file = await brand_api.client.get(address, headers=token | {"Range": "bytes=100-", "If-Range": '"other"'})
    assert other_file.status_code == 200


async def test_pins_go_to_another_printer(brand_api: Api, product: Product) -> None:
    minted = await mint(brand_api, product)
    golden, silver = await printer(brand_api, encrypted=False), await printer(brand_api, "Silver", encrypted=False)
    made = await export(brand_api, minted, printer_id=golden)
    same = await brand_api.post(f"/exports/{made['id']}/pins", {"printer_id": golden})
    assert_problem(same, 400, "invalid-input", "printer")
    pins = (await brand_api.post(f"/exports/{made['id']}/pins", {"printer_id": silver, "gzip": True})).json()
    assert (pins["contents"], pins["file_name"]) == ("pins", f"{pins['id']}.csv.gz")
    fetched = await brand_api.get(f"/exports/{pins['id']}/file")
    assert fetched.headers["accept-ranges"] == "none"
    listed = (await brand_api.get("/exports", range_id=minted["id"])).json()["data"]
    assert [each["id"] for each in listed] == [pins["id"], made["id"]]
    page = (await brand_api.get("/exports", limit=1)).json()
    assert [each["id"] for each in page["data"]] == [pins["id"]]
    rest = (await brand_api.get("/exports", cursor=page["next_cursor"])).json()["data"]
    assert made["id"] in [each["id"] for each in rest]


async def test_an_export_is_withdrawn_and_a_printer_retired(brand_api: Api, product: Product) -> None:
    minted, golden = await mint(brand_api, product), await printer(brand_api)
    made = await export(brand_api, minted, printer_id=golden)
    assert (await delete(brand_api, f"/exports/{made['id']}")).json()["state"] == "withdrawn"
    assert_problem(await brand_api.get(f"/exports/{made['id']}/file"), 409, "export-state", "export")
    assert (await delete(brand_api, f"/printers/{golden}")).json()["retired_at"]
    assert [each["name"] for each in (await brand_api.get("/printers")).json()["data"]] == ["Golden Press"]
    refused = await brand_api.post(f"/ranges/{minted['id']}/exports", {"printer_id": golden})
    assert_problem(refused, 400, "invalid-input", "printer")


async def test_a_key_that_may_not_export_gets_no_codes(brand_api: Api, engine: AsyncEngine, product: Product) -> None:
    minted = await mint(brand_api, product)
    made = await export(brand_api, minted)
    scopes = tuple(scope for scope in SCOPES if scope != "codes:export")
    shop = await make_api(brand_api.client, engine, brand_api.programme, scopes=scopes)
    for answered in (
        await shop.get(f"/exports/{made['id']}/file"),
        await shop.get(f"/ranges/{minted['id']}/labels.pdf"),
        await shop.post(f"/ranges/{minted['id']}/exports", {}),
        await shop.put("/printers", {"name": "Mine"}),
        await delete(shop, f"/exports/{made['id']}"),
    ):
        assert_problem(answered, 403, "not-permitted")


async def test_a_scan_of_honey_names_its_printer(brand_api: Api, product: Product) -> None:
    minted = await mint(brand_api, product)
    made = await export(brand_api, minted, printer_id=await printer(brand_api, encrypted=False), honey=1)
    lines = (await brand_api.get(f"/exports/{made['id']}/file")).text.splitlines()[1:]
    told = [line.split(",")[2] for line in lines]
    checks = (await brand_api.post("/items/check", {"gtin": product.gtin, "serials": told}, key=None)).json()["data"]
    (honey,) = [check["serial"] for check in checks if check["state"] == "honey"]
    assert {check["genuine"] for check in checks if check["serial"] != honey} == {True}
    scanned = {"gtin": product.gtin, "serial": honey, "device": "phone-9", "address": "203.0.113.9"}
    assert (await brand_api.post("/items/scan", scanned, key=None)).json()["kind"] == "unknown"
    (leak,) = (await brand_api.get("/leaks")).json()["data"]
    assert (leak["serial"], leak["times"], leak["networks"]) == (honey, 1, ["203.0.113.0/24"])
    assert [(source["export_id"], source["printer"]) for source in leak["sources"]] == [(made["id"], "Golden Press")]


async def test_a_lot_is_described_moved_recalled_and_released(brand_api: Api, product: Product) -> None:
    minted = await mint(brand_api, product, lot="L1")
    await mint(brand_api, product, lot="L 2/b")
    serial = (await serials(brand_api, minted))[0]
    address = f"/products/{product.gtin}/lots/L1"
    saved = (await brand_api.put(address, {"made_on": "2026-02-20", "expires_on": "2030-02-19"})).json()
    assert (saved["code"], saved["expires_on"], saved["state"]) == ("L1", "2030-02-19", None)

    async def move(state: str) -> dict[str, Any]:
        answered = await brand_api.post(f"{address}/state", {"state": state})
        assert answered.status_code == 201, answered.text
        details: dict[str, Any] = answered.json()
        return details

    async def scan() -> str:
        body = {"gtin": product.gtin, "serial": serial, "device": "phone-1"}
        return str((await brand_api.post("/items/scan", body, key=None)).json()["kind"])

    assert (await move("shipped"))["codes"] == [{"state": "shipped", "codes": 20}]
    assert await scan() == "first_scan"
    assert (await move("recalled"))["lot"]["state"] == "recalled"
    assert await scan() == "recalled"
    sold = {"gtin": product.gtin, "serial": serial, "state": "sold"}
    assert_problem(await brand_api.post("/items/state", sold), 409, "range-state", "exempt")
    assert (await brand_api.post("/items/state", sold | {"exempt": True})).json()["state"] == "sold"
    assert await scan() == "seen_by_you"
    assert (await move("released"))["lot"]["state"] is None
    assert [lot["code"] for lot in (await brand_api.get("/lots")).json()["data"]] == ["L 2/b", "L1"]
    page = (await brand_api.get("/lots", limit=1)).json()
    rest = (await brand_api.get("/lots", cursor=page["next_cursor"])).json()
    assert [lot["code"] for lot in rest["data"]] == ["L1"]
    assert_problem(await brand_api.get(f"/products/{product.gtin}/lots/L9"), 404, "not-found", "lot")


async def test_serials_are_imported_whole_or_told_line_by_line(brand_api: Api, product: Product) -> None:
    body = {"gtin": product.gtin, "file": "serial\nAB-1\nAB-2\n", "print_order": "2024"}
    imported = (await brand_api.post("/ranges/imports", body)).json()
    assert (imported["kid"], imported["count"], imported["state"]) == (0, 2, "issued")
    wrong = {**body, "file": "serial\nAB-3\nAB 4\n"}
    problem = assert_problem(await brand_api.post("/ranges/imports", wrong), 400, "invalid-serial-file")
    assert problem["lines"] == [{"line": 3, "reason": "' ' is not a character that GS1 allows in a serial"}]
    checked = {"gtin": product.gtin, "serials": ["AB-2", "AB-3"]}
    checks = (await brand_api.post("/items/check", checked, key=None)).json()["data"]
    assert [check["state"] for check in checks] == ["issued", None]


def picture(colour: str = "#1f6f5c", kind: str = "JPEG", side: int = 60) -> bytes:
    written = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "taken in the secret garden"
    Image.new("RGB", (side, side // 2), colour).save(written, kind, exif=exif)
    return written.getvalue()


async def test_pictures_are_drawn_anew_and_served_under_their_hash(brand_api: Api, product: Product) -> None:
    body = {"kind": "picture", "content": base64.b64encode(picture(side=4000)).decode(), "titles": {"en": "Box"}}
    added = (await brand_api.post(f"/products/{product.gtin}/media", body)).json()
    assert (added["media_type"], added["width"], added["height"]) == ("image/webp", 1600, 800)
    path = added["url"].partition("/files/")[2]
    shown = await brand_api.client.get(f"/files/{path}")
    assert sha256(shown.content).hexdigest() == path.partition(".")[0]
    assert (shown.headers["content-type"], shown.headers["cache-control"]) == (
        "image/webp",
        "public, max-age=31536000, immutable",
    )
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert b"secret garden" not in shown.content
    listed = (await brand_api.get(f"/products/{product.gtin}/media")).json()["data"]
    assert listed == [added]
    gone = await delete(brand_api, f"/products/{product.gtin}/media/{added['id']}")
    assert gone.status_code == 204
    assert (await brand_api.client.get(f"/files/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "picture", "content": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}, "content"),
        ({"kind": "picture", "content": picture()[:200]}, "content"),
        ({"kind": "document", "content": picture()}, "content"),
        ({"kind": "document", "content": b"%PDF-1.7 but no end"}, "content"),
        ({"kind": "document"}, "content"),
        ({"kind": "document", "link": "https://"}, "link"),
        ({"kind": "document", "link": "javascript:alert(1)"}, "link"),
    ],
)
async def test_what_is_not_what_it_says_is_not_stored(
    brand_api: Api, product: Product, fields: dict[str, Any], field: str
) -> None:
    body = {**fields}
    if "content" in body:
        body["content"] = base64.b64encode(body["content"]).decode()
    assert_problem(await brand_api.post(f"/products/{product.gtin}/media", body), 400, "invalid-input", field)


async def test_a_document_is_a_pdf_to_be_saved_or_a_link(brand_api: Api, product: Product) -> None:
    pdf = base64.b64encode(b"%PDF-1.4\n...\n%%EOF\n").decode()
    added = (await brand_api.post(f"/products/{product.gtin}/media", {"kind": "document", "content": pdf})).json()
    shown = await brand_api.client.get("/files/" + added["url"].partition("/files/")[2])
    assert shown.headers["content-disposition"].startswith("attachment")
    link = {"kind": "document", "link": "https://shop.example/a.pdf", "titles": {"zh": "检测报告"}}
    assert (await brand_api.post(f"/products/{product.gtin}/media", link)).json()["url"] == link["link"]
    assert len((await brand_api.get(f"/products/{product.gtin}/media")).json()["data"]) == 2


async def test_two_pictures_at_the_same_time_get_a_place_each(brand_api: Api, product: Product) -> None:
    bodies = [
        {"kind": "picture", "content": base64.b64encode(picture(f"#0000{number:02x}")).decode()}
        for number in range(20, 26)
    ]
    answers = await asyncio.gather(*(brand_api.post(f"/products/{product.gtin}/media", body) for body in bodies))
    assert {answered.status_code for answered in answers} == {201}
    listed = (await brand_api.get(f"/products/{product.gtin}/media")).json()["data"]
    assert len({each["id"] for each in listed}) == 6


@pytest.mark.parametrize("name", ["x", "../../etc/passwd", "0" * 64, "0" * 64 + ".webp", "0" * 64 + ".html"])
async def test_an_address_of_no_file_is_not_found(brand_api: Api, name: str) -> None:
    assert (await brand_api.client.get(f"/files/{name}")).status_code == 404
