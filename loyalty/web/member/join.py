"""Joining and signing in, which begin alike: a phone, the code sent to it, and for whoever is new the terms.

Each step is a form that answers with a redirect, so that reloading and going back send nothing twice. What was typed
stays when something is wrong with it, and the field at fault says what.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from loyalty.items.trace.joins import record_join
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError, InvalidInputError, TooManyAttemptsError, UnavailableError
from loyalty.members.consent import Consent, current_consents
from loyalty.members.directory import find_holders
from loyalty.members.identifiers import Identity, identity_key, phone_identity
from loyalty.members.joining import register
from loyalty.members.phones import mask_phone
from loyalty.members.profile import ProfileFields
from loyalty.web.forms import network_address, read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.member import consents
from loyalty.web.member.joining import (
    COOKIE,
    LIFETIME,
    Joining,
    end_joining,
    item_or_nothing,
    open_joining,
    read_item,
    seal_joining,
)
from loyalty.web.member.visitor import read_visitor
from loyalty.web.rendering import language_of, page
from loyalty.web.security.one_time_codes import send_code, verify_code
from loyalty.web.security.sessions import open_session, session_cookie
from loyalty.web.state import Services

CHANNEL_CODE: Final = "member-pages"
"""The channel that members who join by themselves come from."""
_INVALID: Final = 422
_CODE_PAGE: Final = "/join/code"
_TERMS_PAGE: Final = "/join/terms"


@get("/join", include_in_schema=False)
async def ask_phone(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Ask for a phone number. A member who is signed in already has nothing to do here."""
    item = item_or_nothing(request.query_params.get("item", ""))
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
    if visitor.member is not None:
        return see_other(item or "/me")
    return page(request, "member/join.html", programme=visitor.programme, item=item, phone="", error=None)


