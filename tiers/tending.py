"""What time asks of tiers: versions that took force, reviews that are due, warnings that are to be written."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import transaction
from tiers.review import ReviewTotals, review_all
from tiers.starting import start_versions
from tiers.versions import list_ladders
from tiers.warnings import warn_members


class Tended(msgspec.Struct, frozen=True, kw_only=True):
    """What was done on one ladder. `started` is what a version that took force did, None where none did."""

    ladder_code: str
    started: ReviewTotals | None
    reviewed: ReviewTotals
    warned: int


async def tend_tiers(engine: AsyncEngine, *, programme_id: UUID, moment: datetime) -> list[Tended]:
    """Do it on each ladder of a programme, in transactions of their own; answers where there was something to do.

    A version takes force first, so that reviews and warnings are by the rules that hold now.
    """
    done: list[Tended] = []
    async with transaction(engine) as connection:
        codes = await list_ladders(connection, programme_id=programme_id)
    for code in codes:
        started = await start_versions(engine, programme_id=programme_id, moment=moment, ladder_code=code)
        reviewed = await review_all(engine, programme_id=programme_id, moment=moment, ladder_code=code)
        async with transaction(engine) as connection:
            warned = await warn_members(connection, programme_id=programme_id, moment=moment, ladder_code=code)
        if started is not None or reviewed.reviewed or warned:
            done.append(Tended(ladder_code=code, started=started, reviewed=reviewed, warned=warned))
    return done
