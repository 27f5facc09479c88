"""A programme's tier policies as versions: draft, then published at a date, then retired.

A draft may be edited by whoever knows its newest revision. A published version is never changed, because members were
moved under it: another takes its place. Until the moment it takes force it can be withdrawn, and is a draft again.
Everything that is done to a version is written down with who did it and what it changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from tiers.policies import CODE, DEFAULT_LADDER, PolicyVersion, TierPolicy, check_policy
from tiers.states import read_version
from tiers.tables import ladder_event_table, ladder_table, ladder_version_table

MAX_TITLE: Final = 100
SYSTEM: Final = "system:start"
"""Who publishes what a programme starts with."""

VersionState = Literal["draft", "scheduled", "in_force", "replaced", "retired"]
"""`scheduled`: published, and not yet in force. `replaced`: a later version is in force. `retired`: given up."""

Action = Literal["created", "edited", "simulated", "published", "withdrawn", "retired", "started"]


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version in any state. `revision` counts its edits; a simulation belongs to the revision it was made of."""

    programme_id: UUID
    ladder_code: str
    version: int
    state: VersionState
    revision: int
    title: str
    policy: TierPolicy
    created_at: datetime
    created_by: str
    effective_at: datetime | None
    published_at: datetime | None
    published_by: str | None
    started_at: datetime | None
    retired_at: datetime | None
    retired_by: str | None


class PolicyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to a version. `changes` are the fields that differ, each as it was and as it is."""

    number: int
    version: int
    revision: int
    action: Action
    changes: Mapping[str, tuple[Any, Any]]
    done_by: str
    at: datetime


class StaleRevisionError(ConflictError):
    """Somebody else changed the draft meanwhile. Member: `revision`, the newest."""

    type = "stale-revision"
    title = "Changed meanwhile"


async def create_draft(
    connection: AsyncConnection, *, programme_id: UUID, policy: TierPolicy, title: str, by: str
) -> StoredVersion:
    """Begin a version. Raises InvalidInputError for a policy that makes no sense."""
    _check(policy, title)
    await _lock_ladder(connection, programme_id, policy.code)
    newest = await connection.scalar(
        select(func.max(ladder_version_table.c.version)).filter_by(programme_id=programme_id, ladder_code=policy.code)
    )
    version = (newest or 0) + 1
    row = {
        "programme_id": programme_id,
        "ladder_code": policy.code,
        "version": version,
        "state": "draft",
        "revision": 1,
        "title": title.strip(),
        "definition": policy,
        "created_by": by,
    }
    await connection.execute(insert(ladder_version_table).values(row))
    await note(connection, programme_id, policy.code, version=version, revision=1, action="created", by=by)
    return await get_version(connection, programme_id=programme_id, ladder_code=policy.code, version=version)


async def edit_draft(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    version: int,
    revision: int,
    policy: TierPolicy,
    title: str,
    by: str,
) -> StoredVersion:
    """Change a draft, of which the caller has seen `revision`. The ladder is the policy's; an equal one stays.

    Raises NotFoundError, ConflictError for what is no draft, StaleRevisionError, InvalidInputError.
    """
    _check(policy, title)
    found = await _locked(connection, programme_id, policy.code, version)
    if found.state != "draft":
        raise ConflictError(f"version {version} is {found.state}: only a draft is edited", field="version")
    if found.revision != revision:
        message = f"revision {revision} was seen, but {found.revision} is the newest: look at it first"
        raise StaleRevisionError(message, field="revision", revision=found.revision)
    if (found.policy, found.title) == (policy, title.strip()):
        return found
    await _update(connection, found, state="draft", revision=revision + 1, title=title.strip(), definition=policy)
    await note(
        connection,
        programme_id,
        policy.code,
        version=version,
        revision=revision + 1,
        action="edited",
        by=by,
        changes=differences(found.policy, policy),
    )
    return await get_version(connection, programme_id=programme_id, ladder_code=policy.code, version=version)


async def publish_draft(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    version: int,
    by: str,
    effective_at: datetime | None = None,
    ladder_code: str = DEFAULT_LADDER,
) -> StoredVersion:
    """Publish a draft, in force from `effective_at` (now, unless given). Until then it can be withdrawn.

    Raises NotFoundError, ConflictError for what is no draft, and InvalidInputError for one that would take force
    before a version that is published already.
    """
    now = await _lock_ladder(connection, programme_id, ladder_code)
    found = await _locked(connection, programme_id, ladder_code, version)
    if found.state != "draft":
        raise ConflictError(f"version {version} is {found.state} already", field="version")
    start = effective_at or now
    last = await _last_published(connection, programme_id, ladder_code)
    if last is not None and start <= last.effective_at:
        message = f"version {last.version} is in force from {last.effective_at.isoformat()}; this one must follow it"
        raise InvalidInputError(message, field="effective_at")
    await _update(
        connection,
        found,
        state="published",
        effective_at=start,
        published_at=now,
        published_by=by,
    )
    return await _changed(connection, found, "published", by)


async def withdraw(
    connection: AsyncConnection, *, programme_id: UUID, version: int, by: str, ladder_code: str = DEFAULT_LADDER
) -> StoredVersion:
    """Make a published version that is not in force yet a draft again. Raises NotFoundError, ConflictError."""
    await _lock_ladder(connection, programme_id, ladder_code)
    found = await _locked(connection, programme_id, ladder_code, version)
    if found.state != "scheduled":
        message = f"version {version} is {found.state}: only what is published and not yet in force is withdrawn"
        raise ConflictError(message, field="version")
    await _update(connection, found, state="draft", effective_at=None, published_at=None, published_by=None)
    return await _changed(connection, found, "withdrawn", by)


async def retire(
    connection: AsyncConnection, *, programme_id: UUID, version: int, by: str, ladder_code: str = DEFAULT_LADDER
) -> StoredVersion:
    """Give a version up. Of the one in force the version before it takes the place again.

    Raises NotFoundError, and ConflictError for what is retired already, or is the only version in force: a programme
    whose members have tiers is not left without a policy.
    """
    await _lock_ladder(connection, programme_id, ladder_code)
    found = await _locked(connection, programme_id, ladder_code, version)
    if found.state == "retired":
        raise ConflictError(f"version {version} is retired already", field="version")
    if found.state == "in_force":
        published = await list_published(connection, programme_id=programme_id, ladder_code=ladder_code)
        if not any(each.effective_at < (found.effective_at or each.effective_at) for each in published):
            message = f"version {version} is the only one there has been: publish its successor first"
            raise ConflictError(message, field="version")
    await _update(connection, found, state="retired", retired_at=func.clock_timestamp(), retired_by=by)
    return await _changed(connection, found, "retired", by)


async def publish_policy(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    policy: TierPolicy,
    effective_at: datetime | None = None,
    by: str = SYSTEM,
) -> PolicyVersion:
    """Publish a policy at once as a version, for programmes that begin and for commands.

    One equal to the newest published version is that version: nothing is published twice. Raises as `publish_draft`.
    """
    check_policy(policy)
    last = await _last_published(connection, programme_id, policy.code)
    if last is not None and last.policy == policy and effective_at is None:
        return last
    draft = await create_draft(connection, programme_id=programme_id, policy=policy, title="", by=by)
    await publish_draft(
        connection,
        programme_id=programme_id,
        version=draft.version,
        by=by,
        effective_at=effective_at,
        ladder_code=policy.code,
    )
    return await get_published(connection, programme_id=programme_id, version=draft.version, ladder_code=policy.code)


async def get_version(
    connection: AsyncConnection, *, programme_id: UUID, version: int, ladder_code: str = DEFAULT_LADDER
) -> StoredVersion:
    """A version in any state. Raises NotFoundError."""
    for found in await list_versions(connection, programme_id=programme_id, ladder_code=ladder_code):
        if found.version == version:
            return found
    raise NotFoundError(f"ladder {ladder_code!r} has no version {version}", field="version")


async def list_versions(
    connection: AsyncConnection, *, programme_id: UUID, ladder_code: str = DEFAULT_LADDER
) -> list[StoredVersion]:
    """All versions of a ladder, newest first."""
    columns = ladder_version_table.c
    query = (
        select(ladder_version_table, func.clock_timestamp().label("now"))
        .filter_by(programme_id=programme_id, ladder_code=ladder_code)
        .order_by(columns.version.desc())
    )
    rows = (await connection.execute(query)).all()
    begun = [row.effective_at for row in rows if row.state == "published" and row.effective_at <= row.now]
    return [_stored(row, max(begun, default=None)) for row in rows]


async def list_published(
    connection: AsyncConnection, *, programme_id: UUID, ladder_code: str = DEFAULT_LADDER
) -> list[PolicyVersion]:
    """The versions that are, were or will be in force, newest first; retired ones never are."""
    query = (
        select(ladder_version_table)
        .filter_by(programme_id=programme_id, ladder_code=ladder_code, state="published")
        .order_by(ladder_version_table.c.effective_at.desc())
    )
    return [read_version(row) for row in await connection.execute(query)]


async def policy_at(
    connection: AsyncConnection, *, programme_id: UUID, moment: datetime, ladder_code: str = DEFAULT_LADDER
) -> PolicyVersion | None:
    """The version in force at a moment, or None where the programme has no such ladder.

    The first version also governs the time before it, so that a brand's older orders count as they are imported.
    """
    published = await list_published(connection, programme_id=programme_id, ladder_code=ladder_code)
    begun = [version for version in published if version.effective_at <= moment]
    return begun[0] if begun else (published[-1] if published else None)


async def get_published(
    connection: AsyncConnection, *, programme_id: UUID, version: int, ladder_code: str = DEFAULT_LADDER
) -> PolicyVersion:
    """A version that was published, such as the one a tier change is pinned to. Raises NotFoundError."""
    query = (
        select(ladder_version_table)
        .filter_by(programme_id=programme_id, ladder_code=ladder_code, version=version)
        .where(ladder_version_table.c.published_at.is_not(None))
    )
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFoundError(f"ladder {ladder_code!r} has no published version {version}", field="version")
    return read_version(row)


async def list_ladders(connection: AsyncConnection, *, programme_id: UUID) -> list[str]:
    """The codes of a programme's ladders."""
    codes = select(ladder_table.c.code).filter_by(programme_id=programme_id).order_by(ladder_table.c.code)
    return list((await connection.scalars(codes)).all())


