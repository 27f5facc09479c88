"""The database: `tallystar db start|stop|status|psql|migrate`."""

from __future__ import annotations

import os
import subprocess
import threading

import click
import msgspec

from loyalty.commands.running import REFUSED, answer_json, json_option, until_stopped
from loyalty.kit.embedded import EmbeddedPostgres, binaries
from loyalty.kit.errors import ConflictError
from loyalty.runtime import open_database
from loyalty.settings import Settings


@click.group("db")
def database() -> None:
    """The embedded database. It starts with the first process that needs it and stops with the last."""


def _embedded() -> EmbeddedPostgres:
    """The embedded server. Raises ConflictError (DATABASE_URL) where another database is used."""
    settings = Settings.from_environment()
    if settings.database_url is not None:
        message = "is set: that database is not this program's to start or stop"
        raise ConflictError(message, field="DATABASE_URL")
    return EmbeddedPostgres(settings.home)


@database.command()
def start() -> None:
    """Run the embedded database until Ctrl-C, for other programs to use."""
    _embedded()
    with open_database(Settings.from_environment()) as opened, until_stopped():
        click.echo(f"The database is ready at {opened.as_owner()}")
        click.echo("Ctrl-C stops it, unless other processes use it.")
        threading.Event().wait()


@database.command()
def stop() -> None:
    """Stop an embedded database that was left behind by a process that was killed."""
    click.echo("Stopped." if _embedded().stop() else "It was not running.")


@database.command()
@json_option
def status(*, as_json: bool) -> None:
    """Say whether the embedded database runs; exit code 1 where it does not. Starts nothing."""
    found = _embedded().status()
    if as_json:
        answer_json({**msgspec.structs.asdict(found), "data": str(found.data), "log": str(found.log)})
    else:
        click.echo(f"{found.state}{f', process {found.pid}' if found.pid else ''}{', in use' if found.used else ''}")
        click.echo(f"data {found.data}\nlog  {found.log}\n{found.url}")
    if found.state != "running":
        raise click.exceptions.Exit(REFUSED)


@database.command(context_settings={"ignore_unknown_options": True})
@click.option("--owner", is_flag=True, help="As the owner, who may do anything.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...], *, owner: bool) -> None:
    """Open psql on the database as the application, which cannot change what is posted; ARGUMENTS are psql's."""
    with open_database(Settings.from_environment()) as opened:
        command = [str(binaries() / "psql"), opened.as_owner() if owner else opened.url, *arguments]
        code = subprocess.run(command, env=os.environ, check=False).returncode  # noqa: S603  (our own command)
    raise click.exceptions.Exit(code)


@database.command()
def migrate() -> None:
    """Bring the database to the newest schema. Every command that uses it does so by itself."""
    with open_database(Settings.from_environment()):
        click.echo("The database has the newest schema.")
