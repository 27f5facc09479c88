"""A brand's own thresholds of scans and claims. What it has not set is as `ItemSettings` says, also when that changes.

They hold from the next scan on, in every process: each scan reads them with the item.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.tables import item_settings_table
from loyalty.items.verdicts import ItemSettings
from loyalty.kit.errors import InvalidInputError


async def read_thresholds(connection: AsyncConnection, *, programme_id: UUID) -> ItemSettings:
    """What holds for a brand: what it has set, and the defaults for the rest."""
    return msgspec.convert(await own_thresholds(connection, programme_id=programme_id), ItemSettings)


async def set_thresholds(
    connection: AsyncConnection, *, programme_id: UUID, changes: Mapping[str, int | bool | None]
) -> ItemSettings:
    """Set some thresholds by their names in ItemSettings; None takes back what was set. Answers what holds then.

    Raises InvalidInputError naming the field.
    """
    fields = {field.name: field.type for field in msgspec.structs.fields(ItemSettings)}
    for name, value in changes.items():
        if name not in fields:
            raise InvalidInputError(f"there is no such threshold; there are {', '.join(fields)}", field=name)
        if value is None:
            continue
        try:
            msgspec.convert(value, fields[name])
        except msgspec.ValidationError as error:
            raise InvalidInputError(str(error), field=name) from error
    own = await own_thresholds(connection, programme_id=programme_id, lock=True)
    own = {name: value for name, value in {**own, **changes}.items() if value is not None}
    saved = insert(item_settings_table).values(programme_id=programme_id, settings=own)
    await connection.execute(
        saved.on_conflict_do_update(index_elements=["programme_id"], set_={"settings": own, "updated_at": func.now()})
    )
    return msgspec.convert(own, ItemSettings)


async def own_thresholds(
    connection: AsyncConnection, *, programme_id: UUID, lock: bool = False
) -> dict[str, int | bool]:
    """What a brand has set itself, by name."""
    kept = item_settings_table.c
    query = select(kept.settings).where(kept.programme_id == programme_id)
    return await connection.scalar(query.with_for_update() if lock else query) or {}
