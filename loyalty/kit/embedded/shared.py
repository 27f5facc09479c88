"""One server shared by many processes: it starts with the first that needs it and stops with the last."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

import msgspec

from loyalty.kit.embedded.layout import Layout
from loyalty.kit.embedded.locks import Deadline, FileLock, exclusive
from loyalty.kit.embedded.log import too_long, trim_log
from loyalty.kit.embedded.server import Server
from loyalty.kit.errors import ConflictError, UnavailableError

_START_SECONDS: Final = 60.0
"""Long enough to replay a full write-ahead log after a crash."""

_STOP_SECONDS: Final = 30.0
_WATCH_SECONDS: Final = 0.25
_RETRY_SECONDS: Final = 5.0

_logger: Final = logging.getLogger(__name__)


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `status` found. `used` says whether any process, this one included, holds the server."""

    state: Literal["absent", "stopped", "running", "starting"]
    pid: int | None
    used: bool
    data: Path
    log: Path
    url: str


class EmbeddedPostgres:
    """The PostgreSQL server in `home/postgres`, shared with every other process that names the same home.

    `acquire` starts it where it does not run, and counts: each call wants its own `release`. While it is held, a server
    that was killed is started again. The last process to leave shuts it down. A process that is killed counts as gone;
    the server then runs on until the next one leaves. Safe to use from several threads.
    """

    def __init__(self, home: Path, *, start_seconds: float = _START_SECONDS) -> None:
        self._layout: Final = Layout(home)
        self._server: Final = Server(self._layout)
        self._start_seconds: Final = start_seconds
        self._guard: Final = threading.Lock()
        self._holds = 0
        self._holder_pid = 0
        self._users: FileLock | None = None
        self._leaving = threading.Event()
        self._watcher: threading.Thread | None = None

    def acquire(self) -> str:
        """Make sure that the server accepts connections, and return the address of its database.

        Raises UnavailableError, with the end of the server's log, when it cannot be started.
        """
        with self._guard:
            self._forget_parent()
            deadline = Deadline(self._start_seconds)
            users = self._users
            self._prepare()
            with exclusive(self._layout.mutex_lock, deadline):
                users = users or FileLock(self._layout.users_lock)
                try:
                    users.share()
                    self._server.ensure_running(deadline)
                    url = self._layout.url()
                except BaseException:
                    if users is not self._users:
                        users.close()
                    raise
                trim_log(self._layout.log)
            self._users = users
            self._holds += 1
            self._watch()
            return url

    def release(self) -> None:
        """Give one `acquire` back. The last process to do so stops the server and waits until it is down.

        Raises UnavailableError when the server does not stop.
        """
        with self._guard:
            self._forget_parent()
            if self._users is None:
                raise RuntimeError("release without acquire")
            self._holds -= 1
            if self._holds:
                return
            self._leaving.set()
            if self._watcher:
                self._watcher.join()
            users, self._users, self._watcher = self._users, None, None
            deadline = Deadline(_STOP_SECONDS)
            with users, exclusive(self._layout.mutex_lock, deadline):
                if users.try_exclusive():
                    self._server.stop(deadline)

    def stop(self) -> bool:
        """Stop a server that no process uses, such as after its users were killed; False where none ran.

        Raises ConflictError where it is used: it stops by itself with its last user.
        """
        self._prepare()
        deadline = Deadline(_STOP_SECONDS)
        with FileLock(self._layout.users_lock) as users, exclusive(self._layout.mutex_lock, deadline):
            if not users.try_exclusive():
                raise ConflictError("the embedded database is in use; it stops with the last process that uses it")
            ran = self._server.alive()
            self._server.stop(deadline)
            return ran

    def status(self) -> ServerStatus:
        """Say whether the server runs and whether it is used. Starts nothing, makes nothing."""
        layout = self._layout
        if not layout.mutex_lock.exists():
            return self._status("absent", None, used=False)
        with exclusive(layout.mutex_lock, Deadline(self._start_seconds)):
            with FileLock(layout.users_lock) as users:
                used = not users.try_exclusive()
            if not self._server.alive():
                return self._status("stopped" if layout.exists else "absent", None, used=used)
            postmaster = self._server.postmaster()
            ready = postmaster is not None and postmaster.ready and not self._server.crashed()
            return self._status("running" if ready else "starting", postmaster.pid if postmaster else None, used=used)

    def _status(
        self, state: Literal["absent", "stopped", "running", "starting"], pid: int | None, *, used: bool
    ) -> ServerStatus:
        layout = self._layout
        return ServerStatus(state=state, pid=pid, used=used, data=layout.data, log=layout.log, url=layout.url())

    def _prepare(self) -> None:
        """Make the folders: a new home is its owner's alone; an existing one keeps its mode."""
        layout = self._layout
        try:
            layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            layout.folder.mkdir(mode=0o711, exist_ok=True)
            if os.geteuid() == 0:
                owner = layout.home.stat()
                os.chown(layout.folder, owner.st_uid, owner.st_gid)
        except OSError as error:
            message = f"the folder of the embedded database cannot be made: {error}"
            raise UnavailableError(message, field="TALLYSTAR_HOME") from error

    def _watch(self) -> None:
        if self._watcher is None:
            self._leaving = threading.Event()
            self._watcher = threading.Thread(target=self._keep_running, name="embedded-postgres-watcher", daemon=True)
            self._watcher.start()

    def _keep_running(self) -> None:
        """Start a server again that was killed while we use it, and trim its log.

        A server that was shut down in order stays down until the next `acquire`.
        """
        pause_seconds = _WATCH_SECONDS
        while not self._leaving.wait(pause_seconds):
            pause_seconds = _WATCH_SECONDS
            crashed = self._server.crashed()
            if not crashed and not too_long(self._layout.log):
                continue
            deadline = Deadline(self._start_seconds)
            try:
                with exclusive(self._layout.mutex_lock, deadline):
                    trim_log(self._layout.log)
                    if crashed:
                        _logger.warning("the embedded database was killed; starting it again")
                        self._server.ensure_running(deadline)
            except (UnavailableError, OSError):
                _logger.exception("the embedded database cannot be looked after; trying again")
                pause_seconds = _RETRY_SECONDS

    def _forget_parent(self) -> None:
        """A forked child holds nothing: the counts it was born with, and the lock, are its parent's."""
        if self._users and self._holder_pid != os.getpid():
            self._users.close()
            self._users, self._watcher, self._holds = None, None, 0
        self._holder_pid = os.getpid()

    def __enter__(self) -> str:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def acquired(self) -> bool:
        """Whether this object holds the server."""
        return self._users is not None
