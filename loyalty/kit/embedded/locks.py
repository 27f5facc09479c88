"""Locks between processes: flock on files, which the kernel frees when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loyalty.kit.errors import UnavailableError

_POLL_SECONDS: Final = 0.01


class Deadline:
    """A moment after which waiting ends, on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._moment = time.monotonic() + seconds

    @property
    def left_seconds(self) -> float:
        """How much time there is, never less than none."""
        return max(0.0, self._moment - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether there is no time left."""
        return time.monotonic() >= self._moment


class FileLock:
    """One open lock file. A child that inherits the descriptor holds the same lock, together with us."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.descriptor: Final = os.open(path, flags, 0o600)
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(self.descriptor, owner.st_uid, owner.st_gid)

    def try_exclusive(self) -> bool:
        """Take the lock alone, giving up a shared one first; False where another holds it."""
        return self._try(fcntl.LOCK_EX)

    def share(self) -> None:
        """Hold the lock together with others."""
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Close our descriptor; the lock ends with the last process that holds it."""
        os.close(self.descriptor)


@contextmanager
def exclusive(path: Path, deadline: Deadline) -> Iterator[None]:
    """Hold a lock alone for the block. Raises UnavailableError when it is not free by the deadline."""
    lock = FileLock(path)
    try:
        while not lock.try_exclusive():
            if deadline.passed:
                message = f"another process has been starting or stopping the database for too long ({path})"
                raise UnavailableError(message)
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        lock.close()
