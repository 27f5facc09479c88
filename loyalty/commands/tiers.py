"""Tier policies: `tallystar tiers list|show|draft|simulate|publish|withdraw|retire|review`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.tier_trials import try_version
from loyalty.commands.layout import print_table
from loyalty.commands.running import (
    Opened,
    actor,
    answer_json,
    json_option,
    programme_option,
    run,
    run_in_transaction,
)
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Programme
from tiers import versions
from tiers.policies import DEFAULT_LADDER, parse_policy
from tiers.simulation import StoredSimulation
from tiers.tending import Tended, tend_tiers
from tiers.versions import StoredVersion

_MOST_BYTES: Final = 1_000_000

ladder_option = click.option(
    "--ladder", metavar="CODE", default=DEFAULT_LADDER, show_default=True, help="Which ladder of tiers."
)
version_argument = click.argument("version", type=click.IntRange(min=1))


@click.group("tiers")
def tiers() -> None:
    """Tier policies: drafted, tried on the members there are, published at a date."""


@tiers.command("list")
@ladder_option
@programme_option
@json_option
def show_versions(*, ladder: str, programme: str | None, as_json: bool) -> None:
    """List a ladder's policies, newest first."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[StoredVersion]:
        of = await opened.programme(connection, programme)
        return await versions.list_versions(connection, programme_id=of.id, ladder_code=ladder)

    found = run_in_transaction(work)
    if as_json:
        answer_json({"versions": [_told(each) for each in found]})
    else:
        rows = [(str(each.version), each.state, _moment(each.effective_at), each.title) for each in found]
        print_table(("version", "state", "in force from", "title"), rows)


@tiers.command("show")
@version_argument
@ladder_option
@programme_option
@json_option
def show_version(*, version: int, ladder: str, programme: str | None, as_json: bool) -> None:
    """Print a policy as the file that `tiers draft` reads."""

    async def work(opened: Opened, connection: AsyncConnection) -> StoredVersion:
        of = await opened.programme(connection, programme)
        return await versions.get_version(connection, programme_id=of.id, version=version, ladder_code=ladder)

    found = run_in_transaction(work)
    if as_json:
        answer_json(_told(found))
    else:
        click.echo(
            f"Version {found.version}, {found.state}, revision {found.revision}. {found.title}".strip(), err=True
        )
        click.echo(msgspec.json.format(msgspec.json.encode(found.policy), indent=2).decode())


@tiers.command("draft")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--title", default="", help="What it is about.")
@click.option("--version", type=click.IntRange(min=1), help="Put the policy in this draft's place. Default: a new one.")
@programme_option
@json_option
def draft(*, file: Path, title: str, version: int | None, programme: str | None, as_json: bool) -> None:
    """Make a draft of the policy in FILE (JSON); its ladder is the policy's `code`. Nothing changes for anybody."""
    policy = parse_policy(_read_json(file))

    async def work(opened: Opened, connection: AsyncConnection) -> StoredVersion:
        which: dict[str, Any] = {"programme_id": (await opened.programme(connection, programme)).id}
        if version is None:
            return await versions.create_draft(connection, **which, policy=policy, title=title, by=actor())
        found = await versions.get_version(connection, **which, version=version, ladder_code=policy.code)
        return await versions.edit_draft(
            connection,
            **which,
            version=version,
            revision=found.revision,
            policy=policy,
            title=title or found.title,
            by=actor(),
        )

    _say(run_in_transaction(work), "a draft; try it with `tallystar tiers simulate`", as_json=as_json)


@tiers.command("simulate")
@version_argument
@ladder_option
@programme_option
@json_option
def simulate(*, version: int, ladder: str, programme: str | None, as_json: bool) -> None:
    """Try a version on the members there are. Nothing is written to members; the result is kept with the version."""

    async def work(opened: Opened, connection: AsyncConnection) -> StoredSimulation:
        of = await opened.programme(connection, programme)
        return await try_version(connection, programme_id=of.id, version=version, by=actor(), ladder_code=ladder)

    stored = run_in_transaction(work)
    result = stored.result
    if as_json:
        answer_json(msgspec.to_builtins(stored))
        return
    click.echo(f"{result.members:,} members: {result.up:,} go up, {result.down:,} go down.")
    moves = [(each.from_tier or "-", each.to_tier, each.members) for each in result.movements]
    print_table(("from", "to", "members"), moves)
    click.echo(f"Points a year: {result.points_now:,} now, {result.points_then:,} then.")


