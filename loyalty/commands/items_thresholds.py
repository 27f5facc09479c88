"""From when on scans and claims are told apart, refused or frozen: `tallystar items thresholds`."""

from __future__ import annotations

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.commands.running import Opened, answer_json, json_option, programme_option, run_in_transaction
from loyalty.items.thresholds import set_thresholds
from loyalty.items.verdicts import ItemSettings
from loyalty.kit.errors import InvalidInputError

_WORDS = {"yes": True, "no": False, "default": None}


@click.command("thresholds")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="A number, yes, no, or default.")
@programme_option
@json_option
def thresholds(*, changes: tuple[str, ...], programme: str | None, as_json: bool) -> None:
    """Show a brand's thresholds of scans and claims, and set some. They hold from the next scan on."""
    wanted = dict(_read(change) for change in changes)

    async def work(opened: Opened, connection: AsyncConnection) -> ItemSettings:
        programme_id = (await opened.programme(connection, programme)).id
        return await set_thresholds(connection, programme_id=programme_id, changes=wanted)

    values = msgspec.structs.asdict(run_in_transaction(work))
    if as_json:
        answer_json(values)
        return
    for name, value in values.items():
        click.echo(f"{name}\t{value}")


def _read(change: str) -> tuple[str, int | bool | None]:
    name, _, text = change.partition("=")
    if text in _WORDS:
        return name, _WORDS[text]
    if not text.isdecimal():
        raise InvalidInputError(f"{text!r} is neither a number nor yes, no or default", field=name)
    return name, int(text)
