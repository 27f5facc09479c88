"""The log of scans, kept by the month: partitions made ahead, and months that are over dropped whole."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

AHEAD_MONTHS: Final = 2
"""Months that have a partition before they begin. What comes without one is not lost, only kept less well."""

_KEEP: Final = text("SELECT keep_scan_log(:now, :ahead, :keep)")


async def keep_scan_log(connection: AsyncConnection, *, now: datetime, months: int | None) -> list[str]:
    """Make the partitions of the months to come, and drop those before the last `months`; None keeps them all.

    Answers what was done, in words for a log. The number of an item's scans, its first one and its claim are kept with
    the item and outlive the log. Raises DBAPIError where a table stayed locked; the next time does the rest.
    """
    rows = await connection.execute(_KEEP, {"now": now, "ahead": AHEAD_MONTHS, "keep": months})
    return [row[0] for row in rows]
