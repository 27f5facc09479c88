"""Issuing to many members: gathered once, then some thousands at a time, by sets and never through Python.

An issue is a row with a cursor. Whoever works on it moves the cursor in the transaction that puts the benefits into the
wallets, so that a process that is killed has issued each of them once or not at all, and the next one goes on after the
last member. For whom an issue is comes as a query that yields `member_id`; it is asked once, when the issue begins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Select, Update, case, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.clock import local_date, start_of_local_day
from loyalty.kit.db import transaction
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import get_programme
from loyalty.kit.queue import defer
from loyalty.kit.quotas import Key, give, take_up_to
from redemption.benefits.issuing import GIVEN_BY_MEMBERS
from redemption.benefits.tables import issue_member_table, issue_table
from redemption.benefits.templates import (
    Action,
    Template,
    get_definition,
    get_published,
    get_template_by_id,
    lock_template,
    note,
)
from redemption.checks import check_text, read_clock

CHUNK: Final = 10_000
"""Members at a time: a second of work, so that progress shows and nothing waits long."""

MAX_LIST: Final = 100_000
REVOKING: Final = "revoking"
REVOKED: Final = "revoked"
ISSUE_TASK: Final = "issue_benefits"
"""The job that works on an issue."""

IssueState = Literal["gathering", "running", "done", "stopped"]
Audience = Select[Any]
"""A query whose first column is `member_id`."""

FindAudience = Callable[[AsyncConnection, "Issue"], Awaitable[Audience]]


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """An issue to many, and how far it is: of `total` members `done` were come to, and `issued` were given one.

    `audience` says for whom, as data: `{"kind": "list"}`, or what the one who gathers knows to read. A `stopped` one
    says why (`reason`): `stock` (none was left) or `asked`, and it goes on from there when it is resumed; or `revoked`:
    what was not used by then was taken back, and it is over. While that is done it is `running` for the reason
    `revoking`. `issued` counts those that were not taken back.
    """

    id: UUID
    programme_id: UUID
    template_id: UUID
    version: int
    name: str
    campaign: str | None
    audience: dict[str, Any]
    state: IssueState
    reason: str | None
    total: int | None
    cursor: UUID | None
    done: int
    issued: int
    created_by: str
    created_at: datetime
    changed_at: datetime
    finished_at: datetime | None


def _issue(row: Any) -> Issue:
    return Issue(**{field: getattr(row, field) for field in Issue.__struct_fields__})


async def begin_issue(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    template_code: str,
    name: str,
    audience: dict[str, Any],
    actor: str,
    campaign: str | None = None,
    members: Collection[UUID] = (),
    issue_id: UUID | None = None,
) -> Issue:
    """Begin an issue and have a worker do it: to a list of members, or to whomever `audience` describes.

    With an `issue_id` that is there already, that issue is the answer: a form that was sent twice issues once. Raises
    UnknownTemplateError, NotPublishedError, InvalidInputError, ConflictError for the id of another template's issue.
    """
    check_text(name, "name")
    check_text(campaign, "campaign")
    await lock_template(connection, programme_id=programme_id, code=template_code)
    template = await get_published(connection, programme_id=programme_id, code=template_code)
    known = (await connection.execute(select(issue_table).filter_by(id=issue_id))).first() if issue_id else None
    if known is not None:
        if known.template_id != template.id:
            raise ConflictError("this id is that of an issue of another template", field="issue_id")
        return _issue(known)
    listed = audience.get("kind") == "list"
    if listed and not 1 <= len(members) <= MAX_LIST:
        raise InvalidInputError(f"from 1 to {MAX_LIST:,} members", field="members")
    values = {
        "id": issue_id or new_id(),
        "programme_id": programme_id,
        "template_id": template.id,
        "version": template.version,
        "name": name,
        "campaign": campaign,
        "audience": audience,
        "state": "running" if listed else "gathering",
        "total": len(set(members)) if listed else None,
        "created_by": actor,
    }
    issue = _issue((await connection.execute(insert(issue_table).values(values).returning(issue_table))).one())
    if listed:
        rows = [{"issue_id": issue.id, "member_id": member_id} for member_id in sorted(set(members))]
        await connection.execute(insert(issue_member_table), rows)
    await note(connection, template.id, "issued", actor, after={"name": name, "audience": audience})
    await defer(connection, ISSUE_TASK, issue_id=str(issue.id))
    return issue


async def get_issue(connection: AsyncConnection, *, programme_id: UUID, issue_id: UUID) -> Issue:
    """One issue. Raises NotFoundError."""
    query = select(issue_table).filter_by(id=issue_id, programme_id=programme_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFoundError("there is no such issue", field="issue")
    return _issue(row)


async def list_issues(connection: AsyncConnection, *, template_id: UUID, limit: int = 50) -> list[Issue]:
    """The issues of a template, newest first."""
    query = select(issue_table).filter_by(template_id=template_id).order_by(issue_table.c.id.desc()).limit(limit)
    return [_issue(row) for row in await connection.execute(query)]


async def unfinished_issues(connection: AsyncConnection) -> list[UUID]:
    """Issues that somebody has to go on with, oldest first."""
    columns = issue_table.c
    query = select(columns.id).where(columns.finished_at.is_(None), columns.state.in_(("gathering", "running")))
    return list((await connection.execute(query.order_by(columns.id))).scalars())


async def stop_issue(connection: AsyncConnection, *, programme_id: UUID, issue_id: UUID, actor: str) -> Issue:
    """Stop an issue between two lots. What is over stays as it is, and what is being revoked is."""
    columns = issue_table.c
    stop = update(issue_table).filter_by(id=issue_id, programme_id=programme_id)
    stop = stop.where(
        columns.finished_at.is_(None), columns.state != "stopped", columns.reason.is_distinct_from(REVOKING)
    )
    return await _steer(
        connection, stop.values(state="stopped", reason="asked"), programme_id, issue_id, "stopped", actor
    )


async def resume_issue(connection: AsyncConnection, *, programme_id: UUID, issue_id: UUID, actor: str) -> Issue:
    """Go on with an issue that was stopped. What is over stays as it is."""
    columns = issue_table.c
    stopped = update(issue_table).filter_by(id=issue_id, programme_id=programme_id, state="stopped")
    again = stopped.where(columns.finished_at.is_(None)).values(
        state=case((columns.total.is_(None), "gathering"), else_="running"), reason=None
    )
    return await _steer(connection, again, programme_id, issue_id, "resumed", actor)


async def revoke_issue(connection: AsyncConnection, *, programme_id: UUID, issue_id: UUID, actor: str) -> Issue:
    """End an issue and have a worker take back all of it that is not used. What was revoked stays so.

    What a sale has locked at that moment, and what was given on to another member, stays.
    """
    columns = issue_table.c
    revoke = update(issue_table).filter_by(id=issue_id, programme_id=programme_id)
    revoke = revoke.where(func.coalesce(columns.reason, "").not_in((REVOKING, REVOKED)))
    values = {"state": "running", "reason": REVOKING, "cursor": None, "finished_at": None}
    return await _steer(connection, revoke.values(values), programme_id, issue_id, "revoked", actor)


async def _steer(
    connection: AsyncConnection, change: Update, programme_id: UUID, issue_id: UUID, action: Action, actor: str
) -> Issue:
    """Change where an issue goes, write down who did, and have a worker go on with it."""
    issue = await get_issue(connection, programme_id=programme_id, issue_id=issue_id)
    template = await get_template_by_id(connection, issue.template_id)
    await lock_template(connection, programme_id=programme_id, code=template.code)
    if (await connection.execute(change.values(changed_at=func.clock_timestamp()))).rowcount:
        await note(connection, template.id, action, actor, after={"name": issue.name})
        await defer(connection, ISSUE_TASK, issue_id=str(issue_id))
    return await get_issue(connection, programme_id=programme_id, issue_id=issue_id)


async def work_on_issue(
    engine: AsyncEngine,
    issue_id: UUID,
    *,
    find_audience: FindAudience,
    chunk: int = CHUNK,
    progress: Callable[[Issue], None] | None = None,
) -> Issue | None:
    """Work on an issue until it is over or stopped; answers it, or None where another process is at it already.

    It may be killed at any moment and begun again.
    """
    while True:
        async with transaction(engine) as connection:
            query = select(issue_table).filter_by(id=issue_id).with_for_update(skip_locked=True)
            row = (await connection.execute(query)).first()
            if row is None:
                return None
            issue = _issue(row)
            if issue.state == "gathering":
                await _gather(connection, issue, await find_audience(connection, issue))
            elif issue.state == "running" and issue.reason == REVOKING:
                await _revoke_chunk(connection, issue, chunk)
            elif issue.state == "running":
                await _issue_chunk(connection, issue, chunk)
        if progress is not None:
            progress(issue)
        if issue.state in ("done", "stopped"):
            return issue


async def _gather(connection: AsyncConnection, issue: Issue, audience: Audience) -> None:
    """Ask once who they are."""
    chosen = audience.order_by(None).subquery()
    rows = select(literal(issue.id), chosen.c[0]).where(chosen.c[0].is_not(None)).distinct()
    made = insert(issue_member_table).from_select(["issue_id", "member_id"], rows)
    gathered = await connection.execute(made, execution_options={"preserve_rowcount": True})
    await _change(connection, issue, state="running", total=gathered.rowcount)


async def _change(connection: AsyncConnection, issue: Issue, **values: Any) -> None:
    query = update(issue_table).filter_by(id=issue.id)
    await connection.execute(query.values(changed_at=func.clock_timestamp(), **values))


_ELIGIBLE: Final = """
    SELECT m.member_id FROM benefit_issue_member m
    WHERE m.issue_id = :issue AND m.member_id > :after AND m.member_id <= :last {limits}
