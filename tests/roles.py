"""Who the tests are: the application, whose rights every statement of theirs has, and where they tamper, the owner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.roles import with_role, with_user

APPLICATION: Final = "tallystar_app"


def as_application(owner_url: str) -> str:
    """The owner's address, whose connections begin as the application and may become the owner again: `as_owner`."""
    return with_role(owner_url, APPLICATION)


def application_login(owner_url: str) -> str:
    """The application's own address, as the embedded server's application has it: there is no way back."""
    return with_user(owner_url, APPLICATION)


@asynccontextmanager
async def as_owner(connection: AsyncConnection) -> AsyncIterator[None]:
    """Let a connection of `engine` do what only the owner may: move the clock, tamper, rebuild."""
    await connection.execute(text("SET LOCAL ROLE NONE"))
    yield
    await connection.execute(text(f"SET LOCAL ROLE {APPLICATION}"))
