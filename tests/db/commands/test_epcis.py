from __future__ import annotations

from tests.db.commands.conftest import Tallystar
from tests.epcis_examples import RECEIVED, SHIPPED, changed, document, encoded


def wrong_step() -> bytes:
    return encoded(document(SHIPPED, changed(RECEIVED, "bizStep", "recieving")))


def test_a_document_is_captured_from_a_file_or_a_pipe(tallystar: Tallystar) -> None:
    file = tallystar.file("shipped.json", encoded(document(SHIPPED)).decode())
    assert tallystar("epcis", "capture", file).stdout == "1 of 1 events captured, 0 refused.\n"
    told = tallystar.json("epcis", "capture", "-", stdin=encoded(document(SHIPPED, RECEIVED)))
    assert (told["captured"], told["failed"], told["id"][:4]) == (2, 0, "cap_")
    assert tallystar.query("SELECT count(*) FROM epcis_event") == 2


def test_what_is_wrong_is_told_with_its_path_and_nothing_is_kept(tallystar: Tallystar) -> None:
    result = tallystar("epcis", "capture", "-", stdin=wrong_step(), code=1)
    assert result.stdout == "0 of 2 events captured, 1 refused.\n"
    assert result.stderr.startswith("$.epcisBody.eventList[1].bizStep: ")
    assert tallystar.query("SELECT count(*) FROM epcis_event") == 0
    assert tallystar("epcis", "capture", "-", "--proceed", stdin=wrong_step(), code=1).stdout.startswith("1 of 2")
    assert tallystar.query("SELECT count(*) FROM epcis_event") == 1


def test_what_is_no_document_is_refused(tallystar: Tallystar) -> None:
    result = tallystar("epcis", "capture", "-", stdin=b'{"type": "EPCISDocument"}', code=1)
    assert "$.@context" in result.stderr
    assert tallystar.json("epcis", "capture", "-", stdin=b"[]", code=1)["error"]["field"] == "$"


def test_the_ids_of_events(tallystar: Tallystar) -> None:
    lines = tallystar("epcis", "hash", "-", stdin=encoded(document(SHIPPED, RECEIVED))).stdout.splitlines()
    assert len(set(lines)) == 2
    assert all(line.startswith("ni:///sha-256;") and line.endswith("?ver=CBV2.0") for line in lines)
    tallystar("epcis", "capture", "-", stdin=encoded(document(RECEIVED)))
    assert tallystar.query("SELECT event_id FROM epcis_event") == lines[1]
    assert tallystar("epcis", "hash", "-", stdin=encoded(document())).stdout == ""
    assert "$.epcisBody.eventList[1].bizStep" in tallystar("epcis", "hash", "-", stdin=wrong_step(), code=1).stderr


def test_what_shoppers_see(tallystar: Tallystar) -> None:
    assert tallystar("epcis", "publish", "receiving").stdout == "Shoppers see receiving as received.\n"
    tallystar("epcis", "publish", "storing", "--as", "received")
    assert tallystar("epcis", "published").stdout == "receiving\treceived\nstoring\treceived\n"
    tallystar("epcis", "withhold", "storing")
    assert tallystar.json("epcis", "published") == {"steps": [{"biz_step": "receiving", "kind": "received"}]}
    assert "biz-step" in tallystar("epcis", "withhold", "storing", code=1).stderr
    assert "kind" in tallystar("epcis", "publish", "storing", code=1).stderr


def test_what_places_are_called(tallystar: Tallystar) -> None:
    tallystar("epcis", "place", "urn:epc:id:sgln:0012345.11111.0", "--zh", "上海", "--en", "Shanghai")
    assert tallystar.query("SELECT place FROM epcis_place") == "414/0012345111112"
    assert tallystar.query("SELECT names ->> 'zh' FROM epcis_place") == "上海"
    assert "place" in tallystar("epcis", "place", "nowhere", "--en", "Nowhere", code=1).stderr
