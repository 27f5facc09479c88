"""The life of an earn campaign: a draft, published from a date on, withdrawn until it starts, ended.

A draft may be changed and each change undone. Publishing makes a version that never changes and holds from its start;
a change of a running campaign is its next version, which takes over at its own start.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import list_units
from loyalty.campaigns.bonus.computing import Published
from loyalty.campaigns.bonus.definition import BenefitReward, CampaignTerms, parse_campaign
from loyalty.campaigns.bonus.tables import campaign_change_table, campaign_table, campaign_version_table
from loyalty.campaigns.holdout import define_holdout
from loyalty.campaigns.segments.segment import get_version
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.quotas import Key, set_total
from redemption.benefits.templates import get_published
from redemption.checks import check_code

CAMPAIGN_PREFIX: Final = "ecp"
BUDGET: Final = "points"
"""The unit of a campaign's quota; a day's is `points:2026-11-11`."""

State = Literal["draft", "scheduled", "running", "ended"]
What = Literal["created", "saved", "undone", "published", "withdrawn", "ended"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version as published. `withdrawn_at` says that it was taken back before it started."""

    campaign_id: UUID
    version: int
    terms: CampaignTerms
    starts_at: datetime
    ends_at: datetime | None
    published_by: str
    published_at: datetime
    withdrawn_at: datetime | None


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with its draft (None where nothing waits to be published) and its versions, newest first.

    `changes` is the number of the last change: who saves says which one was seen.
    """

    id: UUID
    programme_id: UUID
    code: str
    draft: CampaignTerms | None
    changes: int
    ended_at: datetime | None
    created_at: datetime
    versions: tuple[Version, ...] = ()

    @property
    def terms(self) -> CampaignTerms:
        """What is being worked on, else what was published last."""
        if self.draft is not None:
            return self.draft
        return self.versions[0].terms

    def in_force(self, moment: datetime) -> Version | None:
        """The version that holds at a moment: of those that have started the newest."""
        if self.ended_at is not None and moment >= self.ended_at:
            return None
        started = [each for each in self.versions if each.withdrawn_at is None and each.starts_at <= moment]
        newest = max(started, key=lambda each: (each.starts_at, each.version), default=None)
        return newest if newest is not None and (newest.ends_at is None or moment < newest.ends_at) else None

    def state(self, moment: datetime) -> State:
        """What a list says of it."""
        if self.in_force(moment) is not None:
            return "running"
        standing = [each for each in self.versions if each.withdrawn_at is None]
        if self.ended_at is None and any(each.starts_at > moment for each in standing):
            return "scheduled"
        return "ended" if standing else "draft"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a campaign's history."""

    number: int
    what: What
    version: int | None
    changed_by: str
    changed_at: datetime


class ChangedSinceError(ConflictError):
    """Somebody changed the campaign since it was looked at."""

    type = "campaign-changed"
    title = "The campaign was changed meanwhile"


async def create_campaign(
    connection: AsyncConnection, *, programme_id: UUID, code: str, draft: Any, created_by: str
) -> Campaign:
    """Make a campaign from a definition (decoded JSON). Raises InvalidInputError, ConflictError (`code` is taken)."""
    check_code(code)
    terms = await _checked(connection, programme_id, draft)
    campaign_id = new_id()
    values = {"id": campaign_id, "programme_id": programme_id, "code": code, "draft": msgspec.to_builtins(terms)}
    made = await connection.execute(
        upsert(campaign_table).values(values).on_conflict_do_nothing().returning(campaign_table.c.id)
    )
    if made.first() is None:
        raise ConflictError(f"there is a campaign {code!r} already", field="code")
    return await _changed(connection, programme_id, campaign_id, "created", by=created_by, draft=terms)


async def save_draft(
    connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID, draft: Any, seen: int, by: str
) -> Campaign:
    """Put another draft in place of what was seen as change `seen`.

    Raises ChangedSinceError, InvalidInputError naming the field, NotFoundError.
    """
    terms = await _checked(connection, programme_id, draft)
    await _lock(connection, programme_id, campaign_id, seen)
    return await _changed(connection, programme_id, campaign_id, "saved", by=by, draft=terms)


async def undo(connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID, seen: int, by: str) -> Campaign:
    """Go back to how the draft stood before its last change. Raises ConflictError where there is nothing to undo."""
    campaign = await _lock(connection, programme_id, campaign_id, seen)
    place = await _before(connection, campaign)
    if campaign.draft is None or place is None:
        raise ConflictError("there is no change of the draft to undo", field="draft")
    draft = msgspec.convert(place.draft, CampaignTerms)
    return await _changed(connection, programme_id, campaign_id, "undone", by=by, draft=draft)


async def can_undo(connection: AsyncConnection, campaign: Campaign) -> bool:
    """Whether the draft has a change that can be undone."""
    return campaign.draft is not None and await _before(connection, campaign) is not None


