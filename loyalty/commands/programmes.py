"""Programmes and their channels: `tallystar init`, `tallystar channel add|list`."""

from __future__ import annotations

from typing import Literal

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.starting import count_currency, give_defaults
from loyalty.commands.running import Opened, answer_json, json_option, programme_option, run_in_transaction
from loyalty.kit.ids import public_id
from loyalty.kit.programme import Channel, Programme, create_channel, create_programme, list_channels


@click.command()
@click.option("--programme", "code", required=True, metavar="CODE", help="Lower-case letters, digits and hyphens.")
@click.option("--name", required=True, help="What members see.")
@click.option("--time-zone", default="UTC", show_default=True, help="IANA name; ends of days and months are its.")
@click.option("--currency", default="USD", show_default=True, help="ISO 4217.")
@click.option("--locale", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@click.option(
    "--points-expire-months",
    type=click.IntRange(1, 600),
    help="Points expire at the end of the month so many months after they were earned. Without it they never do.",
)
@json_option
def init(
    *, code: str, name: str, time_zone: str, currency: str, locale: str, points_expire_months: int | None, as_json: bool
) -> None:
    """Make a programme, with policies to start with.

    A point for each whole unit of the currency, a ladder of four tiers on the points of twelve months, and 100 points
    for one unit off. Channels in other currencies are counted as they are added. All of it can be changed.
    """

    async def work(_opened: Opened, connection: AsyncConnection) -> Programme:
        made = await create_programme(
            connection, code=code, name=name, time_zone=time_zone, currency=currency, locale=locale
        )
        await give_defaults(connection, made, expiry_months=points_expire_months)
        return made

    made = run_in_transaction(work)
    if as_json:
        answer_json({**msgspec.structs.asdict(made), "id": public_id("prg", made.id)})
    else:
        click.echo(f"Made programme {made.code}. Next: tallystar channel add CODE --name NAME --kind online")


@click.group()
def channel() -> None:
    """Online shops and stores of a programme."""


@channel.command("add")
@click.argument("code")
@click.option("--name", required=True)
@click.option("--kind", type=click.Choice(["online", "store"]), required=True)
@click.option("--currency", help="What it sells in, ISO 4217. The programme's unless given.")
@click.option("--time-zone", help="IANA name. The programme's unless given.")
@programme_option
@json_option
def add_channel(
    *,
    code: str,
    name: str,
    kind: Literal["online", "store"],
    currency: str | None,
    time_zone: str | None,
    programme: str | None,
    as_json: bool,
) -> None:
    """Add an online shop or a store's till system."""

    async def work(opened: Opened, connection: AsyncConnection) -> tuple[Channel, int | None]:
        of = await opened.programme(connection, programme)
        made = await create_channel(
            connection, of, code=code, name=name, kind=kind, currency=currency, time_zone=time_zone
        )
        published = await count_currency(connection, of, currency=made.currency)
        return made, published.version if published else None

    made, version = run_in_transaction(work)
    if as_json:
        answer_json({**_shown(made), "earn_policy_version": version})
        return
    click.echo(f"Added channel {made.code}, which sells in {made.currency}.")
    if version is not None:
        click.echo(f"Earn policy {version} gives a point for each whole {made.currency}.")


@channel.command("list")
@programme_option
@json_option
def show_channels(*, programme: str | None, as_json: bool) -> None:
    """List a programme's channels."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[Channel]:
        of = await opened.programme(connection, programme)
        return await list_channels(connection, of.id)

    channels = run_in_transaction(work)
    if as_json:
        answer_json({"channels": [_shown(each) for each in channels]})
        return
    for each in channels:
        click.echo(f"{each.code}\t{each.kind}\t{each.currency}\t{each.time_zone}\t{each.name}")


def _shown(made: Channel) -> dict[str, object]:
    return {
        **msgspec.structs.asdict(made),
        "id": public_id("chn", made.id),
        "programme_id": public_id("prg", made.programme_id),
    }
