from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from loyalty.kit.files import write_new


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with write_new(path, mode=0o600) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b", and the rest")
    assert path.read_bytes() == b"half, and the rest"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new"
    path.write_bytes(b"first")
    with pytest.raises(FileExistsError), write_new(path) as file:
        file.write(b"second")
    assert path.read_bytes() == b"first"
    assert [*tmp_path.iterdir()] == [path]


def test_nothing_stays_of_what_was_not_finished(tmp_path: Path) -> None:
    with contextlib.suppress(RuntimeError), write_new(tmp_path / "new") as file:
        file.write(b"half")
        raise RuntimeError
    assert [*tmp_path.iterdir()] == []


def test_where_there_are_no_links_it_is_renamed_and_still_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOTSUP, "a bucket knows no links")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "new"
    with write_new(path) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), write_new(path) as file:
        file.write(b"second")
    assert path.read_bytes() == b"first"


def test_what_a_disk_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"), write_new(tmp_path / "new") as file:
        file.write(b"first")
    assert [*tmp_path.iterdir()] == []
