"""A benefit for campaigns, missions and draws to give."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from redemption.benefits.definition import DaysFromIssue, Definition, Service
from redemption.benefits.stock import set_stock
from redemption.benefits.templates import publish_definition


async def publish_gift(
    connection: AsyncConnection, programme_id: UUID, *, stock: int | None = None, code: str = "gift", **fields: Any
) -> None:
    """Publish a template of one service, with so many of it."""
    both = {"zh": "护理", "en": "Treatment"}
    definition = Definition(name=both, gives=Service(what=both), validity=DaysFromIssue(days=30), **fields)
    await publish_definition(connection, programme_id=programme_id, code=code, definition=definition, actor="ann")
    if stock is not None:
        await set_stock(connection, programme_id=programme_id, code=code, kind="counted", total=stock, actor="ann")
