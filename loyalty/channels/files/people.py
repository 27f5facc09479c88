"""People in batches: registered, and counted where a record told something new."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import DomainError
from loyalty.kit.programme import Channel
from loyalty.members.directory import find_holders
from loyalty.members.identifiers import identity_key
from loyalty.members.identity import Record, Registration, register_many


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who a record turned out to be; `news`: it told something of a member that was not known before."""

    registration: Registration
    news: bool


async def register_people(
    connection: AsyncConnection, keyring: Keyring, *, channel: Channel, records: Sequence[Record]
) -> list[Person | DomainError]:
    """Register records of one channel, in their order; for each who it is, or why it is refused."""
    programme_id = channel.programme_id
    keys = [{identity_key(keyring, programme_id, identity) for identity in record.identities} for record in records]
    known = set(await find_holders(connection, programme_id=programme_id, keys=set().union(*keys)))
    outcomes = await register_many(
        connection, keyring, programme_id=programme_id, channel_code=channel.code, records=records
    )
    people: list[Person | DomainError] = []
    for outcome, own_keys in zip(outcomes, keys, strict=True):
        if isinstance(outcome, DomainError):
            people.append(outcome)
            continue
        people.append(Person(registration=outcome, news=not own_keys <= known))
        known |= own_keys
    return people
