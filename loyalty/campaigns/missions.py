"""Missions: what a member does step by step, and what they get for it, once.

Progress is never stored: it is counted from what happened since the mission began (visits, profile, scans, purchases),
so that it cannot differ from it. The reward is posted when the member collects it, under a key of mission and member.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import list_units
from loyalty.campaigns.awards import award
from loyalty.campaigns.tables import member_visit_table, mission_reward_table, mission_table
from loyalty.kit.clock import local_date, utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from loyalty.members.member import person_ids
from redemption.checks import check_code, check_name, check_range

MISSION_PREFIX: Final = "msn"
MOST_STEPS: Final = 366
MOST_POINTS: Final = 10**9
_Field: TypeAlias = Literal["name", "birthday", "email"]


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="sign_in"):
    """Look at one's card on `days` days in a row, by the programme's calendar (连续签到)."""

    days: int


class CompleteProfile(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="profile"
):
    """Have told all of these about oneself; when does not matter."""

    fields: tuple[_Field, ...] = ("name", "birthday", "email")


class ScanProducts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="scan"):
    """Scan genuine items of so many different products."""

    products: int


class BuyTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="buy"):
    """Buy so many times; orders that were refunded whole do not count."""

    times: int


Task: TypeAlias = SignIn | CompleteProfile | ScanProducts | BuyTimes


class MissionTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done, and the points for it."""

    name: dict[str, str]
    task: Task
    points: int
    unit: str = "points"

    @property
    def kind(self) -> str:
        """The task's name, as its JSON has it."""
        return str(self.task.__struct_config__.tag)

    @property
    def steps(self) -> int:
        """How many steps it has."""
        match self.task:
            case SignIn(days=steps) | ScanProducts(products=steps) | BuyTimes(times=steps):
                return steps
            case CompleteProfile(fields=fields):
                return len(fields)


class Mission(msgspec.Struct, frozen=True, kw_only=True):
    """A mission as published; its terms never change. It runs from `starts_at` until before `ends_at`."""

    id: UUID
    programme_id: UUID
    code: str
    terms: MissionTerms
    starts_at: datetime
    ends_at: datetime | None
    published_by: str


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


def check_mission(terms: MissionTerms) -> None:
    """Refuse a mission without steps or reward. Raises InvalidInputError naming the field."""
    check_name(terms.name)
    check_range(terms.points, "points", least=1, most=MOST_POINTS)
    check_range(terms.steps, "task", least=1, most=MOST_STEPS)
    if isinstance(terms.task, CompleteProfile) and len(set(terms.task.fields)) < len(terms.task.fields):
        raise InvalidInputError("a field is named twice", field="task.fields")


async def publish_mission(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    code: str,
    terms: MissionTerms,
    published_by: str,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Mission:
    """Begin a mission now or later. Raises InvalidInputError naming the field, ConflictError (`code` is taken)."""
    check_code(code)
    check_mission(terms)
    if terms.unit not in {unit.code for unit in await list_units(connection, programme_id=programme_id)}:
        raise InvalidInputError(f"there is no unit {terms.unit[:20]!r} in this programme", field="unit")
    start = starts_at or utc_now()
    if ends_at is not None and ends_at <= start:
        raise InvalidInputError("it ends before it starts", field="ends_at")
    values = {
        "id": new_id(),
        "programme_id": programme_id,
        "code": code,
        "definition": msgspec.to_builtins(terms),
        "starts_at": start,
        "ends_at": ends_at,
        "published_by": published_by,
    }
    made = upsert(mission_table).values(values).on_conflict_do_nothing().returning(*mission_table.c)
    row = (await connection.execute(made)).first()
    if row is None:
        raise ConflictError(f"there is a mission {code!r} already", field="code")
    return _mission(row)


async def end_mission(connection: AsyncConnection, *, programme_id: UUID, mission_id: UUID) -> None:
    """End a mission now; what was collected stays. Raises NotFoundError where none of this id runs."""
    columns, now = mission_table.c, utc_now()
    ended = await connection.execute(
        update(mission_table)
        .where(columns.id == mission_id, columns.programme_id == programme_id, columns.starts_at < now)
        .where(or_(columns.ends_at.is_(None), columns.ends_at > now))
        .values(ends_at=now)
        .returning(columns.id)
    )
    if ended.first() is None:
        raise NotFoundError("no such mission is running", field="mission")


async def list_missions(
    connection: AsyncConnection, *, programme_id: UUID, running_at: datetime | None = None
) -> list[Mission]:
    """A programme's missions, newest first; with a moment, those that run then."""
    columns = mission_table.c
    query = select(mission_table).where(columns.programme_id == programme_id).order_by(columns.id.desc())
    if running_at is not None:
        query = query.where(
            columns.starts_at <= running_at, or_(columns.ends_at.is_(None), columns.ends_at > running_at)
        )
    return [_mission(row) for row in await connection.execute(query)]


def _mission(row: Row[Any]) -> Mission:
    return Mission(
        id=row.id,
        programme_id=row.programme_id,
        code=row.code,
        terms=msgspec.convert(row.definition, MissionTerms),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        published_by=row.published_by,
    )


async def note_visit(connection: AsyncConnection, *, programme: Programme, member_id: UUID, at: datetime) -> None:
    """Note that a member looked at their card; once a day of the programme."""
    values = {
        "member_id": member_id,
        "day": local_date(at, programme.time_zone),
        "programme_id": programme.id,
    }
    await connection.execute(upsert(member_visit_table).values(values).on_conflict_do_nothing())


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

    Raises MissionOpenError, NotFoundError (no such mission runs).
    """
    found = [
        each
        for each in await progress_of(connection, programme=programme, member_id=member_id, at=at)
        if each.mission.id == mission_id
    ]
    if not found:
        raise NotFoundError("there is no such mission", field="mission")
    (progress,) = found
    terms = progress.mission.terms
    if not progress.complete:
        message = f"{progress.done} of {terms.steps} steps are done"
        raise MissionOpenError(message, field="mission", done=progress.done, steps=terms.steps)
    if progress.collected_at is not None:
        return progress
    posted = await award(
        connection,
        programme_id=programme.id,
        member_id=member_id,
        unit=terms.unit,
        amount=terms.points,
        key=f"mission:{mission_id}",
        source=f"mission:{progress.mission.code}",
        rule_version=f"mission/{progress.mission.code}",
    )
    if not posted.replayed:
        await connection.execute(
            insert(mission_reward_table).values(
                member_id=member_id,
                mission_id=mission_id,
                programme_id=programme.id,
                points=terms.points,
                ledger_sequence=posted.sequence,
                given_at=posted.recorded_at,
            )
        )
    return msgspec.structs.replace(progress, collected_at=posted.recorded_at)


async def collected(connection: AsyncConnection, *, programme_id: UUID) -> dict[UUID, int]:
    """How many members have collected each mission's reward."""
    columns = mission_reward_table.c
    query = select(columns.mission_id, func.count()).where(columns.programme_id == programme_id)
    rows = await connection.execute(query.group_by(columns.mission_id))
    return {row[0]: row[1] for row in rows}
