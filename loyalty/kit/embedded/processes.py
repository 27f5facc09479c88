"""What can be learnt about processes that are not ours to wait for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_SERVER_PROGRAMS: Final = ("postgres", "initdb")


def runs(pid: int) -> bool:
    """Whether a process is alive. A zombie, dead but not yet waited for by its parent, is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        state = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state not in ("Z", "X")


def works_in(pid: int, folder: Path) -> bool:
    """Whether a process has a folder as its working directory; False where there is no /proc to tell."""
    try:
        return (_PROC / str(pid) / "cwd").samefile(folder)
    except OSError:
        return False


def kill_holders(path: Path) -> None:
    """Kill the database processes that hold a file open: what is left of a server whose postmaster was killed.

    PostgreSQL's own processes leave as soon as they wait for something, yet one that computes goes on. Its work cannot
    be committed any more, and what was committed is in the write-ahead log. Does nothing where there is no /proc.
    """
    for pid in _holders(path):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _holders(path: Path) -> Iterator[int]:
    wanted = path.stat()
    for folder in _PROC.glob("[0-9]*"):
        try:
            program = (folder / "exe").readlink().name.removesuffix(" (deleted)")
            if program not in _SERVER_PROGRAMS:
                continue
            for descriptor in (folder / "fd").iterdir():
                status = descriptor.stat()
                if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                    yield int(folder.name)
                    break
        except OSError:  # gone meanwhile, or somebody else's
            continue
