"""What segments ask, worked out in SQL: one row a member, a column for each field that a rule looks at, no more.

The same columns are made in two shapes. For every member of a programme each table is added up once and joined; for a
sample, or members named one by one, each looks up its own rows by the keys that begin with the member. What a member
did before it was merged into another counts for that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    ColumnCollection,
    ColumnElement,
    Date,
    FromClause,
    Integer,
    Table,
    Text,
    Uuid,
    and_,
    cast,
    false,
    func,
    literal,
    select,
    tablesample,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, array
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.many import balances_of_unit
from loyalty.campaigns.segments.fields import Field
from loyalty.campaigns.segments.tables import member_tag_table
from loyalty.campaigns.tables import member_trade_table
from loyalty.items.tables import item_claim_table, item_scan_table
from loyalty.kit.clock import local_date, start_of_local_day, utc_now
from loyalty.kit.programme import get_programme, list_channels
from loyalty.members.tables import member_consent_table, member_profile_table, member_table
from tiers.policies import DEFAULT_LADDER
from tiers.tables import member_tier_table
from tiers.versions import policy_at

_NOBODY: Final = UUID(int=0)
_MONTHS: Final = 12

Column = ColumnElement[Any]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule is read against: the programme, its day, its channels, and the tier of who has done nothing yet."""

    programme_id: UUID
    time_zone: str
    today: date
    channels: Mapping[str, UUID]
    base_tier: str | None
    base_rank: int | None


async def read_frame(connection: AsyncConnection, *, programme_id: UUID, today: date | None = None) -> Frame:
    """The frame of a programme today, or on a day that was noted: a job of several hours keeps to its first."""
    programme = await get_programme(connection, programme_id)
    version = await policy_at(connection, programme_id=programme_id, moment=utc_now())
    base = version.policy.base if version else None
    return Frame(
        programme_id=programme_id,
        time_zone=programme.time_zone,
        today=today or local_date(utc_now(), programme.time_zone),
        channels={channel.code: channel.id for channel in await list_channels(connection, programme_id)},
        base_tier=base.code if base else None,
        base_rank=base.rank if base else None,
    )


class People(msgspec.Struct, frozen=True):
    """Members to ask about: what to select from, the member's row in it, and, where they are few, their other ids."""

    source: FromClause
    member: FromClause
    absorbed: ColumnElement[Any] | None = None


def _chain(programme_id: UUID) -> CTE:
    """Who was merged (`id`) into whom (`survivor`), through several merges too."""
    merged, further = member_table.alias("merged"), member_table.alias("further")
    first = (
        select(merged.c.id, merged.c.merged_into.label("survivor"))
        .where(merged.c.merged_into.is_not(None), merged.c.programme_id == programme_id)
        .cte("chain", recursive=True)
    )
    return first.union_all(
        select(first.c.id, further.c.merged_into)
        .join(further, further.c.id == first.c.survivor)
        .where(further.c.merged_into.is_not(None))
    )


def everybody() -> People:
    """All members, each table added up once."""
    member = member_table.alias("m")
    return People(member, member)


def few(frame: Frame, *, sample_percent: float | None = None, seed: int = 0) -> People:
    """Members who look up their own rows: a sample of the blocks of their table, or whomever the caller narrows to."""
    member: FromClause = member_table.alias("m")
    if sample_percent is not None:
        member = tablesample(member_table, func.system(sample_percent), name="m", seed=literal(seed))
    chain = _chain(frame.programme_id)
    absorbed = select(chain.c.survivor, func.array_agg(chain.c.id).label("ids")).group_by(chain.c.survivor).subquery()
    ids = func.array_prepend(member.c.id, func.coalesce(absorbed.c.ids, cast(array([]), ARRAY(Uuid))))
    return People(member.outerjoin(absorbed, absorbed.c.survivor == member.c.id), member, ids)


