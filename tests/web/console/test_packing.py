"""Cases and pallets in the console: packed, asked, moved and unpacked; and pictures read for people at work."""

from __future__ import annotations

import io
import re

import httpx
import qrcode

from loyalty.items.packing.sscc import make_sscc
from loyalty.items.ranges import find_range
from loyalty.kit.db import transaction
from tests.web.console.conftest import GTIN, Life
from tests.web.house import House
from tests.web.member.conftest import Browser

CASE, PALLET = make_sscc("6901234", 77_001), make_sscc("6901234", 77_002)


def _token(browser: Browser) -> str:
    found = re.search(r'name="_csrf_token" value="([^"]+)"', browser.text)
    return found[1] if found else ""


async def upload(browser: Browser, *lines: str) -> httpx.Response:
    await browser.get("/console/packing")
    answer = await browser.client.post(
        "/console/packing/file",
        data={"_csrf_token": _token(browser)},
        files={"file": ("line-3.csv", "\n".join(("sscc,code", *lines)).encode(), "text/csv")},
    )
    browser.text = answer.text
    return answer


async def test_a_line_file_is_packed_and_its_pallet_moved_and_unpacked(house: House, life: Life) -> None:
    keys = house.services.item_keys.for_product(GTIN, life.on_sale.kid)
    code = [f"(01){GTIN}(21){keys.mint(life.on_sale.lo + number)}" for number in range(10, 13)]
    async with house.at_work("zhao.lei") as admin, house.at_work("chen.min", language="zh") as crm:
        assert (await upload(admin, f"{CASE},{code[0]}", f"{CASE},tea")).status_code == 422
        assert "Line 3: 'tea' names no item" in admin.words
        assert (await upload(admin, *(f"{CASE},{each}" for each in code), f"{PALLET},{CASE}")).status_code == 200
        assert "3 items in 2 units were packed, from 4 lines." in admin.words

        found = await crm.client.get("/console/packing", params={"q": code[1]})
        assert (CASE in found.text, PALLET in found.text, "拆箱" in found.text) == (True, True, False)
        await crm.get(f"/console/packing?q={PALLET}")
        assert (await crm.send(f"/console/packing/{PALLET}/unpack")).status_code == 403

        await admin.get(f"/console/packing?q={PALLET}")
        await admin.send(f"/console/packing/{PALLET}/state", state="shipped")
        assert "3 items are shipped now." in admin.words
        assert (await admin.send(f"/console/packing/{PALLET}/state", state="printed")).status_code == 422
        await admin.send(f"/console/packing/{CASE}/unpack")
        assert "3 items were taken out." in admin.words
        await admin.get("/console/packing?q=tea")
        assert admin.error_at("q") == "This is neither an SSCC nor the code of an item."
    async with transaction(house.engine) as connection:
        moved = await find_range(connection, gtin=GTIN, kid=life.on_sale.kid, index=life.on_sale.lo + 11)
    assert moved is not None
    assert (moved.lo, moved.hi, moved.state) == (life.on_sale.lo + 10, life.on_sale.lo + 12, "shipped")


async def test_pictures_are_read_for_people_at_work_alone(house: House) -> None:
    drawn = io.BytesIO()
    qrcode.make("M1234").save(drawn, "PNG")

    async def sent(browser: Browser, picture: bytes) -> httpx.Response:
        headers = {"content-type": "image/png", "x-csrftoken": _token(browser)}
        return await browser.client.post("/staff/camera", content=picture, headers=headers)

    async with house.at_work("li.na") as clerk, house.at_work(None) as nobody:
        await clerk.get("/till")
        assert (await sent(clerk, drawn.getvalue())).json() == {"codes": ["M1234"]}
        assert (await sent(clerk, b"no picture")).status_code == 400
        assert (await sent(clerk, bytes(1_000_001))).status_code == 413
        await nobody.get("/staff/login")
        assert (await sent(nobody, drawn.getvalue())).status_code == 401
        nobody.text = ""
        assert (await sent(nobody, drawn.getvalue())).status_code == 403  # without the page's token