async def _before(connection: AsyncConnection, campaign: Campaign) -> Row[Any] | None:
    """The draft before the present one: undoing goes back step by step, so each `undone` skips one step further."""
    columns = campaign_change_table.c
    rows = (
        await connection.execute(
            select(campaign_change_table).where(columns.campaign_id == campaign.id).order_by(columns.number)
        )
    ).all()
    steps: list[Row[Any]] = []
    for row in rows:
        if row.what in ("created", "saved"):
            steps.append(row)
        elif row.what == "undone":
            steps.pop()
        elif row.what == "published":
            steps = []
    return steps[-2] if len(steps) > 1 else None


async def publish(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    campaign_id: UUID,
    seen: int,
    by: str,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
) -> Campaign:
    """Publish the draft as the next version, from a moment on (now, unless given) and until before another.

    Budget and control group are the campaign's: they hold for all its versions. Raises ChangedSinceError, ConflictError
    (no draft, ended, less budget than was given, another control group), InvalidInputError (`starts_at` is past,
    `ends_at`), NotFoundError.
    """
    campaign = await _lock(connection, programme_id, campaign_id, seen)
    if campaign.draft is None:
        raise ConflictError("there is no draft to publish", field="draft")
    if campaign.ended_at is not None:
        raise ConflictError("the campaign was ended; make a new one", field="campaign")
    now = utc_now()
    start = starts_at or now
    if start < now:
        raise InvalidInputError("a campaign cannot start in the past", field="starts_at")
    if ends_at is not None and ends_at <= start:
        raise InvalidInputError("it ends before it starts", field="ends_at")
    terms = await _checked(connection, programme_id, msgspec.to_builtins(campaign.draft))
    if terms.holdout_bp or campaign.versions:
        await define_holdout(
            connection,
            programme_id=programme_id,
            campaign_id=campaign_id,
            share_bp=terms.holdout_bp,
            defined_by=by,
        )
    if terms.budget_points is not None:
        key = Key(campaign_id, BUDGET)
        await set_total(connection, key, programme_id=programme_id, total=terms.budget_points)
    version = max((each.version for each in campaign.versions), default=0) + 1
    await connection.execute(
        insert(campaign_version_table).values(
            campaign_id=campaign_id,
            version=version,
            programme_id=programme_id,
            definition=msgspec.to_builtins(terms),
            starts_at=start,
            ends_at=ends_at,
            published_by=by,
        )
    )
    return await _changed(connection, programme_id, campaign_id, "published", by=by, draft=None, version=version)


async def withdraw(
    connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID, seen: int, by: str
) -> Campaign:
    """Take back what was published and has not started; it is a draft again. Raises ConflictError where none is."""
    campaign = await _lock(connection, programme_id, campaign_id, seen)
    now = utc_now()
    waiting = [each for each in campaign.versions if each.withdrawn_at is None and each.starts_at > now]
    if not waiting:
        raise ConflictError("nothing of this campaign waits for its start; end it instead", field="campaign")
    columns = campaign_version_table.c
    await connection.execute(
        update(campaign_version_table)
        .where(columns.campaign_id == campaign_id, columns.version == waiting[0].version)
        .values(withdrawn_at=now)
    )
    draft = campaign.draft or waiting[0].terms
    return await _changed(
        connection,
        programme_id,
        campaign_id,
        "withdrawn",
        by=by,
        draft=draft,
        version=waiting[0].version,
    )


async def end(connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID, seen: int, by: str) -> Campaign:
    """End a campaign now. What it gave stays. Raises ConflictError where it has ended or never started."""
    campaign = await _lock(connection, programme_id, campaign_id, seen)
    now = utc_now()
    if campaign.in_force(now) is None:
        raise ConflictError("the campaign is not running", field="campaign")
    await connection.execute(update(campaign_table).filter_by(id=campaign_id).values(ended_at=now))
    return await _changed(connection, programme_id, campaign_id, "ended", by=by, draft=None)


async def _checked(connection: AsyncConnection, programme_id: UUID, document: Any) -> CampaignTerms:
    """A definition that fits its programme.

    Raises InvalidInputError, NotFoundError for a segment or template, NotPublishedError.
    """
    terms = parse_campaign(document)
    if terms.unit not in {unit.code for unit in await list_units(connection, programme_id=programme_id)}:
        raise InvalidInputError(f"there is no unit {terms.unit[:20]!r} in this programme", field="unit")
    if terms.segment_id is not None:
        await get_version(
            connection, programme_id=programme_id, segment_id=terms.segment_id, version=terms.segment_version
        )
    if isinstance(terms.reward, BenefitReward):
        await get_published(connection, programme_id=programme_id, code=terms.reward.template)
    return terms


