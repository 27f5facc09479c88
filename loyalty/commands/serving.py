"""The web and the work that happens by itself: `tallystar serve`, `tallystar jobs`."""

from __future__ import annotations

import asyncio
import logging.config
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click
import uvicorn
from uvicorn.config import LOGGING_CONFIG

from loyalty.commands.running import until_stopped
from loyalty.jobs.worker import work
from loyalty.kit.roles import gaps_at
from loyalty.runtime import open_database
from loyalty.settings import Settings

LOGGING: Final = {
    **LOGGING_CONFIG,
    "loggers": {
        **LOGGING_CONFIG["loggers"],
        "loyalty": {"handlers": ["default"], "level": "INFO", "propagate": False},
    },
}
"""What the server and the application say goes to standard error, in one form."""
PATIENCE_SECONDS: Final = 10
"""How long a stopping server waits for the jobs under way."""


@click.command()
@click.option("--host", help="The address to listen on. [TALLYSTAR_HOST, default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="[TALLYSTAR_PORT, default: 8420]")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes. [TALLYSTAR_WORKERS, default: 1]")
@click.option("--jobs/--no-jobs", default=True, help="Work on jobs too, in a process beside. [default: jobs]")
def serve(*, host: str | None, port: int | None, workers: int | None, jobs: bool) -> None:
    """Answer on the web until Ctrl-C: the API, the pages, the till and the console."""
    chosen = {"TALLYSTAR_HOST": host, "TALLYSTAR_PORT": port, "TALLYSTAR_WORKERS": workers}
    # Through the environment, because each worker and the jobs' process read their settings there.
    os.environ.update({name: str(value) for name, value in chosen.items() if value is not None})
    settings = Settings.from_environment()
    # Held here as well as by each worker, so that the database outlives a worker that is replaced.
    with open_database(settings) as database, until_stopped(), jobs_beside(wanted=jobs):
        for gap in gaps_at(database.url):
            click.echo(f"Warning: {gap} (docs/running.md).", err=True)
        click.echo(f"Tallystar answers at {settings.public_url}")
        serve_web(host=settings.host, port=settings.port, workers=settings.workers)


def serve_web(*, host: str, port: int, workers: int) -> None:
    """Run web processes until they are stopped."""
    uvicorn.run(
        "loyalty.asgi:application",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="auto" if sys.platform == "win32" else "uvloop",
        http="httptools",
        log_config=LOGGING,
        access_log=False,  # the application writes its own, without what must not be in a log
    )


@contextmanager
def jobs_beside(*, wanted: bool = True) -> Iterator[None]:
    """A jobs process of this command's own, ended with it; it has this process's environment."""
    if not wanted:
        yield
        return
    command = [sys.executable, "-m", "loyalty.cli", "jobs"]
    with subprocess.Popen(command, env=os.environ, start_new_session=True) as process:  # noqa: S603  (our own command)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@click.command()
def jobs() -> None:
    """Do what time brings, until Ctrl-C: expire points, free holds, review tiers, keep house."""
    logging.config.dictConfig(LOGGING)
    asyncio.run(work(Settings.from_environment()))
