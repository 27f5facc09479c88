"""What effects are measured of: campaigns that a channel sent, and a brand's own campaigns, issues and benefits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.bonus.campaign import CAMPAIGN_PREFIX as EARN_PREFIX
from loyalty.campaigns.bonus.campaign import Campaign
from loyalty.campaigns.bonus.campaign import list_campaigns as list_earn_campaigns
from loyalty.effects.tables import sent_campaign_table
from loyalty.kit.clock import local_date, utc_now
from loyalty.kit.errors import NotFoundError
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.kit.programme import Programme, get_programme
from redemption.benefits.definition import Definition, read_definition
from redemption.benefits.tables import issue_table, template_table, version_table

Source = Literal["sent", "earn", "issue", "benefit"]
"""A campaign that a channel sent, an earn campaign, an issue to many, or all that was ever given of a template."""

PREFIXES: Final[Mapping[Source, str]] = {"sent": "cam", "earn": EARN_PREFIX, "issue": "iss", "benefit": "bnt"}
ID_PATTERN: Final = f"^({'|'.join(PREFIXES.values())})_[0-9A-Za-z]{{26}}$"
_INSTANT: Final = timedelta(microseconds=1)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Something whose effect is measured, over days of the programme's calendar that both belong to it.

    `name` is by locale where it has one in both languages, else `code` names it. `kind` is the channel's own word for a
    campaign that it sent. Without a `channel_id` it is of all channels. `template_id` is of what is issued.
    """

    id: UUID
    source: Source
    programme_id: UUID
    code: str
    name: dict[str, str] = {}
    kind: str = ""
    channel_id: UUID | None = None
    template_id: UUID | None = None
    first_day: date
    last_day: date

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id(PREFIXES[self.source], self.id)


async def list_subjects(connection: AsyncConnection, *, programme_id: UUID) -> list[Subject]:
    """All that there is to measure, the latest first."""
    programme = await get_programme(connection, programme_id)
    found = [
        *await _sent(connection, programme),
        *await _earn(connection, programme),
        *await _issues(connection, programme),
        *await _benefits(connection, programme),
    ]
    return sorted(found, key=lambda subject: (-subject.first_day.toordinal(), subject.source, subject.code))


async def get_subject(connection: AsyncConnection, *, programme_id: UUID, subject_id: str) -> Subject:
    """One of them by its public id. Raises NotFoundError (`campaign_id`)."""
    programme = await get_programme(connection, programme_id)
    prefix = subject_id.partition("_")[0]
    for source, read in (("sent", _sent), ("earn", _earn), ("issue", _issues), ("benefit", _benefits)):
        if PREFIXES[source] == prefix:  # type: ignore[index]  # the names are the sources
            identifier = parse_public_id(prefix, subject_id, field="campaign_id")
            for subject in await read(connection, programme, identifier):
                return subject
    raise NotFoundError(f"there is no campaign {subject_id[:40]} in this programme", field="campaign_id")


async def _sent(connection: AsyncConnection, programme: Programme, only: UUID | None = None) -> list[Subject]:
    columns = sent_campaign_table.c
    names = ("id", "programme_id", "channel_id", "code", "kind", "first_day", "last_day")
    query = select(*(columns[name] for name in names)).where(columns.programme_id == programme.id)
    if only is not None:
        query = query.where(columns.id == only)
    return [Subject(source="sent", **row) for row in (await connection.execute(query)).mappings()]


async def _earn(connection: AsyncConnection, programme: Programme, only: UUID | None = None) -> list[Subject]:
    """Earn campaigns that have started."""
    campaigns = await list_earn_campaigns(connection, programme_id=programme.id, campaign_id=only)
    now = utc_now()
    return [
        Subject(
            id=each.id,
            source="earn",
            programme_id=programme.id,
            code=each.code,
            name=each.terms.name,
            first_day=local_date(first, programme.time_zone),
            last_day=local_date(last - _INSTANT, programme.time_zone),
        )
        for each in campaigns
        for first, last in _span(each, now)
    ]


def _span(campaign: Campaign, now: datetime) -> list[tuple[datetime, datetime]]:
    """From its first start to its end, or to now while it runs; nothing before it has started."""
    started = [each for each in campaign.versions if each.withdrawn_at is None and each.starts_at < now]
    if not started:
        return []
    newest = max(started, key=lambda each: (each.starts_at, each.version))
    ends = [moment for moment in (campaign.ended_at, newest.ends_at, now) if moment is not None]
    first = min(each.starts_at for each in started)
    return [(first, max(min(ends), first + _INSTANT))]


async def _issues(connection: AsyncConnection, programme: Programme, only: UUID | None = None) -> list[Subject]:
    """Issues to many, from the day they began to the last day on which what was issued then can be used."""
    columns, version = issue_table.c, version_table.c
    query = (
        select(issue_table, version.definition)
        .join(version_table, (version.template_id == columns.template_id) & (version.version == columns.version))
        .where(columns.programme_id == programme.id)
    )
    if only is not None:
        query = query.where(columns.id == only)
    return [
        Subject(
            id=row.id,
            source="issue",
            programme_id=programme.id,
            code=row.name,
            template_id=row.template_id,
            first_day=local_date(row.created_at, programme.time_zone),
            last_day=_last_day(read_definition(row.definition), row.created_at, programme),
        )
        for row in await connection.execute(query)
    ]


def _last_day(definition: Definition, issued_at: datetime, programme: Programme) -> date:
    _, expires_at = definition.valid_between(issued_at, programme.time_zone)
    return local_date(max(expires_at - _INSTANT, issued_at), programme.time_zone)


async def _benefits(connection: AsyncConnection, programme: Programme, only: UUID | None = None) -> list[Subject]:
    """Templates that were published, from then to today."""
    columns, version = template_table.c, version_table.c
    first = (
        select(version.template_id, func.min(version.published_at).label("first_at"))
        .group_by(version.template_id)
        .subquery()
    )
    query = (
        select(columns.id, columns.code, version.definition, first.c.first_at)
        .join(version_table, (version.template_id == columns.id) & (version.version == columns.version))
        .join(first, first.c.template_id == columns.id)
        .where(columns.programme_id == programme.id)
    )
    if only is not None:
        query = query.where(columns.id == only)
    today = local_date(utc_now(), programme.time_zone)
    return [_benefit(row, programme, today) for row in await connection.execute(query)]


def _benefit(row: Any, programme: Programme, today: date) -> Subject:
    first_day = local_date(row.first_at, programme.time_zone)
    return Subject(
        id=row.id,
        source="benefit",
        programme_id=programme.id,
        code=row.code,
        name=read_definition(row.definition).name,
        template_id=row.id,
        first_day=first_day,
        last_day=max(today, first_day),
    )
