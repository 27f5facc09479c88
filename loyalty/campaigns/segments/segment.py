"""Segments and their versions: a draft that anybody may change and undo, and what is saved, which never changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments.audience import Audience, audience
from loyalty.campaigns.segments.fields import VOCABULARY, check_rule
from loyalty.campaigns.segments.tables import segment_table, segment_version_table
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, parse_public_id, public_id
from loyalty.kit.rules import Rule, parse

SEGMENT_PREFIX: Final = "seg"
LONGEST_NAME: Final = 80
LONGEST_NOTE: Final = 200
MOST_SEGMENTS: Final = 1_000


class DraftChangedError(ConflictError):
    """Somebody else changed the draft since it was looked at."""

    type = "draft-changed"
    title = "Somebody else changed this draft"


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment. `version` is the newest saved one, 0 for none; `draft` what is being worked on, as it stands."""

    id: UUID
    programme_id: UUID
    name: str
    version: int
    draft: Any
    draft_number: int
    draft_by: str | None
    retired_at: datetime | None
    created_at: datetime

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id(SEGMENT_PREFIX, self.id)


class SegmentVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it was saved, by whom and why."""

    segment_id: UUID
    version: int
    rule: Rule
    note: str
    saved_by: str
    saved_at: datetime


_segment: Final = segment_table.c
_version: Final = segment_version_table.c
_COLUMNS: Final = [_segment[name] for name in Segment.__struct_fields__]


def segment_uuid(text: str) -> UUID:
    """Read a `seg_` id. Raises NotFoundError (`segment_id`)."""
    return parse_public_id(SEGMENT_PREFIX, text, field="segment_id")


async def create_segment(connection: AsyncConnection, *, programme_id: UUID, name: str) -> Segment:
    """Begin a segment, without a rule yet. Raises InvalidInputError, ConflictError (`name`), of which there is one."""
    values = {"id": new_id(), "programme_id": programme_id, "name": _name(name)}
    made = upsert(segment_table).values(values).on_conflict_do_nothing().returning(*_COLUMNS)
    row = (await connection.execute(made)).first()
    if row is None:
        raise ConflictError("there is a segment of this name already", field="name")
    return _read(row)


def _name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not 0 < len(cleaned) <= LONGEST_NAME or not cleaned.isprintable():
        raise InvalidInputError(f"a name has from 1 to {LONGEST_NAME} printable characters", field="name")
    return cleaned


def _read(row: Row[Any]) -> Segment:
    return Segment(**row._mapping)  # noqa: SLF001  (SQLAlchemy's documented name)


async def get_segment(
    connection: AsyncConnection, *, programme_id: UUID, segment_id: UUID, for_update: bool = False
) -> Segment:
    """One segment. Raises NotFoundError (`segment_id`)."""
    query = select(*_COLUMNS).where(_segment.id == segment_id, _segment.programme_id == programme_id)
    row = (await connection.execute(query.with_for_update() if for_update else query)).first()
    if row is None:
        message = f"there is no segment {public_id(SEGMENT_PREFIX, segment_id)} in this programme"
        raise NotFoundError(message, field="segment_id")
    return _read(row)


async def list_segments(connection: AsyncConnection, *, programme_id: UUID, retired: bool = False) -> list[Segment]:
    """A programme's segments by name, those that are no longer in use only where asked for."""
    query = select(*_COLUMNS).where(_segment.programme_id == programme_id)
    if not retired:
        query = query.where(_segment.retired_at.is_(None))
    return [_read(row) for row in await connection.execute(query.order_by(_segment.name).limit(MOST_SEGMENTS))]


async def rename_segment(connection: AsyncConnection, *, programme_id: UUID, segment_id: UUID, name: str) -> None:
    """Call it something else. Raises InvalidInputError, ConflictError (`name`)."""
    cleaned = _name(name)
    taken = select(_segment.id).where(
        _segment.programme_id == programme_id, _segment.name == cleaned, _segment.id != segment_id
    )
    if await connection.scalar(taken) is not None:
        raise ConflictError("there is a segment of this name already", field="name")
    await _change(connection, programme_id, segment_id, name=cleaned)


async def retire_segment(
    connection: AsyncConnection, *, programme_id: UUID, segment_id: UUID, retired: bool = True
) -> None:
    """Take a segment out of use, or back into it. Its versions stay: what was done with them is pinned to them."""
    await _change(connection, programme_id, segment_id, retired_at=utc_now() if retired else None)


async def _change(connection: AsyncConnection, programme_id: UUID, segment_id: UUID, **values: Any) -> None:
    segment = await get_segment(connection, programme_id=programme_id, segment_id=segment_id, for_update=True)
    await connection.execute(update(segment_table).where(_segment.id == segment.id).values(**values))


