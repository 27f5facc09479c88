"""What a mission asks and gives, and its life: published at once, ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import Row, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import list_units
from loyalty.campaigns.draws.draw import find_draw
from loyalty.campaigns.missions.tables import mission_table
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from redemption.benefits.templates import get_published
from redemption.checks import check_code, check_name, check_range

MISSION_PREFIX: Final = "msn"
MOST_STEPS: Final = 366
MOST_POINTS: Final = 10**9
_Field: TypeAlias = Literal["name", "birthday", "email"]


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="sign_in"):
    """Check in on `days` days in a row, by the programme's calendar (连续签到): on the card, or at a store's till."""

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
    """What is to be done, and what there is for it: `points`, a benefit of the template `benefit`, an entry in a prize
    draw (`draw`, its code), or several of these.
    """

    name: dict[str, str]
    task: Task
    points: int = 0
    unit: str = "points"
    benefit: str | None = None
    draw: str | None = None

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
    """A mission as published; its terms never change. It runs from `starts_at` until before `ends_at`.

    `ended_by` is who ended it, at `ends_at`; None where it ends as it was published.
    """

    id: UUID
    programme_id: UUID
    code: str
    terms: MissionTerms
    starts_at: datetime
    ends_at: datetime | None
    ended_by: str | None
    published_by: str


def check_mission(terms: MissionTerms) -> None:
    """Refuse a mission without steps or reward. Raises InvalidInputError naming the field."""
    check_name(terms.name)
    check_range(terms.points, "points", least=0 if terms.benefit or terms.draw else 1, most=MOST_POINTS)
    for field in ("benefit", "draw"):
        code: str | None = getattr(terms, field)
        if code is not None:
            check_code(code, field)
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
    """Begin a mission now or later.

    Raises InvalidInputError naming the field, ConflictError (`code` is taken; the template gives nothing now; the
    `draw` is over), UnknownTemplateError, NotFoundError (`draw_id`).
    """
    check_code(code)
    check_mission(terms)
    if terms.unit not in {unit.code for unit in await list_units(connection, programme_id=programme_id)}:
        raise InvalidInputError(f"there is no unit {terms.unit[:20]!r} in this programme", field="unit")
    if terms.benefit is not None:
        await get_published(connection, programme_id=programme_id, code=terms.benefit)
    if terms.draw is not None:
        await _check_draw(connection, programme_id, terms.draw)
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


async def _check_draw(connection: AsyncConnection, programme_id: UUID, code: str) -> None:
    """Refuse a draw that nobody will enter: a reward of it could never be given."""
    state = (await find_draw(connection, programme_id=programme_id, code=code)).state(utc_now())
    if state not in ("scheduled", "open"):
        raise ConflictError(f"the draw {code!r} is {state}", field="draw", state=state)


async def end_mission(connection: AsyncConnection, *, programme_id: UUID, mission_id: UUID, ended_by: str) -> None:
    """End a mission now; what was collected stays. Raises NotFoundError where none of this id runs."""
    columns, now = mission_table.c, utc_now()
    ended = await connection.execute(
        update(mission_table)
        .where(columns.id == mission_id, columns.programme_id == programme_id, columns.starts_at < now)
        .where(or_(columns.ends_at.is_(None), columns.ends_at > now))
        .values(ends_at=now, ended_by=ended_by)
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
        ended_by=row.ended_by,
        published_by=row.published_by,
    )


async def get_mission(connection: AsyncConnection, *, programme_id: UUID, mission_id: UUID) -> Mission:
    """A mission by its id. Raises NotFoundError."""
    columns = mission_table.c
    query = select(mission_table).where(columns.programme_id == programme_id, columns.id == mission_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFoundError("there is no such mission in this programme", field="mission_id")
    return _mission(row)
