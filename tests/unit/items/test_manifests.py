"""Lists of codes: what was written is found, nothing else is, and neither takes memory with the length of the list."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from loyalty.items.codes import ItemKeys
from loyalty.items.manifests import Manifests, numbers_of
from loyalty.kit.errors import UnavailableError
from loyalty.kit.ids import new_id

KEYS = ItemKeys(gtin="06901234567892", kid=1, master=bytes(range(32)), pin_master=bytes(range(32, 64)))
OTHER = ItemKeys(gtin="06901234567885", kid=1, master=bytes(range(32)), pin_master=bytes(range(32, 64)))


def batches(count: int, size: int = 10_000) -> Iterator[NDArray[np.bytes_]]:
    for lo in range(0, count, size):
        yield KEYS.mint_many(lo, min(size, count - lo))


def test_a_code_that_was_listed_is_found_in_any_spelling_and_no_other_is(tmp_path: Path) -> None:
    manifests, export = Manifests(tmp_path), new_id()
    manifests.write(export, batches(25_000))
    for index in (0, 1, 9_999, 10_000, 24_999):
        assert manifests.list_any([export], KEYS.mint(index))
        assert manifests.list_any([export], KEYS.mint(index).lower())
    for index in (25_000, 1_000_000):
        assert not manifests.list_any([export], KEYS.mint(index))
    assert not any(manifests.list_any([export], OTHER.mint(index)) for index in range(100))
    assert not manifests.list_any([export], "not a serial")


def test_a_list_is_sorted_numbers_and_its_hash_is_told(tmp_path: Path) -> None:
    manifests, export = Manifests(tmp_path / "new"), new_id()
    digest = manifests.write(export, batches(5_000))
    content = (tmp_path / "new" / f"{export}.codes").read_bytes()
    assert sha256(content).digest() == digest
    numbers = np.frombuffer(content, dtype=">u8")
    assert (numbers == np.sort(numbers_of(KEYS.mint_many(0, 5_000)))).all()
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"{export}.codes"]


def test_a_list_may_be_written_anew_and_several_may_be_asked(tmp_path: Path) -> None:
    manifests, one, two = Manifests(tmp_path), new_id(), new_id()
    manifests.write(one, batches(10))
    manifests.write(two, [KEYS.mint_many(100, 10)])
    assert not manifests.list_any([one], KEYS.mint(105))
    assert manifests.list_any([one, two], KEYS.mint(105))
    manifests.write(one, [KEYS.mint_many(100, 10)])
    assert manifests.list_any([one], KEYS.mint(105))
    assert not manifests.list_any([one], KEYS.mint(5))


def test_a_list_that_is_not_there_is_an_error_and_not_an_answer(tmp_path: Path) -> None:
    for manifests in (Manifests(tmp_path), Manifests(None)):
        with pytest.raises(UnavailableError):
            manifests.list_any([new_id()], KEYS.mint(1))


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        Manifests(tmp_path).write(new_id(), batches(count))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(1_000)
    assert peak(1_000_000) < 1.5 * peak(200_000)
