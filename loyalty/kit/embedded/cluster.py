"""The data directory: made once, whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from loyalty.kit.embedded.account import Account, named_account, run_as
from loyalty.kit.embedded.layout import DATABASE, Layout
from loyalty.kit.embedded.programs import Programs
from loyalty.kit.errors import UnavailableError

_BUILTIN_LOCALE_VERSION: Final = 17
"""From here on PostgreSQL knows Unicode by itself, the same on every system; before, we ask no more than C of it."""

_PREPARATION: Final = "data.new-"

_CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")

_SETTINGS: Final = {
    # What is acknowledged is on the disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Reached through the socket alone; who wants TCP sets an address here and a password for the role.
    "listen_addresses": "",
    "max_connections": "100",
    "random_page_cost": "1.1",
    # A tier review of everybody, or a busy hour, writes a gigabyte within seconds: one checkpoint then follows another,
    # and each makes every page that is touched after it go into the log whole.
    "max_wal_size": "4GB",
    # Nothing in /dev/shm: containers give it 64 MB, and systemd empties it when the user logs out.
    "dynamic_shared_memory_type": "mmap",
    "min_dynamic_shared_memory": "16MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log is for what happens to the server. A refused statement is the application's to report.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "cluster_name": DATABASE,
}
"""Written into postgresql.conf when the data directory is made, and the operator's to change from then on."""

CHILD_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that PostgreSQL sees of our environment: no PG… or LC_… variable of the caller's may change what it does."""


def caches(memory: int) -> dict[str, str]:
    """PostgreSQL's own cache, of a machine with so many bytes: an eighth, since we live beside others.

    At least PostgreSQL's default, which is enough to try things out. At most 2 GB, which holds what postings read of a
    million members; more is only more to touch for the first time. The planner is told that the system's cache holds
    as much again.
    """
    megabytes = memory // 8 // 2**20
    own = min(max(megabytes, 128), 2048)
    return {"shared_buffers": f"{own}MB", "effective_cache_size": f"{max(2 * own, 1024)}MB"}


def memory_bytes() -> int:
    """What this machine has, or this container may use."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no control group, or one without a limit ("max")
        return min(memory, int(_CONTAINER_LIMIT.read_text()))
    return memory


def data_argument(folder: Path, account: Account | None) -> str:
    """How a child is told of its data directory, which is also its working directory.

    An account without power cannot follow a path that leads through somebody's private folder (/root, for one). It
    can stay in a folder that root opened for it: the working directory, which /proc/self/cwd names without a path.
    """
    return str(folder) if account is None or not Path("/proc/self/cwd").exists() else "/proc/self/cwd"


def create(layout: Layout, programs: Programs, account: Account | None, server_lock: int) -> None:
    """Make the data directory with the database in it, beside its place, then move it there in one step.

    The children inherit the server's lock, so that nobody starts anew beside what a killed process left running.
    Raises UnavailableError with what `initdb` said.
    """
    remove_unfinished(layout)
    folder = Path(tempfile.mkdtemp(prefix=_PREPARATION, dir=layout.folder))
    temporary = named_account(account) if account else None
    if temporary:
        temporary.own(folder)
    data = data_argument(folder, temporary)
    chosen = {**_SETTINGS, **caches(memory_bytes())}
    settings = [part for name, value in chosen.items() for part in ("--set", f"{name}={value}")]
    # Nobody but the server's account and root can enter the socket's folder; over TCP a password is asked for.
    trust = ["--auth-local=trust", "--auth-host=scram-sha-256"]
    locale = ["--encoding=UTF8", "--locale=C"]
    if programs.major_version >= _BUILTIN_LOCALE_VERSION:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    initdb = [str(programs.folder / "initdb"), "-D", data, "-U", DATABASE, *locale, *trust, *settings]
    _run(initdb, folder, temporary, server_lock, "")
    single = [str(programs.folder / "postgres"), "--single", "-D", data, "-c", "exit_on_error=true", "postgres"]
    _run(single, folder, temporary, server_lock, f"CREATE DATABASE {DATABASE};\n")
    if account:
        account.own(folder)
    folder.rename(layout.data)
    _sync(layout.folder)


def remove_unfinished(layout: Layout) -> None:
    """Remove what a killed process left of a data directory that it was making."""
    for folder in layout.folder.glob(f"{_PREPARATION}*"):
        shutil.rmtree(folder)


def _run(command: Sequence[str], folder: Path, account: Account | None, server_lock: int, text: str) -> None:
    result = subprocess.run(  # noqa: S603  (our own arguments)
        command,
        input=text,
        cwd=folder,
        env=CHILD_ENVIRONMENT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        pass_fds=(server_lock,),
        **run_as(account),
    )
    if result.returncode != 0:
        output = (result.stdout + result.stderr).strip()[-2000:]
        message = f"the embedded database could not be made ({Path(command[0]).name}):\n{output}"
        raise UnavailableError(message)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