async def _lock(connection: AsyncConnection, programme_id: UUID, campaign_id: UUID, seen: int) -> Campaign:
    columns = campaign_table.c
    await connection.execute(select(columns.id).where(columns.id == campaign_id).with_for_update())
    campaign = await get_campaign(connection, programme_id=programme_id, campaign_id=campaign_id)
    if campaign.changes != seen:
        raise ChangedSinceError("somebody changed it since; look at it again", field="seen", changes=campaign.changes)
    return campaign


async def _changed(
    connection: AsyncConnection,
    programme_id: UUID,
    campaign_id: UUID,
    what: What,
    *,
    by: str,
    draft: CampaignTerms | None,
    version: int | None = None,
) -> Campaign:
    """Write down a change, and what the campaign is after it."""
    columns = campaign_table.c
    document = msgspec.to_builtins(draft) if draft is not None else None
    number = await connection.scalar(
        update(campaign_table)
        .where(columns.id == campaign_id)
        .values(draft=document, changes=columns.changes + 1, version=func.coalesce(version, columns.version))
        .returning(columns.changes)
    )
    await connection.execute(
        insert(campaign_change_table).values(
            campaign_id=campaign_id,
            number=number,
            programme_id=programme_id,
            what=what,
            draft=document,
            version=version,
            changed_by=by,
        )
    )
    return await get_campaign(connection, programme_id=programme_id, campaign_id=campaign_id)


def _version(row: Row[Any]) -> Version:
    return Version(
        campaign_id=row.campaign_id,
        version=row.version,
        terms=msgspec.convert(row.definition, CampaignTerms),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        published_by=row.published_by,
        published_at=row.published_at,
        withdrawn_at=row.withdrawn_at,
    )


async def get_campaign(connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID) -> Campaign:
    """A campaign by its id. Raises NotFoundError."""
    for campaign in await list_campaigns(connection, programme_id=programme_id, campaign_id=campaign_id):
        return campaign
    raise NotFoundError("there is no such campaign in this programme", field="campaign")


async def list_campaigns(
    connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID | None = None
) -> list[Campaign]:
    """A programme's campaigns, newest first."""
    campaigns, versions = campaign_table.c, campaign_version_table.c
    query = select(campaign_table).where(campaigns.programme_id == programme_id).order_by(campaigns.id.desc())
    published = select(campaign_version_table).where(versions.programme_id == programme_id)
    if campaign_id is not None:
        query, published = (
            query.where(campaigns.id == campaign_id),
            published.where(versions.campaign_id == campaign_id),
        )
    by_campaign: dict[UUID, list[Version]] = {}
    for row in await connection.execute(published.order_by(versions.version.desc())):
        by_campaign.setdefault(row.campaign_id, []).append(_version(row))
    return [
        Campaign(
            id=row.id,
            programme_id=row.programme_id,
            code=row.code,
            draft=msgspec.convert(row.draft, CampaignTerms) if row.draft is not None else None,
            changes=row.changes,
            ended_at=row.ended_at,
            created_at=row.created_at,
            versions=tuple(by_campaign.get(row.id, ())),
        )
        for row in await connection.execute(query)
    ]


async def history(connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID) -> Sequence[Change]:
    """Who did what to a campaign, newest first."""
    columns = campaign_change_table.c
    rows = await connection.execute(
        select(columns.number, columns.what, columns.version, columns.changed_by, columns.changed_at)
        .where(columns.campaign_id == campaign_id, columns.programme_id == programme_id)
        .order_by(columns.number.desc())
    )
    return [Change(**row) for row in rows.mappings()]


async def published_between(
    connection: AsyncConnection, *, programme_id: UUID, first: datetime, last: datetime
) -> list[Published]:
    """The versions that hold at some moment from `first` to `last`, each for the time until the next one takes over."""
    campaigns, versions = campaign_table.c, campaign_version_table.c
    rows = await connection.execute(
        select(campaign_version_table, campaigns.code, campaigns.ended_at)
        .join(campaign_table, campaigns.id == versions.campaign_id)
        .where(
            versions.programme_id == programme_id,
            versions.withdrawn_at.is_(None),
            versions.starts_at <= last,
            or_(campaigns.ended_at.is_(None), campaigns.ended_at > first),
        )
        .order_by(versions.campaign_id, versions.starts_at, versions.version)
    )
    found: list[Published] = []
    for row in rows:
        if found and found[-1].campaign_id == row.campaign_id:
            found[-1] = _until(found[-1], row.starts_at)
        published = Published(
            campaign_id=row.campaign_id,
            code=row.code,
            version=row.version,
            terms=msgspec.convert(row.definition, CampaignTerms),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )
        found.append(_until(published, row.ended_at) if row.ended_at is not None else published)
    return [each for each in found if each.ends_at is None or (each.ends_at > first and each.ends_at > each.starts_at)]


def _until(published: Published, moment: datetime) -> Published:
    ends_at = moment if published.ends_at is None else min(published.ends_at, moment)
    return msgspec.structs.replace(published, ends_at=ends_at)
