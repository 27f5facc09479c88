"""Proofs, and the program that checks them with nothing of ours at hand."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ledger.errors import EntryNotFoundError
from ledger.proofs import NotSealedYetError, prove, write_proof
from ledger.seal_keys import SigningKeys
from ledger.seals import SealError
from ledger.standalone import verify_proof
from loyalty.kit.db import transaction
from loyalty.kit.ids import public_id
from tests.db.ledger.sealed_books import SealedBooks, sealed_books


@pytest.fixture(scope="module")
async def books(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SealedBooks]:
    async with sealed_books(module_database_url, tmp_path_factory.mktemp("home")) as filled:
        yield filled


@pytest.fixture(scope="module")
async def proof(books: SealedBooks) -> dict[str, Any]:
    """Of Ann's spend, which took from two lots: her fourth entry of two dozen under the first seal."""
    return await proved(books, books.ann, 4)


async def proved(books: SealedBooks, member: Any, sequence: int, **options: Any) -> dict[str, Any]:
    async with transaction(books.engine) as connection:
        made = await prove(connection, member_id=member, unit="points", sequence=sequence, **options)
    read: dict[str, Any] = json.loads(write_proof(made))
    return read


class Auditor:
    """Somebody with the verifier, a key and Python, and without this repository."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        shutil.copy(Path(verify_proof.__file__), folder)
        (folder / "key.pem").write_bytes(key)

    def __call__(self, proof: Any = None, *words: str) -> tuple[int, str]:
        """The exit code and what it says."""
        arguments = ["--key", "key.pem", *words]
        if proof is not None:
            (self.folder / "proof.json").write_text(proof if isinstance(proof, str) else json.dumps(proof))
            arguments.insert(0, "proof.json")
        ended = subprocess.run(
            [sys.executable, "-I", "verify_proof.py", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.stderr == ""
        return ended.returncode, ended.stdout


@pytest.fixture
def auditor(books: SealedBooks, tmp_path: Path) -> Auditor:
    return Auditor(tmp_path, books.keys.public_pem()[books.keys.current])


def test_an_entry_is_proved_in_words(books: SealedBooks, auditor: Auditor, proof: dict[str, Any]) -> None:
    code, said = auditor(proof)
    assert code == 0
    assert said.startswith(f"Entry 4 of member {public_id('mem', books.ann)}, points:\n")
    assert "spend of 50, from member to redeemed, source test" in said
    assert "PROVED: exactly this entry was in the ledger when seal 1 was signed, at 2026-01-05T12:00:00" in said


@pytest.fixture
def keys(books: SealedBooks) -> verify_proof.Keys:
    return verify_proof.read_keys([str(path) for path in books.folder.path.glob("key-*.pem")])


def test_a_text_in_an_entry_cannot_pass_for_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    verify_proof.say("source a\nPROVED: \x1b[2Jeverything")
    assert capsys.readouterr().out == "source a?PROVED: ?[2Jeverything\n"


async def test_every_sealed_entry_is_proved_by_the_first_seal_that_holds_it(
    books: SealedBooks, keys: verify_proof.Keys
) -> None:
    for sequence, seal in ((1, 1), (2, 2), (3, 3)):
        found = await proved(books, books.bob, sequence)
        (says,) = verify_proof.check_proof(found, keys)
        assert says["number"] == str(seal)
    for sequence in range(1, 25):
        found = await proved(books, books.ann, sequence)
        assert found["entries"][0]["seq"] == sequence
        assert verify_proof.check_proof(found, keys)[0]["number"] == "1"


async def test_later_seals_lead_to_the_one_that_somebody_holds(books: SealedBooks, auditor: Auditor) -> None:
    found = await proved(books, books.ann, 4, later_seals=True)
    code, said = auditor(found)
    assert (code, "2 later seals follow without a gap, up to seal 3." in said) == (0, True)
    found["later_seals"].pop(0)
    assert auditor(found) == (1, "NOT PROVED: seal 3 does not follow seal 1.\n")


def paths(value: Any, *path: Any) -> Any:
    """Every place in a proof that holds a plain value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, *path, name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from paths(inner, *path, number)
    else:
        yield path, value


