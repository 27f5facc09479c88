"""The member's card: standing, points, what expires, wallet, history, and the code that a till scans."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import Balance, Expiring, balance, expiring, read_place, write_place
from loyalty.campaigns.missions.mission import MISSION_PREFIX
from loyalty.campaigns.missions.progress import Progress, note_visit, progress_of
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.kit.programme import Programme
from loyalty.members.card_token import issue_token
from loyalty.members.consent import MARKETING_SMS, agrees, current_consents, record_consent
from loyalty.members.member import Member, person_ids
from loyalty.members.profile import Profile, ProfileFields, read_profile, update_profile
from loyalty.web.benefit_words import conditions, gives, read_names
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Formats, Translator
from loyalty.web.member import consents, draws, missions
from loyalty.web.member.history import Line
from loyalty.web.member.history_reading import read_history
from loyalty.web.member.visitor import Visitor, read_visitor
from loyalty.web.mission_words import reward_words
from loyalty.web.qr import qr_svg
from loyalty.web.rendering import language_of, page
from loyalty.web.security.sessions import COOKIES, close_session, end_cookie
from loyalty.web.state import Services
from redemption.benefits.templates import list_templates
from redemption.benefits.wallet import Benefit, mark_seen, wallet
from tiers.reading import Standing, standing

_NEWEST: Final = 5
"""Lines of history on the card itself."""
_PAGE: Final = 30
_QR_VERSION: Final = 3
"""Version 3-M holds 61 alphanumeric characters; a member code has 40."""
_SIGN_IN: Final = "/join"
_CARD: Final = "/me"


class WalletLine(msgspec.Struct, frozen=True, kw_only=True):
    """A benefit in the wallet, in words: what it gives, and where and when it holds."""

    benefit: Benefit
    gives: str
    conditions: list[str]


class CardView(msgspec.Struct, frozen=True, kw_only=True):
    """What the card shows."""

    member: Member
    profile: Profile
    standing: Standing | None
    points: Balance
    expiring: list[Expiring]
    benefits: list[WalletLine]
    lines: list[Line]
    qr: Markup
    missions: list[Progress]
    benefit_names: dict[str, str]
    draws: list[draws.DrawView]


@get(_CARD, include_in_schema=False)
async def show_card(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The card of the member who is signed in."""
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
        if visitor.member is None:
            return see_other(_SIGN_IN)
        await note_visit(connection, programme=visitor.programme, member_id=visitor.member.id, at=utc_now())
        t = Translator(language_of(request, default=visitor.programme.locale))
        view = await _read_card(connection, services, visitor, visitor.member, t)
    return page(
        request,
        "member/card.html",
        programme=visitor.programme,
        private=True,
        signed_in=True,
        card=view,
        now=utc_now(),
        mission_id=_mission_id,
        mission_refused=_reason(request, "mission", missions.REFUSALS),
        draws=view.draws,
        draw_refused=_reason(request, "draw", draws.REFUSALS),
        new_key=draws.form_key,
        mission_reward=lambda terms: reward_words(terms, t, benefits=view.benefit_names),
    )


def _reason(request: Request[Any, Any, Any], asked: str, reasons: Collection[str]) -> str | None:
    """Why what the member asked for just now was refused, where the address says so."""
    told = request.query_params.get(asked, "")
    return told if told in reasons else None


def _mission_id(progress: Progress) -> str:
    return public_id(MISSION_PREFIX, progress.mission.id)


async def _read_card(
    connection: AsyncConnection, services: Services, visitor: Visitor, member: Member, t: Translator
) -> CardView:
    now = utc_now()
    missions = await progress_of(connection, programme=visitor.programme, member_id=member.id, at=now)
    templates = []
    if any(each.mission.terms.benefit for each in missions):
        templates = await list_templates(connection, programme_id=visitor.programme.id)
    lines, _ = await read_history(
        connection, programme=visitor.programme, member_id=member.id, t=t, before=None, limit=_NEWEST
    )
    return CardView(
        member=member,
        profile=await read_profile(connection, services.keyring, member_id=member.id),
        standing=await standing(connection, programme_id=visitor.programme.id, member_id=member.id, moment=now),
        points=await balance(connection, member_id=member.id),
        expiring=[each for each in await expiring(connection, member_id=member.id) if each.expires_at is not None],
        benefits=await _read_wallet(connection, visitor.programme, member, t, now),
        lines=lines,
        qr=_qr(services, member.id, now, t),
        missions=missions,
        draws=await draws.read_draws(connection, programme_id=visitor.programme.id, member_id=member.id, at=now),
        benefit_names={each.code: each.definition.name[t.language] for each in templates},
    )


