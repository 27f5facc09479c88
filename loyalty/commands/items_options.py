"""What the commands about items have in common."""

from __future__ import annotations

import getpass
from uuid import UUID

from loyalty.commands.running import Opened
from loyalty.items.keys import FILE_NAME, MasterKeys
from loyalty.kit.ids import parse_public_id


def open_keys(opened: Opened) -> MasterKeys:
    """The keys of item codes, made at first use."""
    return MasterKeys.load_or_create(opened.settings.keys / FILE_NAME)


def actor() -> str:
    """Who is at the command line, for the record."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def range_uuid(text: str) -> UUID:
    """A range by its id. Raises NotFoundError."""
    return parse_public_id("rng", text, field="range")
