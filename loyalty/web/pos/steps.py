"""A step at the till: done to what is found by its address, and then shown; or refused, and shown as it is now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import (
    ConflictError,
    DomainError,
    IdempotencyMismatchError,
    InvalidInputError,
    NotFoundError,
)
from loyalty.web.forms import see_other
from loyalty.web.staff.person import TillDesk, read_clerk
from loyalty.web.state import Services

REFUSALS: Final = (ConflictError, InvalidInputError, NotFoundError, IdempotencyMismatchError)
"""What a till tells the clerk instead of showing an error page."""
_REFUSED: Final = 422

Found = TypeVar("Found")
Find = Callable[[AsyncConnection, TillDesk], Awaitable[Found]]
Act = Callable[[AsyncConnection, TillDesk, Found], Awaitable[object]]
Show = Callable[[AsyncConnection, TillDesk, Found, DomainError | None], Awaitable[Response[Any]]]


async def show_found(
    request: Request[Any, Any, Any], services: Services, *, find: Find[Found], show: Show[Found]
) -> Response[Any]:
    """A page about what is found; where this till has nothing of the sort, the start."""
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        try:
            found = await find(connection, desk)
        except NotFoundError:
            return see_other("/till")
        return await show(connection, desk, found, None)


async def take_step(
    request: Request[Any, Any, Any],
    services: Services,
    *,
    find: Find[Found],
    act: Act[Found],
    show: Show[Found],
    address: str,
) -> Response[Any]:
    """Do it in one transaction and go to `address`; what is refused is undone, and shown on a page of what is found."""
    try:
        async with services.transaction() as connection:
            desk = await read_clerk(request, services, connection)
            await act(connection, desk, await find(connection, desk))
    except NotFoundError:
        return see_other("/till")
    except REFUSALS as error:
        async with services.transaction() as connection:
            desk = await read_clerk(request, services, connection)
            return await show(connection, desk, await find(connection, desk), error)
    return see_other(address)


def status_of(error: DomainError) -> int:
    """The status of a page that shows a refusal."""
    return _REFUSED if isinstance(error, InvalidInputError) else error.status
