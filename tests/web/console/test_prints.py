"""Print orders in the console: files are made for printers, fetched once, and a scan of honey is told."""

from __future__ import annotations

import csv
import io
from hashlib import sha256

import pypdf
import pyrage
import pytest

from loyalty.items.exports import Export, list_exports
from loyalty.items.printers import Printer, list_printers, save_printer
from loyalty.items.ranges import CodeRange, mint_range
from loyalty.items.scans import scan
from loyalty.kit.db import transaction
from loyalty.web.security.staff_actions import list_actions
from tests.web.console.conftest import GTIN, Life
from tests.web.house import House
from tests.web.member.conftest import Browser

IDENTITY = pyrage.x25519.Identity.generate()
FORM = {"printer": "", "contents": "serials", "case_size": "", "honey": ""}


@pytest.fixture
async def order(house: House, life: Life) -> CodeRange:
    """A print order of 30 codes that nobody was handed."""
    async with transaction(house.engine) as connection:
        assert life.on_sale.gtin == GTIN
        return await mint_range(
            connection,
            house.services.item_keys,
            programme_id=house.programme.id,
            gtin=GTIN,
            count=30,
            print_order="PO-9",
            lot="L9",
        )


async def golden(house: House) -> Printer:
    async with transaction(house.engine) as connection:
        return await save_printer(
            connection,
            programme_id=house.programme.id,
            name="Golden Press",
            recipient=str(IDENTITY.to_public()),
        )


async def exports(house: House, order: CodeRange) -> list[Export]:
    async with transaction(house.engine) as connection:
        return await list_exports(connection, programme_id=house.programme.id, range_ids=[order.id])


async def make(house: House, admin: Browser, order: CodeRange, **fields: str) -> Export:
    await admin.get(f"/console/codes/{order.public_id}")
    await admin.send(f"/console/codes/{order.public_id}/exports", **FORM | fields)
    return (await exports(house, order))[0]


async def test_a_file_is_made_for_a_printer_and_fetched_once(house: House, admin: Browser, order: CodeRange) -> None:
    made = await make(house, admin, order, printer=(await golden(house)).public_id, honey="2", case_size="10")
    assert "with 2 honey codes" in admin.words
    assert "not fetched yet" in admin.words

    fetched = await admin.send(f"/console/codes/{order.public_id}/exports/{made.public_id}/file")

    assert fetched.headers["content-disposition"] == f'attachment; filename="{made.public_id}.csv.age"'
    opened = pyrage.decrypt(fetched.content, [IDENTITY])
    assert len(list(csv.DictReader(io.StringIO(opened.decode())))) == 32
    await admin.get(f"/console/codes/{order.public_id}")
    assert "handed out" in admin.words
    assert sha256(fetched.content).hexdigest()[:12] in admin.words
    assert "staff:zhao.lei" in admin.words
    again = await admin.send(f"/console/codes/{order.public_id}/exports/{made.public_id}/file")
    assert again.status_code == 422
    assert "This file was handed out or withdrawn" in admin.words
    async with transaction(house.engine) as connection:
        done = await list_actions(connection, programme_id=house.programme.id, subject_id=order.id)
    assert [(each.name, each.action) for each in done] == [("Zhao Lei", "download-codes")]


async def test_scratch_off_codes_get_a_file_of_their_own(house: House, admin: Browser, order: CodeRange) -> None:
    made = await make(house, admin, order)
    await admin.send(
        f"/console/codes/{order.public_id}/exports/{made.public_id}/pins", printer=(await golden(house)).public_id
    )
    newest = (await exports(house, order))[0]
    assert newest.contents == "pins"
    await admin.get(f"/console/codes/{order.public_id}")
    assert "Scratch-off codes" in admin.words


