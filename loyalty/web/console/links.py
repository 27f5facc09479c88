"""Links: where the codes of each product lead, set by whoever looks after the brand."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.digital_link import LOT, SERIAL, VARIANT, DigitalLink, DigitalLinkError, format_link, parse_link
from loyalty.items.links.choosing import Offer, Wishes
from loyalty.items.links.link import (
    Link,
    Wanted,
    add_link,
    change_link,
    count_links,
    get_link,
    link_uuid,
    list_links,
    remove_link,
)
from loyalty.items.links.link_types import LINK_TYPES
from loyalty.items.links.resolving import NoSuchLinkError, resolve
from loyalty.items.links.targets import TARGET_LIMIT
from loyalty.items.products import Product, get_product, list_products
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import LANGUAGES, Translator
from loyalty.web.resolver.own_pages import own_pages
from loyalty.web.security.staff_actions import record_action
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

PAGE: Final = 50
_REFUSED: Final = 422
_MOST_PRODUCTS: Final = 5000
_LEVELS: Final = {"product": None, "variant": VARIANT, "lot": LOT, "item": SERIAL}
_KEPT: Final = "kept"
"""What a link is about where the form has no words for it, such as a variant's lot: it stays as it is."""
_FIELDS: Final = (
    "link_type",
    "title",
    "target",
    "level",
    "level_value",
    "languages",
    "media_type",
    "contexts",
    "valid_from",
    "valid_until",
    "default",
)
_EMPTY: Final = {**dict.fromkeys(_FIELDS, ""), "link_type": "pip", "level": "product"}
_DONE: Final = ("added", "saved", "removed")


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A code that somebody tries: what stands on it, and where it leads."""

    address: str
    offers: list[Offer]
    problem: str | None = None


@get("/links")
async def show_products(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The products, how many links each has, and a way to find one."""
    wanted = request.query_params.get("find", "").strip()[:100]
    after = request.query_params.get("after", "")
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        counts = await count_links(connection, programme_id=desk.programme.id)
        if wanted:
            every = await list_products(connection, programme_id=desk.programme.id, limit=_MOST_PRODUCTS)
            found = [product for product in every if _fits(product, wanted)][: PAGE + 1]
        else:
            found = await list_products(connection, programme_id=desk.programme.id, after=after, limit=PAGE + 1)
    return console_page(
        request,
        "console/links.html",
        desk,
        section="links",
        products=found[:PAGE],
        counts=counts,
        find=wanted,
        next_page=found[PAGE - 1].gtin if len(found) > PAGE and not wanted else None,
        first_page=not after,
    )


def _fits(product: Product, wanted: str) -> bool:
    text = wanted.casefold()
    return text in product.gtin or text in product.names.zh.casefold() or text in product.names.en.casefold()


