"""The keyring: what it seals opens for its owner alone, outlives rotations, and is found by its blind index."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from loyalty.kit.crypto import Keyring, KeyringError

ANN, BEN = uuid4(), uuid4()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "personal-data.json"


def _files(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def test_a_sealed_value_opens_for_its_owner_and_field() -> None:
    keyring = Keyring.generate()

    sealed = keyring.encrypt("王小明", owner=ANN, field="name")

    assert keyring.decrypt(sealed, owner=ANN, field="name") == "王小明"
    assert "王小明".encode() not in sealed


def test_equal_values_are_sealed_differently() -> None:
    keyring = Keyring.generate()

    assert keyring.encrypt("x", owner=ANN, field="name") != keyring.encrypt("x", owner=ANN, field="name")


@pytest.mark.parametrize(("owner", "field"), [(BEN, "name"), (ANN, "birthday")])
def test_a_value_copied_to_another_member_or_field_does_not_open(owner: UUID, field: str) -> None:
    keyring = Keyring.generate()
    sealed = keyring.encrypt("x", owner=ANN, field="name")

    with pytest.raises(KeyringError, match="another member, field or keyring"):
        keyring.decrypt(sealed, owner=owner, field=field)


def test_no_byte_of_a_sealed_value_can_be_changed_unseen() -> None:
    keyring = Keyring.generate()
    sealed = keyring.encrypt("x", owner=ANN, field="name")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(KeyringError):
            keyring.decrypt(bytes(changed), owner=ANN, field="name")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"plain text that nobody ever sealed at all"])
def test_what_no_keyring_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(KeyringError, match="not one that a keyring sealed"):
        Keyring.generate().decrypt(sealed, owner=ANN, field="name")


def test_the_file_is_made_at_first_use_for_its_owner_alone(path: Path) -> None:
    made = Keyring.open(path)
    read = Keyring.open(path)

    sealed = made.encrypt("x", owner=ANN, field="name")
    assert read.decrypt(sealed, owner=ANN, field="name") == "x"
    assert read.blind_index("phone", value="1") == made.blind_index("phone", value="1")
    assert _files(path.parent) == [path.name]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_all_who_start_at_once_get_the_same_keys(path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keyrings = list(pool.map(lambda _: Keyring.open(path), range(64)))

    assert len({keyring.blind_index("phone", value="1") for keyring in keyrings}) == 1
    assert _files(path.parent) == [path.name]


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key(path: Path) -> None:
    old = Keyring.open(path)
    before = old.encrypt("x", owner=ANN, field="name")

    new = Keyring.rotate(path)

    after = new.encrypt("x", owner=ANN, field="name")
    assert (old.current, new.current, Keyring.open(path).current) == (1, 2, 2)
    assert new.decrypt(before, owner=ANN, field="name") == "x"
    assert new.needs_rotation(before)
    assert not new.needs_rotation(after)
    assert not new.needs_rotation(new.reseal(before, owner=ANN, field="name"))
    assert old.blind_index("phone", value="1") == new.blind_index("phone", value="1")
    assert _files(path.parent) == [path.name]


def test_a_process_that_has_not_seen_the_rotation_says_which_key_it_lacks(path: Path) -> None:
    old = Keyring.open(path)
    sealed = Keyring.rotate(path).encrypt("x", owner=ANN, field="name")

    with pytest.raises(KeyringError, match="key 2, which is not in the keyring"):
        old.decrypt(sealed, owner=ANN, field="name")


def test_of_two_rotations_at_once_one_is_refused_and_no_key_is_lost(path: Path) -> None:
    Keyring.open(path)
    path.with_name(f"{path.name}.next").touch()

    with pytest.raises(KeyringError, match="another rotation is under way"):
        Keyring.rotate(path)

    assert Keyring.open(path).current == 1


def test_there_is_nothing_to_rotate_before_the_first_use(path: Path) -> None:
    with pytest.raises(KeyringError, match="there is no keyring"):
        Keyring.rotate(path)
    path.parent.mkdir()
    with pytest.raises(KeyringError, match="there is no keyring"):
        Keyring.rotate(path)
    assert _files(path.parent) == []


KEY = b"k" * 32


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a keyring"),
        (b"{}", "is not a keyring"),
        (b'{"version": 1, "current": 1, "index_key": "!", "keys": {}}', "is not a keyring"),
        ({"version": 2, "current": 1, "index_key": KEY, "keys": {1: KEY}}, "version 2"),
        ({"version": 1, "current": 2, "index_key": KEY, "keys": {1: KEY}}, "key 2 is named as current"),
        ({"version": 1, "current": 1, "index_key": KEY, "keys": {1: b"short"}}, "key 1 must have"),
        ({"version": 1, "current": 1, "index_key": b"short", "keys": {1: KEY}}, "the index key must have"),
        ({"version": 1, "current": 0, "index_key": KEY, "keys": {0: KEY}}, "key 0 must have an id"),
        ({"version": 1, "current": 1, "index_key": KEY, "keys": {1: KEY}, "more": 1}, "is not a keyring"),
    ],
)
def test_a_file_that_is_no_keyring_is_refused_and_never_replaced(path: Path, content: object, reason: str) -> None:
    path.parent.mkdir()
    written = content if isinstance(content, bytes) else msgspec.json.encode(content)
    path.write_bytes(written)

    with pytest.raises(KeyringError, match=reason):
        Keyring.open(path)

    assert path.read_bytes() == written


def test_the_blind_index_tells_values_domains_and_keyrings_apart() -> None:
    keyring = Keyring.generate()
    digest = keyring.blind_index("programme-1", "phone", value="+8619900001001")

    assert len(digest) == 32
    assert digest == keyring.blind_index("programme-1", "phone", value="+8619900001001")
    assert digest not in {
        keyring.blind_index("programme-1", "phone", value="+8619900001002"),
        keyring.blind_index("programme-1", "card", value="+8619900001001"),
        keyring.blind_index("programme-2", "phone", value="+8619900001001"),
        keyring.blind_index("programme-1phone", value="+8619900001001"),
        Keyring.generate().blind_index("programme-1", "phone", value="+8619900001001"),
    }
