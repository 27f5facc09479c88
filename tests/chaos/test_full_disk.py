"""The disk is full: a clear answer, nothing half done, and it goes on by itself when there is room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.small_disk import can_mount, on_small_disk

ROOT: Final = Path(__file__).parents[2]
DISK_MEBIBYTES: Final = 192


def test_a_full_disk_is_said_so_and_loses_nothing(tmp_path: Path) -> None:
    if not can_mount(tmp_path):
        pytest.skip("this system lets us mount no disk of our own: be root, or allow user namespaces")
    command = [sys.executable, "-m", "tests.chaos.full_disk", str(tmp_path)]
    done = subprocess.run(
        on_small_disk(tmp_path, DISK_MEBIBYTES, command), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