@get("/links/{gtin:str}")
async def show_links(
    request: Request[Any, Any, Any], services: NamedDependency[Services], gtin: FromPath[str]
) -> Response[Any]:
    """A product's links, the form for another or for changing one, and a code to try."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        editing = request.query_params.get("edit")
        link = None
        if editing is not None:
            link = await get_link(connection, programme_id=desk.programme.id, link_id=link_uuid(editing))
        form = _form_of(link, desk) if link else None
        return await _show(request, services, connection, desk, gtin, link=link, form=form)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    gtin: str,
    *,
    link: Link | None = None,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Response[Any]:
    product = await get_product(connection, programme_id=desk.programme.id, gtin=gtin)
    t, _ = words(request, desk)
    now = utc_now()
    links = await list_links(connection, programme_id=desk.programme.id, key="01", value=product.gtin)
    bare = await _resolve(connection, services, desk, t, DigitalLink(value=product.gtin), now)
    notice = request.query_params.get("done")
    return console_page(
        request,
        "console/product_links.html",
        desk,
        section="links",
        status_code=_REFUSED if errors else 200,
        here=_address(product.gtin),
        product=product,
        links=links,
        now=now,
        own=[offer for level in bare.levels for offer in level.offers if offer.own],
        link_types=LINK_TYPES,
        levels=(*((_KEPT,) if form and form["level"] == _KEPT else ()), *_LEVELS),
        level_name=lambda each: _level_name(t, each),
        link=link,
        form=form or _EMPTY,
        errors=errors or {},
        notice=notice if notice in _DONE else None,
        tried=_tried(request),
        trial=await _try_code(request, services, connection, desk, t, product),
        target_limit=TARGET_LIMIT,
        languages_offered=LANGUAGES,
    )


async def _resolve(
    connection: AsyncConnection, services: Services, desk: Desk, t: Translator, link: DigitalLink, now: datetime
) -> Any:
    return await resolve(
        connection,
        link,
        programme_id=desk.programme.id,
        locale=desk.programme.locale,
        at=now,
        own_pages=own_pages(services.settings.public_url, t, epcis=False),
    )


def _address(gtin: str) -> str:
    return f"/console/links/{gtin}"


def _level_name(t: Translator, link: Link) -> str:
    """What a link is about, in words."""
    given = link.qualifiers
    if not given:
        return t("links.level.product")
    if len(given) > 1:
        return t("links.level.variant_lot", variant=given[VARIANT] or "", lot=given[LOT] or "")
    ((identifier, value),) = given.items()
    name = {VARIANT: "variant", LOT: "lot", SERIAL: "item"}.get(identifier)
    if name is None:
        return t("links.level.other", identifier=identifier, value=value or "")
    return t(f"links.level.{name}s") if value is None else t(f"links.level.{name}", value=value)


def _form_of(link: Link, desk: Desk) -> dict[str, str]:
    names = [name for name, identifier in _LEVELS.items() if identifier in link.qualifiers]
    level = _KEPT if len(link.qualifiers) != len(names) or len(names) > 1 else (names or ["product"])[0]
    value = (next(iter(link.qualifiers.values()), None) or "") if level != _KEPT else ""
    return {
        "link_type": link.link_type,
        "title": link.title,
        "target": link.target,
        "level": level,
        "level_value": value,
        "languages": ", ".join(link.languages),
        "media_type": link.media_type,
        "contexts": ", ".join(link.contexts),
        "valid_from": _day_of(link.valid_from, desk),
        "valid_until": _day_of(link.valid_until - timedelta(microseconds=1), desk) if link.valid_until else "",
        "default": "yes" if link.is_default else "",
    }


def _day_of(moment: datetime | None, desk: Desk) -> str:
    return moment.astimezone(desk.programme.zone).date().isoformat() if moment else ""


@post("/links/{gtin:str}", status_code=303)
async def add_one(
    request: Request[Any, Any, Any], services: NamedDependency[Services], gtin: FromPath[str]
) -> Response[Any]:
    """Add a link. What was typed wrong is said at its field, and nothing is added."""
    return await _save(request, services, gtin, None)


@post("/links/{gtin:str}/{link_id:str}", status_code=303)
async def change_one(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    gtin: FromPath[str],
    link_id: FromPath[str],
) -> Response[Any]:
    """Change a link, or remove it."""
    identifier = link_uuid(link_id)
    if (await read_form(request, "remove"))["remove"] != "yes":
        return await _save(request, services, gtin, identifier)
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        await remove_link(connection, programme_id=desk.programme.id, link_id=identifier)
        await _record(connection, desk, identifier)
    return _done(gtin, "removed")


async def _save(request: Request[Any, Any, Any], services: Services, gtin: str, link_id: UUID | None) -> Response[Any]:
    form = await read_form(request, *_FIELDS, limit=TARGET_LIMIT + 1)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            product = await get_product(connection, programme_id=desk.programme.id, gtin=gtin)
            given: dict[str, Any] = {
                "programme_id": desk.programme.id,
                "wanted": _wanted(form, product, desk, await _kept(connection, desk, link_id, form)),
                "https_only": not services.settings.http_links,
                "own_address": services.settings.public_url,
            }
            if link_id is None:
                saved = await add_link(connection, **given)
            else:
                saved = await change_link(connection, link_id=link_id, **given)
            await _record(connection, desk, saved.id)
    except (InvalidInputError, ConflictError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            t, _ = words(request, desk)
            link = await get_link(connection, programme_id=desk.programme.id, link_id=link_id) if link_id else None
            errors = {_field(error): _say(t, error)}
            return await _show(request, services, connection, desk, gtin, link=link, form=form, errors=errors)
    return _done(gtin, "added" if link_id is None else "saved")


async def _record(connection: AsyncConnection, desk: Desk, link_id: UUID) -> None:
    """Who changes where codes lead is written down: a link is what thousands of people follow."""
    await record_action(
        connection,
        programme_id=desk.programme.id,
        staff_id=desk.staff.id,
        action="change-link",
        subject_id=link_id,
    )


def _done(gtin: str, what: str) -> Response[Any]:
    return see_other(f"{_address(gtin)}?{urlencode({'done': what})}")


async def _kept(
    connection: AsyncConnection, desk: Desk, link_id: UUID | None, form: dict[str, str]
) -> dict[str, str | None] | None:
    if link_id is None or form["level"] != _KEPT:
        return None
    return (await get_link(connection, programme_id=desk.programme.id, link_id=link_id)).qualifiers


def _wanted(form: dict[str, str], product: Product, desk: Desk, kept: dict[str, str | None] | None) -> Wanted:
    identifier = _LEVELS.get(form["level"])
    chosen = {identifier: form["level_value"] or None} if identifier else {}
    last = _day(form["valid_until"], "valid_until", desk)
    return Wanted(
        value=product.gtin,
        qualifiers=chosen if kept is None else kept,
        link_type=form["link_type"],
        target=form["target"],
        title=form["title"],
        languages=_list(form["languages"]),
        media_type=form["media_type"] or None,
        contexts=_list(form["contexts"]),
        is_default=form["default"] == "yes",
        valid_from=_day(form["valid_from"], "valid_from", desk),
        valid_until=_next_day(last, desk) if last else None,
    )


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.replace("，", ",").replace("、", ",").split(",") if each.strip()]


def _day(text: str, field: str, desk: Desk) -> datetime | None:
    """The beginning of a day of the programme's calendar."""
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), desk.programme.zone)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("a day is written like 2027-09-30", field=field) from error


