"""What is not as it should be: `tallystar doctor`."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from sqlalchemy import Connection, text

from loyalty.commands.running import REFUSED, answer_json, json_option
from loyalty.kit.roles import gaps, open_once
from loyalty.runtime import open_database
from loyalty.settings import Settings

_DURABLE: Final = ("fsync", "synchronous_commit", "full_page_writes")
"""What has to be on for an acknowledged posting to outlive a power failure."""


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Look at database, roles and keys, and say what is not as it should be; exit code 1 where something is not.

    Like every command it brings the database to the newest schema first.
    """
    settings = Settings.from_environment()
    with open_database(settings) as opened, open_once(opened.url, field="DATABASE_URL") as connection:
        version, schema = connection.execute(
            text("SELECT current_setting('server_version'), (SELECT version_num FROM alembic_version)")
        ).one()
        findings = [*_not_durable(connection), *gaps(connection), *_open_to_others(settings.keys)]
    if as_json:
        answer_json({"postgresql": version, "schema": schema, "findings": findings})
    else:
        click.echo(f"PostgreSQL {version}, schema {schema}")
        click.echo("\n".join(f"- {finding}" for finding in findings) or "Everything is as it should be.")
    if findings:
        raise click.exceptions.Exit(REFUSED)


def _not_durable(connection: Connection) -> Iterator[str]:
    for name in _DURABLE:
        value = connection.scalar(text("SELECT current_setting(:name)"), {"name": name})
        if value in ("off", "local"):
            yield f"{name} is {value}: what was acknowledged can be lost when the server fails"


def _open_to_others(folder: Path) -> Iterator[str]:
    for path in [folder, *sorted(folder.glob("*"))] if folder.is_dir() else []:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"{path} can be entered or read by others ({stat.filemode(mode)}); its owner alone should"
