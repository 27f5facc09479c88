"""Minting codes, handing them to the press, putting them on sale."""

from __future__ import annotations

import re

import pytest

from loyalty.items.ranges import CodeRange, list_ranges
from loyalty.kit.db import transaction
from tests.web.console.conftest import GTIN, Life
from tests.web.house import House
from tests.web.member.conftest import Browser

FORM = {"gtin": GTIN, "count": "1,200", "print_order": "2026-12", "lot": "L-9", "region": "CN-31"}


async def ranges(house: House) -> list[CodeRange]:
    async with transaction(house.engine) as connection:
        return await list_ranges(connection, programme_id=house.programme.id)


async def test_an_administrator_mints_and_activates(house: House, admin: Browser) -> None:
    await admin.get("/console/codes")
    await admin.send("/console/codes/mint", **FORM, pin="yes", expires_on="2027-09-30")

    newest = (await ranges(house))[0]
    assert (newest.count, newest.lot, newest.state, newest.policy.pin_required) == (1200, "L-9", "issued", True)
    assert "2026-12" in admin.words
    assert "best by 30 Sep 2027" in admin.words

    await admin.get("/console/codes")
    await admin.send(f"/console/codes/{newest.public_id}/state", state="activated")
    assert (await ranges(house))[0].state == "activated"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("count", "many", "Type a whole number of codes"),
        ("count", "0", "Type a whole number of codes"),
        ("count", "99999999999", "Type a whole number of codes"),
        ("print_order", "", "Name the print order"),
        ("expires_on", "soon", "Choose a day."),
    ],
)
async def test_what_cannot_be_minted_is_told_at_its_field(
    house: House, admin: Browser, field: str, value: str, said: str
) -> None:
    before = len(await ranges(house))
    await admin.get("/console/codes")

    await admin.send("/console/codes/mint", **FORM | {field: value})

    assert admin.error_at(field).startswith(said)
    assert len(await ranges(house)) == before


async def test_codes_never_go_back(admin: Browser, life: Life) -> None:
    await admin.get("/console/codes")

    answer = await admin.send(f"/console/codes/{life.on_sale.public_id}/state", state="printed")

    assert answer.status_code == 422
    assert "These codes cannot go to that state from where they are." in admin.words


async def test_crm_sees_codes_but_neither_mints_nor_takes_them(house: House, manager: Browser, life: Life) -> None:
    await manager.get("/console/codes")
    assert "Longjing tea" in manager.words
    assert "Mint codes" not in manager.words
    before = await ranges(house)

    for path in ("mint", f"{life.on_sale.public_id}/exports", f"{life.on_sale.public_id}/state"):
        await manager.get("/console/codes")
        answer = await manager.send(f"/console/codes/{path}", **FORM, state="sold")
        assert answer.status_code == 403

    assert await ranges(house) == before


async def test_print_orders_are_listed_in_pages(house: House, admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loyalty.web.console.codes.PAGE", 2)
    await admin.get("/console/codes")
    for number in range(3):
        await admin.send("/console/codes/mint", **FORM | {"count": "1", "print_order": f"page-{number}"})
    seen: list[str] = []
    address: str | None = "/console/codes"

    while address:
        await admin.get(address)
        seen += re.findall(r'<tr id="(rng_\w+)"', admin.text)
        older = re.search(r'href="([^"]+)" rel="next"', admin.text)
        address = older[1] if older else None

    assert seen == [each.public_id for each in await ranges(house)]