def _next_day(day: datetime, desk: Desk) -> datetime:
    return datetime.combine(day.date() + timedelta(days=1), time(), desk.programme.zone)


def _field(error: DomainError) -> str:
    field = error.field or ""
    if field.startswith("qualifiers"):
        return "level_value"
    return {"is_default": "default", "value": "level_value"}.get(field, field if field in _FIELDS else "target")


def _say(t: Translator, error: DomainError) -> str:
    if isinstance(error, ConflictError):
        return t("links.invalid.too_many")
    if error.field == "target":
        places = {name: f"{{{name}}}" for name in ("gtin", "variant", "lot", "serial")}
        for words_of, key in (("begin with", "scheme"), ("circle", "circle")):
            if words_of in error.detail:
                return t(f"links.invalid.target_{key}")
        if "{" in error.detail or "brace" in error.detail:
            return t("links.invalid.target_place", **places)
        return t("links.invalid.target_other")
    return t(f"links.invalid.{_INVALID.get(_field(error), _field(error))}")


_INVALID: Final = {"level_value": "value", "default": "is_default", "level": "value"}


def _tried(request: Request[Any, Any, Any]) -> dict[str, str]:
    names = ("try_variant", "try_lot", "try_serial", "try_type", "try_language")
    return {name: request.query_params.get(name, "").strip()[:80] for name in names}


async def _try_code(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    t: Translator,
    product: Product,
) -> Trial | None:
    """Where a code leads that somebody describes; None where nobody asked."""
    if "try" not in request.query_params:
        return None
    tried = _tried(request)
    given = {name: tried[f"try_{name}"] or None for name in ("variant", "lot", "serial")}
    try:
        address = format_link(services.settings.public_url, gtin=product.gtin, **given)
    except DigitalLinkError:
        return Trial(address="", offers=[], problem=t("links.invalid.value"))
    resolution = await _resolve(connection, services, desk, t, parse_link(address), utc_now())
    wishes = Wishes(
        media_types=(("text/html", 1.0), ("*/*", 0.8)),
        languages=((tried["try_language"], 1.0),) if tried["try_language"] else (),
    )
    try:
        return Trial(address=address, offers=resolution.answer(tried["try_type"] or None, wishes))
    except NoSuchLinkError:
        return Trial(address=address, offers=[], problem=t("links.console.try_nothing"))
