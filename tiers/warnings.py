"""Warnings: who would fail a review that comes soon, and by how much, written down so that a message can be sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from psycopg.sql import quote
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.driver import fetch
from tiers.bulk import Bulk
from tiers.changes import Reason
from tiers.policies import DEFAULT_LADDER
from tiers.states import load_rules
from tiers.tables import tier_warning_table

MAX_LISTED: Final = 500


class TierWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A member whose tier ends at `ends_at` unless what is missing in `reasons` is made up for."""

    member_id: UUID
    tier_code: str
    ends_at: datetime
    reasons: list[Reason]
    warned_at: datetime


async def warn_members(
    connection: AsyncConnection, *, programme_id: UUID, moment: datetime, ladder_code: str = DEFAULT_LADDER
) -> int:
    """Write a warning for each member who would fail a review within the policy's days of warning; how many it wrote.

    One warning for each time a tier would end: who was warned is not warned again. A granted tier ends as it was
    granted, and is not warned of.
    """
    rules = await load_rules(connection, programme_id=programme_id, ladder_code=ladder_code, moment=moment)
    if rules is None or not rules.policy.warning_days or rules.policy.downgrade == "never":
        return 0
    until = moment + timedelta(days=rules.policy.warning_days)
    soon = f"""m.valid_until > CAST({quote(moment.isoformat())} AS timestamptz)
        AND m.review_at <= CAST({quote(until.isoformat())} AS timestamptz) AND m.review_at = m.valid_until
        AND m.grace_until IS NULL AND NOT m.granted AND NOT EXISTS (
            SELECT FROM tier_warning w WHERE w.member_id = m.member_id AND w.ladder_code = m.ladder_code
                AND w.ends_at = m.valid_until)
    """
    bulk = Bulk(rules, occasion="warn", moment=moment, members=soon)
    statement = f"""
        WITH warned AS (
            INSERT INTO tier_warning (member_id, ladder_code, ends_at, programme_id, tier_code, reasons, warned_at)
            {bulk.warned()}
            ON CONFLICT DO NOTHING RETURNING 1
        )
        SELECT count(*) FROM warned
    """
    ((number,),) = await fetch(connection, statement)
    return int(number)


async def list_warnings(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    after: datetime | None = None,
    limit: int = 100,
    ladder_code: str = DEFAULT_LADDER,
) -> list[TierWarning]:
    """Warnings in the order in which they were written, after a moment."""
    columns = tier_warning_table.c
    query = select(tier_warning_table).filter_by(programme_id=programme_id, ladder_code=ladder_code)
    if after is not None:
        query = query.where(columns.warned_at > after)
    query = query.order_by(columns.warned_at, columns.member_id).limit(min(limit, MAX_LISTED))
    return [
        TierWarning(
            member_id=row.member_id,
            tier_code=row.tier_code,
            ends_at=row.ends_at,
            reasons=msgspec.convert(row.reasons, list[Reason]),
            warned_at=row.warned_at,
        )
        for row in await connection.execute(query)
    ]
