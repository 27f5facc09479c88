"""Products, their pictures and documents: `tallystar items product save|list|media`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.commands.running import Opened, answer_json, json_option, programme_option, run_in_transaction
from loyalty.items.gtin import normalise_gtin
from loyalty.items.media import Media, add_media, list_media, remove_media
from loyalty.items.products import LocalText, Product, list_products, save_product
from loyalty.kit.ids import parse_public_id

_MANY: Final = 1000


@click.group()
def product() -> None:
    """What is sold under a GTIN."""


@product.command("save")
@click.argument("gtin")
@click.option("--zh", default="", help="Its name in Chinese.")
@click.option("--en", default="", help="Its name in English.")
@click.option("--category", default="")
@click.option("--points", default=0, show_default=True, help="What claiming one brings.")
@programme_option
@json_option
def save(*, gtin: str, zh: str, en: str, category: str, points: int, programme: str | None, as_json: bool) -> None:
    """Create a product, or change the one of this GTIN."""

    async def work(opened: Opened, connection: AsyncConnection) -> Product:
        return await save_product(
            connection,
            programme_id=(await opened.programme(connection, programme)).id,
            gtin=gtin,
            names=LocalText(zh=zh, en=en),
            category=category,
            points_on_claim=points,
        )

    saved = run_in_transaction(work)
    if as_json:
        answer_json({"gtin": saved.gtin, "names": saved.names})
    else:
        click.echo(f"{saved.gtin}\t{saved.names.within('en')}")


@product.command("list")
@programme_option
@json_option
def show_products(*, programme: str | None, as_json: bool) -> None:
    """List products by GTIN."""

    async def work(opened: Opened, connection: AsyncConnection) -> list[Product]:
        return await list_products(
            connection, programme_id=(await opened.programme(connection, programme)).id, limit=_MANY
        )

    found = run_in_transaction(work)
    if as_json:
        answer_json({"products": [{"gtin": each.gtin, "names": each.names} for each in found]})
        return
    for each in found:
        click.echo(f"{each.gtin}\t{each.names.within('en')}")


@product.command("media")
@click.argument("gtin")
@click.option("--picture", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A JPEG, PNG or WebP.")
@click.option("--document", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A PDF.")
@click.option("--link", help="A document elsewhere, https://…")
@click.option("--remove", metavar="ID", help="Take one away.")
@click.option("--zh", default="", help="A title in Chinese.")
@click.option("--en", default="", help="A title in English.")
@programme_option
@json_option
def media(
    *,
    gtin: str,
    picture: Path | None,
    document: Path | None,
    link: str | None,
    remove: str | None,
    zh: str,
    en: str,
    programme: str | None,
    as_json: bool,
) -> None:
    """Give a product a picture or a document, take one away, or list what it has."""
    if sum(given is not None for given in (picture, document, link, remove)) > 1:
        raise click.UsageError("one thing at a time: --picture, --document, --link or --remove")
    file = picture or document

    async def work(opened: Opened, connection: AsyncConnection) -> list[Media]:
        programme_id = (await opened.programme(connection, programme)).id
        digits = normalise_gtin(gtin)
        if remove is not None:
            identifier = parse_public_id("med", remove, field="remove")
            await remove_media(connection, programme_id=programme_id, gtin=digits, media_id=identifier)
        elif file is not None or link is not None:
            await add_media(
                connection,
                programme_id=programme_id,
                gtin=digits,
                kind="picture" if picture else "document",
                content=file.read_bytes() if file else None,
                link=link,
                titles=LocalText(zh=zh, en=en),
            )
        return await list_media(connection, gtins=[digits])

    found = run_in_transaction(work)
    if as_json:
        answer_json({"media": [{"id": each.public_id, "kind": each.kind, "address": each.address} for each in found]})
        return
    for each in found:
        click.echo(f"{each.public_id}\t{each.kind}\t{each.address}")
