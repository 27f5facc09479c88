"""The books: `tallystar ledger verify|rebuild|sweep`."""

from __future__ import annotations

from typing import Final

import click
import msgspec

from ledger.audit import Finding, Verification
from ledger.audit import rebuild as rebuild_ledger
from ledger.audit import verify as verify_ledger
from ledger.sweep import Swept, count_due
from ledger.sweep import sweep as sweep_ledger
from loyalty.commands.progress import Counter
from loyalty.commands.running import REFUSED, Opened, answer_json, json_option, run
from loyalty.kit.db import transaction
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX

_MOST_SHOWN: Final = 50


@click.group()
def ledger() -> None:
    """Verify, rebuild and sweep the books."""


@ledger.command()
@json_option
def verify(*, as_json: bool) -> None:
    """Replay every entry, and compare hashes, balances, lots and holds with what follows from them.

    Exit code 1 where something does not; each finding names member, unit and the first wrong entry.
    """

    async def work(opened: Opened) -> Verification:
        # One snapshot for all of it: postings go on meanwhile, and are not seen half.
        async with opened.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            with Counter("entries") as counter:
                return await verify_ledger(connection, progress=lambda found: counter.show(found.entries))

    found = run(work)
    if as_json:
        answer_json(
            {
                "passed": found.passed,
                "accounts": found.accounts,
                "entries": found.entries,
                "findings": [
                    {**msgspec.structs.asdict(finding), "member_id": public_id(MEMBER_PREFIX, finding.member_id)}
                    for finding in found.findings
                ],
            }
        )
    else:
        _report(found)
    if not found.passed:
        raise click.exceptions.Exit(REFUSED)


def _report(found: Verification) -> None:
    click.echo(f"{found.entries:,} entries of {found.accounts:,} accounts were replayed.")
    if found.passed:
        click.echo("The books balance: every hash, balance, lot and hold follows from the entries.")
        return
    click.echo(f"{len(found.findings):,} do not follow from the entries:")
    for finding in found.findings[:_MOST_SHOWN]:
        click.echo(f"  {_described(finding)}")
    if len(found.findings) > _MOST_SHOWN:
        click.echo(f"  and {len(found.findings) - _MOST_SHOWN:,} more; --json lists all")


def _described(finding: Finding) -> str:
    place = "its balances, lots or holds" if finding.sequence is None else f"entry {finding.sequence}"
    return f"{public_id(MEMBER_PREFIX, finding.member_id)} {finding.unit}, {place}: {finding.problem}"


@ledger.command()
@json_option
def rebuild(*, as_json: bool) -> None:
    """Write balances, lots and holds anew from the entries. Postings wait meanwhile, so do it when shops are closed."""

    async def work(opened: Opened) -> int:
        async with transaction(opened.engine) as connection:
            with Counter("accounts") as counter:
                return await rebuild_ledger(connection, progress=counter.show)

    accounts = run(work, owner=True)
    if as_json:
        answer_json({"accounts": accounts})
    else:
        click.echo(f"{accounts:,} accounts were rebuilt from their entries.")


@ledger.command()
@json_option
def sweep(*, as_json: bool) -> None:
    """Expire what is due, free holds that ran out, and make waiting points spendable."""

    async def work(opened: Opened) -> Swept:
        async with transaction(opened.engine) as connection:
            due = await count_due(connection)
        with Counter("accounts", total=due) as counter:
            return await sweep_ledger(
                opened.engine, progress=lambda swept: counter.show(swept.accounts, min(swept.accounts, due))
            )

    swept = run(work)
    if as_json:
        answer_json(swept)
    else:
        click.echo(f"{swept.accounts:,} accounts were due; {swept.entries:,} entries were made.")
