"""Who is in a segment: a SELECT of member ids for whoever gives something to them, a count, or one member's answer.

A rule and the frame it is read against (the programme, its day) make an audience. Its SELECT is plain data: it can be
counted, joined, sampled, inserted from, and gives the members in the order of their ids, so that work on it can stop
and go on after the last one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from datetime import date
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, FromClause, Select, func, select, text, true
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments.facts import Frame, People, everybody, few, read_frame, with_facts
from loyalty.campaigns.segments.fields import VOCABULARY, Field, check_rule, read_field
from loyalty.kit.errors import UnavailableError
from loyalty.kit.rules import Rule, fields_of, to_sql
from loyalty.members.tables import member_table

EXACT_UP_TO: Final = 50_000
"""Members of a programme that are counted one by one while somebody edits; above that, a sample is."""
SAMPLE_MEMBERS: Final = 20_000
COUNT_TIMEOUT_MS: Final = 3_000
_SEED: Final = 7
_CONFIDENT: Final = 1.959964
"""Two-sided 95 per cent of a normal distribution."""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many members match, of how many. Where it is an estimate, `margin` is half its 95 per cent interval."""

    members: int
    of: int
    about: bool = False
    margin: int = 0


def fields_in(rule: Rule) -> list[Field]:
    """The fields of a checked rule, taken apart."""
    fields = [read_field(each) for each in sorted(fields_of(rule))]
    return [field for field in fields if field is not None]


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and what it is read against. `rule` None is every active member."""

    frame: Frame
    rule: Rule | None = None

    def members(self) -> Select[UUID]:
        """The ids of all members whom the rule matches, in their order."""
        query, people = self._matching(everybody())
        return query.order_by(people.member.c.id)

    def page(self, *, after: UUID | None, limit: int) -> Select[UUID]:
        """The next of the members, in their order, each looking up its own rows: what is shown costs what it shows."""
        query, people = self._matching(few(self.frame))
        if after is not None:
            query = query.where(people.member.c.id > after)
        return query.order_by(people.member.c.id).limit(limit)

    def among(self, member_ids: Collection[UUID]) -> Select[UUID]:
        """The ids of those of some members whom the rule matches, in their order; each looks up its own rows."""
        query, people = self._matching(few(self.frame))
        return query.where(people.member.c.id.in_(member_ids)).order_by(people.member.c.id)

    def _matching(self, people: People) -> tuple[Select[UUID], People]:
        source, active, matches = self._from(people)
        return select(people.member.c.id).select_from(source).where(active, matches), people

    def counted(self, people: People) -> Select[int, int]:
        """How many of the people match, and how many there are."""
        source, active, matches = self._from(people)
        return select(func.count().filter(matches), func.count()).select_from(source).where(active)

    def _from(self, people: People) -> tuple[FromClause, ColumnElement[bool], ColumnElement[bool]]:
        source, active, columns = with_facts(self.frame, people, fields_in(self.rule) if self.rule else ())
        return source, active, to_sql(self.rule, VOCABULARY, columns) if self.rule else true()


async def audience(
    connection: AsyncConnection, *, programme_id: UUID, rule: Rule | None, today: date | None = None
) -> Audience:
    """The members whom a rule matches today, or on a day that a job noted when it began.

    Raises InvalidInputError naming the fault in a rule, NotFoundError for an unknown programme.
    """
    if rule is not None:
        check_rule(rule)
    return Audience(frame=await read_frame(connection, programme_id=programme_id, today=today), rule=rule)


async def matching(connection: AsyncConnection, audience: Audience, *, member_ids: Collection[UUID]) -> set[UUID]:
    """Which of some members are in an audience: for a till, or an order that comes in."""
    return set(await connection.scalars(audience.among(member_ids))) if member_ids else set()


async def facts_of(
    connection: AsyncConnection, frame: Frame, *, fields: Iterable[Field], member_ids: Collection[UUID]
) -> dict[UUID, dict[str, Any]]:
    """What is known of some active members, by field text; rows as `kit.rules.matcher` takes them."""
    people, asked = few(frame), list(fields)
    source, active, columns = with_facts(frame, people, asked)
    named = [columns[field.text].label(f"fact_{index}") for index, field in enumerate(asked)]
    query = select(people.member.c.id, *named).select_from(source).where(active, people.member.c.id.in_(member_ids))
    rows = await connection.execute(query.order_by(people.member.c.id))
    return {row[0]: dict(zip((field.text for field in asked), row[1:], strict=True)) for row in rows}


async def count(connection: AsyncConnection, audience: Audience, *, exact: bool = False) -> Count:
    """How many members are in an audience.

    Asked while somebody edits it takes at most some seconds: above 50,000 members, or where counting them takes longer
    than three seconds, the answer is an estimate from a sample, with its margin. `exact` counts, however long it takes.
    Raises UnavailableError where even the sample takes too long.
    """
    total = await _members(connection, audience.frame)
    if exact or total <= EXACT_UP_TO:
        found = await _in_time(connection, audience.counted(everybody()), None if exact else COUNT_TIMEOUT_MS)
        if found is not None:
            return Count(members=found[0], of=found[1])
    rows = max(int(await connection.scalar(_ROWS) or 0), total, 1)
    percent = min(100.0, 100 * SAMPLE_MEMBERS / rows)
    found = await _in_time(
        connection, audience.counted(few(audience.frame, sample_percent=percent, seed=_SEED)), COUNT_TIMEOUT_MS
    )
    if found is None:
        raise UnavailableError("counting these members takes too long; save the segment and count it then")
    return _estimate(found[0], found[1], total)


_ROWS: Final = text("SELECT reltuples::bigint FROM pg_class WHERE oid = 'public.member'::regclass")


async def _members(connection: AsyncConnection, frame: Frame) -> int:
    member = member_table.c
    query = select(func.count()).where(member.programme_id == frame.programme_id, member.state == "active")
    return int(await connection.scalar(query) or 0)


async def _in_time(
    connection: AsyncConnection, query: Select[int, int], timeout_ms: int | None
) -> tuple[int, int] | None:
    """The row of a query, or None where it takes longer than it may: that is undone, and the transaction goes on."""
    if timeout_ms is None:
        row = (await connection.execute(query)).one()
        return row[0], row[1]
    before = await connection.scalar(text("SHOW statement_timeout"))
    try:
        async with connection.begin_nested():
            await connection.execute(_TIMEOUT, {"timeout": f"{timeout_ms}ms"})
            row = (await connection.execute(query)).one()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELLED:
            raise
        return None
    await connection.execute(_TIMEOUT, {"timeout": before})
    return row[0], row[1]


_TIMEOUT: Final = text("SELECT set_config('statement_timeout', :timeout, true)")
_CANCELLED: Final = "57014"


def _estimate(matched: int, sampled: int, total: int) -> Count:
    """From a share of a sample to a number, with the normal approximation's interval; of nobody, the rule of three."""
    if not sampled:
        return Count(members=0, of=total, about=True, margin=total)
    share = matched / sampled
    error = _CONFIDENT * math.sqrt(share * (1 - share) / sampled) if 0 < matched < sampled else 3 / sampled
    return Count(members=round(share * total), of=total, about=True, margin=math.ceil(min(error, 1.0) * total))