"""
_LIMITS: Final = f"""
    AND NOT EXISTS (
        SELECT FROM benefit g
        WHERE g.member_id = m.member_id AND g.template_id = :template AND g.state <> 'revoked'
            AND NOT starts_with(g.issue_key, '{GIVEN_BY_MEMBERS}')
        HAVING count(*) >= :per_member OR count(*) FILTER (WHERE g.issued_at >= :today) >= :per_member_day)
"""
_NEXT: Final = text("""
    SELECT count(*) AS members, (array_agg(member_id ORDER BY member_id DESC))[1] AS last FROM (
        SELECT member_id FROM benefit_issue_member WHERE issue_id = :issue AND member_id > :after
        ORDER BY member_id LIMIT :chunk) next
""")
_HOLD: Final = text("""
    INSERT INTO benefit_holder (member_id, template_id, asked_at)
    SELECT member_id, :template, :at FROM benefit_issue_member
    WHERE issue_id = :issue AND member_id > :after AND member_id <= :last ORDER BY member_id
    ON CONFLICT (member_id, template_id) DO UPDATE SET asked_at = excluded.asked_at
""")
_COUNT: Final = "SELECT count(*) AS members FROM ({eligible}) eligible"
_INSERT: Final = """
    WITH eligible AS ({eligible} ORDER BY m.member_id LIMIT :granted), {codes} made AS (
        INSERT INTO benefit (
            member_id, id, programme_id, template_id, version, code, state, open, source, campaign, issue_key,
            issued_at, valid_from, expires_at, changed_at)
        SELECT member_id, (:moment || substr(random, 14))::uuid, :programme, :template, :version,
            {code}, 'issued', true, :source, CAST(:campaign AS text), :key, :at, :valid_from, :expires_at, :at
        FROM {members}
        RETURNING member_id, id
    ), told AS (
        INSERT INTO benefit_event (
            member_id, id, benefit_id, programme_id, template_id, version, kind, at, campaign, actor)
        SELECT member_id, gen_random_uuid(), id, :programme, :template, :version, 'issued', :at,
            CAST(:campaign AS text), :actor
        FROM made
    )
    SELECT count(*) AS made, (array_agg(member_id ORDER BY member_id DESC))[1] AS last FROM made
