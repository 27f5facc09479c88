"""`tallystar items`: from a product to a recalled lot, and from a print order to a printer's disk."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyrage
import pytest
from PIL import Image

from loyalty.items.packing.sscc import make_sscc
from tests.db.commands.conftest import Tallystar

GTIN = "06901234567892"
IDENTITY = pyrage.x25519.Identity.generate()


@pytest.fixture
def shop(tallystar: Tallystar) -> Tallystar:
    """The command on a programme with a product."""
    tallystar("items", "product", "save", GTIN, "--zh", "春茶", "--en", "Spring tea", "--points", "50")
    return tallystar


def mint(shop: Tallystar, count: int = 100, *words: str) -> dict[str, Any]:
    order = ("--count", str(count), "--print-order", "PO-1", *words)
    minted: dict[str, Any] = shop.json("items", "mint", GTIN, *order)
    return minted


def export(shop: Tallystar, *words: str) -> dict[str, Any]:
    (made,) = shop.json("items", "export", *words)["exports"]
    assert isinstance(made, dict)
    return made


def fetched(shop: Tallystar, made: dict[str, Any], *words: str) -> bytes:
    shop("items", "fetch", made["id"], "--to", "codes", *words)
    return (shop.folder / "codes").read_bytes()


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_codes_are_minted_exported_fetched_once_and_checked(shop: Tallystar) -> None:
    minted = mint(shop, 100, "--lot", "L1")
    assert (minted["count"], minted["state"], minted["lot"]) == (100, "issued", "L1")
    made = export(shop, minted["id"], "--case-size", "24")
    content = fetched(shop, made)
    (spent,) = shop.json("items", "exports")["exports"]
    assert (spent["state"], spent["sha256"], spent["size"]) == (
        "completed",
        sha256(content).hexdigest(),
        len(content),
    )
    refused = shop("items", "fetch", made["id"], "--to", "other", code=1)
    assert "was handed out already" in refused.output
    assert not (shop.folder / "other").exists()
    told = shop.file("read.txt", lines(content)[0]["serial"].lower(), lines(content)[99]["serial"])
    assert [each["state"] for each in shop.json("items", "check", GTIN, told)["serials"]] == ["issued", "issued"]
    forged = shop.file("forged.txt", lines(content)[0]["serial"], "0" * 16)
    checked = shop("items", "check", GTIN, forged, code=1)
    assert "unknown" in checked.output


def test_a_fetch_that_was_stopped_goes_on(shop: Tallystar) -> None:
    shop("items", "printer", "add", "Golden Press", "--recipient", str(IDENTITY.to_public()))
    made = export(shop, mint(shop, 60_000)["id"], "--printer", "Golden Press", "--honey", "5")
    command = [sys.executable, "-m", "loyalty.cli", "items", "fetch", made["id"], "--to", "whole"]
    taken = subprocess.run([*command[:-1], "-"], capture_output=True, check=True, env=dict(os.environ)).stdout
    assert len(lines(pyrage.decrypt(taken, [IDENTITY]))) == 60_005
    # As if that had been cut off: what was sent is there in part, and the export not yet spent.
    shop.change("UPDATE code_export SET state = 'begun'")
    shop.change(f"UPDATE code_download SET completed = false, sent_bytes = {len(taken) // 2}")
    (shop.folder / "whole.part").write_bytes(taken[: len(taken) // 2])
    done = shop("items", "fetch", made["id"], "--to", "whole", "--processes", "2")
    assert (shop.folder / "whole").read_bytes() == taken
    assert sha256(taken).hexdigest() in done.output
    assert not (shop.folder / "whole.part").exists()


def test_pins_are_exported_for_another_printer(shop: Tallystar) -> None:
    shop("items", "printer", "add", "Golden")
    shop("items", "printer", "add", "Silver")
    minted = mint(shop, 10, "--pin")
    made = export(shop, minted["id"], "--printer", "Golden")
    pins = export(shop, "--pins-of", made["id"], "--printer", "Silver", "--gzip")
    assert pins["file_name"].endswith(".csv.gz")
    shop("items", "export", minted["id"], "--pins-of", made["id"], code=2)
    shop("items", "export", code=2)
    listed = shop.json("items", "exports", "--range", minted["id"])["exports"]
    assert [each["contents"] for each in listed] == ["pins", "serials"]
    shop("items", "withdraw", pins["id"])
    assert shop.json("items", "exports")["exports"][0]["state"] == "withdrawn"
    shop("items", "printer", "retire", "Silver")
    states = {each["name"]: each["retired_at"] for each in shop.json("items", "printer", "list")["printers"]}
    assert states["Golden"] is None
    assert states["Silver"] is not None


def test_ranges_lots_and_items_are_moved(shop: Tallystar) -> None:
    minted = mint(shop, 100, "--lot", "L1")
    serial = lines(fetched(shop, export(shop, minted["id"])))[50]["serial"]
    shop("items", "move", "activated", "--range", minted["id"])
    shop("items", "move", "shipped", "--range", minted["id"], "--lo", "40", "--hi", "59")
    spans = [(each["lo"], each["hi"], each["state"]) for each in shop.json("items", "ranges", "--lot", "L1")["ranges"]]
    assert sorted(spans) == [(0, 39, "activated"), (40, 59, "shipped"), (60, 99, "activated")]
    shop("items", "move", "sold", "--item", GTIN, serial)
    moved = shop.json("items", "move", "shipped", "--lot", GTIN, "L1")["moved"]
    assert moved[0]["codes"] == 80
    shop("items", "lot", "save", GTIN, "L1", "--expires-on", "2030-01-31", "--region", "CN")
    shop("items", "move", "recalled", "--lot", GTIN, "L1")
    assert shop.json("items", "lot", "list")["lots"][0]["state"] == "recalled"
    read = shop.file("read.txt", serial)
    assert shop.json("items", "check", GTIN, read)["serials"][0]["state"] == "recalled"
    shop("items", "move", "sold", "--item", GTIN, serial, "--exempt")
    assert shop.json("items", "check", GTIN, read)["serials"][0]["state"] == "sold"
    shop("items", "move", "released", "--lot", GTIN, "L1")
    assert shop.json("items", "lot", "list")["lots"][0]["state"] is None
    shop("items", "move", "released", "--range", minted["id"], code=2)
    shop("items", "move", "sold", code=2)
    assert "give both" in shop("items", "move", "sold", "--range", minted["id"], "--lo", "1", code=1).output


def test_serials_of_a_brands_own_are_read_from_a_file(shop: Tallystar) -> None:
    good = shop.file("own.csv", "serial,pin", "AB-1,ABCD", "AB-2,EFGH")
    words = ("--gtin", GTIN, "--print-order", "2024")
    imported = shop.json("items", "import", good, *words, "--pin", "--state", "shipped")
    assert (imported["kid"], imported["count"], imported["state"]) == (0, 2, "shipped")
    bad = shop.file("bad.csv", "serial", "AB-3", "AB 4", "AB-1")
    refused = shop("items", "import", bad, *words, code=1)
    assert "line 3: ' ' is not a character that GS1 allows in a serial" in refused.output
    assert shop.query("SELECT count(*) FROM imported_code") == 2
    again = shop("items", "import", "-", *words, stdin="serial\nAB-1\n", code=1)
    assert "line 2: was imported before" in again.output


def test_a_line_packs_from_its_file_and_units_are_asked_moved_and_unpacked(shop: Tallystar) -> None:
    content = lines(fetched(shop, export(shop, mint(shop)["id"])))
    case, pallet = make_sscc("6901234", 1), make_sscc("6901234", 2)
    rows = ["sscc,code", *(f"{case},{each['url']}" for each in content[:3]), f"{pallet},{case}"]
    bad = shop.file("bad.csv", *rows, f"{pallet},nothing")
    assert "line 6: 'nothing' names no item" in shop("items", "pack-file", bad, code=1).output
    good = shop.file("good.csv", *rows)
    assert shop.json("items", "pack-file", good) == {"lines": 4, "items": 3, "units": 2}
    assert shop.json("items", "packed", content[1]["url"])["units"] == [case, pallet]
    assert shop.json("items", "packed", pallet)["count"] == 3
    assert shop("items", "packed", f"(00){case}").output.splitlines()[0] == f"{case}\t3 items\t{pallet}"
    assert shop.json("items", "move", "shipped", "--unit", pallet)["moved"] == [
        {"sscc": pallet, "codes": 3, "state": "shipped"}
    ]
    assert shop.json("items", "unpack", case, "--item", content[1]["url"]) == {"items": 1}
    assert shop("items", "packed", content[1]["url"]).output == "not packed\n"
    assert shop.json("items", "unpack", case) == {"items": 2}


def test_a_key_is_rotated_and_a_leaked_one_given_up(shop: Tallystar) -> None:
    printed, other = mint(shop), mint(shop)
    content = lines(fetched(shop, export(shop, printed["id"])))
    for each in (printed, other):
        shop("items", "move", "shipped", "--range", each["id"])
    assert shop.json("items", "rotate-key") == {"kid": 2}
    assert mint(shop)["kid"] == 2
    asked = shop("items", "compromise-key", "1", stdin="n\n", code=1)
    assert "are refused. Go on?" in asked.output
    (found,) = shop.json("items", "compromise-key", "1", "--yes", "--keep-lists", "--note", "stolen")["programmes"]
    assert (found["exports"], found["codes"], found["lists"]) == (1, 100, 1)
    assert [(each["lo"], each["hi"]) for each in found["uncovered"]] == [(100, 199)]
    read = shop.file("read.txt", content[0]["serial"])
    assert shop.json("items", "check", GTIN, read)["serials"][0]["state"] == "shipped"
    refused = shop("items", "mint", GTIN, "--count", "5", "--print-order", "x", "--kid", "1", code=1)
    assert "leaked" in refused.output
    # The newest key is given up in one step, because another one is made for it.
    shop("items", "compromise-key", "2", "--yes")
    listed = shop.json("items", "keys")["keys"]
    assert [(each["kid"], each["current"], each["compromised_at"] is not None) for each in listed] == [
        (1, False, True),
        (2, False, True),
        (3, True, False),
    ]
    assert "there is no item code key 9" in shop("items", "compromise-key", "9", "--yes", code=1).output


def test_labels_are_drawn_and_written_down(shop: Tallystar) -> None:
    minted = mint(shop)
    shop("items", "labels", minted["id"], "--to", "labels.pdf", "--roll", "50x30", "--bleed", "2", "--count", "3")
    assert (shop.folder / "labels.pdf").read_bytes()[:5] == b"%PDF-"
    assert shop.json("items", "exports")["exports"][0]["contents"] == "labels"
    shop("items", "labels", minted["id"], "--to", "labels.pdf", "--roll", "wide", code=2)
    assert "100 codes" in shop("items", "labels", minted["id"], "--to", "x.pdf", "--first", "101", code=1).output


def test_leaks_name_nobody_where_there_are_none(shop: Tallystar) -> None:
    assert shop.json("items", "leaks") == {"leaks": []}


def test_a_product_has_pictures_and_documents(shop: Tallystar, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "#1f6f5c").save(tmp_path / "tea.png")
    (added,) = shop.json("items", "product", "media", GTIN, "--picture", "tea.png")["media"]
    assert added["address"].endswith(".webp")
    shop("items", "product", "media", GTIN, "--link", "https://shop.example/a.pdf", "--en", "Certificate")
    shop("items", "product", "media", GTIN, "--remove", added["id"])
    assert [each["kind"] for each in shop.json("items", "product", "media", GTIN)["media"]] == ["document"]
    shop("items", "product", "media", GTIN, "--link", "https://a.example", "--remove", added["id"], code=2)
    assert shop.json("items", "product", "list")["products"][0]["gtin"] == GTIN
