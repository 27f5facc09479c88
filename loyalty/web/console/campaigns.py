"""Earn campaigns in the hands of a CRM manager: drafted in sentences, tried on real orders, published, ended."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.bonus import campaign as lifecycle
from loyalty.campaigns.bonus.campaign import CAMPAIGN_PREFIX, Campaign, Version
from loyalty.campaigns.bonus.preview import Preview
from loyalty.campaigns.bonus.results import points_by_day, results_of
from loyalty.campaigns.segments.segment import list_segments
from loyalty.channels.orders.purchases import preview_campaign
from loyalty.kit.clock import end_of_local_day, start_of_local_day, utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError
from loyalty.kit.ids import new_id, parse_public_id, public_id
from loyalty.kit.programme import list_channels
from loyalty.members.member import MEMBER_PREFIX
from loyalty.members.profile import read_profiles
from loyalty.web.charts import Column, column_chart
from loyalty.web.console import campaign_forms as forms
from loyalty.web.console.campaign_words import condition_words, limit_words, listed, reward_words
from loyalty.web.console.desk import console_page, words
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Formats, Translator
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits.errors import UnknownTemplateError
from redemption.benefits.templates import list_templates

_REFUSED: Final = 422
_BY_DOMAIN: Final = {"starts_at": "starts", "ends_at": "ends"}
_DONE: Final = ("created", "saved", "undone", "published", "withdrawn", "ended")
_ACTIONS: Final = ("save", "undo", "publish", "withdraw", "end")
_SPANS: Final = (7, 30, 90, 365)
_MOST_DAYS: Final = 31


class Names(NamedTuple):
    """What channels, segments and templates of benefits are called, by their codes or ids."""

    channels: dict[str, str]
    segments: dict[str, str]
    benefits: dict[str, str]


class Told:
    """A campaign in words, for lists and its own page."""

    def __init__(self, campaign: Campaign, t: Translator, formats: Formats, names: Names) -> None:
        terms = campaign.terms
        self.campaign = campaign
        self.public_id = public_id(CAMPAIGN_PREFIX, campaign.id)
        self.name = terms.name[t.language]
        self.state = campaign.state(utc_now())
        self.reward = reward_words(terms, t, benefits=names.benefits)
        conditions = condition_words(terms, t, formats, channels=names.channels, segments=names.segments)
        self.conditions = listed(conditions, t)
        self.limits = limit_words(terms, t, formats)
        self.standing: Version | None = next((each for each in campaign.versions if each.withdrawn_at is None), None)


@get("/campaigns")
async def show_campaigns(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """All campaigns, what each says, and what it has given."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        campaigns = await lifecycle.list_campaigns(connection, programme_id=desk.programme.id)
        results = await results_of(connection, campaign_ids=[campaign.id for campaign in campaigns])
        names = await _names(connection, desk, t)
    return console_page(
        request,
        "console/campaigns.html",
        desk,
        section="campaigns",
        told=[Told(campaign, t, formats, names) for campaign in campaigns],
        results=results,
    )


async def _names(connection: AsyncConnection, desk: Desk, t: Translator) -> Names:
    channels = await list_channels(connection, desk.programme.id)
    segments = await list_segments(connection, programme_id=desk.programme.id)
    templates = await list_templates(connection, programme_id=desk.programme.id)
    return Names(
        channels={each.code: each.name for each in channels},
        segments={str(each.id): each.name for each in segments},
        benefits={each.code: each.definition.name[t.language] for each in templates},
    )