async def list_events(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    ladder_code: str = DEFAULT_LADDER,
    version: int | None = None,
    limit: int = 100,
) -> list[PolicyEvent]:
    """Who did what to a ladder's versions, newest first."""
    query = (
        select(ladder_event_table)
        .filter_by(programme_id=programme_id, ladder_code=ladder_code)
        .order_by(ladder_event_table.c.number.desc())
        .limit(limit)
    )
    if version is not None:
        query = query.filter_by(version=version)
    return [
        PolicyEvent(**{field: getattr(row, field) for field in PolicyEvent.__struct_fields__})
        for row in await connection.execute(query)
    ]


async def note(
    connection: AsyncConnection,
    programme_id: UUID,
    ladder_code: str,
    *,
    version: int,
    revision: int,
    action: Action,
    by: str,
    changes: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Write down what was done to a version. The ladder's row is locked for it, so that numbers follow each other."""
    await _lock_ladder(connection, programme_id, ladder_code)
    last = select(func.coalesce(func.max(ladder_event_table.c.number), 0)).filter_by(
        programme_id=programme_id, ladder_code=ladder_code
    )
    number = (await connection.execute(last)).scalar_one() + 1
    row = {"programme_id": programme_id, "ladder_code": ladder_code, "number": number, "version": version}
    row |= {"revision": revision, "action": action, "changes": changes or {}, "done_by": by}
    await connection.execute(insert(ladder_event_table).values(row))


def differences(before: TierPolicy, after: TierPolicy) -> dict[str, tuple[Any, Any]]:
    """The fields of two policies that differ, by path, each as it was and as it is (None: it was not there)."""
    old, new = fields_of(before), fields_of(after)
    return {path: (old.get(path), new.get(path)) for path in {**old, **new} if old.get(path) != new.get(path)}


def fields_of(policy: TierPolicy) -> dict[str, Any]:
    """The fields of a policy by path, such as `tiers[gold].qualify.at_least`."""
    return _flat(msgspec.to_builtins(policy))


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        items = [(f"{path}.{key}" if path else str(key), each) for key, each in value.items()]
    elif isinstance(value, list | tuple):
        # Tiers are known by their code, so that one more in the middle is one difference.
        items = [
            (f"{path}[{each['code'] if isinstance(each, dict) and 'code' in each else index}]", each)
            for index, each in enumerate(value)
        ]
    else:
        return {path: value}
    return {place: leaf for key, each in items for place, leaf in _flat(each, key).items()}


def _check(policy: TierPolicy, title: str) -> None:
    check_policy(policy)
    if len(title.strip()) > MAX_TITLE:
        raise InvalidInputError(f"a title has at most {MAX_TITLE} characters", field="title")


async def _lock_ladder(connection: AsyncConnection, programme_id: UUID, code: str) -> datetime:
    """Lock the ladder's row, made where there is none, and answer the database's clock."""
    if not CODE.fullmatch(code):
        raise InvalidInputError("a code is lower-case letters, digits and hyphens, at most 40", field="code")
    key = {"programme_id": programme_id, "code": code}
    await connection.execute(postgresql.insert(ladder_table).values(key).on_conflict_do_nothing())
    lock = select(func.clock_timestamp()).select_from(ladder_table).filter_by(**key).with_for_update()
    now: datetime = (await connection.execute(lock)).scalar_one()
    return now


async def _locked(connection: AsyncConnection, programme_id: UUID, ladder_code: str, version: int) -> StoredVersion:
    await _lock_ladder(connection, programme_id, ladder_code)
    return await get_version(connection, programme_id=programme_id, version=version, ladder_code=ladder_code)


async def _last_published(connection: AsyncConnection, programme_id: UUID, ladder_code: str) -> PolicyVersion | None:
    published = await list_published(connection, programme_id=programme_id, ladder_code=ladder_code)
    return published[0] if published else None


async def _update(connection: AsyncConnection, found: StoredVersion, **values: Any) -> None:
    query = update(ladder_version_table).filter_by(
        programme_id=found.programme_id, ladder_code=found.ladder_code, version=found.version
    )
    await connection.execute(query.values(values))


async def _changed(connection: AsyncConnection, found: StoredVersion, action: Action, by: str) -> StoredVersion:
    """Let every process learn that other versions are published than before, and write down who did it."""
    ladder = update(ladder_table).filter_by(programme_id=found.programme_id, code=found.ladder_code)
    await connection.execute(ladder.values(changes=ladder_table.c.changes + 1))
    await note(
        connection,
        found.programme_id,
        found.ladder_code,
        version=found.version,
        revision=found.revision,
        action=action,
        by=by,
    )
    return await get_version(
        connection, programme_id=found.programme_id, version=found.version, ladder_code=found.ladder_code
    )


def _stored(row: Row[Any], in_force_since: datetime | None) -> StoredVersion:
    state: VersionState = row.state
    if row.state == "published":
        if row.effective_at > row.now:
            state = "scheduled"
        else:
            state = "in_force" if row.effective_at == in_force_since else "replaced"
    fields: dict[str, Any] = {field: getattr(row, field, None) for field in StoredVersion.__struct_fields__}
    fields |= {"state": state, "policy": msgspec.convert(row.definition, TierPolicy)}
    return StoredVersion(**fields)
