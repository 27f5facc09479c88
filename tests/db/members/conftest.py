"""People for the tests of members: made-up phones of one mainland range, one keyring a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import Unit, define_unit
from loyalty.kit.crypto import Keyring
from loyalty.kit.programme import Programme
from loyalty.members.identity import Identity, Registration, channel_identity, email_identity, phone_identity, register
from tests.factories import make_programme

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BEN = "19900001001", "19900001002"

Join = Callable[..., Awaitable[Registration]]


@pytest.fixture
async def programme(connection: AsyncConnection) -> Programme:
    """A programme that counts points."""
    programme = await make_programme(connection)
    await define_unit(connection, Unit(programme_id=programme.id))
    return programme


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.generate()


def customer(text: str, *, channel: str = "online") -> Identity:
    return channel_identity("customer", text, channel_code=channel)


def card(text: str, *, channel: str = "store-1") -> Identity:
    return channel_identity("card", text, channel_code=channel)


def phone(text: str, *, verified: bool = False) -> Identity:
    return phone_identity(text, verified=verified)


def email(text: str, *, verified: bool = False) -> Identity:
    return email_identity(text, verified=verified)


@pytest.fixture
def join(connection: AsyncConnection, keyring: Keyring, programme: Programme) -> Join:
    """Register one record: `await join(phone(ANN), card("1"))`."""

    async def join(*identities: Identity, channel_code: str = "online", **rest: Any) -> Registration:
        return await register(
            connection,
            keyring,
            programme_id=programme.id,
            channel_code=channel_code,
            identities=identities,
            joined_at=rest.pop("joined_at", NEW_YEAR),
            **rest,
        )

    return join