"""
_RANDOM: Final = "(SELECT member_id, replace(gen_random_uuid()::text, '-', '') AS random FROM eligible) chosen"
_PICKED: Final = """
    picked AS (
        UPDATE benefit_code c SET free = false, taken_at = :at FROM (
            SELECT code FROM benefit_code WHERE template_id = :template AND free
            LIMIT (SELECT count(*) FROM eligible) FOR UPDATE SKIP LOCKED) free
        WHERE c.template_id = :template AND c.code = free.code
        RETURNING c.code
    ),
"""
_PAIRED: Final = """(
    SELECT member_id, code, replace(gen_random_uuid()::text, '-', '') AS random
    FROM (SELECT member_id, row_number() OVER (ORDER BY member_id) AS place FROM eligible) e
    JOIN (SELECT code, row_number() OVER () AS place FROM picked) p USING (place)) chosen"""
_OWN_CODE: Final = "upper(left(random, 12) || right(random, 4))"
"""64 random bits, in digits of our own codes' alphabet."""


async def _issue_chunk(connection: AsyncConnection, issue: Issue, chunk: int) -> None:
    """Give the next members theirs, as far as limits and stock allow, and move the cursor with them."""
    window = {"issue": issue.id, "after": issue.cursor or UUID(int=0)}
    found = (await connection.execute(_NEXT, window | {"chunk": chunk})).one()
    if found.members == 0:
        await _finish(connection, issue)
        return
    template = msgspec.structs.replace(
        await get_template_by_id(connection, issue.template_id),
        version=issue.version,
        definition=await get_definition(connection, template_id=issue.template_id, version=issue.version),
    )
    window |= {"last": found.last, "template": template.id}
    now = await read_clock(connection)
    eligible, figures = await _limited(connection, template, window, now)
    granted = found.members
    if template.stock == "counted" or figures:
        granted = (await connection.execute(text(_COUNT.format(eligible=eligible)), window | figures)).scalar_one()
    wanted = granted
    if template.stock == "counted":
        granted = await take_up_to(connection, Key(template.id, "stock"), wanted) if wanted else 0
    made, last = await _make(connection, issue, template, eligible, window | figures | {"granted": granted}, now)
    if template.stock == "counted" and made < granted:
        await give(connection, {Key(template.id, "stock"): granted - made})
    short = granted < wanted or (template.stock == "codes" and made < granted)
    values: dict[str, Any] = {"issued": issue.issued + made}
    if not short:
        values |= {"cursor": found.last, "done": issue.done + found.members}
    else:
        # As far as it went; those after the last one come when there is more.
        values |= {"cursor": last or issue.cursor, "done": issue.done + made, "state": "stopped", "reason": "stock"}
    await _change(connection, issue, **values)


