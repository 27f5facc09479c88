"""Templates: drafted, published in versions, retired, and who did what to them.

A draft can be saved as often as one likes and each saving undone, until it is published. What is published is never
changed: the next draft becomes the next version, and what was issued keeps the version it came with.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import get_channel
from redemption.benefits.budgets import get_budget
from redemption.benefits.definition import Coupon, Definition, Kind, check_definition, read_definition
from redemption.benefits.errors import NothingToUndoError, NotPublishedError, UnknownTemplateError
from redemption.benefits.tables import change_table, template_table, version_table
from redemption.checks import check_code, check_text

TemplateState = Literal["draft", "published", "retired"]
StockKind = Literal["unlimited", "counted", "codes"]
Action = Literal[
    "saved",
    "undone",
    "published",
    "retired",
    "stock",
    "budget",
    "codes",
    "price",
    "issued",
    "stopped",
    "resumed",
    "revoked",
]

MOST_CHANGES: Final = 200


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template as it stands: `definition` is the version in force, or the draft where none was published.

    `version` is 0 before the first. `draft` is what is being worked on, None where nothing is.
    """

    id: UUID
    programme_id: UUID
    code: str
    state: TemplateState
    version: int
    definition: Definition
    draft: Definition | None
    stock: StockKind
    changed_at: datetime

    @property
    def kind(self) -> Kind:
        """The kind of thing it gives."""
        return self.definition.kind

    @property
    def name(self) -> dict[str, str]:
        """What it is called, by locale."""
        return self.definition.name


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody did to a template; `before` and `after` are the draft's or the figures'."""

    number: int
    action: Action
    actor: str
    at: datetime
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    undone: bool


def _templates() -> Select[Any]:
    joined = template_table.outerjoin(
        version_table,
        (version_table.c.template_id == template_table.c.id) & (version_table.c.version == template_table.c.version),
    )
    return select(template_table, version_table.c.definition).select_from(joined)


def _template(row: Row[Any]) -> Template:
    draft = None if row.draft is None else read_definition(row.draft)
    definition = draft if row.definition is None else read_definition(row.definition)
    assert definition is not None  # noqa: S101  (a template has a draft until it has a version)
    return Template(
        id=row.id,
        programme_id=row.programme_id,
        code=row.code,
        state=row.state,
        version=row.version,
        definition=definition,
        draft=draft,
        stock=row.stock,
        changed_at=row.changed_at,
    )


async def find_template(connection: AsyncConnection, *, programme_id: UUID, code: str) -> Template | None:
    """A template by its code."""
    row = (await connection.execute(_templates().where(*_named(programme_id, code)))).first()
    return _template(row) if row else None


def _named(programme_id: UUID, code: str) -> tuple[Any, Any]:
    return template_table.c.programme_id == programme_id, template_table.c.code == code


async def get_template(connection: AsyncConnection, *, programme_id: UUID, code: str) -> Template:
    """A template by its code. Raises UnknownTemplateError."""
    found = await find_template(connection, programme_id=programme_id, code=code)
    if found is None:
        message = f"there is no template {code[:40]!r} in this programme"
        raise UnknownTemplateError(message, field="template")
    return found


async def get_published(connection: AsyncConnection, *, programme_id: UUID, code: str) -> Template:
    """A template that gives something now. Raises UnknownTemplateError, NotPublishedError."""
    found = await get_template(connection, programme_id=programme_id, code=code)
    if found.state != "published":
        raise NotPublishedError(f"the template {code!r} is {found.state}", field="template", state=found.state)
    return found


async def get_template_by_id(connection: AsyncConnection, template_id: UUID) -> Template:
    """A template by its id. Raises UnknownTemplateError."""
    row = (await connection.execute(_templates().where(template_table.c.id == template_id))).first()
    if row is None:
        raise UnknownTemplateError("there is no such template", field="template")
    return _template(row)


async def list_templates(
    connection: AsyncConnection, *, programme_id: UUID, states: Collection[TemplateState] = ()
) -> list[Template]:
    """A programme's templates by code, of some states or of all."""
    query = _templates().where(template_table.c.programme_id == programme_id)
    if states:
        query = query.where(template_table.c.state.in_(states))
    return [_template(row) for row in await connection.execute(query.order_by(template_table.c.code))]


async def get_definition(connection: AsyncConnection, *, template_id: UUID, version: int) -> Definition:
    """What a version promises."""
    query = select(version_table.c.definition).filter_by(template_id=template_id, version=version)
    return read_definition((await connection.execute(query)).scalar_one())


async def list_versions(connection: AsyncConnection, *, template_id: UUID) -> list[tuple[int, datetime, str]]:
    """The versions of a template, newest first: number, when and by whom published."""
    columns = version_table.c
    query = select(columns.version, columns.published_at, columns.published_by).filter_by(template_id=template_id)
    rows = await connection.execute(query.order_by(columns.version.desc()))
    return [(row.version, row.published_at, row.published_by) for row in rows]


async def save_draft(
    connection: AsyncConnection, *, programme_id: UUID, code: str, definition: Definition, actor: str
) -> Template:
    """Save a draft: of a new template, or of the next version of one. Equal to the draft there is, nothing changes.

    Raises InvalidInputError naming the field, NotFoundError for an unknown channel or budget.
    """
    check_code(code)
    check_text(actor, "actor")
    check_definition(definition)
    await _check_names(connection, programme_id, definition)
    new = {"id": new_id(), "programme_id": programme_id, "code": code, "state": "draft", "version": 0}
    document = msgspec.to_builtins(definition)
    query = upsert(template_table).values(new | {"draft": document, "stock": "unlimited"}).on_conflict_do_nothing()
    made = (await connection.execute(query.returning(template_table.c.id))).first()
    found = await lock_template(connection, programme_id=programme_id, code=code)
    if made is not None:
        await note(connection, found.id, "saved", actor, after=document)
    elif found.draft != definition:
        before = None if found.draft is None else msgspec.to_builtins(found.draft)
        await _change(connection, found.id, draft=document)
        await note(connection, found.id, "saved", actor, before=before, after=document)
    return await get_template(connection, programme_id=programme_id, code=code)