class _Builder:
    """Joins to people what the asked fields need, and remembers the column of each."""

    def __init__(self, frame: Frame, people: People) -> None:
        self.frame = frame
        self.source = people.source
        self.member = people.member
        self.absorbed = people.absorbed
        self.columns: dict[str, Column] = {}
        self.chain = _chain(frame.programme_id)

    def join(self, right: FromClause, on: ColumnElement[bool]) -> None:
        self.source = self.source.outerjoin(right, on)

    def sums(
        self, table: Table, where: Iterable[ColumnElement[bool]], columns: Mapping[str, Column], name: str
    ) -> ColumnCollection[str, Column]:
        """Join the sums of a member's rows of a table, in the shape that the people have."""
        named = [column.label(label) for label, column in columns.items()]
        if self.absorbed is not None:
            query = select(*named).where(table.c.member_id == func.any(self.absorbed), *where)
            part: FromClause = query.lateral(name)
            self.join(part, true())
            return part.c
        chain = self.chain
        whose = func.coalesce(chain.c.survivor, table.c.member_id)
        query = select(whose.label("member_id"), *named).select_from(
            table.outerjoin(chain, chain.c.id == table.c.member_id)
        )
        part = query.where(*where).group_by(whose).subquery(name)
        self.join(part, part.c.member_id == self.member.c.id)
        return part.c

    def local_day(self, moment: Column) -> Column:
        return cast(func.timezone(self.frame.time_zone, moment), Date)

    def days_since(self, day: Column) -> Column:
        return type_coerce(literal(self.frame.today, Date) - day, Integer)

    def first_day(self, field: Field) -> date | None:
        """The first day that a field's window looks at."""
        days = field.arguments.get("days")
        return self.frame.today - timedelta(days=int(days) - 1) if days else None

    def widest(self, fields: Iterable[Field]) -> date | None:
        """The first day that any of the fields looks at, None where one looks at all days."""
        firsts = [self.first_day(field) for field in fields]
        known = [first for first in firsts if first is not None]
        return min(known) if len(known) == len(firsts) else None


def with_facts(
    frame: Frame, people: People, fields: Iterable[Field]
) -> tuple[FromClause, ColumnElement[bool], Mapping[str, Column]]:
    """What to select from, which of it are active members of the programme, and the column of each field by its text.

    The columns have the values that the vocabulary says, missing ones null.
    """
    builder = _Builder(frame, people)
    by_source: dict[str, list[Field]] = {}
    for field in sorted(fields, key=lambda field: field.text):
        by_source.setdefault(field.kind.source, []).append(field)
    for source, asked in by_source.items():
        builder.columns |= _SOURCES[source](builder, asked)
    active = and_(people.member.c.programme_id == frame.programme_id, people.member.c.state == "active")
    return builder.source, active, builder.columns


