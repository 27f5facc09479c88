"""The server's log: a file that the server appends to, and that its users keep within bounds."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

_LIMIT_BYTES: Final = 4 * 1024 * 1024
_TAIL_BYTES: Final = 2000


def open_log(path: Path) -> BinaryIO:
    """Open the log at its end, for a child to write to."""
    return _open(path, os.O_WRONLY | os.O_APPEND)


def too_long(path: Path) -> bool:
    """Whether the log has grown over 4 MB."""
    with suppress(OSError):
        return path.stat().st_size > _LIMIT_BYTES
    return False


def trim_log(path: Path) -> None:
    """Move what a log that is too long holds to `server.log.1`, in place of what was there."""
    if not too_long(path):
        return
    with _open(path, os.O_RDWR | os.O_APPEND) as log:
        log.seek(0)
        with _open(path.with_name(f"{path.name}.1"), os.O_WRONLY | os.O_TRUNC) as older:
            shutil.copyfileobj(log, older)
        log.truncate(0)  # the server appends, so it goes on at the new end


def tail(path: Path) -> str:
    """The end of the log, or a word that there is none."""
    text = ""
    with suppress(OSError), path.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
        text = log.read().decode(errors="replace").strip()
    return text or "(nothing)"


def _open(path: Path, flags: int) -> BinaryIO:
    """Open for ourselves alone, never through a symbolic link that somebody left in our place."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "wb", buffering=0)
