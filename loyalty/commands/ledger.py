"""The books: `tallystar ledger rebuild|sweep`.

What proves them is in `ledger_evidence.py`, what they say in `ledger_books.py` and, in money, in
`ledger_money.py`.
"""

from __future__ import annotations

import click

from ledger.rebuild import rebuild as rebuild_ledger
from ledger.sweep import Swept, count_due
from ledger.sweep import sweep as sweep_ledger
from loyalty.commands import ledger_books, ledger_evidence, ledger_money
from loyalty.commands.progress import Counter
from loyalty.commands.running import Opened, answer_json, json_option, run
from loyalty.kit.db import transaction


@click.group()
def ledger() -> None:
    """Read the books, close, reconcile, verify, seal, prove, rebuild and sweep them."""


for _command in (
    *(ledger_evidence.verify, ledger_evidence.seal, ledger_evidence.prove, ledger_evidence.verifier),
    *(ledger_books.close, ledger_books.books, ledger_books.reconcile),
    *(ledger_money.journal, ledger_money.deferred, ledger_money.accounting),
):
    ledger.add_command(_command)


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