async def _check_names(connection: AsyncConnection, programme_id: UUID, definition: Definition) -> None:
    """What a definition names has to be there."""
    if isinstance(definition.gives, Coupon):
        for channel in definition.gives.terms.places.channels:
            await get_channel(connection, programme_id, channel)
    if definition.budget is not None:
        await get_budget(connection, programme_id=programme_id, code=definition.budget)


async def lock_template(connection: AsyncConnection, *, programme_id: UUID, code: str) -> Template:
    """A template whose row nobody else changes until the transaction ends. Raises UnknownTemplateError."""
    await connection.execute(select(template_table.c.id).where(*_named(programme_id, code)).with_for_update())
    return await get_template(connection, programme_id=programme_id, code=code)


async def _change(connection: AsyncConnection, template_id: UUID, **values: Any) -> None:
    query = update(template_table).where(template_table.c.id == template_id)
    await connection.execute(query.values(changed_at=func.now(), **values))


async def note(
    connection: AsyncConnection,
    template_id: UUID,
    action: Action,
    actor: str,
    *,
    before: Any = None,
    after: Any = None,
) -> None:
    """Write down who did what. The template's row is locked, or else the number may be taken."""
    number = select(func.coalesce(func.max(change_table.c.number), 0) + 1).where(
        change_table.c.template_id == template_id
    )
    values = {"template_id": template_id, "action": action, "actor": actor, "before": before, "after": after}
    await connection.execute(insert(change_table).values(number=number.scalar_subquery(), **values))


async def undo_draft(connection: AsyncConnection, *, programme_id: UUID, code: str, actor: str) -> Template:
    """Take the latest saving back; it can be done again and again, back to the first draft or what was published.

    Raises UnknownTemplateError, NothingToUndoError.
    """
    found = await lock_template(connection, programme_id=programme_id, code=code)
    columns = change_table.c
    published = (
        select(func.coalesce(func.max(columns.number), 0))
        .where(columns.template_id == found.id, columns.action == "published")
        .scalar_subquery()
    )
    query = (
        select(change_table)
        .where(columns.template_id == found.id, columns.action == "saved", ~columns.undone, columns.number > published)
        .order_by(columns.number.desc())
        .limit(1)
    )
    last = (await connection.execute(query)).first()
    if last is None or (last.before is None and found.version == 0):
        raise NothingToUndoError("there is no earlier draft", field="template")
    done = update(change_table).where(columns.template_id == found.id, columns.number == last.number)
    await connection.execute(done.values(undone=True))
    await _change(connection, found.id, draft=last.before)
    await note(connection, found.id, "undone", actor, before=last.after, after=last.before)
    return await get_template(connection, programme_id=programme_id, code=code)


async def publish(connection: AsyncConnection, *, programme_id: UUID, code: str, actor: str) -> Template:
    """Make the draft the version in force. Without a draft, or one equal to that version, nothing is published.

    A retired template is published again by this, as the version it had where nothing was drafted since. Raises
    UnknownTemplateError, ConflictError for a template that gives imported codes and has none.
    """
    found = await lock_template(connection, programme_id=programme_id, code=code)
    definition = found.draft or found.definition
    if found.state == "published" and definition == found.definition:
        if found.draft is not None:
            await _change(connection, found.id, draft=None)
        return await get_template(connection, programme_id=programme_id, code=code)
    if definition.kind == "third_party" and found.stock != "codes":
        message = "codes of somebody else's have to be imported before they can be given"
        raise ConflictError(message, field="stock", reason="no_codes")
    document = msgspec.to_builtins(definition)
    if found.state == "retired" and definition == found.definition:
        await _change(connection, found.id, state="published", draft=None)
        await note(connection, found.id, "published", actor, after=document)
        return await get_template(connection, programme_id=programme_id, code=code)
    values = {"template_id": found.id, "version": found.version + 1, "definition": document, "published_by": actor}
    await connection.execute(insert(version_table).values(values))
    await _change(connection, found.id, state="published", version=found.version + 1, draft=None)
    await note(connection, found.id, "published", actor, after=document)
    return await get_template(connection, programme_id=programme_id, code=code)


async def retire(connection: AsyncConnection, *, programme_id: UUID, code: str, actor: str) -> Template:
    """Give no more of it. What was issued stays usable; retiring again changes nothing."""
    found = await lock_template(connection, programme_id=programme_id, code=code)
    if found.state != "retired":
        await _change(connection, found.id, state="retired")
        await note(connection, found.id, "retired", actor)
    return await get_template(connection, programme_id=programme_id, code=code)


async def history(connection: AsyncConnection, *, template_id: UUID) -> list[Change]:
    """Who did what to a template, newest first."""
    query = select(change_table).filter_by(template_id=template_id).order_by(change_table.c.number.desc())
    rows = await connection.execute(query.limit(MOST_CHANGES))
    return [Change(**{field: getattr(row, field) for field in Change.__struct_fields__}) for row in rows]


async def publish_definition(
    connection: AsyncConnection, *, programme_id: UUID, code: str, definition: Definition, actor: str
) -> Template:
    """Save and publish at once, for what is set up by a program."""
    await save_draft(connection, programme_id=programme_id, code=code, definition=definition, actor=actor)
    return await publish(connection, programme_id=programme_id, code=code, actor=actor)