@post("/join", include_in_schema=False, status_code=303)
async def send_to_phone(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Send a code to the phone."""
    form = await read_form(request, "phone", "item")
    item = item_or_nothing(form["item"])
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    t = Translator(language_of(request, default=programme.locale))
    try:
        phone = phone_identity(form["phone"]).value
        joining = await _send(request, services, programme_id=programme.id, phone=phone, item=item, locale=t.language)
    except (InvalidInputError, TooManyAttemptsError, UnavailableError) as error:
        return page(
            request,
            "member/join.html",
            programme=programme,
            status_code=_INVALID if isinstance(error, InvalidInputError) else error.status,
            private=True,
            here=f"/join?{urlencode({'item': item})}",
            item=item,
            phone=form["phone"],
            error=_phone_error(t, error),
        )
    return _carry(see_other(_CODE_PAGE), request, services, programme.id, joining)


def _phone_error(t: Translator, error: DomainError) -> str:
    if isinstance(error, TooManyAttemptsError):
        return t("join.phone.too_many", n=_minutes(error))
    if isinstance(error, UnavailableError):
        return t("join.phone.not_sent")
    return t("join.phone.invalid")


def _minutes(error: TooManyAttemptsError) -> int:
    return -(-int(error.members.get("retry_after_seconds", 60)) // 60)


async def _send(
    request: Request[Any, Any, Any], services: Services, *, programme_id: UUID, phone: str, item: str, locale: str
) -> Joining:
    sent = await send_code(
        services.engine,
        services.code_sender,
        keyring=services.keyring,
        secret=services.session_secret,
        programme_id=programme_id,
        purpose="sign-in",
        phone=phone,
        locale=locale,
        address=network_address(request),
    )
    return Joining(phone=phone, item=item, expires_at=utc_now() + LIFETIME, shown_code=sent.shown_code)


@get(_CODE_PAGE, include_in_schema=False)
async def ask_code(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Ask for the code that was sent; in a demo, show it and say why."""
    return await _show_code(request, services, error=None, status_code=200)


async def _show_code(
    request: Request[Any, Any, Any], services: Services, *, error: str | None, status_code: int, code: str = ""
) -> Response[Any]:
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    joining = _joining(request, services, programme.id)
    if joining is None:
        return see_other("/join")
    return page(
        request,
        "member/join_code.html",
        programme=programme,
        status_code=status_code,
        private=True,
        here=_CODE_PAGE,
        phone=mask_phone(joining.phone),
        item=joining.item,
        shown_code=joining.shown_code,
        sent_again=error is None and request.query_params.get("sent") == "again",
        code=code,
        error=error,
    )


@post(_CODE_PAGE, include_in_schema=False, status_code=303)
async def check_code(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Check the code. A member is signed in; whoever is new, or has not seen the terms, is asked about them."""
    form = await read_form(request, "code", limit=20)
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    joining = _joining(request, services, programme.id)
    if joining is None:
        return see_other("/join")
    t = Translator(language_of(request, default=programme.locale))
    try:
        await verify_code(
            services.engine,
            keyring=services.keyring,
            secret=services.session_secret,
            programme_id=programme.id,
            purpose="sign-in",
            phone=joining.phone,
            code=form["code"],
        )
    except (InvalidInputError, TooManyAttemptsError) as error:
        status_code = _INVALID if isinstance(error, InvalidInputError) else error.status
        return await _show_code(
            request, services, error=_code_error(t, error), status_code=status_code, code=form["code"]
        )
    identity = phone_identity(joining.phone, verified=True)
    key = identity_key(services.keyring, programme.id, identity)
    async with services.transaction() as connection:
        holder = (await find_holders(connection, programme_id=programme.id, keys=[key])).get(key)
        known = await current_consents(connection, member_id=holder.member_id) if holder else {}
    if consents.must_ask(known):
        verified = msgspec.structs.replace(joining, verified=True, shown_code=None)
        return _carry(see_other(_TERMS_PAGE), request, services, programme.id, verified)
    return await _sign_in(request, services, programme.id, identity, item=joining.item, locale=t.language)


def _code_error(t: Translator, error: DomainError) -> str:
    tries_left = int(error.members.get("tries_left", 0))
    if isinstance(error, InvalidInputError) and tries_left:
        return t("join.code.wrong", n=tries_left)
    return t("join.code.over")


@post("/join/code/again", include_in_schema=False, status_code=303)
async def send_again(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Send another code to the same phone; the one before stops working."""
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    joining = _joining(request, services, programme.id)
    if joining is None:
        return see_other("/join")
    t = Translator(language_of(request, default=programme.locale))
    try:
        sent = await _send(
            request,
            services,
            programme_id=programme.id,
            phone=joining.phone,
            item=joining.item,
            locale=t.language,
        )
    except (TooManyAttemptsError, UnavailableError) as error:
        return await _show_code(request, services, error=_phone_error(t, error), status_code=error.status)
    return _carry(see_other(f"{_CODE_PAGE}?sent=again"), request, services, programme.id, sent)


@get(_TERMS_PAGE, include_in_schema=False)
async def ask_terms(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Ask whoever is new for their agreement and, if they like, a name."""
    return await _show_terms(request, services, name="", marketing=False, errors={}, status_code=200)


async def _show_terms(
    request: Request[Any, Any, Any],
    services: Services,
    *,
    name: str,
    marketing: bool,
    errors: dict[str, str],
    status_code: int,
) -> Response[Any]:
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    joining = _joining(request, services, programme.id)
    if joining is None or not joining.verified:
        return see_other("/join")
    return page(
        request,
        "member/join_terms.html",
        programme=programme,
        status_code=status_code,
        private=True,
        here=_TERMS_PAGE,
        name=name,
        marketing=marketing,
        errors=errors,
        terms_version=consents.TERMS_VERSION,
    )


@post(_TERMS_PAGE, include_in_schema=False, status_code=303)
async def finish(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Make the person a member, sign them in, and bring them back to the item they scanned."""
    form = await read_form(request, "name", "terms", "marketing")
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    joining = _joining(request, services, programme.id)
    if joining is None or not joining.verified:
        return see_other("/join")
    t = Translator(language_of(request, default=programme.locale))
    marketing = form["marketing"] == "yes"
    errors = {} if form["terms"] == "yes" else {"terms": t("join.terms.needed")}
    if not errors:
        try:
            return await _sign_in(
                request,
                services,
                programme.id,
                phone_identity(joining.phone, verified=True),
                item=joining.item,
                locale=t.language,
                name=form["name"],
                marketing=marketing,
            )
        except InvalidInputError as error:
            if error.field != "name":
                raise
            errors = {"name": t("join.terms.name_invalid")}
    return await _show_terms(
        request, services, name=form["name"], marketing=marketing, errors=errors, status_code=_INVALID
    )


async def _sign_in(
    request: Request[Any, Any, Any],
    services: Services,
    programme_id: UUID,
    identity: Identity,
    *,
    item: str,
    locale: str,
    name: str = "",
    marketing: bool | None = None,
) -> Response[Any]:
    """Register whoever proved the phone (for a member that changes nothing), and open a session.

    `marketing` is None where the terms were agreed to before and nothing was asked now.
    """
    now = utc_now()
    async with services.transaction() as connection:
        registration = await register(
            connection,
            services.keyring,
            programme_id=programme_id,
            channel_code=CHANNEL_CODE,
            identities=[identity],
            joined_at=now,
            profile=ProfileFields(name=name) if name else None,
            consents=_answers(now, marketing),
            locale=locale,
        )
        if item and registration.created:
            gtin, serial = read_item(item)
            where = {"programme_id": programme_id, "member_id": registration.member.id}
            await record_join(connection, services.item_keys, gtin=gtin, serial=serial, at=now, **where)
        token = await open_session(
            connection, kind="member", programme_id=programme_id, subject_id=registration.member.id
        )
    response = see_other(item or "/me")
    response.set_cookie(session_cookie(token, kind="member", https=request.app.state["https"]))
    response.set_cookie(end_joining())
    return response


def _answers(now: datetime, marketing: bool | None) -> list[Consent]:  # noqa: FBT001  (an answer, or none)
    if marketing is None:
        return []
    return [consents.answer_terms(now), consents.answer_marketing(now, granted=marketing)]


def _joining(request: Request[Any, Any, Any], services: Services, programme_id: UUID) -> Joining | None:
    return open_joining(services.keyring, programme_id, request.cookies.get(COOKIE), utc_now())


def _carry(
    response: Response[Any], request: Request[Any, Any, Any], services: Services, programme_id: UUID, joining: Joining
) -> Response[Any]:
    cookie = seal_joining(services.keyring, programme_id, joining, https=request.app.state["https"])
    response.set_cookie(cookie)
    return response
