"""Who may come in: `tallystar api-key create|list|revoke` and `tallystar staff add|list`."""

from __future__ import annotations

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.commands.running import Opened, answer_json, json_option, programme_option, run_in_transaction
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.kit.programme import get_channel
from loyalty.web.security.api_keys import (
    SCOPES,
    ApiKey,
    NewApiKey,
    Scope,
    create_api_key,
    list_api_keys,
    revoke_api_key,
)
from loyalty.web.security.staff import Role, Staff, create_staff, list_staff


@click.group("api-key")
def api_key() -> None:
    """Keys for the programs of a channel."""


@api_key.command("create")
@click.option("--channel", metavar="CODE", help="The channel it acts for. Without one: the whole programme.")
@click.option("--name", required=True, help="What it is for, such as the till system's name.")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="What it may do; repeat it."
)
@programme_option
@json_option
def create_key(
    *, channel: str | None, name: str, scopes: tuple[Scope, ...], programme: str | None, as_json: bool
) -> None:
    """Make a key. It is shown now and never again."""

    async def work(opened: Opened, connection: AsyncConnection) -> NewApiKey:
        of = await opened.programme(connection, programme)
        channel_id = (await get_channel(connection, of.id, channel)).id if channel else None
        return await create_api_key(connection, programme_id=of.id, name=name, scopes=scopes, channel_id=channel_id)

    made = run_in_transaction(work)
    if as_json:
        answer_json({**_shown(made.key), "token": made.token})
    else:
        click.echo(made.token)
        click.echo("Keep it: it is not shown again.", err=True)


@api_key.command("list")
@programme_option
@json_option
def show_keys(*, programme: str | None, as_json: bool) -> None:
    """List a programme's keys, without their secrets."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[ApiKey]:
        return await list_api_keys(connection, programme_id=(await opened.programme(connection, programme)).id)

    keys = run_in_transaction(work)
    if as_json:
        answer_json({"keys": [_shown(key) for key in keys]})
        return
    for key in keys:
        state = "revoked" if key.revoked else "valid"
        click.echo(f"{public_id('key', key.id)}\t{state}\t{key.name}\t{', '.join(sorted(key.scopes))}")


@api_key.command("revoke")
@click.argument("key")
@programme_option
def revoke_key(key: str, programme: str | None) -> None:
    """Withdraw a key (key_...) for good."""

    async def work(opened: Opened, connection: AsyncConnection) -> ApiKey:
        of = await opened.programme(connection, programme)
        return await revoke_api_key(connection, programme_id=of.id, key_id=parse_public_id("key", key, field="key"))

    click.echo(f"Revoked {run_in_transaction(work).name}.")


def _shown(key: ApiKey) -> dict[str, object]:
    return {
        "id": public_id("key", key.id),
        "name": key.name,
        "channel_id": public_id("chn", key.channel_id) if key.channel_id else None,
        "scopes": sorted(key.scopes),
        "revoked": key.revoked,
    }


@click.group()
def staff() -> None:
    """People who may sign in."""


@staff.command("add")
@click.argument("username")
@click.option("--name", required=True)
@click.option("--role", type=click.Choice(["clerk", "crm", "admin"]), required=True, help="A clerk needs a channel.")
@click.option("--channel", metavar="CODE", help="The store that a clerk works in.")
@click.password_option(help="Asked for where it is not given.", envvar="TALLYSTAR_PASSWORD")
@programme_option
@json_option
def add_staff(
    *, username: str, name: str, role: Role, channel: str | None, password: str, programme: str | None, as_json: bool
) -> None:
    """Add a person: a clerk of one store, or crm or admin of the brand."""

    async def work(opened: Opened, connection: AsyncConnection) -> Staff:
        of = await opened.programme(connection, programme)
        return await create_staff(
            connection,
            programme_id=of.id,
            username=username,
            name=name,
            role=role,
            password=password,
            channel_id=(await get_channel(connection, of.id, channel)).id if channel else None,
        )

    made = run_in_transaction(work)
    if as_json:
        answer_json(_person(made))
    else:
        click.echo(f"{made.username} can sign in as {made.role}.")


@staff.command("list")
@programme_option
@json_option
def show_staff(*, programme: str | None, as_json: bool) -> None:
    """List a programme's people, those who have left included."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[Staff]:
        return await list_staff(connection, programme_id=(await opened.programme(connection, programme)).id)

    people = run_in_transaction(work)
    if as_json:
        answer_json({"staff": [_person(person) for person in people]})
        return
    for person in people:
        click.echo(f"{person.username}\t{person.role}\t{'active' if person.active else 'left'}\t{person.name}")


def _person(person: Staff) -> dict[str, object]:
    fields = msgspec.structs.asdict(person)
    channel_id = public_id("chn", person.channel_id) if person.channel_id else None
    return {
        **fields,
        "id": public_id("stf", person.id),
        "programme_id": public_id("prg", person.programme_id),
        "channel_id": channel_id,
    }
