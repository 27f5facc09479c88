"""Two members who turn out to be one person, and the way back.

Nothing is deleted. The survivor gets the absorbed member's identities, the profile fields it lacks, and in the ledger
every lot, pending point and debt; consents and history are read over both ids (`member.person_ids`). The absorbed
member stays as a row that leads to the survivor. What both did counts for the survivor's tiers, at once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import transfers
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import (
    ConflictError,
    IdempotencyMismatchError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from loyalty.kit.ids import new_id, public_id
from loyalty.members.directory import move_identities
from loyalty.members.member import Member, get_member
from loyalty.members.profile import FieldValue, fill_profiles, read_fields
from loyalty.members.tables import member_merge_table, member_table
from tiers.merging import move_activity, return_activity

MERGE_PREFIX: Final = "mrg"
_MOST_TEXT: Final = 200
_MOST_TRIES: Final = 5


class AlreadyOneMemberError(ConflictError):
    """The two are one member already."""

    type = "already-one-member"
    title = "They are one member already"


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """The trail of one merge: who was found to be whom, by whom and why, and whether it was undone."""

    id: UUID
    programme_id: UUID
    survivor_id: UUID
    absorbed_id: UUID
    key: str
    merged_at: datetime
    merged_by: str
    merged_because: str
    undone_at: datetime | None
    undone_by: str | None
    undone_because: str | None


_trail: Final = member_merge_table.c
_COLUMNS: Final = [_trail[name] for name in Merge.__struct_fields__]
_FILLED_FIELDS: Final = text("DELETE FROM member_profile WHERE member_id = :survivor AND source = :source")


async def merge(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    survivor_id: UUID,
    absorbed_id: UUID,
    reason: str,
    actor: str,
    key: str,
) -> Merge:
    """Make two members one. Ids of members merged before stand for their survivors. Repeated with one key: no effect.

    Raises ConflictError (they are one already, or one is erased), OpenHoldsError (the absorbed one is at a till with
    points on hold), IdempotencyMismatchError, NotFoundError, InvalidInputError.
    """
    _check(reason=reason, actor=actor, key=key)
    request_hash = hashlib.sha256(survivor_id.bytes + absorbed_id.bytes).digest()
    survivor, absorbed = await _lock_both(connection, programme_id, survivor_id, absorbed_id)
    earlier = await _earlier(connection, programme_id, key, request_hash)
    if earlier is not None:
        return earlier
    _refuse_merge(survivor, absorbed)
    merge_id = new_id()
    begun = await connection.execute(
        insert(member_merge_table)
        .values(
            id=merge_id,
            programme_id=programme_id,
            survivor_id=survivor.id,
            absorbed_id=absorbed.id,
            key=key,
            request_hash=request_hash,
            identity_ids=[],
            merged_by=actor,
            merged_because=reason,
        )
        .on_conflict_do_nothing(index_elements=["programme_id", "key"])
        .returning(_trail.id)
    )
    if begun.first() is None:  # the same key came at the same moment for other members, which were not locked
        raise _key_reused()
    source = _source(merge_id)
    await transfers.move_all(
        connection,
        programme_id=programme_id,
        from_member_id=absorbed.id,
        to_member_id=survivor.id,
        key=source,
        source=source,
    )
    await move_activity(
        connection, programme_id=programme_id, survivor_id=survivor.id, absorbed_id=absorbed.id, moment=utc_now()
    )
    moved = await move_identities(connection, keyring, from_member_id=absorbed.id, to_member_id=survivor.id)
    fields = (await read_fields(connection, keyring, [absorbed.id]))[absorbed.id]
    missing = [FieldValue(member_id=survivor.id, field=field, value=value) for field, value in fields.items()]
    await fill_profiles(connection, keyring, missing, source=source)
    await connection.execute(
        update(member_table).where(member_table.c.id == absorbed.id).values(state="merged", merged_into=survivor.id)
    )
    finished = update(member_merge_table).where(_trail.id == merge_id).values(identity_ids=moved).returning(*_COLUMNS)
    return _merge((await connection.execute(finished)).one())


async def unmerge(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    merge_id: UUID,
    reason: str,
    actor: str,
) -> Merge:
    """Take a merge back: the two were different people after all. Repeated: no effect.

    The absorbed member gets back the identities that it brought and that the survivor still has, and what is left of
    the lots that it brought: what was spent since is taken to have come from the lots that the ledger's allocations
    name (`docs/decisions/identity.md`). Fields that the merge filled in are taken out of the survivor's profile.
    Consents given since stay with the survivor. Raises NotFoundError (merge_id), ConflictError (the survivor was
    itself merged or erased since).
    """
    _check(reason=reason, actor=actor)
    query = select(*_COLUMNS, _trail.identity_ids).where(_trail.id == merge_id, _trail.programme_id == programme_id)
    row = (await connection.execute(query.with_for_update())).first()
    if row is None:
        message = f"there is no merge {public_id(MERGE_PREFIX, merge_id)} in this programme"
        raise NotFoundError(message, field="merge_id")
    trail = _merge(row)
    if trail.undone_at is not None:
        return trail
    states = await _lock(connection, trail.survivor_id, trail.absorbed_id)
    if states[trail.survivor_id] != "active":
        message = f"the surviving member is {states[trail.survivor_id]}; a later merge has to be undone first"
        raise ConflictError(message, field="merge_id")
    await transfers.move_back(
        connection,
        programme_id=programme_id,
        survivor_id=trail.survivor_id,
        absorbed_id=trail.absorbed_id,
        moved_by=_source(merge_id),
        key=f"un{_source(merge_id)}",
        source=f"un{_source(merge_id)}",
    )
    await return_activity(
        connection,
        programme_id=programme_id,
        survivor_id=trail.survivor_id,
        absorbed_id=trail.absorbed_id,
        moment=utc_now(),
    )
    await move_identities(
        connection,
        keyring,
        from_member_id=trail.survivor_id,
        to_member_id=trail.absorbed_id,
        only=frozenset(row.identity_ids),
    )
    await connection.execute(_FILLED_FIELDS, {"survivor": trail.survivor_id, "source": _source(merge_id)})
    await connection.execute(
        update(member_table).where(member_table.c.id == trail.absorbed_id).values(state="active", merged_into=None)
    )
    undone = update(member_merge_table).where(_trail.id == merge_id).returning(*_COLUMNS)
    return _merge(
        (
            await connection.execute(
                undone.values(undone_at=func.now(), undone_by=actor, undone_because=reason),
            )
        ).one()
    )


async def list_merges(connection: AsyncConnection, *, member_id: UUID) -> list[Merge]:
    """The merges that a member took part in on either side, oldest first, undone ones too."""
    query = select(*_COLUMNS).where(or_(_trail.survivor_id == member_id, _trail.absorbed_id == member_id))
    return [_merge(row) for row in await connection.execute(query.order_by(_trail.id))]


async def were_parted(connection: AsyncConnection, one: UUID, other: UUID) -> bool:
    """Whether staff have said of these two that they are two people, by undoing a merge of them."""
    pair = (one, other)
    query = select(
        exists().where(_trail.undone_at.is_not(None), _trail.survivor_id.in_(pair), _trail.absorbed_id.in_(pair))
    )
    return bool(await connection.scalar(query))


async def _earlier(connection: AsyncConnection, programme_id: UUID, key: str, request_hash: bytes) -> Merge | None:
    query = select(*_COLUMNS, _trail.request_hash).where(_trail.programme_id == programme_id, _trail.key == key)
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    if bytes(row.request_hash) != request_hash:
        raise _key_reused()
    return _merge(row)


def _key_reused() -> IdempotencyMismatchError:
    return IdempotencyMismatchError("this key was used to merge other members", field="key")


async def _lock_both(
    connection: AsyncConnection, programme_id: UUID, survivor_id: UUID, absorbed_id: UUID
) -> tuple[Member, Member]:
    """The two people as they are once nobody else can merge or erase them."""
    for _ in range(_MOST_TRIES):
        survivor = await get_member(connection, programme_id=programme_id, member_id=survivor_id)
        absorbed = await get_member(connection, programme_id=programme_id, member_id=absorbed_id)
        states = await _lock(connection, survivor.id, absorbed.id)
        if all(states[member.id] == member.state for member in (survivor, absorbed)):
            return survivor, absorbed
    raise UnavailableError("these members are being merged by others; try again", field="absorbed_id")


async def _lock(connection: AsyncConnection, one: UUID, other: UUID) -> dict[UUID, str]:
    query = select(member_table.c.id, member_table.c.state).where(member_table.c.id.in_((one, other)))
    rows = await connection.execute(query.order_by(member_table.c.id).with_for_update())
    return {row.id: row.state for row in rows}


def _refuse_merge(survivor: Member, absorbed: Member) -> None:
    if survivor.id == absorbed.id:
        message = f"both are {survivor.public_id} already"
        raise AlreadyOneMemberError(message, field="absorbed_id")
    for field, member in (("survivor_id", survivor), ("absorbed_id", absorbed)):
        if member.state != "active":
            message = f"{member.public_id} is {member.state}"
            raise ConflictError(message, field=field)


def _check(**texts: str) -> None:
    for field, value in texts.items():
        if not value.strip() or len(value) > _MOST_TEXT:
            message = f"from 1 to {_MOST_TEXT} characters"
            raise InvalidInputError(message, field=field)


def _source(merge_id: UUID) -> str:
    """The merge as the ledger's and the profile's source."""
    return f"merge:{public_id(MERGE_PREFIX, merge_id)}"


def _merge(row: Row[*tuple[Any, ...]]) -> Merge:
    return Merge(**{name: getattr(row, name) for name in Merge.__struct_fields__})
