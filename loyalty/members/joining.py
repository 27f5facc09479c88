"""Joining: a channel's record of a person becomes a member, or is found to be one there is.

Records come one by one from a page or in thousands from a file; the path is the same, set-based: one look-up for all,
the rule of `linking` for each, one insert a table for all. Two who register the same person at once end with one
member: the identity's key is unique, and who was slower starts again and finds the other's member.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError, UnavailableError
from loyalty.kit.ids import new_id, public_id
from loyalty.members.consent import Consent, MemberConsent, check_consent, record_consents
from loyalty.members.directory import NewIdentity, add_identities, find_holders, mark_verified
from loyalty.members.identifiers import Identity, IdentityKey, identity_key
from loyalty.members.linking import Claim, Holder, Link, link
from loyalty.members.member import MEMBER_COLUMNS, MEMBER_PREFIX, Member, member_of_row
from loyalty.members.merge import AlreadyOneMemberError, merge, were_parted
from loyalty.members.profile import FieldValue, ProfileFields, fill_profiles, texts_of
from loyalty.members.tables import member_table

_MOST_IDENTITIES: Final = 20
_CHUNK: Final = 1000
_MOST_TRIES: Final = 8
_ACTOR: Final = "system:identity"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel knows of one person. `joined_at` is aware and counts only for somebody new, as does `locale`."""

    identities: Sequence[Identity]
    joined_at: datetime
    profile: ProfileFields | None = None
    consents: Sequence[Consent] = ()
    locale: str | None = None


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """Who a record turned out to be. `merge_ids`: the merges that it caused; re-evaluate the member's tiers then."""

    member: Member
    created: bool
    merge_ids: tuple[UUID, ...] = ()


class _LostRaceError(Exception):
    """Somebody else was quicker with one of the identities: what was planned no longer holds."""


async def register(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    channel_code: str,
    identities: Sequence[Identity],
    joined_at: datetime,
    profile: ProfileFields | None = None,
    consents: Sequence[Consent] = (),
    locale: str | None = None,
) -> Registration:
    """Make somebody a member, or find the member they are: one person however many ways they come, and come again.

    New identities are added, verified ones marked, missing profile fields filled, consents appended. Records that name
    two members merge them (`linking` states the rule). Raises ConflictError naming the identity that is another
    person's, InvalidInputError naming the field, OpenHoldsError where a merge has to wait for a till.
    """
    record = Record(identities=identities, joined_at=joined_at, profile=profile, consents=consents, locale=locale)
    (outcome,) = await register_many(
        connection, keyring, programme_id=programme_id, channel_code=channel_code, records=[record]
    )
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


async def register_many(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    channel_code: str,
    records: Sequence[Record],
) -> list[Registration | DomainError]:
    """`register` for many records of one channel, in their order; for each its registration or why it was refused.

    A refused record leaves nothing behind and does not disturb the others. Commit after each call: the identities of a
    call are locked in one order, those of several calls in one transaction are not.
    """
    outcomes: list[Registration | DomainError] = []
    while len(outcomes) < len(records):
        chunk = records[len(outcomes) : len(outcomes) + _CHUNK]
        for attempt in range(_MOST_TRIES):
            batch = _Batch(keyring, programme_id, channel_code)
            try:
                async with connection.begin_nested():
                    outcomes += await batch.run(connection, chunk)
                break
            except _LostRaceError as error:
                if attempt == _MOST_TRIES - 1:
                    message = "others keep registering the same people at this moment; try again"
                    raise UnavailableError(message, field="identities") from error
    return outcomes


