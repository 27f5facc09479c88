"""What every handler of this process stands on: settings, the engine, the keys.

A handler asks for `services: NamedDependency[Services]` and opens its own transaction:

    async with services.transaction() as connection:
        ...
    return answer

The block's end is the COMMIT, and it lies before the `return`, so an answer of 2xx has committed and a COMMIT that
fails is never answered with success. There is deliberately no connection dependency: Litestar closes generator
dependencies around building the response, in no promised order when there are several, and would hold a pool
connection while it still validates the body.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.items.keys import FILE_NAME as ITEM_KEYS_FILE
from loyalty.items.keys import MasterKeys
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.errors import NotFoundError
from loyalty.kit.programme import Programme, get_programme, list_programmes
from loyalty.runtime import open_engine, open_keyring
from loyalty.settings import Settings
from loyalty.web.coalescing import Coalescer
from loyalty.web.draw_proofs import Proofs
from loyalty.web.scanning import ScanDesk
from loyalty.web.security.api_keys import Callers
from loyalty.web.security.code_senders import CodeSender, code_sender

LOCK_TIMEOUT_SECONDS: Final = 5
"""How long a request waits for another one on the same member or idempotency key before it is answered 409."""
PROGRAMME_SECONDS: Final = 2.0
"""For how long `shown_programme` takes a programme as read: its name and time zone hardly ever change."""
STATEMENT_TIMEOUT_SECONDS: Final = 15
"""How long one statement may run before it is given up and answered 503."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """One process's open parts. Holds nothing that a second process would have to know."""

    settings: Settings
    engine: AsyncEngine
    keyring: Keyring
    item_keys: MasterKeys
    session_secret: bytes
    code_sender: CodeSender
    callers: Callers
    coalescer: Coalescer
    scan_desk: ScanDesk
    proofs: Proofs = field(default_factory=Proofs)
    shown: dict[str, tuple[float, Programme]] = field(default_factory=dict)
    """The programme whose pages are shown, and when it is to be read again; see `shown_programme`."""

    def transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        return transaction(self.engine)

    async def programme(self, connection: AsyncConnection) -> Programme:
        """The programme whose pages this server shows: the one that settings name, or the only one there is.

        Raises NotFoundError where there is none, or several and none is named.
        """
        if self.settings.programme is not None:
            return await get_programme(connection, self.settings.programme)
        programmes = await list_programmes(connection)
        if len(programmes) != 1:
            message = "TALLYSTAR_PROGRAMME does not say which programme to show, and there is not exactly one"
            raise NotFoundError(message, field="programme")
        return programmes[0]

    async def shown_programme(self) -> Programme:
        """As `programme`, without a connection, and up to PROGRAMME_SECONDS old. Raises NotFoundError."""
        name = self.settings.programme or ""
        due_at, known = self.shown.get(name, (0.0, None))
        now = time.monotonic()
        if known is not None and now < due_at:
            return known
        if known is not None:
            self.shown[name] = (now + PROGRAMME_SECONDS, known)  # who comes meanwhile need not read it, too
        async with self.transaction() as connection:
            known = await self.programme(connection)
        self.shown[name] = (now + PROGRAMME_SECONDS, known)
        return known


def services_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    """The process's services, for a guard or an exception handler; a handler takes them as a dependency."""
    services = connection.app.state["services"]
    assert isinstance(services, Services)  # noqa: S101  (set by create_app's lifespan, before any request)
    return services


async def provide_services(state: State) -> Services:
    """Hand the process's services to a handler."""
    services = state["services"]
    assert isinstance(services, Services)  # noqa: S101  (set by create_app's lifespan, before any request)
    return services


def limit_waiting(engine: AsyncEngine) -> None:
    """Give every connection of a web process its limits, so that no request waits for ever."""

    @event.listens_for(engine.sync_engine, "connect")
    def set_limits(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
        cursor.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'")
        cursor.close()
        connection.commit()


@asynccontextmanager
async def open_services(settings: Settings, engine: AsyncEngine | None = None) -> AsyncIterator[Services]:
    """Open what a web process needs, and close what was opened here. A given engine stays open."""
    async with AsyncExitStack() as stack:
        if engine is None:
            engine = await stack.enter_async_context(open_engine(settings))
            limit_waiting(engine)
            engine.sync_engine.hide_parameters = True  # an unexpected error's text goes to the log
        coalescer = Coalescer(engine)
        stack.push_async_callback(coalescer.drain)
        item_keys = MasterKeys.load_or_create(settings.keys / ITEM_KEYS_FILE)
        scan_desk = ScanDesk(engine, item_keys)
        stack.push_async_callback(scan_desk.drain)
        yield Services(
            settings=settings,
            engine=engine,
            keyring=open_keyring(settings),
            item_keys=item_keys,
            session_secret=settings.session_secret(),
            code_sender=code_sender(settings),
            callers=Callers(engine),
            coalescer=coalescer,
            scan_desk=scan_desk,
        )
