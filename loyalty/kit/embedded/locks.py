"""Locks between processes: flock on files, which the kernel frees when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

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
        self._path: Final = path
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.descriptor: Final = os.open(path, flags, 0o600)
        except OSError as error:
            message = f"the lock of the embedded database cannot be opened: {error}"
            raise UnavailableError(message, field="TALLYSTAR_HOME") from error
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(self.descriptor, owner.st_uid, owner.st_gid)

    def try_exclusive(self) -> bool:
        """Take the lock alone, giving up a shared one first; False where another holds it."""
        try:
            self._flock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """Hold the lock together with others, waiting for whoever holds it alone."""
        self._flock(fcntl.LOCK_SH)

    def _flock(self, operation: int) -> None:
        try:
            fcntl.flock(self.descriptor, operation)
        except BlockingIOError:
            raise
        except OSError as error:
            message = f"{self._path.parent} is on a file system without locks: {error}; choose another TALLYSTAR_HOME"
            raise UnavailableError(message, field="TALLYSTAR_HOME") from error

    def close(self) -> None:
        """Close our descriptor; the lock ends with the last process that holds it."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def exclusive(path: Path, deadline: Deadline) -> Iterator[None]:
    """Hold a lock alone for the block. Raises UnavailableError when it is not free by the deadline."""
    with FileLock(path) as lock:
        while not lock.try_exclusive():
            if deadline.passed:
                message = f"another process has been starting or stopping the database for too long ({path})"
                raise UnavailableError(message)
            time.sleep(_POLL_SECONDS)
        yield