async def change_draft(
    connection: AsyncConnection, *, programme_id: UUID, segment_id: UUID, draft: Any, seen_number: int, changed_by: str
) -> Segment:
    """Put another draft in place of the one that was seen; None gives the draft up. It need not be a whole rule yet.

    Raises DraftChangedError where another was put there since, NotFoundError (`segment_id`).
    """
    segment = await get_segment(connection, programme_id=programme_id, segment_id=segment_id, for_update=True)
    if segment.draft_number != seen_number:
        raise DraftChangedError(f"{segment.draft_by or 'somebody'} changed it since; look at it again", field="draft")
    changed = (
        update(segment_table)
        .where(_segment.id == segment.id)
        .values(draft=draft, draft_number=seen_number + 1, draft_by=changed_by)
        .returning(*_COLUMNS)
    )
    return _read((await connection.execute(changed)).one())


async def save_version(
    connection: AsyncConnection, *, programme_id: UUID, segment_id: UUID, rule: Any, saved_by: str, note: str = ""
) -> SegmentVersion:
    """Save a rule (decoded JSON) as the segment's next version, and be done with the draft.

    A rule equal to the newest version is that version: nothing is saved twice. Raises InvalidInputError naming the
    path of the fault, NotFoundError (`segment_id`).
    """
    segment = await get_segment(connection, programme_id=programme_id, segment_id=segment_id, for_update=True)
    checked = read_rule(rule)
    if len(note) > LONGEST_NOTE:
        raise InvalidInputError(f"at most {LONGEST_NOTE} characters", field="note")
    if segment.version:
        newest = await get_version(connection, programme_id=programme_id, segment_id=segment_id)
        if newest.rule == checked:
            await _change(connection, programme_id, segment_id, draft=None, draft_number=segment.draft_number + 1)
            return newest
    saved = insert(segment_version_table).values(
        segment_id=segment.id,
        version=segment.version + 1,
        programme_id=programme_id,
        rule=msgspec.to_builtins(checked),
        note=note.strip(),
        saved_by=saved_by,
    )
    row = (await connection.execute(saved.returning(*segment_version_table.c))).one()
    await _change(
        connection,
        programme_id,
        segment_id,
        version=segment.version + 1,
        draft=None,
        draft_number=segment.draft_number + 1,
    )
    return _read_version(row)


def read_rule(document: Any) -> Rule:
    """A segment's rule from decoded JSON. Raises InvalidInputError naming the path of the fault."""
    rule = parse(document, VOCABULARY, path="rule")
    check_rule(rule)
    return rule


def _read_version(row: Row[Any]) -> SegmentVersion:
    return SegmentVersion(
        segment_id=row.segment_id,
        version=row.version,
        rule=msgspec.convert(row.rule, Rule),
        note=row.note,
        saved_by=row.saved_by,
        saved_at=row.saved_at,
    )


async def get_version(
    connection: AsyncConnection, *, programme_id: UUID, segment_id: UUID, version: int | None = None
) -> SegmentVersion:
    """A saved version of a segment, the newest unless one is named. Raises NotFoundError (`segment_id`, `version`)."""
    query = select(segment_version_table).where(
        _version.segment_id == segment_id, _version.programme_id == programme_id
    )
    if version is not None:
        query = query.where(_version.version == version)
    row = (await connection.execute(query.order_by(_version.version.desc()).limit(1))).first()
    if row is None:
        await get_segment(connection, programme_id=programme_id, segment_id=segment_id)
        raise NotFoundError("the segment has no such version that was saved", field="version")
    return _read_version(row)


async def list_versions(
    connection: AsyncConnection, *, programme_id: UUID, segment_id: UUID
) -> Sequence[SegmentVersion]:
    """The saved versions of a segment, newest first."""
    query = (
        select(segment_version_table)
        .where(_version.segment_id == segment_id, _version.programme_id == programme_id)
        .order_by(_version.version.desc())
    )
    return [_read_version(row) for row in await connection.execute(query)]


async def segment_audience(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    segment_id: UUID,
    version: int | None = None,
    today: date | None = None,
) -> Audience:
    """The members of a saved version, the newest unless one is named, today or on a day that a job noted.

    What a campaign or an issue is given: keep `segment_id` and `version` with it, and ask again by both. Raises
    NotFoundError (`segment_id`, `version`).
    """
    saved = await get_version(connection, programme_id=programme_id, segment_id=segment_id, version=version)
    return await audience(connection, programme_id=programme_id, rule=saved.rule, today=today)
