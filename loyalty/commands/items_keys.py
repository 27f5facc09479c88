"""The keys of item codes: `tallystar items keys|rotate-key|compromise-key`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.commands.items_options import open_keys
from loyalty.commands.running import Opened, answer_json, json_option, run_in_transaction
from loyalty.items.compromise import Compromise, compromise_key
from loyalty.items.key_records import read_key_records
from loyalty.items.keys import FILE_NAME, MasterKeys, rotate
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import NotFoundError
from loyalty.kit.programme import list_programmes


@click.command()
@json_option
def keys(*, as_json: bool) -> None:
    """List the key ids, newest last, and what is said of them."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[dict[str, Any]]:
        master_keys = open_keys(opened)
        leaked: dict[int, datetime] = {}
        for programme in await list_programmes(connection):
            for kid, record in (await read_key_records(connection, programme_id=programme.id)).items():
                if record.compromised_at is not None:
                    leaked[kid] = record.compromised_at
        return [
            {
                "kid": kid,
                "created_at": master_keys.masters[kid].created_at,
                "current": kid == master_keys.current_kid,
                "compromised_at": leaked.get(kid),
            }
            for kid in master_keys.kids
        ]

    found = run_in_transaction(work)
    if as_json:
        answer_json({"keys": found})
        return
    for each in found:
        state = f"leaked by {each['compromised_at']:%Y-%m-%d}" if each["compromised_at"] else ""
        if each["current"]:
            state = "new codes are made under it"
        click.echo(f"{each['kid']}\t{each['created_at']:%Y-%m-%d}\t{state}")


@click.command("rotate-key")
@json_option
def rotate_key(*, as_json: bool) -> None:
    """Make a new key for new codes. Older ones go on verifying what they made. Back the key file up afterwards."""

    async def work(opened: Opened, connection: AsyncConnection) -> MasterKeys:  # noqa: ARG001
        open_keys(opened)  # a first key, where there is none
        return rotate(opened.settings.keys / FILE_NAME)

    kid = run_in_transaction(work).current_kid
    if as_json:
        answer_json({"kid": kid})
    else:
        click.echo(f"New codes are made under key {kid}. Back up the key file.")


@click.command("compromise-key")
@click.argument("kid", type=int)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="When it can have leaked at the earliest, in UTC; what was handed out later does not count. Default: now.",
)
@click.option("--note", default="", help="What happened.")
@click.option("--keep-lists", is_flag=True, help="Keep a list of each export's codes, which each code has to stand in.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def compromise(*, kid: int, since: datetime | None, note: str, keep_lists: bool, yes: bool, as_json: bool) -> None:
    """Say that a key has leaked. From now on its codes count only where they were handed out before.

    New codes get another key, which is made where this is the newest. The print manifest (`items exports`) says what
    was handed out; docs/item-codes.md has the procedure.
    """
    at = utc_now() if since is None else since.replace(tzinfo=UTC)
    if not yes:
        click.confirm(
            f"Codes of key {kid} that were not handed out by {at:%Y-%m-%d %H:%M} UTC are refused. Go on?", abort=True
        )

    async def work(opened: Opened, connection: AsyncConnection) -> list[Compromise]:
        master_keys = open_keys(opened)
        if kid not in master_keys.masters:
            message = f"there is no item code key {kid}"
            raise NotFoundError(message, field="kid")
        if kid == master_keys.current_kid:
            rotate(opened.settings.keys / FILE_NAME)
            master_keys.refresh()
        return [
            await compromise_key(
                connection,
                master_keys,
                programme_id=programme.id,
                kid=kid,
                at=at,
                note=note,
                keep_lists=keep_lists,
            )
            for programme in await list_programmes(connection)
        ]

    found = run_in_transaction(work)
    if as_json:
        answer_json({"programmes": found})
        return
    for each in found:
        click.echo(f"{each.codes:,} codes of {each.exports:,} exports count on; {each.lists:,} lists were kept.")
        for left in each.uncovered:
            click.echo(f"  refused from now on: {left.gtin}, indexes {left.lo} to {left.hi}, never handed out")
    click.echo("Back up the key file, and its folder of lists.")


COMMANDS: Final = (keys, rotate_key, compromise)
