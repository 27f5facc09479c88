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
from typing import Final, NamedTuple

import psycopg

from loyalty.kit.embedded import cluster, processes
from loyalty.kit.embedded.account import Account, run_as, server_account
from loyalty.kit.embedded.layout import Layout
from loyalty.kit.embedded.locks import Deadline, FileLock
from loyalty.kit.embedded.log import open_log, tail
from loyalty.kit.embedded.programs import Programs, discard_copy, usable_programs
from loyalty.kit.errors import UnavailableError

_ATTEMPTS: Final = 3
_POLL_SECONDS: Final = 0.02
_PAUSE_SECONDS: Final = 0.3
_ORPHAN_GRACE_SECONDS: Final = 0.5
_UNNAMED_GRACE_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 10
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
        with FileLock(self._layout.server_lock) as lock:
            return not lock.try_exclusive()

    def postmaster(self) -> Postmaster | None:
        """What the pid file says; None where there is none that can be read. It outlives a killed server."""
        try:
            descriptor = os.open(self._layout.pid_file, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
                lines = file.read(4096).splitlines()
            ready = len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"
            return Postmaster(abs(int(lines[0])), ready)  # single-user mode notes a negative number
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
            if postmaster and postmaster.ready and processes.runs(postmaster.pid) and self._accepts():
                return
            if child is None or child.poll() is not None:
                self._kill_orphans(postmaster, time.monotonic() - since)
                if child and attempts >= _ATTEMPTS:
                    raise self._failure("did not start")
            if deadline.passed:
                raise self._failure("did not start in time")
            time.sleep(_POLL_SECONDS if attempts <= 1 else _PAUSE_SECONDS)

    def _accepts(self) -> bool:
        """Whether a client gets in. While it recovers from a killed process the server is there, yet lets nobody in."""
        try:
            psycopg.connect(self._layout.url(), connect_timeout=_CONNECT_SECONDS).close()
        except psycopg.OperationalError as error:
            return "too many clients" in str(error)
        return True

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
        discard_copy(self._layout)

    def _signal(self, number: signal.Signals) -> None:
        postmaster = self.postmaster()
        if postmaster and processes.runs(postmaster.pid):
            with suppress(ProcessLookupError):
                os.kill(postmaster.pid, number)

    def _start_if_dead(self) -> subprocess.Popen[bytes] | None:
        """Start a server where no process of one is left; None where there is one."""
        with FileLock(self._layout.server_lock) as lock:
            try:
                return self._start(lock.descriptor) if lock.try_exclusive() else None
            except OSError as error:
                message = f"the embedded database in {self._layout.folder} cannot be started: {error}"
                raise UnavailableError(message, field="TALLYSTAR_HOME") from error

    def _start(self, server_lock: int) -> subprocess.Popen[bytes]:
        layout = self._layout
        account = server_account(layout)
        with usable_programs(layout, account) as programs, open_log(layout.log) as log:
            if not layout.exists:
                self._create(programs, account, server_lock)
            self._prepare(account)
            data = cluster.data_argument(layout.data, account)
            child = subprocess.Popen(  # noqa: S603  (our own arguments)
                [programs.folder / "postgres", "-D", data, "-c", f"unix_socket_directories=../{layout.run.name}"],
                cwd=layout.data,
                env=cluster.CHILD_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(server_lock, *programs.descriptors),
                start_new_session=True,
                umask=0o077,
                **run_as(account),
            )
        # Somebody has to wait for the child, or a killed server stays in the process table as long as we live.
        threading.Thread(target=child.wait, name="embedded-postgres-reaper", daemon=True).start()
        return child

    def _create(self, programs: Programs, account: Account | None, server_lock: int) -> None:
        if self._layout.data.exists():
            message = f"{self._layout.data} is there but is not a PostgreSQL data directory; move it away"
            raise UnavailableError(message, field="TALLYSTAR_HOME")
        cluster.create(self._layout, programs, account, server_lock)

    def _prepare(self, account: Account | None) -> None:
        """Remove the notes of a server that is gone, as the lock proves; their process ids may be others' by now.

        The lock speaks for servers of ours. Raises UnavailableError where somebody started another one by hand.
        """
        layout = self._layout
        stranger = self.postmaster()
        if stranger and processes.works_in(stranger.pid, layout.data):
            message = f"process {stranger.pid} uses {layout.data}, and was not started by Tallystar; stop it first"
            raise UnavailableError(message)
        cluster.remove_unfinished(layout)
        layout.pid_file.unlink(missing_ok=True)
        if layout.run.exists():
            shutil.rmtree(layout.run)
        layout.run.mkdir(mode=0o700)
        if account:
            account.own(layout.run)
            if layout.data.stat().st_uid != account.uid:  # such as restored by root from a backup
                account.own(layout.data)

    def _failure(self, what: str) -> UnavailableError:
        message = (
            f"the embedded database in {self._layout.folder} {what}; the end of its log says:\n{tail(self._layout.log)}"
        )
        return UnavailableError(message)
