"""`tallystar draws list|prove|verify`: verifying needs neither a database nor settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from loyalty.campaigns.draws.draw import Draw, find_draw, list_draws
from loyalty.campaigns.draws.drawing import findings
from loyalty.campaigns.draws.settling import prove as prove_draw
from loyalty.commands.running import REFUSED, Opened, answer_json, json_option, programme_option, run
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction


@click.group()
def draws() -> None:
    """Prize draws: what they commit to, and the proof of who won."""


@draws.command("list")
@programme_option
@json_option
def list_all(*, programme: str | None, as_json: bool) -> None:
    """Every draw, newest first, with its commitment."""

    async def work(opened: Opened) -> list[Draw]:
        async with transaction(opened.engine) as connection:
            found = await opened.programme(connection, programme)
            return await list_draws(connection, programme_id=found.id)

    listed = [
        {
            "code": draw.code,
            "state": draw.state(utc_now()),
            "entries": draw.entries,
            "places": draw.terms.places,
            "commitment": draw.commitment.hex(),
        }
        for draw in run(work)
    ]
    if as_json:
        answer_json({"draws": listed})
        return
    for each in listed:
        click.echo(f"{each['code']}: {each['state']}, {each['entries']:,} of {each['places']:,} places")
        click.echo(f"  commitment {each['commitment']}")


@draws.command()
@click.argument("code")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; the screen is the default.")
@programme_option
def prove(*, code: str, output: Path | None, programme: str | None) -> None:
    """Write the proof of a draw that was drawn: seed, odds, tickets in their order, winners. It names no member."""

    async def work(opened: Opened) -> dict[str, Any]:
        async with transaction(opened.engine) as connection:
            found = await opened.programme(connection, programme)
            return await prove_draw(connection, await find_draw(connection, programme_id=found.id, code=code))

    text = json.dumps(run(work), ensure_ascii=False, indent=1)
    if output is None:
        click.echo(text)
        return
    output.write_text(text + "\n", encoding="utf-8")
    click.echo(f"Wrote {output}. Check it with: tallystar draws verify {output}")


@draws.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--commitment", help="The commitment that was published before the draw, to hold the proof against.")
@json_option
def verify(*, file: Path, commitment: str | None, as_json: bool) -> None:
    """Draw again from a proof, and say whether the same entries win. Exit code 1 where they do not."""
    try:
        proof = json.loads(file.read_text(encoding="utf-8"))
        found = findings(proof)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{file} is not the proof of a draw: {error!r}"
        raise click.ClickException(message) from None
    if commitment is not None and commitment.strip().lower() != proof["commitment"]:
        found.append("the commitment is not the one that was published before")
    if as_json:
        answer_json({"passed": not found, "findings": found})
    elif found:
        for each in found:
            click.echo(each)
    else:
        click.echo(
            f"The draw follows from its seed and list: {len(proof['winners']):,} of {len(proof['tickets']):,} entries"
            f" win, over {proof['places']:,} places."
        )
    if found:
        raise click.exceptions.Exit(REFUSED)
