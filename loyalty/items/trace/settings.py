"""From when on something is an alert: a brand's settings, with the defaults of the design."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.trace.tables import alert_settings_table
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError


def _whole(low: int, high: int) -> msgspec.Meta:
    return msgspec.Meta(ge=low, le=high)


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Thresholds of alerts.

    Diversion is told from `diverted_items` items on, or from `diverted_share_bp` of a dealer's scanned items on if
    those are at least `diverted_least`: a single one may be a traveller's.
    """

    days: Annotated[int, _whole(1, 365)] = 30
    """How far back copies, diversion and leaks are looked at."""
    diverted_items: Annotated[int, _whole(1, 1_000_000)] = 5
    diverted_share_bp: Annotated[int, _whole(1, 10_000)] = 200
    diverted_least: Annotated[int, _whole(1, 1_000)] = 2
    refused_tries: Annotated[int, _whole(2, 100_000)] = 10
    refused_minutes: Annotated[int, _whole(1, 1_440)] = 60
    """So many wrong codes from one device or network within so many minutes are a burst."""
    false_devices: Annotated[int, _whole(2, 1_000)] = 3
    """The same code that is not ours, on so many devices within a week: somebody printed it on goods."""


DEFAULT_ALERT_SETTINGS: Final = AlertSettings()


async def read_alert_settings(connection: AsyncConnection, *, programme_id: UUID) -> AlertSettings:
    """What a brand has set; the defaults where it has set nothing."""
    kept = alert_settings_table.c
    given = await connection.scalar(select(kept.settings).where(kept.programme_id == programme_id))
    return DEFAULT_ALERT_SETTINGS if given is None else msgspec.convert(given, AlertSettings)


async def save_alert_settings(
    connection: AsyncConnection, *, programme_id: UUID, settings: AlertSettings, actor: str | None
) -> None:
    """Set from when on something is an alert. Raises InvalidInputError naming the field."""
    for field in msgspec.structs.fields(AlertSettings):
        try:
            msgspec.convert(getattr(settings, field.name), field.type)
        except msgspec.ValidationError as error:
            raise InvalidInputError(str(error), field=field.name) from error
    values = {"settings": settings, "changed_at": utc_now(), "changed_by": actor}
    saved = insert(alert_settings_table).values(programme_id=programme_id, **values)
    await connection.execute(saved.on_conflict_do_update(index_elements=["programme_id"], set_=values))
