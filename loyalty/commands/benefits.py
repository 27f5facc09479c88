"""Benefits from the command line: `tallystar benefits list|issue|issues|resume|import-codes`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.giving import check_audience, find_audience
from loyalty.campaigns.holdout import define_holdout
from loyalty.commands.layout import print_table
from loyalty.commands.progress import Counter
from loyalty.commands.running import (
    REFUSED,
    Opened,
    actor,
    answer_json,
    json_option,
    programme_option,
    run,
    run_in_transaction,
)
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.members.listed import Listed, read_list
from loyalty.runtime import open_keyring
from redemption.benefits import bulk, stock
from redemption.benefits.budgets import figures_of
from redemption.benefits.bulk import Issue
from redemption.benefits.templates import get_template, list_templates

ISSUE_PREFIX: Final = "iss"
_LOOK_SECONDS: Final = 0.5
_SHOWN_LINES: Final = 20

_background_option = click.option(
    "--background", is_flag=True, help="Leave the work to `tallystar jobs` and return at once."
)


@click.group()
def benefits() -> None:
    """Coupons and other benefits: what there is, giving them to many, and partners' codes."""


@benefits.command("list")
@programme_option
@json_option
def show_templates(*, programme: str | None, as_json: bool) -> None:
    """List what there is to give, and how far stock and budgets are used up."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[dict[str, Any]]:
        of = await opened.programme(connection, programme)
        return [
            {
                "code": each.code,
                "name": each.name,
                "kind": each.kind,
                "state": each.state,
                "version": each.version,
                "stock": each.stock,
                "left": {unit: level.left for unit, level in (await figures_of(connection, each.id)).items()},
            }
            for each in await list_templates(connection, programme_id=of.id)
        ]

    found = run_in_transaction(work)
    if as_json:
        answer_json({"benefits": found})
        return
    rows = [
        (each["code"], each["kind"], each["state"], each["version"], each["left"].get("stock", each["stock"]))
        for each in found
    ]
    print_table(("code", "kind", "state", "version", "stock left"), rows)


@benefits.command("issue")
@click.argument("template", metavar="BENEFIT")
@click.option("--segment", metavar="SEG", help="To the members of a segment (seg_…) as it is saved, today.")
@click.option("--tier", "tiers", multiple=True, metavar="TIER", help="To the members of a tier; may be repeated.")
@click.option(
    "--list", "file", type=click.File("r", encoding="utf-8-sig"), help="To a file's members, a line each; - for stdin."
)
@click.option("--everybody", is_flag=True, help="To every member.")
@click.option("--skip-unknown", is_flag=True, help="Leave out lines of the file that name no member.")
@click.option("--name", help="What the issue is called.")
@click.option("--campaign", help="The campaign that its effect is counted under.")
@click.option("--hold-out", type=click.IntRange(0, 50), default=0, help="Leave so many percent out as control group.")
@_background_option
@programme_option
@json_option
def issue_benefit(
    *,
    template: str,
    segment: str | None,
    tiers: tuple[str, ...],
    file: Any,
    everybody: bool,
    skip_unknown: bool,
    name: str | None,
    campaign: str | None,
    hold_out: int,
    background: bool,
    programme: str | None,
    as_json: bool,
) -> None:
    """Give a benefit to many: to a segment, to tiers, to the members that a file names, or to everybody.

    A line of the file is a member id, phone, card or e-mail. It can be stopped with Ctrl-C, or killed: whoever resumes
    it goes on after the last member who got one, and nobody gets two.
    """
    audience = _audience(segment, tiers, file, everybody=everybody)

    async def begin(opened: Opened, connection: AsyncConnection) -> Issue:
        of = await opened.programme(connection, programme)
        listed = None
        if file is not None:
            keyring = open_keyring(opened.settings)
            listed = await read_list(connection, keyring, programme_id=of.id, lines=file)
            _check_list(listed, skip_unknown=skip_unknown)
        begun = await bulk.begin_issue(
            connection,
            programme_id=of.id,
            template_code=template,
            name=name or audience["kind"],
            audience=await check_audience(connection, programme_id=of.id, audience=audience),
            members=listed.members if listed else (),
            campaign=campaign,
            actor=actor(),
        )
        if hold_out:
            await define_holdout(
                connection,
                programme_id=of.id,
                campaign_id=begun.id,
                share_bp=hold_out * 100,
                defined_by=actor(),
            )
        return begun

    async def work(opened: Opened) -> Issue:
        async with transaction(opened.engine) as connection:
            begun = await begin(opened, connection)
        return begun if background else await _follow(opened, begun)

    _finish(run(work), as_json=as_json)


def _audience(segment: str | None, tiers: tuple[str, ...], file: Any, *, everybody: bool) -> dict[str, Any]:
    """For whom, as data. Raises click.UsageError unless exactly one is named."""
    if sum((segment is not None, bool(tiers), file is not None, everybody)) != 1:
        message = "say one of --segment, --tier, --list and --everybody"
        raise click.UsageError(message)
    if segment is not None:
        return {"kind": "segment", "segment": segment}
    if tiers:
        return {"kind": "tiers", "tiers": list(tiers)}
    return {"kind": "everybody" if everybody else "list"}


def _check_list(listed: Listed, *, skip_unknown: bool) -> None:
    for each in listed.refused[:_SHOWN_LINES]:
        click.echo(f"line {each.line}: {each.reason}", err=True)
    if listed.refused and not skip_unknown:
        message = f"{len(listed.refused):,} lines name no member, so nothing was given; --skip-unknown leaves them out"
        raise InvalidInputError(message, field="list")


async def _follow(opened: Opened, begun: Issue) -> Issue:
    """Work on an issue until it is over, or, where another process is at it, say how far that one is."""
    with Counter("given", total=begun.total) as counter:

        def progress(issue: Issue) -> None:
            counter.show(issue.issued, issue.done)

        while True:
            over = await bulk.work_on_issue(opened.engine, begun.id, find_audience=find_audience, progress=progress)
            if over is not None:
                return over
            await asyncio.sleep(_LOOK_SECONDS)
            async with transaction(opened.engine) as connection:
                progress(await bulk.get_issue(connection, programme_id=begun.programme_id, issue_id=begun.id))


def _finish(issue: Issue, *, as_json: bool) -> None:
    if as_json:
        answer_json(_shown(issue))
    else:
        total = f" of {issue.total:,}" if issue.total is not None else ""
        reason = f" ({issue.reason})" if issue.reason else ""
        click.echo(f"{public_id(ISSUE_PREFIX, issue.id)}\t{issue.state}{reason}\t{issue.issued:,}{total} given")
    if issue.state == "stopped":
        raise click.exceptions.Exit(REFUSED)


def _shown(issue: Issue) -> dict[str, Any]:
    told = ("name", "state", "reason", "total", "done", "issued", "created_by", "created_at", "finished_at")
    return {"id": public_id(ISSUE_PREFIX, issue.id)} | {field: getattr(issue, field) for field in told}


@benefits.command("issues")
@click.argument("template", metavar="BENEFIT")
@programme_option
@json_option
def show_issues(*, template: str, programme: str | None, as_json: bool) -> None:
    """List the issues of a benefit, newest first, and how far each is."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[Issue]:
        of = await opened.programme(connection, programme)
        found = await get_template(connection, programme_id=of.id, code=template)
        return await bulk.list_issues(connection, template_id=found.id)

    found = run_in_transaction(work)
    if as_json:
        answer_json({"issues": [_shown(each) for each in found]})
        return
    rows = [
        (public_id(ISSUE_PREFIX, each.id), each.name, each.state, each.reason or "", each.issued, each.total or 0)
        for each in found
    ]
    print_table(("issue", "name", "state", "reason", "given", "of"), rows)


