"""What the commands about items have in common."""

from __future__ import annotations

from uuid import UUID

from loyalty.commands.running import Opened
from loyalty.items.keys import FILE_NAME, MasterKeys
from loyalty.kit.ids import parse_public_id


def open_keys(opened: Opened) -> MasterKeys:
    """The keys of item codes, made at first use."""
    return MasterKeys.load_or_create(opened.settings.keys / FILE_NAME)


def range_uuid(text: str) -> UUID:
    """A range by its id. Raises NotFoundError."""
    return parse_public_id("rng", text, field="range")
