"""Whom benefits are given to: the audience of an issue, what a basket asks about a member, and what comes by itself.

Redemption knows neither members nor tiers nor segments; this is where they meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.campaigns.holdout import control_of, hold_out_of, without
from loyalty.campaigns.segments.audience import audience
from loyalty.campaigns.segments.segment import get_version, segment_audience, segment_uuid
from loyalty.campaigns.segments.tags import tags_of
from loyalty.kit.clock import add_months, local_date, utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Programme, list_programmes
from loyalty.members.profile import read_fields
from loyalty.members.tables import member_profile_table, member_table
from redemption.basket import Member
from redemption.benefits.bulk import Issue
from redemption.benefits.errors import MemberLimitError, OutOfBenefitsError
from redemption.benefits.issuing import issue_of
from redemption.benefits.tables import benefit_table
from redemption.benefits.templates import Template, list_templates, list_versions
from redemption.checks import read_clock
from tiers.reading import standing
from tiers.tables import member_tier_table, tier_change_table

BATCH: Final = 500
TIER_DAYS: Final = 3
"""How long after somebody entered a tier its benefits are still given, where a worker was away."""
TIER_ENTRIES: Final = ("upgrade", "merge")


async def facts_of_member(connection: AsyncConnection, *, programme_id: UUID, member_id: UUID) -> Member:
    """What the terms of coupons ask about a member: tier and tags."""
    stands = await standing(connection, programme_id=programme_id, member_id=member_id, moment=utc_now())
    tags = await tags_of(connection, member_id=member_id)
    return Member(tier=stands.tier.code if stands else None, tags=frozenset(tags))


async def check_audience(
    connection: AsyncConnection, *, programme_id: UUID, audience: dict[str, Any]
) -> dict[str, Any]:
    """An issue's audience as it is kept, a segment with its version and day. Raises InvalidInputError, NotFoundError.

    `{"kind": "everybody"}`, `{"kind": "tiers", "tiers": ["gold"]}`, `{"kind": "segment", "segment": "seg_..."}`, or
    `{"kind": "list"}` whose members are given by themselves.
    """
    match audience:
        case {"kind": "everybody" | "list" as kind, **rest} if not rest:
            return {"kind": kind}
        case {"kind": "tiers", "tiers": [*tiers], **rest} if (
            tiers and not rest and all(isinstance(t, str) for t in tiers)
        ):
            return {"kind": "tiers", "tiers": tiers}
        case {"kind": "segment", "segment": str(segment), **rest} if not rest.keys() - {"version"}:
            found = await segment_audience(connection, programme_id=programme_id, segment_id=segment_uuid(segment))
            saved = await get_version(connection, programme_id=programme_id, segment_id=segment_uuid(segment))
            today = found.frame.today.isoformat()
            return {"kind": "segment", "segment": segment, "version": saved.version, "today": today}
        case _:
            raise InvalidInputError("everybody, tiers, a segment, or a list of members", field="audience")


async def find_audience(connection: AsyncConnection, issue: Issue) -> Select[Any]:
    """The members an issue is for, those left out who are its control group; they are written down."""
    query = await _members(connection, issue)
    control = await control_of(connection, programme_id=issue.programme_id, campaign_id=issue.id)
    await hold_out_of(connection, control, query)
    return without(query, control)


async def _members(connection: AsyncConnection, issue: Issue) -> Select[Any]:
    described = issue.audience
    if described["kind"] == "segment":
        found = await segment_audience(
            connection,
            programme_id=issue.programme_id,
            segment_id=segment_uuid(described["segment"]),
            version=described.get("version"),
            today=date.fromisoformat(described["today"]),
        )
        return found.members()
    everybody = (await audience(connection, programme_id=issue.programme_id, rule=None)).members()
    if described["kind"] == "everybody":
        return everybody
    tier = member_tier_table.c
    on_tiers = select(tier.member_id).where(
        tier.programme_id == issue.programme_id, tier.tier_code.in_(described["tiers"])
    )
    return select(member_table.c.id).where(
        member_table.c.programme_id == issue.programme_id,
        member_table.c.state == "active",
        member_table.c.id.in_(on_tiers),
    )


async def give_on_tier_entry(engine: AsyncEngine) -> int:
    """Give what members get who entered a tier in the last days; once an entry. Answers how many were given."""
    count = 0
    async with transaction(engine) as connection:
        templates = [
            template
            for programme in await list_programmes(connection)
            for template in await list_templates(connection, programme_id=programme.id, states=["published"])
            if template.definition.on_tiers
        ]
    for template in templates:
        count += await _give_on_entry(engine, template)
    return count


async def _give_on_entry(engine: AsyncEngine, template: Template) -> int:
    """Give one template to those who entered since it was first published and have not had it for that entry."""
    change, given = tier_change_table.c, benefit_table.c
    key = func.concat("tier:", change.ladder_code, ":", change.sequence, ":", template.code)
    had = select(given.id).where(given.member_id == change.member_id, given.issue_key == key).exists()
    async with transaction(engine) as connection:
        *_, (_, since, _) = await list_versions(connection, template_id=template.id)
        entered = select(change.member_id, key.label("key"), change.to_tier).where(
            change.programme_id == template.programme_id,
            change.kind.in_(TIER_ENTRIES),
            change.to_tier != change.from_tier,
            change.to_tier.in_(template.definition.on_tiers),
            change.recorded_at > max(since, utc_now() - timedelta(days=TIER_DAYS)),
            ~had,
        )
        wanted = [(row.member_id, row.key, f"tier:{row.to_tier}") for row in await connection.execute(entered)]
    return await _give_each(engine, template, sorted(wanted))


async def give_on_birthdays(engine: AsyncEngine, keyring: Keyring, *, now: datetime) -> int:
    """Give what members get for a birthday that is near; once a year. Answers how many were given."""
    count = 0
    async with transaction(engine) as connection:
        asked = [
            (programme, template)
            for programme in await list_programmes(connection)
            for template in await list_templates(connection, programme_id=programme.id, states=["published"])
            if template.definition.before_birthday_days is not None
        ]
    for programme, template in asked:
        today = local_date(now, programme.time_zone)
        after: UUID | None = UUID(int=0)
        while after is not None:
            near, after = await _near_birthdays(engine, keyring, programme, template, today, after)
            wanted = [(member, f"birthday:{day.year}:{template.code}", f"birthday:{day.year}") for member, day in near]
            count += await _give_each(engine, template, wanted)
    return count


async def _near_birthdays(
    engine: AsyncEngine, keyring: Keyring, programme: Programme, template: Template, today: date, after: UUID
) -> tuple[list[tuple[UUID, date]], UUID | None]:
    """The next members whose birthday is near and what day it is this time; and where to go on, None at the end.

    Only a birthday's month is kept in the clear, so those of the months in question are looked at one by one.
    """
    days = template.definition.before_birthday_days or 0
    profile, member = member_profile_table.c, member_table.c
    months = {(today + timedelta(days=ahead)).month for ahead in range(days + 1)}
    query = (
        select(member.id)
        .join(member_profile_table, profile.member_id == member.id)
        .where(member.programme_id == programme.id, member.state == "active", member.id > after)
        .where(profile.field == "birthday", profile.month.in_(months))
        .order_by(member.id)
        .limit(BATCH)
    )
    async with transaction(engine) as connection:
        ids = list((await connection.execute(query)).scalars())
        fields = await read_fields(connection, keyring, ids)
    near = []
    for member_id in ids:
        born = date.fromisoformat(fields[member_id]["birthday"])
        coming = next_birthday(born, today)
        if coming <= today + timedelta(days=days):
            near.append((member_id, coming))
    return near, ids[-1] if len(ids) == BATCH else None


def next_birthday(born: date, today: date) -> date:
    """The next birthday from today on; who was born on 29 February has it on the 28th where there is no 29th."""
    this_year = add_months(born, 12 * (today.year - born.year))
    return this_year if this_year >= today else add_months(born, 12 * (today.year + 1 - born.year))


async def _give_each(engine: AsyncEngine, template: Template, wanted: Sequence[tuple[UUID, str, str]]) -> int:
    """Give one to each member under a key and source; whom a limit or an empty stock leaves out gets none."""
    count = 0
    for member_id, key, source in wanted:
        async with transaction(engine) as connection:
            began = await read_clock(connection)
            try:
                given = await issue_of(connection, template, member_id=member_id, key=key, source=source)
            except MemberLimitError:
                continue
            except OutOfBenefitsError:
                return count
            count += given.issued_at >= began
    return count
