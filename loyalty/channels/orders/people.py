"""Who bought: from what a channel says of a person to a member, for many documents at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.channels.orders.shapes import Cancellation, Order
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, DomainError, NotFoundError
from loyalty.kit.ids import public_id
from loyalty.members.directory import find_holders
from loyalty.members.identifiers import Identity, IdentityKey, identity_key
from loyalty.members.linking import Claim, Holder, link
from loyalty.members.member import MEMBER_PREFIX, get_member, keep_unmerged
from loyalty.members.tables import member_table

_UNKNOWN: Final = "names no member"


def is_guest(document: Order | Cancellation) -> bool:
    """Whether a document says nothing of who the person is."""
    return document.member_id is None and not document.identities


async def find_members(
    connection: AsyncConnection, keyring: Keyring, *, programme_id: UUID, documents: Sequence[Order | Cancellation]
) -> list[UUID | DomainError]:
    """The member of each document, none a guest's, or why there is none; merged members as their survivor.

    The members found are held: nobody merges or erases them before the transaction ends.
    """
    named = await _by_identities(connection, keyring, programme_id, documents)
    asked = [document.member_id or named[index] for index, document in enumerate(documents)]
    held = await _hold(connection, programme_id, {member for member in asked if isinstance(member, UUID)})
    return [held[member] if isinstance(member, UUID) else member for member in asked]


async def _by_identities(
    connection: AsyncConnection, keyring: Keyring, programme_id: UUID, documents: Sequence[Order | Cancellation]
) -> dict[int, UUID | DomainError]:
    keys: dict[Identity, IdentityKey] = {}
    for document in documents:
        if document.member_id is None:
            for identity in document.identities:
                if identity not in keys:
                    keys[identity] = identity_key(keyring, programme_id, identity)
    holders = await find_holders(connection, programme_id=programme_id, keys=set(keys.values()))
    return {
        index: _named(document, keys, holders) for index, document in enumerate(documents) if document.member_id is None
    }


def _named(
    document: Order | Cancellation, keys: Mapping[Identity, IdentityKey], holders: Mapping[IdentityKey, Holder]
) -> UUID | DomainError:
    claims = [Claim(keys[identity], identity.verified) for identity in document.identities]
    try:
        decided = link(claims, holders)
    except ConflictError as error:
        return error
    if decided.absorbed:
        return ConflictError("these identities are those of several members", field="identities")
    return decided.member_id or NotFoundError(_UNKNOWN, field="identities")


async def _hold(
    connection: AsyncConnection, programme_id: UUID, member_ids: Collection[UUID]
) -> dict[UUID, UUID | DomainError]:
    """Lock members in the order of their ids, as everybody does; of a merged one the survivor."""
    if not member_ids:
        return {}
    columns = member_table.c
    rows = await connection.execute(
        select(columns.id, columns.state)
        .where(columns.programme_id == programme_id, columns.id.in_(member_ids))
        .order_by(columns.id)
        .with_for_update(read=True, key_share=True)
    )
    states = {row.id: row.state for row in rows}
    return {
        member_id: await _settled(connection, programme_id, member_id, states.get(member_id))
        for member_id in sorted(member_ids)
    }


async def _settled(
    connection: AsyncConnection, programme_id: UUID, member_id: UUID, state: str | None
) -> UUID | DomainError:
    if state == "merged":
        survivor = await keep_unmerged(connection, programme_id=programme_id, member_id=member_id)
        member_id, state = survivor.id, survivor.state
    if state == "active":
        return member_id
    name = public_id(MEMBER_PREFIX, member_id)
    if state is None:
        return NotFoundError(f"there is no member {name} in this programme", field="member_id")
    return ConflictError(f"{name} is {state}", field="member_id")


async def same_person(connection: AsyncConnection, programme_id: UUID, document: Order, member_id: UUID | None) -> bool:
    """Whether a document that came again is still of the member it was booked to.

    Only a caller's own member id can say otherwise. A channel's identities may name another member since, when staff
    merged or parted members; the purchase stays where it was booked.
    """
    if document.identities or document.member_id in (None, member_id):
        return True
    try:
        asked, booked = [
            await get_member(connection, programme_id=programme_id, member_id=identifier)
            for identifier in (document.member_id, member_id)
            if identifier is not None
        ]
    except NotFoundError:
        return False
    return asked.id == booked.id
