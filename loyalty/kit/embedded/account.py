"""Who the server runs as. PostgreSQL refuses to run as root, so root hands it to an account without any power."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from loyalty.kit.embedded.layout import Layout
from loyalty.kit.errors import UnavailableError

_UNUSED_ID: Final = 65_530
"""A number that no user has: Debian reserves 65000 to 65533, systemd leaves 65520 to 65533 unused.

Not `nobody`: other services run as that, and could read the members' data.
"""


class Account(NamedTuple):
    """A user and group that child processes run as."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give a file, or a folder with all that is in it, to this account. Follows no link."""
        for entry in (path, *_below(path)):
            os.chown(entry, self.uid, self.gid, follow_symlinks=False)


def _below(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            yield entry
            yield from _below(entry)


def server_account(layout: Layout) -> Account | None:
    """The account for the server, or None where we are not root and it simply runs as we do.

    An existing data directory keeps its owner. A home that belongs to a user stays that user's. Otherwise it is a
    number that nobody else uses; no user is created for it.
    """
    if os.geteuid() != 0:
        return None
    for path in (layout.data, layout.home):
        if path.exists() and (status := path.stat()).st_uid != 0:
            return Account(status.st_uid, status.st_gid)
    return Account(_UNUSED_ID, _UNUSED_ID)


def named_account(account: Account) -> Account:
    """The account itself where it has a name, else `nobody`: `initdb`, alone, insists on a name."""
    with suppress(KeyError):
        pwd.getpwuid(account.uid)
        return account
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        message = "there is no user `nobody` on this system: run Tallystar as an ordinary user, or set DATABASE_URL"
        raise UnavailableError(message) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def run_as(account: Account | None) -> dict[str, Any]:
    """What `subprocess` needs in order to start a child as an account, without any of our groups."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