async def test_an_export_is_withdrawn(house: House, admin: Browser, order: CodeRange) -> None:
    made = await make(house, admin, order)
    await admin.send(f"/console/codes/{order.public_id}/exports/{made.public_id}/withdraw")
    assert "withdrawn" in admin.words
    assert (await exports(house, order))[0].state == "withdrawn"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"honey": "many"}, "Type a whole number of honey codes"),
        ({"honey": "5000"}, "Type a whole number of honey codes"),
        ({"case_size": "0"}, "Type how many lines go into a box"),
        ({"printer": "nobody"}, "Choose another printer"),
    ],
)
async def test_what_cannot_be_made_is_said(
    house: House, admin: Browser, order: CodeRange, fields: dict[str, str], said: str
) -> None:
    await admin.get(f"/console/codes/{order.public_id}")
    answer = await admin.send(f"/console/codes/{order.public_id}/exports", **FORM | fields)
    assert answer.status_code == 422
    assert said in admin.words
    assert await exports(house, order) == []


async def test_codes_do_not_go_into_a_second_file_unless_somebody_says_so(
    house: House, admin: Browser, order: CodeRange
) -> None:
    await make(house, admin, order)
    await admin.send(f"/console/codes/{order.public_id}/exports", **FORM)
    assert "These codes are in another file already." in admin.words
    await make(house, admin, order, again="yes")
    assert len(await exports(house, order)) == 2


async def test_labels_come_as_a_pdf_and_are_written_down(house: House, admin: Browser, order: CodeRange) -> None:
    await admin.get(f"/console/codes/{order.public_id}")
    answer = await admin.send(
        f"/console/codes/{order.public_id}/labels.pdf", sheet="a4-65", first="3", count="5", marks="yes"
    )
    assert answer.headers["content-type"] == "application/pdf"
    assert f"(01) {GTIN}" in pypdf.PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()
    (made,) = await exports(house, order)
    assert (made.contents, made.lo, made.hi) == ("labels", order.lo + 2, order.lo + 6)
    await admin.get(f"/console/codes/{order.public_id}")
    wrong = await admin.send(f"/console/codes/{order.public_id}/labels.pdf", sheet="a4-65", first="31")
    assert wrong.status_code == 422


async def test_crm_sees_files_but_makes_and_takes_none(
    house: House, admin: Browser, manager: Browser, order: CodeRange
) -> None:
    made = await make(house, admin, order)
    await manager.get(f"/console/codes/{order.public_id}")
    assert "Files for printers" in manager.words
    assert "Make a file" not in manager.words
    for path in ("exports", f"exports/{made.public_id}/file", f"exports/{made.public_id}/withdraw", "labels.pdf"):
        answer = await manager.send(f"/console/codes/{order.public_id}/{path}", **FORM)
        assert answer.status_code == 403
    assert (await exports(house, order))[0].state == "ready"


async def test_printers_are_added_and_retired(house: House, admin: Browser) -> None:
    await admin.get("/console/printers")
    await admin.send("/console/printers", name="Silver", recipient="AGE-SECRET-KEY-1", note="")
    assert admin.error_at("recipient").startswith("This is not a public key of age")
    await admin.send("/console/printers", name="Silver", recipient=str(IDENTITY.to_public()), note="night shift")
    assert "night shift" in admin.words
    async with transaction(house.engine) as connection:
        listed = await list_printers(connection, programme_id=house.programme.id)
    (printer,) = [each for each in listed if each.name == "Silver"]
    assert printer.retired_at is None
    await admin.send(f"/console/printers/{printer.public_id}/retire")
    assert "Silver retired" in admin.words


async def test_a_scan_of_honey_tells_whose_file_is_out(house: House, admin: Browser, order: CodeRange) -> None:
    made = await make(house, admin, order, printer=(await golden(house)).public_id, honey="1")
    await admin.get("/console/printers")
    assert "No honey code was scanned" in admin.words
    assert made.honey_lo is not None
    keys = house.services.item_keys
    async with transaction(house.engine) as connection:
        await scan(
            connection,
            keys,
            programme_id=house.programme.id,
            gtin=GTIN,
            serial=keys.for_product(GTIN, made.kid).mint(made.honey_lo),
            device="phone-x",
        )
    await admin.get("/console/printers")
    assert "Golden Press" in admin.words
    assert "the one named here is out" in admin.words
