"""How far members are with missions, and their rewards.

Progress is never stored: it is counted from what happened since the mission began (visits, profile, scans, purchases),
so that it cannot differ from it. The reward is given when the member collects it, under a key of mission and member.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.awards import award
from loyalty.campaigns.draws.draw import find_draw
from loyalty.campaigns.draws.entering import give_entry
from loyalty.campaigns.missions.mission import (
    BuyTimes,
    CompleteProfile,
    Mission,
    ScanProducts,
    SignIn,
    list_missions,
)
from loyalty.campaigns.missions.tables import member_visit_table, mission_reward_table
from loyalty.kit.clock import local_date
from loyalty.kit.errors import ConflictError, NotFoundError
from loyalty.kit.programme import Programme
from loyalty.members.member import person_ids
from redemption.benefits.issuing import issue
from tiers.counting import Activity, count_activities


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a member is. `collected_at` says that the reward was given."""

    mission: Mission
    done: int
    collected_at: datetime | None = None

    @property
    def complete(self) -> bool:
        """Whether the reward can be collected, or was."""
        return self.done >= self.mission.terms.steps


class MissionOpenError(ConflictError):
    """Steps are missing: `done`, `steps`."""

    type = "mission-not-complete"
    title = "The mission is not complete yet"


class MissionOverError(NotFoundError):
    """No such mission runs: it ended, has not begun, or never was."""

    type = "mission-not-running"
    title = "No such mission is running"


async def note_visit(
    connection: AsyncConnection, *, programme: Programme, member_id: UUID, at: datetime, cause: str = "card"
) -> bool:
    """Note that a member looked at their card, or showed it at a till; the first time a day counts towards tiers.

    Answers whether it was the first of a day of the programme. `cause` says where, for the tiers' history.
    """
    values = {
        "member_id": member_id,
        "day": local_date(at, programme.time_zone),
        "programme_id": programme.id,
    }
    noted = upsert(member_visit_table).values(values).on_conflict_do_nothing().returning(member_visit_table.c.day)
    if (await connection.execute(noted)).first() is None:
        return False
    visit = Activity(
        member_id=member_id, metric="checkins", amount=1, counts_at=at, happened_at=at, cause=f"visit:{cause}"
    )
    await count_activities(connection, programme_id=programme.id, activities=[visit])
    return True


async def progress_of(
    connection: AsyncConnection, *, programme: Programme, member_id: UUID, at: datetime
) -> list[Progress]:
    """How far a member is with each mission that runs, under all ids of the person."""
    people = await person_ids(connection, member_id=member_id)
    columns = mission_reward_table.c
    rows = await connection.execute(select(columns.mission_id, columns.given_at).where(columns.member_id.in_(people)))
    collected = {row.mission_id: row.given_at for row in rows}
    return [
        Progress(
            mission=mission,
            done=mission.terms.steps
            if mission.id in collected
            else min(await _done(connection, programme, mission, people, at), mission.terms.steps),
            collected_at=collected.get(mission.id),
        )
        for mission in await list_missions(connection, programme_id=programme.id, running_at=at)
    ]


_TOLD: Final = text("""
    SELECT count(*) FROM unnest(CAST(:fields AS text[])) AS asked (field)
    WHERE EXISTS (SELECT FROM member_profile p WHERE p.member_id = ANY (:people) AND p.field = asked.field)
        OR asked.field = 'email' AND EXISTS (
            SELECT FROM member_identity i WHERE i.member_id = ANY (:people) AND i.kind = 'email')
""")
_SCANNED: Final = text("""
    SELECT count(DISTINCT gtin) FROM item_scan
    WHERE member_id = ANY (:people) AND at >= :since AND at <= :until
        AND verdict IN ('first_scan', 'seen_by_you', 'seen_before', 'amber')
""")
_BOUGHT: Final = text("""
    SELECT coalesce(sum(orders), 0) FROM member_trade
    WHERE member_id = ANY (:people) AND day >= :since AND day <= :until
""")