def forged(value: Any) -> Any:
    """Another value of the same look."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None:
        return 1
    return value[:-1] + ("1" if value[-1:] == "0" else "0") if value else "00"


def test_no_value_in_a_proof_can_be_another(keys: verify_proof.Keys, proof: dict[str, Any]) -> None:
    verify_proof.check_proof(proof, keys)
    tried = 0
    for path, value in paths(proof):
        changed = json.loads(json.dumps(proof))
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = forged(value)
        with pytest.raises((verify_proof.Wrong, ValueError, TypeError, AttributeError, struct.error)):
            verify_proof.check_proof(changed, keys)
        tried += 1
    assert tried > 36 * 20


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof["entries"].pop(),
        lambda proof: proof["entries"].pop(0),
        lambda proof: proof["entries"].pop(3),
        lambda proof: proof["entries"].append(proof["entries"][-1]),
        lambda proof: proof["entries"].clear(),
        lambda proof: proof["entries"][0].pop("reason"),
        lambda proof: proof["entries"][0].update(colour="red"),
        lambda proof: proof["leaf"]["path"].append("00" * 32),
        lambda proof: proof["leaf"]["path"].pop(),
        lambda proof: proof["seal"].update(signature="00" * 64),
        lambda proof: proof["seal"].pop("signature"),
        lambda proof: proof.pop("seal"),
        lambda proof: proof.update(format="tallystar-proof/2"),
    ],
)
def test_no_part_of_a_proof_can_be_taken_away_or_added(auditor: Auditor, proof: dict[str, Any], change: Any) -> None:
    changed = json.loads(json.dumps(proof))
    change(changed)
    code, said = auditor(changed)
    assert (code, said.startswith("NOT PROVED: ")) == (1, True), said


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"format": "tallystar-proof/1"}'])
def test_what_is_no_proof_is_said_to_be_none(auditor: Auditor, text: str) -> None:
    code, said = auditor(text)
    assert (code, said.startswith("NOT PROVED: this is not a")) == (1, True), said


def test_another_key_proves_nothing(auditor: Auditor, proof: dict[str, Any], tmp_path: Path) -> None:
    stranger = SigningKeys.open(tmp_path / "stranger.json")
    (auditor.folder / "key.pem").write_bytes(stranger.public_pem()[stranger.current])
    code, said = auditor(proof)
    assert code == 1
    assert "which is not one that you gave" in said


def test_the_folder_of_seals_is_checked_with_the_proof_or_alone(
    books: SealedBooks, auditor: Auditor, proof: dict[str, Any]
) -> None:
    copy = Path(shutil.copytree(books.folder.path, auditor.folder / "seals"))
    code, said = auditor(proof, "--seals", "seals")
    assert (code, "That seal is the one in seals." in said) == (0, True)
    code, said = auditor(None, "--seals", "seals")
    assert code == 0
    assert said.startswith("INTACT: seals holds seals 1 to 3, the last of 2026-01-08T12:00:00.000000+00:00.\n")
    heads = copy / "seal-000000002.heads"
    content = heads.read_bytes()
    heads.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    said = "seal-000000002.heads does not hold the heads that were sealed.\n"
    assert auditor(None, "--seals", "seals") == (1, f"NOT INTACT: {said}")
    assert auditor(proof, "--seals", "seals") == (1, f"NOT PROVED: {said}")
    heads.write_bytes(content)
    (copy / "seal-000000002.json").unlink()
    assert auditor(None, "--seals", "seals") == (1, "NOT INTACT: seal 3 does not follow seal 1.\n")


def test_a_proof_by_a_seal_that_the_auditor_holds_differently_is_none(
    books: SealedBooks, auditor: Auditor, proof: dict[str, Any]
) -> None:
    """The operator signed two histories: the seal of the proof is right in itself and is not the one that was given."""
    copy = Path(shutil.copytree(books.folder.path, auditor.folder / "seals"))
    for path in copy.glob("seal-*"):
        path.unlink()
    other = books.folder.read_seal(1)
    changed = other.statement.replace(b"2026-01-05", b"2026-01-06")
    heads = (books.folder.path / books.folder.heads_name(1)).read_bytes()
    (copy / "seal-000000001.heads").write_bytes(heads)
    content = {"statement": changed.decode(), "signature": books.keys.sign(changed).hex()}
    (copy / "seal-000000001.json").write_text(json.dumps(content))
    assert auditor(proof, "--seals", "seals") == (1, "NOT PROVED: seal 1 of the proof is not the one in seals.\n")


def test_the_verifier_needs_to_be_told_what_to_check(auditor: Auditor) -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "verify_proof.py", "--key", "key.pem"],
        cwd=auditor.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "give a proof, or a folder of seals, or both" in ended.stderr


def test_the_verifier_imports_nothing_of_ours() -> None:
    source = Path(verify_proof.__file__).read_text()
    imported = {line.split()[1].split(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported - sys.stdlib_module_names == {"cryptography"}


async def test_what_is_not_sealed_yet_is_said_to_be_so(books: SealedBooks) -> None:
    for sequence in (4, 5):
        with pytest.raises(NotSealedYetError, match="was made after the newest seal, of 2026-01-08 12:00:00 UTC"):
            await proved(books, books.bob, sequence)


async def test_an_entry_that_is_not_there_is_not_proved(books: SealedBooks) -> None:
    for member, sequence in ((books.bob, 6), (books.bob, 1000), (uuid4(), 1)):
        with pytest.raises(EntryNotFoundError, match=f"no entry with number {sequence}"):
            await proved(books, member, sequence)


async def test_before_the_first_seal_nothing_is_proved(books: SealedBooks) -> None:
    async with books.tampered("DELETE FROM ledger.seal") as connection:
        with pytest.raises(NotSealedYetError, match="nothing is sealed yet"):
            await prove(connection, member_id=books.bob, unit="points", sequence=1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.entry SET amount = amount + 1 WHERE member_id = :bob AND seq = 2",
        "DELETE FROM ledger.entry WHERE member_id = :bob AND seq = 2",
        "DELETE FROM ledger.entry WHERE member_id = :bob",
        "UPDATE ledger.closed_head SET head = sha256(head) WHERE member_id = :bob",
        "UPDATE ledger.seal SET root = sha256(root) WHERE number = 2 AND :bob IS NOT NULL",
    ],
)
async def test_no_proof_is_given_of_what_does_not_fit(books: SealedBooks, statement: str) -> None:
    async with books.tampered(statement, bob=books.bob) as connection:
        with pytest.raises(SealError):
            await prove(connection, member_id=books.bob, unit="points", sequence=2)


async def test_a_chain_that_is_too_long_is_refused(books: SealedBooks) -> None:
    with pytest.raises(SealError, match="a proof holds 3 at most"):
        await proved(books, books.ann, 4, most_entries=3)