@benefits.command("resume")
@click.argument("issue", metavar="ISSUE")
@_background_option
@programme_option
@json_option
def resume_issue(*, issue: str, background: bool, programme: str | None, as_json: bool) -> None:
    """Go on with an issue that was stopped, ran out of stock, or whose process died. ISSUE is its id (iss_…)."""
    issue_id: UUID = parse_public_id(ISSUE_PREFIX, issue, field="issue")

    async def work(opened: Opened) -> Issue:
        async with transaction(opened.engine) as connection:
            of = await opened.programme(connection, programme)
            found = await bulk.resume_issue(connection, programme_id=of.id, issue_id=issue_id, actor=actor())
        return found if background or found.finished_at is not None else await _follow(opened, found)

    _finish(run(work), as_json=as_json)


@benefits.command("import-codes")
@click.argument("template", metavar="BENEFIT")
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@programme_option
@json_option
def import_codes(*, template: str, file: Any, programme: str | None, as_json: bool) -> None:
    """Import codes to hand out, one a line; - reads standard input. What is there already is left out.

    Each some thousands are kept as soon as they are in: an import that was cut off is run again on the whole file.
    """

    async def lines() -> AsyncIterator[str]:
        with Counter("codes") as counter:
            for number, line in enumerate(file, 1):
                counter.show(number)
                yield line

    async def work(opened: Opened) -> stock.ImportedCodes:
        async with transaction(opened.engine) as connection:
            programme_id = (await opened.programme(connection, programme)).id
        return await stock.import_codes(
            opened.engine, programme_id=programme_id, code=template, lines=lines(), actor=actor()
        )

    told = run(work)
    if as_json:
        answer_json(told)
    else:
        for each in told.examples[:_SHOWN_LINES]:
            click.echo(f"line {each.line}: {each.reason}", err=True)
        click.echo(f"{told.added:,} codes added, {told.refused:,} lines refused.")
