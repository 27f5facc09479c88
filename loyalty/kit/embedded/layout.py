"""Where the embedded database keeps its files, and how a client reaches its socket."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

from loyalty.kit.errors import UnavailableError

DATABASE: Final = "tallystar"
"""The name of the database, and of the role that owns everything in it."""

PORT: Final = 5432
"""Only part of the socket's file name: the server opens no network port unless it is told to."""

SOCKET_NAME: Final = f".s.PGSQL.{PORT}"

_SOCKET_PATH_LIMIT_BYTES: Final = 103
"""What `sockaddr_un` holds on every system we run on (Linux has room for 107)."""

_PLAIN: Final = re.compile(r"/[^,:@]*")
"""What libpq and SQLAlchemy both read as one folder: commas separate hosts, a colon starts a port."""


class Layout:
    """The files below `home/postgres`.

    The folder itself and the locks belong to whoever owns the home; `data` and `run` belong to the account that the
    server runs as, which is somebody else where we run as root.
    """

    def __init__(self, home: Path) -> None:
        self.home: Final = home.absolute()
        self.folder: Final = self.home / "postgres"
        self.data: Final = self.folder / "data"
        self.run: Final = self.folder / "run"
        self.log: Final = self.folder / "server.log"
        self.programs: Final = self.folder / "programs"
        self.mutex_lock: Final = self.folder / "mutex.lock"
        self.users_lock: Final = self.folder / "users.lock"
        self.server_lock: Final = self.folder / "server.lock"

    @property
    def pid_file(self) -> Path:
        """PostgreSQL's own note of its process and state."""
        return self.data / "postmaster.pid"

    @property
    def exists(self) -> bool:
        """Whether a finished data directory is there; it appears whole or not at all."""
        return (self.data / "PG_VERSION").is_file()

    def url(self, database: str = DATABASE) -> str:
        """The address of a database, as libpq and SQLAlchemy both read it."""
        return f"postgresql://{DATABASE}@:{PORT}/{database}?host={quote(str(self._socket_folder()))}"

    def _socket_folder(self) -> Path:
        """The socket's folder by a name that fits into a socket address.

        The server binds by a relative name, which is always short. Only a client needs a whole one, so where the
        home's is too long it goes through a symbolic link in a private folder among the temporary files.
        """
        if _fits(self.run):
            return self.run
        name = hashlib.sha256(os.fsencode(self.run)).hexdigest()[:16]
        for base in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108  (the folder below is private)
            link = Path(base) / f"tallystar-{os.geteuid()}" / name
            if _fits(link):
                _private(link.parent)
                _link(link, self.run)
                return link
        message = f"the path of the database's socket is too long: {self.run}; choose a shorter TALLYSTAR_HOME"
        raise UnavailableError(message, field="TALLYSTAR_HOME")


def _fits(folder: Path) -> bool:
    path = folder / SOCKET_NAME
    return len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT_BYTES and _PLAIN.fullmatch(str(folder)) is not None


def _private(folder: Path) -> None:
    """Make a folder that nobody else may enter, or refuse one that somebody else prepared."""
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.geteuid() or stat.filemode(status.st_mode) != "drwx------":
        message = f"{folder} should be a folder that only this user may enter; remove it"
        raise UnavailableError(message)


def _link(link: Path, target: Path) -> None:
    """Let a symbolic link point at a target, in one step for whoever follows it meanwhile."""
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
