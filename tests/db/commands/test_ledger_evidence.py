from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from loyalty.kit.ids import public_id
from tests.db.commands.conftest import Tallystar


@pytest.fixture
def books(tallystar: Tallystar) -> Tallystar:
    orders = tallystar.file(
        "o.csv", "order,time,customer,amount", "1,2024-01-01,9,10", "2,2024-01-02,9,20", "3,2024-01-03,8,5"
    )
    tallystar("import", "orders", orders, "--channel", "online")
    return tallystar


def member_of_order(books: Tallystar, order: int) -> tuple[str, int]:
    """The member who earned for an order, and the entry's number."""
    found = books.query(
        f"SELECT ARRAY[member_id::text, seq::text] FROM ledger.entry WHERE source = 'order:online/{order}' LIMIT 1"
    )
    return public_id("mem", UUID(found[0])), int(found[1])


def test_right_books_verify_with_their_seals(books: Tallystar) -> None:
    assert "Seal 1 holds the heads of 2 accounts." in books("ledger", "seal").stdout
    told = books("ledger", "verify").stdout
    assert "3 entries of 2 accounts were replayed." in told
    assert f"Seals checked: 1, and the files in {books.folder / 'home' / 'seals'}." in told
    assert "The books balance" in told
    verified = books.json("ledger", "verify", "--jobs", "2")
    assert (verified["passed"], verified["seals"], verified["findings"]) == (True, 1, [])


def test_sealing_twice_seals_once(books: Tallystar) -> None:
    first = books.json("ledger", "seal")
    assert (first["seal"], first["leaves"], len(first["written"]), first["problems"]) == (1, 2, 3, [])
    assert books.json("ledger", "seal") == {"seal": None, "leaves": None, "written": [], "problems": []}
    assert "Nothing has moved since the last seal." in books("ledger", "seal").stdout


def test_a_spoiled_file_is_an_alarm(books: Tallystar) -> None:
    books("ledger", "seal")
    path = books.folder / "home" / "seals" / "seal-000000001.json"
    path.write_text(path.read_text().replace("leaves 2", "leaves 3"))
    assert f"WRONG: {path} is not the seal 1 of the database" in books("ledger", "seal", code=1).stdout
    told = books("ledger", "verify", code=1).stdout
    assert "seal 1, seal-000000001.json: its signature is not that of what it says" in told


def test_a_removed_tail_is_named_by_the_seals_outside(books: Tallystar) -> None:
    books("ledger", "seal")
    member, sequence = member_of_order(books, 2)
    books.change("SET session_replication_role = replica; DELETE FROM ledger.entry WHERE source = 'order:online/2'")
    books("ledger", "rebuild")
    books.change(
        "SET session_replication_role = replica; DELETE FROM ledger.closed_head; DELETE FROM ledger.closing;"
        "DELETE FROM ledger.seal"
    )
    (books.folder / "home" / "seals").rename(books.folder / "elsewhere")
    alone = books.json("ledger", "verify")
    assert (alone["passed"], alone["folder"]) == (True, None)
    verified = books.json("ledger", "verify", "--seals", "elsewhere", code=1)
    named = [finding for finding in verified["findings"] if finding["member_id"]]
    assert [(finding["member_id"], finding["unit"], finding["sequence"]) for finding in named] == [
        (member, "points", sequence)
    ]
    told = books("ledger", "verify", "--seals", "elsewhere", code=1).stdout
    assert f"{member} points, entry {sequence}: entry {sequence} is gone: seal-000000001.heads" in told


def test_an_auditor_checks_with_the_key_that_was_given(books: Tallystar, tmp_path: Path) -> None:
    books("ledger", "seal")
    (key,) = (books.folder / "home" / "seals").glob("key-*.pem")
    (books.folder / "home" / "keys" / "seals.json").unlink()
    assert not books.json("ledger", "verify", code=1)["passed"]
    assert books.json("ledger", "verify", "--key", str(key))["passed"]
    (tmp_path / "no.pem").write_text("no key")
    refused = books("ledger", "verify", "--key", str(tmp_path / "no.pem"), code=1)
    assert "this is not a public key in PEM" in refused.stderr


def test_a_new_key_signs_and_the_old_one_stays_known(books: Tallystar) -> None:
    books("ledger", "seal")
    more = books.file("p.csv", "order,time,customer,amount", "4,2024-01-04,9,10")
    books("import", "orders", more, "--channel", "online")
    second = books.json("ledger", "seal", "--new-key")
    assert second["seal"] == 2
    assert any(name.startswith("key-") for name in second["written"])
    assert books.json("ledger", "verify")["passed"]


def test_lost_keys_are_made_known_again(books: Tallystar) -> None:
    books("ledger", "seal")
    (key,) = (books.folder / "home" / "seals").glob("key-*.pem")
    (books.folder / "home" / "keys" / "seals.json").unlink()
    assert "which is not known here" in books("ledger", "seal", code=1).stderr
    books("ledger", "seal", "--known-key", str(key))
    assert books.json("ledger", "verify")["passed"]


def test_an_entry_is_proved_to_somebody_who_has_only_what_was_handed_out(books: Tallystar) -> None:
    books("ledger", "seal")
    member, sequence = member_of_order(books, 1)
    told = books("ledger", "prove", member, str(sequence)).stdout
    name = f"proof-{member}-points-{sequence}.json"
    assert name in told
    handed = books.json("ledger", "verifier", "auditor")
    assert sorted(Path(path).name for path in handed["files"]) == [f"key-{handed['key']}.pem", "verify_proof.py"]
    (books.folder / name).rename(books.folder / "auditor" / name)
    command = [sys.executable, "-I", "verify_proof.py", name, "--key", f"key-{handed['key']}.pem"]
    checked = subprocess.run(command, cwd=books.folder / "auditor", capture_output=True, text=True, check=True)
    assert f"Entry {sequence} of member {member}, points:" in checked.stdout
    assert "PROVED" in checked.stdout
    assert books("ledger", "verifier", "again").stdout.split() == [
        str(Path("again") / "verify_proof.py"),
        str(Path("again") / f"key-{handed['key']}.pem"),
    ]


def test_a_proof_goes_where_it_is_told_to(books: Tallystar) -> None:
    books("ledger", "seal")
    member, sequence = member_of_order(books, 3)
    proof = json.loads(books("ledger", "prove", member, str(sequence), "--later-seals", "--output", "-").stdout)
    assert (proof["format"], proof["entries"][0]["seq"]) == ("tallystar-proof/1", sequence)
    assert books.json("ledger", "prove", member, str(sequence), "--output", "p.json") == {"file": "p.json"}
    assert json.loads((books.folder / "p.json").read_bytes()) == proof


def test_what_cannot_be_proved_is_refused_in_words(books: Tallystar) -> None:
    member, sequence = member_of_order(books, 1)
    assert "nothing is sealed yet" in books("ledger", "prove", member, str(sequence), code=1).stderr
    assert "no entry with number 77" in books("ledger", "prove", member, "77", code=1).stderr
    assert "is not an id of this kind" in books("ledger", "prove", "someone", "1", code=1).stderr
