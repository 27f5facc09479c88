"""The demonstration: `tallystar demo`."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Final

import click
import msgspec
import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.commands.progress import Counter
from loyalty.commands.running import STOPPED, run_loop, until_stopped
from loyalty.commands.serving import jobs_beside
from loyalty.demo.brand import CODE
from loyalty.demo.leaflet import network_address
from loyalty.demo.opening import Opened, empty, open_demonstration
from loyalty.demo.people import MOST_MEMBERS
from loyalty.demo.story import FEWEST_MEMBERS, Story
from loyalty.kit.db import create_engine
from loyalty.kit.errors import ConflictError
from loyalty.kit.migrate import migrate
from loyalty.runtime import open_database
from loyalty.settings import Settings
from loyalty.web.app import create_app

MEMBERS: Final = 2_000
SEED: Final = 1
_TRIED_PORTS: Final = 20
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound to)
_BACKLOG: Final = 128
_GRACE_SECONDS: Final = 3


@click.command()
@click.option(
    "--members",
    type=click.IntRange(FEWEST_MEMBERS, MOST_MEMBERS),
    default=MEMBERS,
    show_default=True,
    help="How many, where the database is filled now.",
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Another seed tells another year.")
@click.option("--fresh", is_flag=True, help="Throw the demonstration's data away and begin anew.")
@click.option("--no-serve", "fill_only", is_flag=True, help="Fill the database and say what is in it, no more.")
@click.option("--port", type=click.IntRange(1, 65535), help="[TALLYSTAR_PORT, default: 8420 or the next free one]")
def demo(*, members: int, seed: int, fresh: bool, fill_only: bool, port: int | None) -> None:
    """An invented brand with a year behind it: filled once, then served until Ctrl-C.

    It lives in TALLYSTAR_HOME, in the embedded database; one-time codes are shown on the screen. Run it again and it
    goes on where it stopped.
    """
    settings = Settings.from_environment()
    if fresh and settings.database_url is not None:
        message = "is set: that database is not emptied from here; make an empty one instead"
        raise ConflictError(message, field="DATABASE_URL")
    listener = None if fill_only else _listen(settings, port)
    settings = _demonstrating(settings, listener)
    click.echo(
        f"Opening the database in {settings.home} ..." if settings.database_url is None else "Opening the database ..."
    )
    with open_database(settings) as database:
        # As the owner: while the story is told, the ledger's clock is the story's.
        opened = _open(
            settings, database.as_owner(), members=members, seed=seed, fresh=fresh, served=listener is not None
        )
        click.echo("\n".join(opened.leaflet.lines(colours=sys.stdout.isatty())))
        if listener is not None:
            with until_stopped(), jobs_beside():
                _serve(settings, listener)
            click.echo("Stopped.")


def _listen(settings: Settings, port: int | None) -> socket.socket:
    """Take a port before anything else is done, so that the printed addresses are true and wait for the server.

    A port that was asked for is that one or none; the usual one may be another program's, and then the next will do.
    """
    asked = port is not None or "TALLYSTAR_PORT" in os.environ
    first = port or settings.port
    for tried in [first] if asked else range(first, first + _TRIED_PORTS):
        try:
            listener = socket.create_server(
                (settings.host, tried),
                family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
                backlog=_BACKLOG,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                message = f"{settings.host} port {tried} cannot be listened on: {error.strerror}"
                raise ConflictError(message, field="host") from error
            continue
        if tried != first:
            click.echo(f"Port {first} is another program's, so this uses {tried}.")
        return listener
    message = f"port {first} is another program's; choose one with --port" if asked else "no port is free"
    raise ConflictError(message, field="port")


def _demonstrating(settings: Settings, listener: socket.socket | None) -> Settings:
    """The settings of the demonstration: its programme, codes on the screen, and the address that reaches it."""
    public_url = settings.public_url
    if "TALLYSTAR_PUBLIC_URL" not in os.environ and listener is not None:
        host = settings.host
        if host in _EVERYWHERE:
            host = network_address() or "127.0.0.1"
        public_url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    return msgspec.structs.replace(settings, demo=True, programme=CODE, public_url=public_url)


def _open(settings: Settings, url: str, *, members: int, seed: int, fresh: bool, served: bool) -> Opened:
    async def work() -> Opened:
        engine = create_engine(url)
        try:
            if fresh:
                await _begin_anew(engine, url)
            with Counter("days of the story", total=100) as counter:

                def progress(story: Story, days: int) -> None:
                    if days == 1:
                        click.echo(f"Telling a year of {members:,} members into it, which is done once ...")
                    counter.show(days, 100 * days // len(story.days))

                return await open_demonstration(
                    engine,
                    settings,
                    members=members,
                    seed=seed,
                    progress=progress,
                    command=f"{_program()} demo",
                    served=served,
                )
        finally:
            await engine.dispose()

    try:
        return run_loop(work())
    except KeyboardInterrupt:
        click.echo("\nStopped. Nothing was kept of what was half done; run it again.", err=True)
        raise SystemExit(STOPPED) from None


def _program() -> str:
    """How this program is called from here."""
    path = Path(sys.argv[0]).absolute()
    if shutil.which(path.name) == str(path):
        return path.name
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


async def _begin_anew(engine: AsyncEngine, url: str) -> None:
    await empty(engine)
    await engine.dispose()  # its connections know tables that are gone
    await asyncio.to_thread(migrate, url)


def _serve(settings: Settings, listener: socket.socket) -> None:
    """Answer on the taken port until Ctrl-C."""
    config = uvicorn.Config(
        create_app(settings),
        loop="auto" if sys.platform == "win32" else "uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])
