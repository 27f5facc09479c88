"""A disk of one's own that is small: memory, mounted where only this program and its children see it.

Root may mount; anybody else may in a user namespace of their own, where the system allows those. Nothing is left
behind, however the program ends.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_AS_ROOT: Final = ("unshare", "--mount")
_AS_ANYBODY: Final = ("unshare", "--user", "--map-root-user", "--mount")


def on_small_disk(folder: Path, mebibytes: int, command: Sequence[str]) -> list[str]:
    """The command that runs `command` with a disk of this size at `folder`, as the user that we are."""
    mount = f'mount -t tmpfs -o size={mebibytes}m,mode=0755 tmpfs "$0" && exec "$@"'
    if os.geteuid() == 0:
        return [*_AS_ROOT, "sh", "-c", mount, str(folder), *command]
    again = ["unshare", "--user", f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}"]
    return [*_AS_ANYBODY, "sh", "-c", mount, str(folder), *again, *command]


def can_mount(folder: Path) -> bool:
    """Whether this system lets us have such a disk."""
    try:
        subprocess.run(on_small_disk(folder, 1, ["true"]), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def fill(folder: Path) -> Path:
    """Take all the room that is left on a disk; answers the file that took it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        block = bytes(1 << 20)
        while block:
            try:
                file.write(block)
            except OSError:
                block = block[: len(block) // 2]
    return ballast
