"""Identity: one person, however many ways they come.

What a channel or a page knows of somebody becomes `Identity` values (`phone_identity`, `channel_identity`, ...);
`register` makes them a member or finds the member they are, `resolve` only finds, `find` is for a clerk who types.
The rule of who is who is stated in `linking` and reasoned in `docs/decisions/identity.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from loyalty.members.directory import NewIdentity, add_identities, find_holders, mark_verified
from loyalty.members.identifiers import (
    CHANNEL_KINDS,
    PROGRAMME_WIDE,
    Identity,
    IdentityKey,
    IdentityKind,
    channel_identity,
    email_identity,
    identity_key,
    normalise_card,
    phone_identity,
    read_record,
)
from loyalty.members.joining import Record, Registration, register, register_many
from loyalty.members.linking import Claim, link
from loyalty.members.member import MEMBER_PREFIX, Member, get_member, keep_unmerged
from loyalty.members.phones import DEFAULT_REGION

__all__ = [
    "PROGRAMME_WIDE",
    "Identity",
    "IdentityKind",
    "Record",
    "Registration",
    "attach",
    "channel_identity",
    "detach",
    "email_identity",
    "find",
    "phone_identity",
    "read_record",
    "register",
    "register_many",
    "resolve",
]

_MOST_TEXT: Final = 320
_MOST_FOUND: Final = 20

_FIND_ANYWHERE: Final = sql("""
    SELECT DISTINCT i.member_id
    FROM unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[])) AS w (kind, digest)
    JOIN member_identity i ON i.programme_id = :programme AND i.kind = w.kind AND i.digest = w.digest
    ORDER BY i.member_id LIMIT :most
""")
_DETACH: Final = sql("DELETE FROM member_identity WHERE member_id = :member AND id = :id RETURNING kind")


async def resolve(
    connection: AsyncConnection, keyring: Keyring, *, programme_id: UUID, identities: Sequence[Identity]
) -> Member | None:
    """The member whom these identities name, or None; writes nothing.

    Raises ConflictError where they name several: `register` says whether those are one person.
    """
    claims = [Claim(identity_key(keyring, programme_id, identity), identity.verified) for identity in identities]
    holders = await find_holders(connection, programme_id=programme_id, keys={claim.key for claim in claims})
    decided = link(claims, holders)
    if decided.absorbed:
        raise ConflictError("these identities are those of several members", field="identities")
    if decided.member_id is None:
        return None
    return await get_member(connection, programme_id=programme_id, member_id=decided.member_id)


async def find(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    text: str,
    region: str | None = DEFAULT_REGION,
) -> list[Member]:
    """Whoever a clerk or a support person means by what they typed or scanned; seldom more than one.

    `text` is a member id (`mem_...`), a phone in any spelling, an e-mail address, or a card number, customer id, ouid
    or wallet id of any channel. Nobody is an empty list. Two shops may use one customer id for two people.
    """
    typed = text.strip()
    if not typed or len(typed) > _MOST_TEXT:
        return []
    if typed.lower().startswith(f"{MEMBER_PREFIX}_"):
        return await _find_by_id(connection, programme_id, typed)
    keys = [identity_key(keyring, programme_id, identity) for identity in readings(typed, region)]
    rows = await connection.execute(
        _FIND_ANYWHERE,
        {
            "programme": programme_id,
            "kinds": [key.kind for key in keys],
            "digests": [key.digest for key in keys],
            "most": _MOST_FOUND,
        },
    )
    found: dict[UUID, Member] = {}
    for member_id in rows.scalars():
        member = await get_member(connection, programme_id=programme_id, member_id=member_id)
        found[member.id] = member
    return list(found.values())


async def _find_by_id(connection: AsyncConnection, programme_id: UUID, typed: str) -> list[Member]:
    try:
        return [await get_member(connection, programme_id=programme_id, member_id=typed.lower())]
    except NotFoundError:
        return []


def readings(typed: str, region: str | None) -> list[Identity]:
    """Everything that a typed text may mean. What it cannot be is left out."""
    readings = [Identity(kind="card", value=normalise_card(typed))]
    readings += [Identity(kind=kind, value=typed) for kind in CHANNEL_KINDS if kind != "card"]
    with suppress(InvalidInputError):
        readings.append(phone_identity(typed, region=region))
    with suppress(InvalidInputError):
        readings.append(email_identity(typed))
    return readings


async def attach(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    channel_code: str,
    member_id: UUID,
    identity: Identity,
) -> Member:
    """Add a way to know a member, such as a new phone. Attached before: no effect, but that verified is remembered.

    Raises ConflictError naming the kind where it is another member's, NotFoundError (member_id).
    """
    member = await keep_unmerged(connection, programme_id=programme_id, member_id=member_id)
    if member.state != "active":
        message = f"{member.public_id} is {member.state}"
        raise ConflictError(message, field="member_id")
    key = identity_key(keyring, programme_id, identity)
    added = NewIdentity(key=key, identity=identity, member_id=member.id)
    stored = await add_identities(connection, keyring, programme_id=programme_id, channel=channel_code, added=[added])
    if not stored:
        await _refuse_anothers(connection, programme_id, key, member)
        if identity.verified:
            await mark_verified(connection, programme_id=programme_id, keys=[key])
    return member


async def _refuse_anothers(connection: AsyncConnection, programme_id: UUID, key: IdentityKey, member: Member) -> None:
    holder = (await find_holders(connection, programme_id=programme_id, keys=[key])).get(key)
    if holder is None:
        raise UnavailableError("somebody else is changing this at the moment; try again", field=key.kind)
    if holder.member_id != member.id:
        message = f"this {key.kind} is another member's"
        raise ConflictError(message, field=key.kind)


async def detach(connection: AsyncConnection, *, programme_id: UUID, member_id: UUID, identity_id: UUID) -> None:
    """Take an identity away from a member, such as a phone that has a new owner. Raises NotFoundError (identity_id)."""
    member = await get_member(connection, programme_id=programme_id, member_id=member_id)
    if await connection.scalar(_DETACH, {"member": member.id, "id": identity_id}) is None:
        raise NotFoundError("the member has no such identity", field="identity_id")
