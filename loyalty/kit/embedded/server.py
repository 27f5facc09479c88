"""One PostgreSQL server: started as our own child, outliving us, stopped by whoever is the last to need it.

Every method here is called under the mutex of `shared.py`, so no two processes act at once. Whether a server lives is
not read from a file: its processes inherit the lock on `server.lock`, which the kernel frees with the last of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import BinaryIO, Final, NamedTuple

from loyalty.kit.embedded import cluster, processes
from loyalty.kit.embedded.account import run_as, server_account
from loyalty.kit.embedded.layout import Layout
from loyalty.kit.embedded.locks import Deadline, FileLock
from loyalty.kit.embedded.programs import binaries
from loyalty.kit.errors import UnavailableError

_ATTEMPTS: Final = 3
_POLL_SECONDS: Final = 0.02
_PAUSE_SECONDS: Final = 0.3
_ORPHAN_GRACE_SECONDS: Final = 0.5
_UNNAMED_GRACE_SECONDS: Final = 5.0
_LOG_LIMIT_BYTES: Final = 4 * 1024 * 1024
_LOG_TAIL_BYTES: Final = 2000
_STATUS_LINE: Final = 7


class Postmaster(NamedTuple):
    """What PostgreSQL notes of itself: its process, and whether it accepts connections."""

    pid: int
    ready: bool


class Server:
    """The server of one layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def alive(self) -> bool:
        """Whether any process of a server, or of the making of one, is there."""
        lock = FileLock(self._layout.server_lock)
        try:
            return not lock.try_exclusive()
        finally:
            lock.close()

    def postmaster(self) -> Postmaster | None:
        """What the pid file says; None where there is none that can be read. It outlives a killed server."""
        try:
            descriptor = os.open(self._layout.pid_file, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
                lines = file.read(4096).splitlines()
            ready = len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"
            return Postmaster(int(lines[0]), ready)
        except (OSError, ValueError, IndexError):
            return None

    def crashed(self) -> bool:
        """Whether a server died without closing its books. Cheap, and needs no mutex."""
        postmaster = self.postmaster()
        return postmaster is not None and not processes.runs(postmaster.pid)

    def ensure_running(self, deadline: Deadline) -> None:
        """Return when the server accepts connections, starting it where it does not run.

        Raises UnavailableError with the end of the log when it has not come up by the deadline.
        """
        child: subprocess.Popen[bytes] | None = None
        attempts = 0
        since = time.monotonic()
        while True:
            if attempts < _ATTEMPTS and (started := self._start_if_dead()):
                child, attempts, since = started, attempts + 1, time.monotonic()
            postmaster = self.postmaster()
            if postmaster and postmaster.ready and processes.runs(postmaster.pid):
                return
            if child is None or child.poll() is not None:
                self._kill_orphans(postmaster, time.monotonic() - since)
                if child and attempts >= _ATTEMPTS:
                    raise self._failure("did not start")
            if deadline.passed:
                raise self._failure("did not start in time")
            time.sleep(_POLL_SECONDS if attempts <= 1 else _PAUSE_SECONDS)

    def _kill_orphans(self, postmaster: Postmaster | None, waited_seconds: float) -> None:
        """Clear away what outlived its postmaster, after a moment in which it may leave by itself."""
        grace_seconds = _UNNAMED_GRACE_SECONDS if postmaster is None else _ORPHAN_GRACE_SECONDS
        if waited_seconds > grace_seconds and not (postmaster and processes.runs(postmaster.pid)):
            processes.kill_holders(self._layout.server_lock)

    def stop(self, deadline: Deadline) -> None:
        """Shut the server down: transactions are rolled back, clients sent away, everything written out.

        Raises UnavailableError when it still runs at the deadline, after asking less kindly half way.
        """
        self._signal(signal.SIGINT)
        patience = Deadline(deadline.left_seconds / 2)
        insisted = False
        while self.alive():
            if deadline.passed:
                raise self._failure("did not stop")
            if patience.passed and not insisted:
                self._signal(signal.SIGQUIT)
                insisted = True
            if self.crashed():
                processes.kill_holders(self._layout.server_lock)
            time.sleep(_POLL_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        postmaster = self.postmaster()
        if postmaster and processes.runs(postmaster.pid):
            with suppress(ProcessLookupError):
                os.kill(postmaster.pid, number)

    def _start_if_dead(self) -> subprocess.Popen[bytes] | None:
        """Start a server where no process of one is left; None where there is one."""
        lock = FileLock(self._layout.server_lock)
        try:
            return self._start(lock.descriptor) if lock.try_exclusive() else None
        finally:
            lock.close()

    def _start(self, server_lock: int) -> subprocess.Popen[bytes]:
        layout = self._layout
        account = server_account(layout)
        programs = binaries()
        if not layout.exists:
            if layout.data.exists():
                message = f"{layout.data} is there but is not a PostgreSQL data directory; move it away"
                raise UnavailableError(message)
            cluster.create(layout, programs, account, server_lock)
        self._clear_remains()
        layout.run.mkdir(mode=0o700, exist_ok=True)
        if account:
            account.own(layout.run)
        data = cluster.data_argument(layout.data, account)
        with self._open_log() as log:
            child = subprocess.Popen(  # noqa: S603  (our own arguments)
                [programs / "postgres", "-D", data, "-c", f"unix_socket_directories=../{layout.run.name}"],
                cwd=layout.data,
                env=cluster.CHILD_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(server_lock,),
                start_new_session=True,
                umask=0o077,
                **run_as(account),
            )
        # Somebody has to wait for the child, or a killed server stays in the process table as long as we live.
        threading.Thread(target=child.wait, name="embedded-postgres-reaper", daemon=True).start()
        return child

    def _clear_remains(self) -> None:
        """Remove the notes of a server that is gone, as the lock proves; their process ids may be others' by now."""
        self._layout.pid_file.unlink(missing_ok=True)
        if self._layout.run.exists():
            shutil.rmtree(self._layout.run)

    def _open_log(self) -> BinaryIO:
        """Open the log at its end. It is written by the server, trimmed by whoever arrives when it has grown."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(self._layout.log, flags, 0o600), "ab", buffering=0)

    def trim_log(self) -> None:
        """Keep the log within bounds: what is over 4 MB moves to `server.log.1`, in place of what was there."""
        with suppress(FileNotFoundError):
            if self._layout.log.stat().st_size > _LOG_LIMIT_BYTES:
                shutil.copyfile(self._layout.log, self._layout.log.with_name("server.log.1"))
                os.truncate(self._layout.log, 0)  # the server appends, so it goes on at the new end

    def _failure(self, what: str) -> UnavailableError:
        tail = b""
        with suppress(FileNotFoundError):
            tail = self._layout.log.read_bytes()[-_LOG_TAIL_BYTES:]
        text = tail.decode(errors="replace").strip() or "nothing"
        message = f"the embedded database in {self._layout.folder} {what}; the end of its log says:\n{text}"
        return UnavailableError(message)
