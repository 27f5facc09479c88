"""Members in plain Python, what segments know of them worked out by hand, and the same members in the database."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from loyalty.campaigns.segments.fields import read_field
from loyalty.campaigns.segments.tables import member_tag_table
from loyalty.campaigns.tables import member_trade_table
from loyalty.items.tables import item_claim_table, item_scan_table
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme, list_channels
from loyalty.members.tables import member_consent_table, member_profile_table, member_table
from tiers.tables import member_tier_table

TODAY = date(2026, 3, 10)
ZONE = ZoneInfo("Asia/Shanghai")
CITIES = ["上海", "武汉"]
GTINS = ["09520000000011", "09520000000028"]


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=ZONE).astimezone(UTC)


@dataclass
class Person:
    """A member and what it did, some of it as a member that was merged into it later."""

    ids: list[UUID]
    joined: datetime
    channel: str
    language: str | None
    birth_month: int | None = None
    tier: tuple[str, int, date | None, date | None] | None = None
    points: int = 0
    trades: list[tuple[UUID, date, str, str, int, int]] = field(default_factory=list)
    scans: list[tuple[UUID, datetime, str, str | None]] = field(default_factory=list)
    claims: list[tuple[UUID, datetime, str]] = field(default_factory=list)
    tags: list[tuple[UUID, str]] = field(default_factory=list)
    consents: list[tuple[UUID, datetime, str, bool]] = field(default_factory=list)

    def fact(self, text: str) -> object:  # noqa: C901, PLR0911, PLR0912  (one line a field is how it is read)
        asked = read_field(text)
        assert asked is not None
        arguments = asked.arguments
        first = TODAY - timedelta(days=int(arguments["days"]) - 1) if "days" in arguments else date.min
        match asked.name:
            case "joined_on":
                return self.joined.astimezone(ZONE).date()
            case "joined_days":
                return (TODAY - self.joined.astimezone(ZONE).date()).days
            case "joined_channel":
                return self.channel
            case "language":
                return self.language
            case "birth_month":
                return self.birth_month
            case "months_to_birthday":
                return None if self.birth_month is None else (self.birth_month - TODAY.month) % 12
            case "tier":
                return self.tier[0] if self.tier else "silver"
            case "tier_rank":
                return self.tier[1] if self.tier else 1
            case "tier_days":
                return (TODAY - self.tier[2]).days if self.tier and self.tier[2] else None
            case "tier_days_left":
                return (self.tier[3] - TODAY).days if self.tier and self.tier[3] else None
            case "points":
                return self.points
            case "points_pending":
                return 0
            case "scans" | "claims":
                seen = [(when, gtin) for _, when, gtin, *_ in (self.scans if asked.name == "scans" else self.claims)]
                return sum(
                    when.astimezone(ZONE).date() >= first and gtin == arguments.get("gtin", gtin) for when, gtin in seen
                )
            case "days_since_scan":
                days = [when.astimezone(ZONE).date() for _, when, _, _ in self.scans]
                return (TODAY - max(days)).days if days else None
            case "scan_city":
                found = [(when, city) for _, when, _, city in self.scans if city]
                return max(found)[1] if found else None
            case "tag":
                return any(tag == arguments["name"] for _, tag in self.tags)
            case "consent":
                said = [
                    (when, granted) for _, when, purpose, granted in self.consents if purpose == arguments["purpose"]
                ]
                return max(said)[1] if said else False
        trades = [
            (day, orders, amount)
            for _, day, channel, currency, orders, amount in self.trades
            if day >= first
            and channel == arguments.get("channel", channel)
            and currency == arguments.get("currency", currency)
        ]
        if asked.name == "orders":
            return sum(orders for _, orders, _ in trades)
        if asked.name == "spent_minor":
            return sum(amount for _, _, amount in trades)
        days = [day for day, orders, _ in trades if orders > 0]
        chosen = max if asked.name == "days_since_order" else min
        return (TODAY - chosen(days)).days if days else None


def invent(number: int, seed: int = 1) -> list[Person]:
    """So many members who differ in everything that a segment may ask, at and around every edge."""
    dice = random.Random(seed)  # noqa: S311  (examples, not secrets)
    people = []
    for _ in range(number):
        ids = [new_id() for _ in range(dice.choice([1, 1, 1, 2, 3]))]
        day = TODAY - timedelta(days=dice.choice([0, 1, 29, 30, 31, 400]))
        person = Person(
            ids=ids,
            joined=at(day, dice.choice([0, 12, 23])),
            channel=dice.choice(["online", "store-1"]),
            language=dice.choice(["zh", "en", None]),
            birth_month=dice.choice([None, 2, 3, 4]),
            points=dice.choice([0, 0, 100, 500]),
        )
        if dice.random() < 0.5:
            since = dice.choice([None, TODAY - timedelta(days=30)])
            person.tier = ("gold", 2, since, dice.choice([None, TODAY + timedelta(days=30)]))
        keys = {
            (dice.choice(ids), TODAY - timedelta(days=dice.choice([0, 1, 29, 30, 89, 90, 300])), channel, currency)
            for channel in ("online", "store-1")
            for currency in ("CNY", "USD")
            for _ in range(dice.choice([0, 0, 1, 2]))
        }
        person.trades = [(*key, dice.choice([0, 1, 2]), dice.choice([-100, 0, 100, 1_000])) for key in sorted(keys)]
        moments = [at(TODAY - timedelta(days=dice.choice([0, 29, 30])), hour) for hour in range(dice.choice([0, 0, 3]))]
        person.scans = [
            (dice.choice(ids), moment, dice.choice(GTINS), dice.choice([None, *CITIES])) for moment in moments
        ]
        person.claims = [(dice.choice(ids), moment, dice.choice(GTINS)) for moment in moments[:2]]
        person.tags = [(dice.choice(ids), tag) for tag in ("vip", "老客户") if dice.random() < 0.4]
        person.consents = [
            (dice.choice(ids), at(TODAY, hour), dice.choice(["marketing_sms", "terms"]), dice.random() < 0.6)
            for hour in range(dice.choice([0, 1, 3]))
        ]
        people.append(person)
    return people


async def settle(connection: AsyncConnection, programme: Programme, people: list[Person]) -> None:
    """Put members into the database."""
    channels = {channel.code: channel.id for channel in await list_channels(connection, programme.id)}
    mine = {"programme_id": programme.id}

    async def put(table: object, rows: list[dict[str, object]]) -> None:
        if rows:
            await connection.execute(insert(table), rows)  # type: ignore[arg-type]

    await put(member_table, [row for person in people for row in _member_rows(person, programme)])
    await put(
        member_profile_table,
        [
            {"member_id": p.ids[0], "field": "birthday", "sealed": b"x", "source": "test", "month": p.birth_month}
            for p in people
            if p.birth_month
        ],
    )
    for person in people:
        if person.tier:
            await put(member_tier_table, [_tier_row(person, programme)])
        if person.points:
            await posting.earn(
                connection,
                programme_id=programme.id,
                member_id=person.ids[0],
                unit="points",
                amount=person.points,
                key="k",
                source="test",
            )
    await put(
        member_trade_table,
        [
            mine
            | {
                "member_id": member_id,
                "day": day,
                "channel_id": channels[channel],
                "currency": currency,
                "orders": orders,
                "amount_minor": amount,
            }
            for person in people
            for member_id, day, channel, currency, orders, amount in person.trades
        ],
    )
    await put(item_scan_table, _scan_rows(people, programme))
    await put(item_claim_table, _claim_rows(people, programme))
    await put(
        member_tag_table,
        [mine | {"member_id": who, "tag": tag, "added_by": "test"} for p in people for who, tag in p.tags],
    )
    await put(
        member_consent_table,
        [
            {
                "member_id": who,
                "id": new_id(),
                "purpose": purpose,
                "granted": granted,
                "text_version": "1",
                "given_at": when,
                "source": "test",
            }
            for p in people
            for who, when, purpose, granted in p.consents
        ],
    )


def _member_rows(person: Person, programme: Programme) -> list[dict[str, object]]:
    """The member, and those merged into it, each into the one before."""
    return [
        {
            "id": each,
            "programme_id": programme.id,
            "state": "merged" if index else "active",
            "merged_into": person.ids[index - 1] if index else None,
            "joined_at": person.joined,
            "joined_channel": person.channel,
            "locale": person.language,
        }
        for index, each in enumerate(person.ids)
    ]


def _tier_row(person: Person, programme: Programme) -> dict[str, object]:
    assert person.tier
    code, rank, since, until = person.tier
    return {
        "member_id": person.ids[0],
        "ladder_code": "main",
        "programme_id": programme.id,
        "tier_code": code,
        "tier_rank": rank,
        "ladder_version": 1,
        "since": since and at(since),
        "valid_until": until and at(until),
        "change_sequence": 0,
    }


def _scan_rows(people: list[Person], programme: Programme) -> list[dict[str, object]]:
    return [
        {
            "gtin": gtin,
            "kid": 1,
            "index": 1,
            "at": when,
            "id": new_id(),
            "programme_id": programme.id,
            "device": b"d",
            "member_id": who,
            "city": city,
            "verdict": "first",
        }
        for person in people
        for who, when, gtin, city in person.scans
    ]


def _claim_rows(people: list[Person], programme: Programme) -> list[dict[str, object]]:
    claims = [claim for person in people for claim in person.claims]
    return [
        {
            "gtin": gtin,
            "kid": 31,
            "index": 30_000_000_000 + index,
            "programme_id": programme.id,
            "member_id": who,
            "device": b"d",
            "at": when,
            "points": 0,
        }
        for index, (who, when, gtin) in enumerate(claims)
    ]