class _Batch:
    """One pass over a chunk: read, decide in memory, write. Ends early after a merge, because that changes the ground.

    `holders` is who holds what once the planned writes are done, so that two records of one chunk can be one person.
    """

    def __init__(self, keyring: Keyring, programme_id: UUID, channel_code: str) -> None:
        self.keyring = keyring
        self.programme_id = programme_id
        self.channel_code = channel_code
        self.holders: dict[IdentityKey, Holder] = {}
        self.people: dict[UUID, Holder] = {}
        self.new_members: list[Member] = []
        self.identities: list[NewIdentity] = []
        self.verified: set[IdentityKey] = set()
        self.fields: list[FieldValue] = []
        self.consents: list[MemberConsent] = []

    async def run(self, connection: AsyncConnection, records: Sequence[Record]) -> list[Registration | DomainError]:
        keyed = [
            [(identity_key(self.keyring, self.programme_id, identity), identity) for identity in record.identities]
            for record in records
        ]
        every_key = {key for pairs in keyed for key, _ in pairs}
        self.holders = await find_holders(connection, programme_id=self.programme_id, keys=every_key)
        self.people = {holder.member_id: holder for holder in self.holders.values()}
        outcomes: list[tuple[UUID, bool, tuple[UUID, ...]] | DomainError] = []
        for record, pairs in zip(records, keyed, strict=True):
            try:
                texts = _checked_texts(record)
                decided = link([Claim(key, identity.verified) for key, identity in pairs], self.holders)
                if decided.absorbed and outcomes:
                    break  # write what was decided so far; the next pass starts with this record
                merge_ids = await self._merge(connection, decided) if decided.absorbed else ()
                outcomes.append((*self._plan(record, texts, pairs, decided), merge_ids))
            except DomainError as refusal:
                outcomes.append(refusal)
                continue
            if merge_ids:
                break
        await self._write(connection)
        members = await self._members(connection, {outcome[0] for outcome in outcomes if isinstance(outcome, tuple)})
        return [
            outcome
            if isinstance(outcome, DomainError)
            else Registration(member=members[outcome[0]], created=outcome[1], merge_ids=outcome[2])
            for outcome in outcomes
        ]

    async def _merge(self, connection: AsyncConnection, decided: Link) -> tuple[UUID, ...]:
        """Merge those whom a record shows to be one. Undone as a whole when one of them cannot be."""
        survivor_id = decided.member_id
        assert survivor_id is not None  # noqa: S101  (who absorbs somebody is somebody)
        merge_ids: list[UUID] = []
        async with connection.begin_nested():
            for absorbed_id in decided.absorbed:
                if await were_parted(connection, survivor_id, absorbed_id):
                    message = (
                        f"the record says that {public_id(MEMBER_PREFIX, survivor_id)} and "
                        f"{public_id(MEMBER_PREFIX, absorbed_id)} are one person; staff have said they are two"
                    )
                    raise ConflictError(message, field="identities")
                try:
                    made = await merge(
                        connection,
                        self.keyring,
                        programme_id=self.programme_id,
                        survivor_id=survivor_id,
                        absorbed_id=absorbed_id,
                        reason=f"one record of channel {self.channel_code} names both",
                        actor=_ACTOR,
                        key=f"record:{new_id()}",  # the record proves it anew each time: nothing to repeat
                    )
                except AlreadyOneMemberError as error:
                    raise _LostRaceError from error
                merge_ids.append(made.id)
        return tuple(merge_ids)

    def _plan(
        self,
        record: Record,
        texts: dict[str, str],
        pairs: Sequence[tuple[IdentityKey, Identity]],
        decided: Link,
    ) -> tuple[UUID, bool]:
        created = decided.member_id is None
        member_id = decided.member_id or new_id()
        if created:
            self.new_members.append(self._new_member(member_id, record))
            self.people[member_id] = Holder(member_id=member_id, joined_at=record.joined_at)
        holder = self.people[member_id]
        for key, identity in pairs:
            if key in decided.contacts:
                texts.setdefault("email", identity.value)
            elif key not in self.holders:
                self.identities.append(NewIdentity(key=key, identity=identity, member_id=member_id))
                self.holders[key] = holder
                holder.identities[key] = identity.verified
            elif identity.verified and not holder.identities.get(key):
                self.verified.add(key)
                holder.identities[key] = True
        self.fields += [FieldValue(member_id=member_id, field=field, value=value) for field, value in texts.items()]
        self.consents += [MemberConsent(member_id=member_id, consent=consent) for consent in record.consents]
        return member_id, created

    def _new_member(self, member_id: UUID, record: Record) -> Member:
        return Member(
            id=member_id,
            programme_id=self.programme_id,
            state="active",
            merged_into=None,
            joined_at=record.joined_at,
            joined_channel=self.channel_code,
            locale=record.locale,
        )

    async def _write(self, connection: AsyncConnection) -> None:
        """Identities first: they are where two who register one person at once meet."""
        stored = await add_identities(
            connection,
            self.keyring,
            programme_id=self.programme_id,
            channel=self.channel_code,
            added=self.identities,
        )
        if stored < len(self.identities):
            raise _LostRaceError
        if self.new_members:
            await connection.execute(
                _INSERT_MEMBERS,
                {
                    "programme": self.programme_id,
                    "channel": self.channel_code,
                    "ids": [member.id for member in self.new_members],
                    "joined": [member.joined_at for member in self.new_members],
                    "locales": [member.locale for member in self.new_members],
                },
            )
        await mark_verified(connection, programme_id=self.programme_id, keys=self.verified)
        await fill_profiles(connection, self.keyring, self.fields, source=f"channel:{self.channel_code}")
        await record_consents(connection, self.consents)

    async def _members(self, connection: AsyncConnection, member_ids: set[UUID]) -> dict[UUID, Member]:
        """The members that records turned out to be, held against a merge or erasure until the transaction ends."""
        members = {member.id: member for member in self.new_members}
        found = member_ids - members.keys()
        if found:
            query = select(*MEMBER_COLUMNS).where(member_table.c.id.in_(found)).order_by(member_table.c.id)
            for row in await connection.execute(query.with_for_update(read=True, key_share=True)):
                members[row.id] = member_of_row(row)
                if row.state != "active":
                    raise _LostRaceError
        return members


_INSERT_MEMBERS: Final = text("""
    INSERT INTO member (id, programme_id, joined_at, joined_channel, locale)
    SELECT id, :programme, joined_at, :channel, locale
    FROM unnest(CAST(:ids AS uuid[]), CAST(:joined AS timestamptz[]), CAST(:locales AS text[]))
        AS n (id, joined_at, locale)
""")


def _checked_texts(record: Record) -> dict[str, str]:
    """The record's profile as it is stored, once everything about the record is known to be in order."""
    if not 1 <= len(record.identities) <= _MOST_IDENTITIES:
        message = f"from 1 to {_MOST_IDENTITIES} ways to know the person are needed"
        raise InvalidInputError(message, field="identities")
    if record.joined_at.tzinfo is None:
        raise InvalidInputError("needs a time zone", field="joined_at")
    if record.locale not in (None, "zh", "en"):
        raise InvalidInputError("zh or en", field="locale")
    for consent in record.consents:
        check_consent(consent)
    texts = texts_of(record.profile) if record.profile else {}
    return {field: value for field, value in texts.items() if value is not None}