def _member(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    columns = builder.member.c
    joined = builder.local_day(columns.joined_at)
    made = {
        "joined_on": joined,
        "joined_days": builder.days_since(joined),
        "joined_channel": columns.joined_channel,
        "language": columns.locale,
    }
    return {field.text: made[field.name] for field in fields}


def _profile(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    profile = member_profile_table.alias("birthday")
    builder.join(profile, and_(profile.c.member_id == builder.member.c.id, profile.c.field == "birthday"))
    month = cast(profile.c.month, Integer)
    made = {
        "birth_month": month,
        "months_to_birthday": (month - builder.frame.today.month + _MONTHS) % _MONTHS,
    }
    return {field.text: made[field.name] for field in fields}


def _tier(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    tier, frame = member_tier_table.alias("standing"), builder.frame
    builder.join(tier, and_(tier.c.member_id == builder.member.c.id, tier.c.ladder_code == DEFAULT_LADDER))
    made = {
        "tier": func.coalesce(tier.c.tier_code, literal(frame.base_tier, Text)),
        "tier_rank": func.coalesce(tier.c.tier_rank, literal(frame.base_rank, Integer)),
        "tier_days": builder.days_since(builder.local_day(tier.c.since)),
        "tier_days_left": -builder.days_since(builder.local_day(tier.c.valid_until)),
    }
    return {field.text: made[field.name] for field in fields}


def _points(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    balances = balances_of_unit("points")
    builder.join(balances, balances.c.member_id == builder.member.c.id)
    made = {"points": balances.c.spendable, "points_pending": balances.c.pending}
    return {field.text: func.coalesce(made[field.name], 0) for field in fields}


def _trade(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    trade = member_trade_table.c
    first = builder.widest(fields)
    where = [trade.programme_id == builder.frame.programme_id]
    where += [trade.day >= first] if first else []
    made: dict[str, Column] = {}
    for index, field in enumerate(fields):
        counted: list[ColumnElement[bool]] = []
        if since := builder.first_day(field):
            counted.append(trade.day >= since)
        if code := field.arguments.get("channel"):
            counted.append(trade.channel_id == builder.frame.channels.get(code, _NOBODY))
        if currency := field.arguments.get("currency"):
            counted.append(trade.currency == currency)
        if field.name in ("orders", "spent_minor"):
            amount = trade.orders if field.name == "orders" else trade.amount_minor
            value: Column = func.sum(amount)
        else:
            counted.append(trade.orders > 0)
            value = func.max(trade.day) if field.name == "days_since_order" else func.min(trade.day)
        made[f"trade_{index}"] = value.filter(*counted) if counted else value
    columns = builder.sums(member_trade_table, where, made, "trade")
    return {
        field.text: func.coalesce(columns[f"trade_{index}"], 0)
        if field.name in ("orders", "spent_minor")
        else builder.days_since(columns[f"trade_{index}"])
        for index, field in enumerate(fields)
    }


def _scans(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    return _sightings(builder, fields, item_scan_table, "scans")


def _claims(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    return _sightings(builder, fields, item_claim_table, "claims")


def _sightings(builder: _Builder, fields: list[Field], table: Table, name: str) -> dict[str, Column]:
    seen = table.c
    first = builder.widest(fields) if all(field.name == name for field in fields) else None
    where = [seen.programme_id == builder.frame.programme_id, seen.member_id.is_not(None)]
    where += [seen.at >= start_of_local_day(first, builder.frame.time_zone)] if first else []
    made: dict[str, Column] = {}
    for index, field in enumerate(fields):
        counted: list[ColumnElement[bool]] = []
        if since := builder.first_day(field):
            counted.append(seen.at >= start_of_local_day(since, builder.frame.time_zone))
        if gtin := field.arguments.get("gtin"):
            counted.append(seen.gtin == gtin)
        value: Column = func.count()
        if field.name == "days_since_scan":
            value = func.max(seen.at)
        elif field.name == "scan_city":
            value = func.array_agg(aggregate_order_by(seen.city, seen.at.desc(), seen.id.desc()))
            counted.append(seen.city.is_not(None))
        made[f"{name}_{index}"] = value.filter(*counted) if counted else value
    columns = builder.sums(table, where, made, name)
    return {field.text: _sighting(builder, field, columns[f"{name}_{index}"]) for index, field in enumerate(fields)}


def _sighting(builder: _Builder, field: Field, column: Column) -> Column:
    if field.name == "days_since_scan":
        return builder.days_since(builder.local_day(column))
    if field.name == "scan_city":
        return type_coerce(column, ARRAY(Text))[1]
    return func.coalesce(column, 0)


def _tags(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    tags = member_tag_table.c
    asked = sorted({field.arguments["name"] for field in fields})
    made = {f"tag_{index}": func.bool_or(tags.tag == tag) for index, tag in enumerate(asked)}
    where = [tags.programme_id == builder.frame.programme_id, tags.tag.in_(asked)]
    columns = builder.sums(member_tag_table, where, made, "tags")
    return {
        field.text: func.coalesce(columns[f"tag_{asked.index(field.arguments['name'])}"], false()) for field in fields
    }


def _consents(builder: _Builder, fields: list[Field]) -> dict[str, Column]:
    """The last thing that was said about each purpose; silence is no."""
    said = member_consent_table.c
    asked = sorted({field.arguments["purpose"] for field in fields})
    made = {
        f"consent_{index}": func.array_agg(
            aggregate_order_by(said.granted, said.given_at.desc(), said.id.desc())
        ).filter(said.purpose == purpose)
        for index, purpose in enumerate(asked)
    }
    columns = builder.sums(member_consent_table, [said.purpose.in_(asked)], made, "consents")
    return {
        field.text: func.coalesce(
            type_coerce(columns[f"consent_{asked.index(field.arguments['purpose'])}"], ARRAY(Boolean))[1], false()
        )
        for field in fields
    }


_SOURCES: Final[Mapping[str, Callable[[_Builder, list[Field]], dict[str, Column]]]] = {
    "member": _member,
    "profile": _profile,
    "tier": _tier,
    "points": _points,
    "trade": _trade,
    "scans": _scans,
    "claims": _claims,
    "tags": _tags,
    "consents": _consents,
}
