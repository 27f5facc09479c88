"""The file of master keys: made once, private, rotated without losing a key."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from loyalty.items.keys import FILE_NAME, Master, MasterKeys, rotate
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError

GTIN = "06901234567892"


def make_master(byte: int) -> Master:
    return Master(master=bytes([byte]) * 32, pin_master=bytes([byte + 1]) * 32, created_at=utc_now())


def test_the_file_is_made_at_first_use_and_read_ever_after(tmp_path: Path) -> None:
    path = tmp_path / "keys" / FILE_NAME
    serial = MasterKeys.load_or_create(path).for_product(GTIN, 1).mint(42)
    again = MasterKeys.load_or_create(path)
    code = again.verify(GTIN, serial)
    assert code is not None
    assert code.index == 42
    assert (again.kids, again.current_kid) == ([1], 1)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / FILE_NAME
    MasterKeys.load_or_create(path)
    rotate(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == [FILE_NAME]


def test_of_several_that_create_it_at_once_one_wins_and_all_agree(tmp_path: Path) -> None:
    path = tmp_path / "keys" / FILE_NAME
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: MasterKeys.load_or_create(path), range(8)))
    assert len({keys.for_product(GTIN, 1).mint(1) for keys in made}) == 1


def test_rotation_adds_a_key_and_old_codes_go_on_verifying(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    before = MasterKeys.load_or_create(path)
    serial = before.for_product(GTIN, 1).mint(9)
    rotated = rotate(path)
    assert (rotated.kids, rotated.current_kid) == ([1, 2], 2)
    assert MasterKeys.load(path).masters == rotated.masters
    assert rotated.verify(GTIN, serial) is not None
    newer = rotated.for_product(GTIN, 2).mint(9)
    assert newer[0] == "2"
    # Whoever read the file before the rotation takes the new key up by itself.
    assert before.verify(GTIN, newer) == rotated.verify(GTIN, newer)
    assert before.current_kid == 2


def test_a_rotation_cut_short_loses_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    keys = MasterKeys.load_or_create(path)
    successor = path.with_suffix(".new")
    successor.write_bytes(b"")
    with pytest.raises(ConflictError, match=r"remove .*item-codes\.new"):
        rotate(path)
    assert MasterKeys.load(path).masters == keys.masters
    successor.unlink()
    assert rotate(path).kids == [1, 2]


def test_there_are_31_keys_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    MasterKeys.load_or_create(path)
    for _ in range(30):
        rotate(path)
    with pytest.raises(ConflictError, match="all 31 key ids"):
        rotate(path)
    assert MasterKeys.load(path).kids == list(range(1, 32))
    assert not path.with_suffix(".new").exists()


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file of item code keys"):
        MasterKeys.load(tmp_path / FILE_NAME)
    with pytest.raises(NotFoundError, match="no file of item code keys"):
        rotate(tmp_path / FILE_NAME)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"version": 2, "keys": {}}',
        b'{"version": 1, "keys": {}}',
        b'{"version": 1, "keys": {"32": {"master": "", "pin_master": "", "created_at": "2026-01-01T00:00:00Z"}}}',
        b'{"version": 1, "keys": {"1": {"master": "AA==", "pin_master": "AA==", "created_at": "2026-01-01T00:00Z"}}}',
    ],
)
def test_a_damaged_file_is_refused_clearly(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"item code keys|32 bytes"):
        MasterKeys.load(path)


def test_an_unknown_key_id_verifies_nothing_and_derives_nothing() -> None:
    keys = MasterKeys({3: make_master(7)})
    serial = MasterKeys({4: make_master(7)}).for_product(GTIN, 4).mint(0)
    assert keys.verify(GTIN, serial) is None
    with pytest.raises(NotFoundError, match="key 4"):
        keys.for_product(GTIN, 4)


def test_the_file_reads_as_json_with_the_masters_in_base64(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    keys = MasterKeys.load_or_create(path)
    content = msgspec.json.decode(path.read_bytes())
    assert content["version"] == 1
    assert msgspec.convert(content["keys"]["1"]["master"], bytes) == keys.masters[1].master