async def _done(
    connection: AsyncConnection, programme: Programme, mission: Mission, people: Sequence[UUID], at: datetime
) -> int:
    since, until = local_date(mission.starts_at, programme.time_zone), local_date(at, programme.time_zone)
    match mission.terms.task:
        case SignIn():
            columns = member_visit_table.c
            days = await connection.scalars(
                select(columns.day).where(columns.member_id.in_(people), columns.day >= since, columns.day <= until)
            )
            return longest_streak(set(days))
        case CompleteProfile(fields=fields):
            return int(await connection.scalar(_TOLD, {"fields": list(fields), "people": list(people)}) or 0)
        case ScanProducts():
            span: dict[str, Any] = {"people": list(people), "since": mission.starts_at, "until": at}
            return int(await connection.scalar(_SCANNED, span) or 0)
        case BuyTimes():
            span = {"people": list(people), "since": since, "until": until}
            return int(await connection.scalar(_BOUGHT, span) or 0)


def longest_streak(days: set[date]) -> int:
    """The most days of a set that follow each other."""
    longest = 0
    for first in days:
        if first - timedelta(days=1) not in days:
            length = 1
            while first + timedelta(days=length) in days:
                length += 1
            longest = max(longest, length)
    return longest


async def collect(
    connection: AsyncConnection, *, programme: Programme, member_id: UUID, mission_id: UUID, at: datetime
) -> Progress:
    """Give a member the reward of a mission that is complete; collected again, it is the same answer.

    Raises MissionOpenError, MissionOverError, and where its benefit cannot be given now what
    `benefits.issuing.issue` raises, where its draw cannot be entered what `draws.entering` does; then nothing is given.
    """
    found = [
        each
        for each in await progress_of(connection, programme=programme, member_id=member_id, at=at)
        if each.mission.id == mission_id
    ]
    if not found:
        raise MissionOverError("no such mission is running", field="mission")
    (progress,) = found
    terms = progress.mission.terms
    if not progress.complete:
        message = f"{progress.done} of {terms.steps} steps are done"
        raise MissionOpenError(message, field="mission", done=progress.done, steps=terms.steps)
    if progress.collected_at is not None:
        return progress
    given_at = await _reward(connection, programme, progress.mission, member_id, at)
    return msgspec.structs.replace(progress, collected_at=given_at)


async def _reward(
    connection: AsyncConnection, programme: Programme, mission: Mission, member_id: UUID, at: datetime
) -> datetime:
    """Give what a mission gives: whoever writes its row first gives it; points before the benefit, as all do."""
    columns, terms = mission_reward_table.c, mission.terms
    row = {
        "member_id": member_id,
        "mission_id": mission.id,
        "programme_id": programme.id,
        "points": terms.points,
        "given_at": at,
    }
    made = upsert(mission_reward_table).values(row).on_conflict_do_nothing().returning(columns.given_at)
    if (await connection.execute(made)).first() is None:
        query = select(columns.given_at).where(columns.member_id == member_id, columns.mission_id == mission.id)
        return msgspec.convert((await connection.execute(query)).scalar_one(), datetime)
    if terms.points:
        posted = await award(
            connection,
            programme_id=programme.id,
            member_id=member_id,
            unit=terms.unit,
            amount=terms.points,
            key=f"mission:{mission.id}",
            source=f"mission:{mission.code}",
            rule_version=f"mission/{mission.code}",
        )
        mine = (columns.member_id == member_id) & (columns.mission_id == mission.id)
        await connection.execute(update(mission_reward_table).where(mine).values(ledger_sequence=posted.sequence))
    if terms.benefit is not None:
        await issue(
            connection,
            programme_id=programme.id,
            member_id=member_id,
            template_code=terms.benefit,
            key=f"mission:{mission.id}",
            source=f"mission:{mission.code}",
            campaign=mission.code,
        )
    if terms.draw is not None:
        draw = await find_draw(connection, programme_id=programme.id, code=terms.draw)
        await give_entry(
            connection, draw, member_id=member_id, key=f"mission:{mission.id}", source=f"mission:{mission.code}"
        )
    return at


async def collected(connection: AsyncConnection, *, programme_id: UUID) -> dict[UUID, int]:
    """How many members have collected each mission's reward."""
    columns = mission_reward_table.c
    query = select(columns.mission_id, func.count()).where(columns.programme_id == programme_id)
    rows = await connection.execute(query.group_by(columns.mission_id))
    return {row[0]: row[1] for row in rows}
