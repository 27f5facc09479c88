"""The web: `tallystar serve`."""

from __future__ import annotations

import sys

import click
import uvicorn

from loyalty.runtime import open_database
from loyalty.settings import Settings


@click.command()
@click.option("--host", help="The address to listen on. [TALLYSTAR_HOST, default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="[TALLYSTAR_PORT, default: 8420]")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes. [TALLYSTAR_WORKERS, default: 1]")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Answer on the web until Ctrl-C: the API, the pages, the till and the console."""
    settings = Settings.from_environment()
    # Held here as well as by each worker, so that the database outlives a worker that is replaced.
    with open_database(settings):
        click.echo(f"Tallystar answers at {settings.public_url}")
        uvicorn.run(
            "loyalty.asgi:application",
            factory=True,
            host=host or settings.host,
            port=port or settings.port,
            workers=workers or settings.workers,
            loop="auto" if sys.platform == "win32" else "uvloop",
            http="httptools",
            access_log=False,  # the application writes its own, without what must not be in a log
        )