async def _limited(
    connection: AsyncConnection, template: Template, window: dict[str, Any], now: datetime
) -> tuple[str, dict[str, Any]]:
    """The members of a lot who may have another one, as SQL; their limits are locked where there are any."""
    definition = template.definition
    if definition.per_member is None and definition.per_member_day is None:
        return _ELIGIBLE.format(limits=""), {}
    await connection.execute(_HOLD, window | {"at": now})
    zone = (await get_programme(connection, template.programme_id)).time_zone
    no_limit = 2**31 - 1
    figures = {
        "per_member": definition.per_member or no_limit,
        "per_member_day": definition.per_member_day or no_limit,
        "today": start_of_local_day(local_date(now, zone), zone),
    }
    return _ELIGIBLE.format(limits=_LIMITS), figures


async def _make(
    connection: AsyncConnection,
    issue: Issue,
    template: Template,
    eligible: str,
    parameters: dict[str, Any],
    now: datetime,
) -> tuple[int, UUID | None]:
    """Put them into the wallets; answers how many, and the last member who has one."""
    zone = (await get_programme(connection, template.programme_id)).time_zone
    valid_from, expires_at = template.definition.valid_between(now, zone)
    coded = template.stock == "codes"
    statement = _INSERT.format(
        eligible=eligible,
        codes=_PICKED if coded else "",
        code="code" if coded else _OWN_CODE,
        members=_PAIRED if coded else _RANDOM,
    )
    milliseconds = int(now.timestamp() * 1000)
    values = {
        "moment": f"{milliseconds:012x}7",  # a UUIDv7 begins with its milliseconds and its version
        "programme": issue.programme_id,
        "version": template.version,
        "source": f"issue:{issue.id}",
        "campaign": issue.campaign,
        "key": f"issue:{issue.id}",
        "at": now,
        "valid_from": valid_from,
        "expires_at": expires_at,
        "actor": issue.created_by,
    }
    row = (await connection.execute(text(statement), parameters | values)).one()
    return row.made, row.last


_REVOKE: Final = text("""
    WITH chosen AS (
        SELECT member_id, id FROM benefit WHERE member_id > :after AND issue_key = :key ORDER BY member_id LIMIT :chunk
    ), over AS (
        UPDATE benefit b SET state = 'revoked', open = false, locked_by = NULL, locked_until = NULL, changed_at = :at
        FROM chosen WHERE b.member_id = chosen.member_id AND b.id = chosen.id AND b.open AND b.expires_at > :at
            AND (b.state <> 'locked' OR b.locked_until <= :at)
        RETURNING b.*
    ), told AS (
        INSERT INTO benefit_event (
            member_id, id, benefit_id, programme_id, template_id, version, kind, at, campaign, actor)
        SELECT member_id, gen_random_uuid(), id, programme_id, template_id, version, 'revoked', :at, campaign, :actor
        FROM over
    )
    SELECT count(*) AS members, (array_agg(member_id ORDER BY member_id DESC))[1] AS last,
        (SELECT count(*) FROM over) AS revoked
    FROM chosen
""")


async def _revoke_chunk(connection: AsyncConnection, issue: Issue, chunk: int) -> None:
    """Take back what the next members have of it, and move the cursor with them."""
    window = {"after": issue.cursor or UUID(int=0), "key": f"issue:{issue.id}", "chunk": chunk}
    now = await read_clock(connection)
    found = (await connection.execute(_REVOKE, window | {"at": now, "actor": issue.created_by})).one()
    if found.members == 0:
        await _finish(connection, issue, state="stopped", reason=REVOKED)
        return
    template = await get_template_by_id(connection, issue.template_id)
    await _change(connection, issue, cursor=found.last, issued=issue.issued - found.revoked)
    if template.stock == "counted" and found.revoked:
        await give(connection, {Key(template.id, "stock"): found.revoked})


async def _finish(connection: AsyncConnection, issue: Issue, **values: Any) -> None:
    """Nobody is left: what was gathered is of no more use."""
    await connection.execute(issue_member_table.delete().where(issue_member_table.c.issue_id == issue.id))
    await _change(connection, issue, **{"state": "done", **values}, finished_at=func.clock_timestamp())