async def _read_wallet(
    connection: AsyncConnection, programme: Programme, member: Member, t: Translator, now: datetime
) -> list[WalletLine]:
    """What the person holds; that they see it now is written down."""
    people = await person_ids(connection, member_id=member.id)
    held = await wallet(connection, member_id=member.id, person_ids=people)
    for owner in {benefit.member_id for benefit in held}:
        await mark_seen(connection, member_id=owner)
    names = await read_names(connection, programme, t, now)
    formats = Formats(t.language, programme.zone)
    return [
        WalletLine(
            benefit=benefit,
            gives=gives(benefit.definition, t, formats),
            conditions=conditions(benefit.definition, t, formats, names),
        )
        for benefit in held
    ]


@get("/me/history", include_in_schema=False)
async def show_history(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """All that happened to a member's points, newest first, in pages."""
    before = read_place(request.query_params.get("before"))
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
        if visitor.member is None:
            return see_other(_SIGN_IN)
        t = Translator(language_of(request, default=visitor.programme.locale))
        lines, last = await read_history(
            connection,
            programme=visitor.programme,
            member_id=visitor.member.id,
            t=t,
            before=before,
            limit=_PAGE,
        )
        points = await balance(connection, member_id=visitor.member.id)
    older = urlencode({"before": write_place(last.place)}) if last else None
    return page(
        request,
        "member/history.html",
        programme=visitor.programme,
        private=True,
        signed_in=True,
        lines=lines,
        points=points,
        older=older,
        first_page=before is None,
    )


@get("/me/qr", include_in_schema=False)
async def show_qr(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The member's code of this minute as an SVG; 403 to whoever is not signed in."""
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
    if visitor.member is None:
        return Response(b"", status_code=403, media_type="image/svg+xml")
    t = Translator(language_of(request, default=visitor.programme.locale))
    drawn = _qr(services, visitor.member.id, utc_now(), t)
    return Response(drawn.encode(), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


def _qr(services: Services, member_id: UUID, now: datetime, t: Translator) -> Markup:
    token = issue_token(services.session_secret, member_id, now)
    return qr_svg(token, label=t("card.qr_label"), version=_QR_VERSION)


@get("/me/settings", include_in_schema=False)
async def show_settings(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Name and consents, to be changed."""
    return await _show_settings(request, services, name=None, error=None, status_code=200)


async def _show_settings(
    request: Request[Any, Any, Any],
    services: Services,
    *,
    name: str | None,
    error: str | None,
    status_code: int,
) -> Response[Any]:
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
        if visitor.member is None:
            return see_other(_SIGN_IN)
        profile = await read_profile(connection, services.keyring, member_id=visitor.member.id)
        given = await current_consents(connection, member_id=visitor.member.id)
    return page(
        request,
        "member/settings.html",
        programme=visitor.programme,
        status_code=status_code,
        private=True,
        here="/me/settings",
        signed_in=True,
        profile=profile,
        name=profile.name or "" if name is None else name,
        marketing=agrees(given, MARKETING_SMS),
        terms=given.get("terms"),
        saved="saved" in request.query_params,
        error=error,
    )


@post("/me/settings", include_in_schema=False, status_code=303)
async def save_settings(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Keep a changed name and a changed mind. A consent is recorded only where it differs from the last one."""
    form = await read_form(request, "name", "marketing")
    wanted = form["marketing"] == "yes"
    try:
        async with services.transaction() as connection:
            visitor = await read_visitor(request, services, connection)
            if visitor.member is None:
                return see_other(_SIGN_IN)
            member_id = visitor.member.id
            await update_profile(
                connection,
                services.keyring,
                member_id=member_id,
                fields=ProfileFields(name=form["name"] or None),
                source=consents.SOURCE,
            )
            given = await current_consents(connection, member_id=member_id)
            if agrees(given, MARKETING_SMS) != wanted:
                answer = consents.answer_marketing(utc_now(), granted=wanted)
                await record_consent(connection, member_id=member_id, consent=answer)
    except InvalidInputError as refused:
        if refused.field != "name":
            raise
        t = Translator(language_of(request, default="en"))
        return await _show_settings(
            request, services, name=form["name"], error=t("join.terms.name_invalid"), status_code=422
        )
    return see_other("/me/settings?saved=1")


@post("/me/sign-out", include_in_schema=False, status_code=303)
async def sign_out(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Redirect:
    """End the session here."""
    async with services.transaction() as connection:
        await close_session(connection, request.cookies.get(COOKIES["member"]))
    response = see_other("/")
    response.set_cookie(end_cookie("member"))
    return response
