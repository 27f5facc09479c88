from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

from loyalty.channels.files.refusals import COLUMNS, Refusal, RefusalFile
from loyalty.kit.errors import InvalidInputError

REFUSAL = Refusal("a.csv", 7, "phone", "n/a", "is not a phone number")


def test_nothing_refused_leaves_no_file(tmp_path: Path) -> None:
    with RefusalFile(tmp_path / "refused.csv") as file:
        assert file.count == 0
    assert list(tmp_path.iterdir()) == []


def test_refusals_are_a_table_that_only_their_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "refused.csv"
    with RefusalFile(path) as file:
        file.add(REFUSAL)
        file.flush()
        with path.open(newline="") as table:
            assert list(csv.reader(table)) == [list(COLUMNS), ["a.csv", "7", "phone", "n/a", "is not a phone number"]]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_refusals_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "refused.csv"
    with RefusalFile(path) as file:
        file.add(REFUSAL)
    with RefusalFile(path):
        pass
    assert not path.exists()


@pytest.mark.parametrize("content", [b"order,amount\n", b"\xff\xfe", b""])
def test_any_other_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="choose another") as refused, RefusalFile(path):
        pass
    assert refused.value.field == "refused"
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no folder"), RefusalFile(tmp_path / "none" / "refused.csv"):
        pass
