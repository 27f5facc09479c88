"""Exports in: `tallystar import members|orders|campaigns`."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

import click
import msgspec

from loyalty.channels.files.lines import Export
from loyalty.channels.files.mapping import FileFormat
from loyalty.channels.files.members_in import MemberImport
from loyalty.channels.files.orders_in import OrderImport
from loyalty.channels.files.refusals import RefusalFile
from loyalty.channels.files.tally import CampaignTally, MemberTally, OrderTally, Tally
from loyalty.commands.import_options import (
    CampaignOptions,
    ImportOptions,
    MemberOptions,
    OrderOptions,
    common_options,
    order_options,
)
from loyalty.commands.progress import Counter
from loyalty.commands.running import REFUSED, STOPPED, Opened, answer_json, run
from loyalty.effects.importing import CampaignImport
from loyalty.kit.db import transaction
from loyalty.kit.programme import Channel
from loyalty.runtime import open_keyring

AnyTally = TypeVar("AnyTally", bound=Tally)


class _Run(msgspec.Struct):
    """One run of an import: what it reads, and whoever watches it."""

    exports: Sequence[Export]
    refusals: RefusalFile
    counter: Counter
    asked_to_stop: bool = False

    def stopping(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.asked_to_stop

    def advanced(self, tally: Tally) -> None:
        """Show how far it is."""
        self.counter.show(tally.rows, sum(export.position for export in self.exports))

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Let the first Ctrl-C, or SIGTERM, stop after the batch; a second one undoes the batch and leaves at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            if self.asked_to_stop and task is not None:
                task.cancel()
            self.asked_to_stop = True
            click.echo("Stopping when this batch is posted; once more to leave at once.", err=True)

        handled = (signal.SIGINT, signal.SIGTERM)
        with suppress(NotImplementedError):  # Windows: Ctrl-C undoes the batch under way
            for number in handled:
                loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            with suppress(NotImplementedError):
                for number in handled:
                    loop.remove_signal_handler(number)


@click.group("import")
def imports() -> None:
    """Members, orders and campaigns from a shop's exports.

    FILE is delimited text with a header, plain or gzipped, or - for standard input. Which column is what is said by a
    mapping file, by --column, or by columns that are called like their role. An import can be stopped with Ctrl-C, or
    killed, and run again: nothing is posted twice. Refused lines go to a file with the reason.
    """


@imports.command("members")
@common_options
def import_members(**given: Any) -> None:
    """People whom a channel knows.

    Roles of columns: customer, card, phone, email, name, birthday, joined.
    """
    options = MemberOptions(**given)
    file_format, mapping = options.read()

    async def work(opened: Opened, channel: Channel, running: _Run) -> MemberTally:
        keyring = open_keyring(opened.settings)
        importer = MemberImport(
            opened.engine, keyring, channel=channel, mapping=mapping, refusals=running.refusals, watcher=running
        )
        return await importer.run(running.exports)

    _finish(options, _import(options, file_format, work), _member_lines)


@imports.command("orders")
@common_options
@order_options
def import_orders(**given: Any) -> None:
    """Purchases of a channel, and cancellations, one line an item.

    Roles of columns: order, time, customer, card, phone, email, line, sku, category, description, quantity, unit_price,
    amount, discount, currency, original.
    """
    options = OrderOptions(**given)
    file_format, mapping = options.read()

    async def work(opened: Opened, channel: Channel, running: _Run) -> OrderTally:
        importer = OrderImport(
            opened.engine,
            open_keyring(opened.settings),
            channel=channel,
            mapping=mapping,
            file_format=file_format,
            unknown_customer=options.unknown_customer,
            refusals=running.refusals,
            watcher=running,
        )
        return await importer.run(running.exports)

    _finish(options, _import(options, file_format, work), _order_lines)


@imports.command("campaigns")
@common_options
def import_campaigns(**given: Any) -> None:
    """Campaigns that a channel sent, to whom, and which of their benefits came back; members first.

    Roles of columns: campaign, kind, starts, ends; customer; benefit, used, store, clerk, discount. A file with starts
    holds campaigns, one with used what came back, any other who was sent what.
    """
    options = CampaignOptions(**given)
    file_format, mapping = options.read()

    async def work(opened: Opened, channel: Channel, running: _Run) -> CampaignTally:
        importer = CampaignImport(
            opened.engine,
            open_keyring(opened.settings),
            channel=channel,
            mapping=mapping,
            refusals=running.refusals,
            watcher=running,
        )
        return await importer.run(running.exports)

    _finish(options, _import(options, file_format, work), _campaign_lines)


def _campaign_lines(tally: CampaignTally) -> list[str]:
    sent = f"{tally.campaigns_added:,} added, sent to {tally.sends_added:,} more members"
    return [f"Campaigns  {sent}, {tally.uses_added:,} more uses, {tally.lines_refused:,} lines refused"]


def _import(
    options: ImportOptions, file_format: FileFormat, work: Callable[[Opened, Channel, _Run], Awaitable[AnyTally]]
) -> AnyTally:
    """Open the files before the database, so that a mistyped name costs nothing, and do `work`."""
    with ExitStack() as stack:
        exports = [stack.enter_context(Export(path, file_format)) for path in options.files]
        refusals = stack.enter_context(RefusalFile(options.refusals_path()))
        sizes = [export.size for export in exports if export.size is not None]
        counter = stack.enter_context(Counter("rows", total=sum(sizes) if len(sizes) == len(exports) else None))
        running = _Run(exports, refusals, counter)

        async def opened(opened: Opened) -> AnyTally:
            async with transaction(opened.engine) as connection:
                channel = await opened.channel(connection, options.programme, options.channel)
            started_at = time.monotonic()
            with running.stoppable():
                tally = await work(opened, channel, running)
            tally.seconds = round(time.monotonic() - started_at, 3)
            return tally

        with _rare_collections():
            return run(opened)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python look for reference cycles less often: rows have none, and looking cost a third of the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _finish(options: ImportOptions, tally: AnyTally, lines: Callable[[AnyTally], list[str]]) -> None:
    """Answer with the summary, and with the exit code that it means."""
    refused_file = options.refusals_path()
    answer = {
        "channel": options.channel,
        "files": options.files,
        **msgspec.structs.asdict(tally),
        "rows_per_second": tally.rows_per_second,
        "refused_file": str(refused_file) if refused_file.exists() else None,
    }
    if options.as_json:
        answer_json(answer)
    else:
        click.echo("\n".join(lines(tally)))
        click.echo(f"{tally.rows:,} rows in {tally.seconds:,.1f} s, {tally.rows_per_second:,} a second.")
        if refused_file.exists():
            click.echo(f"What was refused, and why: {refused_file}")
    if tally.problem is not None:
        click.echo(f"Error: {tally.problem}. Run the same command again on the whole file.", err=True)
    if tally.stopped:
        click.echo(f"Stopped at line {tally.line} of {tally.file}. Run the same command again to go on.", err=True)
        raise click.exceptions.Exit(STOPPED)
    if tally.problem is not None or tally.lines_refused:
        raise click.exceptions.Exit(REFUSED)


def _member_lines(tally: MemberTally) -> list[str]:
    found = f"{tally.members_joined:,} joined to one there was, {tally.members_unchanged:,} unchanged"
    return [
        f"Members  {tally.members_created:,} created, {found}, {tally.members_refused:,} refused",
        f"         {tally.members_merged:,} merged, {tally.details_left_out:,} details left out",
    ]


def _order_lines(tally: OrderTally) -> list[str]:
    posted = f"{tally.orders_posted:,} posted, {tally.orders_unchanged:,} unchanged"
    taken = f"{tally.cancellations_posted:,} posted, {tally.cancellations_unchanged:,} unchanged"
    lines = [
        f"Orders         {posted}, {tally.orders_guest:,} of guests, {tally.orders_refused:,} refused",
        f"Cancellations  {taken}, {tally.cancellations_waiting:,} waiting for their order",
    ]
    for unit in sorted({"points", *tally.earned, *tally.taken_back}):
        earned, taken_back = tally.earned.get(unit, 0), tally.taken_back.get(unit, 0)
        lines.append(f"{unit.capitalize():<14} {earned:,} earned, {taken_back:,} taken back")
    if tally.members_created or tally.members_merged:
        lines.append(f"Members        {tally.members_created:,} created, {tally.members_merged:,} merged")
    if not (tally.orders_posted or tally.cancellations_posted or tally.cancellations_waiting):
        lines.append("Nothing was posted: there was nothing new.")
    return lines
