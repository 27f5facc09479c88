"""What every command stands on: the settings, the database, the programme it is about, and how it answers."""

from __future__ import annotations

import asyncio
import getpass
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import to_json, transaction
from loyalty.kit.errors import DomainError, NotFoundError
from loyalty.kit.programme import Channel, Programme, get_channel, get_programme, list_programmes
from loyalty.runtime import open_engine
from loyalty.settings import Settings

Result = TypeVar("Result")

REFUSED: Final = 1
"""The exit code of what was refused or failed. Click answers 2 to wrong usage."""
STOPPED: Final = 130
"""The exit code of what was stopped with Ctrl-C, as shells have it."""

_JSON: Final = "tallystar.json"


class RefusedError(click.ClickException):
    """A refusal that a person can do something about: one sentence, no traceback."""

    exit_code = REFUSED

    def __init__(self, error: DomainError, context: click.Context) -> None:
        field = (error.field or "").replace("_", "-")
        super().__init__(f"{field}: {error.detail}" if field else error.detail)
        self._error = error
        self._as_json = bool(context.meta.get(_JSON))

    def show(self, file: Any = None) -> None:
        """Say it on standard error and, where JSON was asked for, as an object on standard output."""
        click.echo(f"Error: {self.message}", file=file, err=file is None)
        if self._as_json:
            answer_json({"error": {"type": self._error.type, "detail": self._error.detail, "field": self._error.field}})


class Opened(msgspec.Struct, frozen=True):
    """The open parts of a command: settings, and an engine on the migrated database."""

    settings: Settings
    engine: AsyncEngine

    async def programme(self, connection: AsyncConnection, code: str | None) -> Programme:
        """The programme that an option or TALLYSTAR_PROGRAMME names, or the only one. Raises NotFoundError."""
        named = code or self.settings.programme
        if named is not None:
            return await get_programme(connection, named)
        programmes = await list_programmes(connection)
        if not programmes:
            raise NotFoundError("there is none yet; make one with tallystar init", field="programme")
        if len(programmes) > 1:
            codes = ", ".join(programme.code for programme in programmes)
            message = f"there are several ({codes}); say which with --programme"
            raise NotFoundError(message, field="programme")
        return programmes[0]

    async def channel(self, connection: AsyncConnection, programme_code: str | None, code: str) -> Channel:
        """A channel of that programme. Raises NotFoundError."""
        programme = await self.programme(connection, programme_code)
        return await get_channel(connection, programme.id, code)


def run(work: Callable[[Opened], Awaitable[Result]], *, owner: bool = False) -> Result:
    """Open the database, do `work` and close everything again. Raises whatever `work` raises, and UnavailableError.

    The engine is the application's, or with `owner` the owner's.
    """

    async def opened() -> Result:
        settings = Settings.from_environment()
        async with open_engine(settings, owner=owner) as engine:
            return await work(Opened(settings, engine))

    return run_loop(opened())


def run_in_transaction(work: Callable[[Opened, AsyncConnection], Awaitable[Result]]) -> Result:
    """The same for a command that is one transaction: committed when `work` returns, undone when it raises."""

    async def in_transaction(opened: Opened) -> Result:
        async with transaction(opened.engine) as connection:
            return await work(opened, connection)

    return run(in_transaction)


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on the event loop that psycopg works on: uvloop, and on Windows the selector."""
    if sys.platform == "win32":
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop
    else:
        import uvloop  # noqa: PLC0415  (not there on Windows)

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


@contextmanager
def until_stopped() -> Iterator[None]:
    """A block that runs until Ctrl-C or SIGTERM; both end it quietly, so that what it holds is given back in order."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        click.echo()
    finally:
        signal.signal(signal.SIGTERM, before)


def actor() -> str:
    """Who is at the command line, for the record."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def answer_json(answer: Any) -> None:
    """Write the one JSON object that a command answers."""
    click.echo(to_json(answer))


def _remember_json(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:  # noqa: FBT001
    context.meta[_JSON] = value
    return value


programme_option = click.option(
    "--programme",
    metavar="CODE",
    help="The programme; needed only where there are several. TALLYSTAR_PROGRAMME says it too.",
)
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    callback=_remember_json,
    help="Answer exactly one JSON object on standard output.",
)
