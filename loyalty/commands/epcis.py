"""EPCIS on the command line: `tallystar epcis capture|hash|publish|withhold|published|place`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import IO, Any, Final, cast, get_args

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.commands.running import (
    REFUSED,
    Opened,
    answer_json,
    json_option,
    programme_option,
    run,
    run_in_transaction,
)
from loyalty.items.epcis.capturing import Capture, begin_capture, get_capture, receive_document, work_on_capture
from loyalty.items.epcis.checking import check_event
from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.documents import DocumentReader, check_envelope
from loyalty.items.epcis.event_hash import event_hash_id
from loyalty.items.epcis.publishing import PublicStep, name_place, public_steps, publish_step, withhold_step
from loyalty.items.events import EventKind
from loyalty.items.keys import FILE_NAME as ITEM_KEYS_FILE
from loyalty.items.keys import MasterKeys
from loyalty.items.products import LocalText
from loyalty.kit.db import transaction
from loyalty.kit.ids import public_id

_CHUNK_BYTES: Final = 65_536
_document_argument = click.argument("document", type=click.File("rb"), metavar="FILE")


@click.group()
def epcis() -> None:
    """EPCIS 2.0: events captured from a file, and what shoppers see of them."""


@epcis.command("capture")
@_document_argument
@click.option("--proceed", is_flag=True, help="Keep what is right where something is wrong. Otherwise: all or nothing.")
@programme_option
@json_option
def capture_document(*, document: IO[bytes], proceed: bool, programme: str | None, as_json: bool) -> None:
    """Capture an EPCISDocument, here and now. FILE is JSON, or - for standard input.

    Exit code 1 where something was wrong; each fault is told with its path.
    """

    async def work(opened: Opened) -> Capture:
        settings = opened.settings
        async with transaction(opened.engine) as connection:
            of = await opened.programme(connection, programme)
        received = await receive_document(
            _arriving(document), most_events=settings.epcis_capture_events, most_bytes=settings.epcis_capture_bytes
        )
        try:
            async with transaction(opened.engine) as connection:
                capture_id = await begin_capture(
                    connection,
                    received,
                    programme_id=of.id,
                    error_behaviour="proceed" if proceed else "rollback",
                    actor="command line",
                )
        finally:
            received.close()
        keys = MasterKeys.load_or_create(settings.keys / ITEM_KEYS_FILE)
        await work_on_capture(opened.engine, capture_id, item_keys=keys)
        async with transaction(opened.engine) as connection:
            return await get_capture(connection, programme_id=of.id, capture_id=capture_id)

    captured = run(work)
    if as_json:
        answer_json({**msgspec.to_builtins(captured), "id": public_id("cap", captured.id)})
    else:
        click.echo(f"{captured.captured:,} of {captured.event_count:,} events captured, {captured.failed:,} refused.")
        for error in captured.errors:
            for fault in error.faults:
                click.echo(f"{fault.path}: {fault.reason}", err=True)
    if not captured.success:
        click.get_current_context().exit(REFUSED)


@epcis.command("hash")
@_document_argument
def hash_events(document: IO[bytes]) -> None:
    """Print the event hash id of each event of an EPCISDocument (CBV 2.0, section 8.9.2), a line each."""
    reader = DocumentReader()
    events = [event for chunk in _chunks(document) for event in reader.feed(chunk)]
    head = check_envelope(reader.finish())
    for number, event in enumerate(events):
        click.echo(_event_hash(event, head.context, f"{head.list_path}[{number}]"))


@epcis.command("publish")
@click.argument("step")
@click.option("--as", "kind", type=click.Choice(get_args(EventKind)), help="What shoppers read. Some steps say it.")
@programme_option
def publish(step: str, kind: str | None, programme: str | None) -> None:
    """Show a business step (`receiving`, or a URI of your own) on the pages of the items that events name."""

    async def work(opened: Opened, connection: AsyncConnection) -> PublicStep:
        of = await opened.programme(connection, programme)
        return await publish_step(connection, programme_id=of.id, biz_step=step, kind=cast("EventKind | None", kind))

    shown = run_in_transaction(work)
    click.echo(f"Shoppers see {shown.biz_step} as {shown.kind}.")


@epcis.command("withhold")
@click.argument("step")
@programme_option
def withhold(step: str, programme: str | None) -> None:
    """Show a business step no more."""

    async def work(opened: Opened, connection: AsyncConnection) -> None:
        of = await opened.programme(connection, programme)
        await withhold_step(connection, programme_id=of.id, biz_step=step)

    run_in_transaction(work)
    click.echo(f"Shoppers do not see {step} any more.")


@epcis.command("published")
@programme_option
@json_option
def published(*, programme: str | None, as_json: bool) -> None:
    """List the business steps that shoppers see."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[PublicStep]:
        of = await opened.programme(connection, programme)
        return await public_steps(connection, programme_id=of.id)

    steps = run_in_transaction(work)
    if as_json:
        answer_json({"steps": msgspec.to_builtins(steps)})
        return
    for step in steps:
        click.echo(f"{step.biz_step}\t{step.kind}")


@epcis.command("place")
@click.argument("place")
@click.option("--zh", default="", help="Its name in Chinese.")
@click.option("--en", default="", help="Its name in English.")
@programme_option
def place(place: str, zh: str, en: str, programme: str | None) -> None:
    """Say what shoppers read for a read point or business location, by its GLN as a URN or a Digital Link."""

    async def work(opened: Opened, connection: AsyncConnection) -> None:
        of = await opened.programme(connection, programme)
        await name_place(connection, programme_id=of.id, place=place, names=LocalText(zh=zh, en=en))

    run_in_transaction(work)
    click.echo(f"{place} is called {' / '.join(filter(None, (zh, en)))}.")


def _chunks(document: IO[bytes]) -> Iterator[bytes]:
    while chunk := document.read(_CHUNK_BYTES):
        yield chunk


async def _arriving(document: IO[bytes]) -> AsyncIterator[bytes]:
    for chunk in _chunks(document):
        yield chunk


def _event_hash(event: bytes, context: Context, path: str) -> str:
    checked = check_event(event, context, path=path)
    plain: dict[str, Any] = checked.plain
    return event_hash_id(plain, checked.context)