@get("/campaigns/new")
async def show_new_campaign(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The form of a campaign that does not exist yet."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show_form(request, connection, desk)


async def _show_form(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    *,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Response[Any]:
    return console_page(
        request,
        "console/campaign_new.html",
        desk,
        section="campaigns",
        status_code=_REFUSED if errors else 200,
        here="/console/campaigns/new",
        form=form or dict(forms.EMPTY),
        errors=errors or {},
        **await _choices(connection, desk),
    )


async def _choices(connection: AsyncConnection, desk: Desk) -> dict[str, Any]:
    """What the form's lists offer."""
    published = await list_templates(connection, programme_id=desk.programme.id, states=["published"])
    segments = await list_segments(connection, programme_id=desk.programme.id)
    return {
        "kinds": forms.KINDS,
        "who": forms.WHO,
        "places": forms.PLACES,
        "weekdays": forms.WEEKDAYS,
        "together": forms.TOGETHER,
        "segments": [(f"{each.id}/{each.version}", each.name) for each in segments if each.version],
        "benefits": [(each.code, each.definition.name) for each in published],
        "currency": desk.programme.currency,
    }


@post("/campaigns", status_code=303)
async def create_campaign(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Make a campaign as a draft. What was typed wrong is said at its field."""
    form = await read_form(request, *forms.FIELDS, limit=2_000)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            made = await lifecycle.create_campaign(
                connection,
                programme_id=desk.programme.id,
                code=form["code"] or f"c-{new_id().hex[-10:]}",
                draft=forms.document_of(form, None, desk.programme.currency),
                created_by=desk.staff.username,
            )
    except (InvalidInputError, ConflictError, UnknownTemplateError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            t, _ = words(request, desk)
            return await _show_form(request, connection, desk, form=form, errors=_error(t, error))
    return _done(made.id, "created")


def _error(t: Translator, error: InvalidInputError | ConflictError | UnknownTemplateError) -> dict[str, str]:
    """A refusal at the form's field, in words; where there are none, as the rule says it."""
    field = _BY_DOMAIN.get(error.field or "") or forms.field_of(error.field)
    known = (
        "code",
        "name_zh",
        "name_en",
        "value",
        "benefit",
        "minimum",
        "holdout",
        "group",
        "starts",
        "ends",
        "seen",
        "draft",
    )
    if field in (*known, *forms.NUMBERS):
        return {field: t(f"campaigns.error.{field}")}
    return {field: error.detail}


def _done(campaign_id: UUID, what: str) -> Response[Any]:
    return see_other(f"{_address(campaign_id)}?{urlencode({'done': what})}")


def _address(campaign_id: UUID) -> str:
    return f"/console/campaigns/{public_id(CAMPAIGN_PREFIX, campaign_id)}"


@get("/campaigns/{campaign_id:str}")
async def show_campaign(
    request: Request[Any, Any, Any], services: NamedDependency[Services], campaign_id: FromPath[str]
) -> Response[Any]:
    """One campaign: what it says, what it gave, the form, a trial on real orders, and its history."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show(request, services, connection, desk, campaign_id)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    campaign_id: str,
    *,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Response[Any]:
    t, formats = words(request, desk)
    identifier = parse_public_id(CAMPAIGN_PREFIX, campaign_id)
    campaign = await lifecycle.get_campaign(connection, programme_id=desk.programme.id, campaign_id=identifier)
    told = Told(campaign, t, formats, await _names(connection, desk, t))
    days = _days(request)
    trial = await _try(services, connection, desk, campaign, days) if days else None
    notice = request.query_params.get("done")
    members = sorted({example.member_id for example in trial.examples}) if trial else []
    profiles = await read_profiles(connection, services.keyring, members)
    return console_page(
        request,
        "console/campaign.html",
        desk,
        section="campaigns",
        status_code=_REFUSED if errors else 200,
        here=_address(identifier),
        told=told,
        campaign=campaign,
        result=(await results_of(connection, campaign_ids=[identifier]))[identifier],
        chart=_chart(await points_by_day(connection, campaign_id=identifier), t, formats, "campaigns.chart.given"),
        history=await lifecycle.history(connection, programme_id=desk.programme.id, campaign_id=identifier),
        can_undo=await lifecycle.can_undo(connection, campaign),
        form=form or forms.form_of(campaign.code, campaign.terms, desk.programme.currency),
        errors=errors or {},
        notice=notice if notice in _DONE else None,
        trial=trial,
        trial_chart=_chart(list(trial.days), t, formats, "campaigns.chart.would") if trial else None,
        days=days,
        spans=_SPANS,
        people={member: (public_id(MEMBER_PREFIX, member), profiles[member].display_name) for member in members},
        **await _choices(connection, desk),
    )


def _days(request: Request[Any, Any, Any]) -> int | None:
    asked = request.query_params.get("days", "")
    return int(asked) if asked.isascii() and asked.isdigit() and int(asked) in _SPANS else None


async def _try(services: Services, connection: AsyncConnection, desk: Desk, campaign: Campaign, days: int) -> Preview:
    now = utc_now()
    return await preview_campaign(
        connection,
        services.keyring,
        programme=desk.programme,
        campaign_id=campaign.id,
        terms=campaign.terms,
        first=now - timedelta(days=days),
        last=now,
    )


def _chart(days: list[tuple[date, int]], t: Translator, formats: Formats, title: str) -> Markup | None:
    """Points by day, the last 31 days on which there were any."""
    if not days:
        return None
    shown = days[-_MOST_DAYS:]
    columns = [Column(label=f"{day.month}/{day.day}", value=points) for day, points in shown]
    said = t("campaigns.chart.say", first=formats.day(shown[0][0]), last=formats.day(shown[-1][0]))
    heading = t("campaigns.chart.given") if title.endswith("given") else t("campaigns.chart.would")
    return column_chart(columns, title=heading, description=said, number=formats.number)


@post("/campaigns/{campaign_id:str}", status_code=303)
async def change_campaign(
    request: Request[Any, Any, Any], services: NamedDependency[Services], campaign_id: FromPath[str]
) -> Response[Any]:
    """Save the draft, undo, publish, withdraw or end; refused where somebody changed it since the page was made."""
    form = await read_form(request, *forms.FIELDS, "action", "seen", "starts", "ends", limit=2_000)
    identifier = parse_public_id(CAMPAIGN_PREFIX, campaign_id)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            done = await _act(connection, desk, identifier, form)
    except (InvalidInputError, ConflictError, UnknownTemplateError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            t, _ = words(request, desk)
            kept = form if form["action"] == "save" else None
            return await _show(request, services, connection, desk, campaign_id, form=kept, errors=_error(t, error))
    return _done(identifier, done)


async def _act(connection: AsyncConnection, desk: Desk, campaign_id: UUID, form: dict[str, str]) -> str:
    if form["action"] not in _ACTIONS or not form["seen"].isascii() or not form["seen"].isdigit():
        raise InvalidInputError("this form is not one of ours", field="seen")
    where: dict[str, Any] = {"programme_id": desk.programme.id, "campaign_id": campaign_id, "seen": int(form["seen"])}
    who = desk.staff.username
    match form["action"]:
        case "save":
            before = await lifecycle.get_campaign(connection, programme_id=desk.programme.id, campaign_id=campaign_id)
            draft = forms.document_of(form, before.terms, desk.programme.currency)
            await lifecycle.save_draft(connection, **where, draft=draft, by=who)
            return "saved"
        case "undo":
            await lifecycle.undo(connection, **where, by=who)
            return "undone"
        case "publish":
            starts, ends = forms.read_day(form["starts"], "starts"), forms.read_day(form["ends"], "ends")
            zone, now = desk.programme.time_zone, utc_now()
            starts_at = start_of_local_day(starts, zone) if starts else None
            if starts is not None and starts == now.astimezone(desk.programme.zone).date():
                starts_at = None  # today: from now on
            await lifecycle.publish(
                connection,
                **where,
                by=who,
                starts_at=starts_at,
                ends_at=end_of_local_day(ends, zone) if ends else None,
            )
            return "published"
        case "withdraw":
            await lifecycle.withdraw(connection, **where, by=who)
            return "withdrawn"
        case _:
            await lifecycle.end(connection, **where, by=who)
            return "ended"


HANDLERS: Final = (show_campaigns, show_new_campaign, create_campaign, show_campaign, change_campaign)