@tiers.command("publish")
@version_argument
@click.option(
    "--from",
    "day",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="From when, as the programme's clock has it. Default: now.",
)
@ladder_option
@programme_option
@json_option
def publish(*, version: int, day: datetime | None, ladder: str, programme: str | None, as_json: bool) -> None:
    """Let a draft take force at a moment to come, or now. Until then `tiers withdraw` takes it back."""

    async def work(connection: AsyncConnection, of: Programme) -> StoredVersion:
        moment = None if day is None else day.replace(tzinfo=of.zone)
        return await versions.publish_draft(
            connection, programme_id=of.id, version=version, by=actor(), effective_at=moment, ladder_code=ladder
        )

    found = _change(work, programme)
    _say(found, f"published, in force from {_moment(found.effective_at)}", as_json=as_json)


@tiers.command("withdraw")
@version_argument
@ladder_option
@programme_option
@json_option
def withdraw(*, version: int, ladder: str, programme: str | None, as_json: bool) -> None:
    """Make a version that is published and not yet in force a draft again."""

    async def work(connection: AsyncConnection, of: Programme) -> StoredVersion:
        return await versions.withdraw(connection, programme_id=of.id, version=version, by=actor(), ladder_code=ladder)

    _say(_change(work, programme), "a draft again", as_json=as_json)


@tiers.command("retire")
@version_argument
@ladder_option
@programme_option
@json_option
def retire(*, version: int, ladder: str, programme: str | None, as_json: bool) -> None:
    """Give a version up; of the one in force, the one before it takes the place again."""

    async def work(connection: AsyncConnection, of: Programme) -> StoredVersion:
        return await versions.retire(connection, programme_id=of.id, version=version, by=actor(), ladder_code=ladder)

    _say(_change(work, programme), "retired", as_json=as_json)


@tiers.command("review")
@programme_option
@json_option
def review(*, programme: str | None, as_json: bool) -> None:
    """Do now what `tallystar jobs` does in time: start a version in force, review who is due, warn who is about to be.

    It may be stopped at any time and goes on where it stopped; running it again does nothing again.
    """

    async def work(opened: Opened) -> list[Tended]:
        async with transaction(opened.engine) as connection:
            of = await opened.programme(connection, programme)
        return await tend_tiers(opened.engine, programme_id=of.id, moment=utc_now())

    done = run(work)
    if as_json:
        answer_json({"ladders": [msgspec.to_builtins(each) for each in done]})
        return
    if not done:
        click.echo("Nobody is due.")
    for each in done:
        totals = {name: number for name, number in msgspec.structs.asdict(each.reviewed).items() if number}
        told = ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in totals.items())
        click.echo(f"{each.ladder_code}: {told or 'nobody reviewed'}; warned {each.warned:,}")


def _change(work: Callable[[AsyncConnection, Programme], Awaitable[StoredVersion]], code: str | None) -> StoredVersion:
    async def in_programme(opened: Opened, connection: AsyncConnection) -> StoredVersion:
        return await work(connection, await opened.programme(connection, code))

    return run_in_transaction(in_programme)


def _say(found: StoredVersion, what: str, *, as_json: bool) -> None:
    if as_json:
        answer_json(_told(found))
    else:
        click.echo(f"Version {found.version} is {what}.")


def _told(found: StoredVersion) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(found)
    del told["programme_id"]
    return told


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _read_json(file: Path) -> Any:
    if file.stat().st_size > _MOST_BYTES:
        raise InvalidInputError(f"a policy has at most {_MOST_BYTES:,} bytes", field="file")
    try:
        return msgspec.json.decode(file.read_bytes())
    except msgspec.DecodeError as error:
        raise InvalidInputError(f"is no JSON: {error}", field="file") from None
