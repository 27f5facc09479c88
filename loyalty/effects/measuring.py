"""What came of a campaign: who bought and for how much while it ran, sent it and not, and how sure that is.

Whom it is compared with: where a share was held out of the campaign (`campaigns.holdout`), those who were; then chance
alone tells the two groups apart. Where nobody was held out, everybody else whom the channel knows as a customer; then
the difference holds whatever else tells them apart, above all why they were chosen, and is no effect by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.effects.intervals import Difference, Sample, mean_difference, share_difference
from loyalty.effects.tables import sent_campaign_table
from loyalty.kit.errors import NotFoundError
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.kit.programme import get_channel_by_id

CAMPAIGN_PREFIX: Final = "cam"


class SentCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign that a channel sent; both days are of the programme's calendar and belong to it."""

    id: UUID
    programme_id: UUID
    channel_id: UUID
    code: str
    kind: str
    first_day: date
    last_day: date

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id(CAMPAIGN_PREFIX, self.id)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What came back through one store, by one clerk, or of one benefit."""

    name: str
    uses: int
    members: int
    discount_minor: int | None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's effect. Amounts are in minor units of `currency`, the channel's.

    `used` members used something of it, `uses` times, for `discount_minor` (None: nobody said). Of what the exposed
    bought, `revenue_with_minor` fell on days on which they used something. `held_out` says that the control group was
    held out by chance, and not merely left over.
    """

    campaign: SentCampaign
    currency: str
    exposed: Sample
    control: Sample
    held_out: bool
    exposed_orders: int
    control_orders: int
    used: int
    uses: int
    discount_minor: int | None
    revenue_with_minor: int
    points: int
    spending: Difference | None
    buying: Difference | None
    stores: tuple[Part, ...]
    clerks: tuple[Part, ...]
    benefits: tuple[Part, ...]

    @property
    def revenue_without_minor(self) -> int:
        """What the exposed bought on days on which they used nothing."""
        return self.exposed.total_minor - self.revenue_with_minor


_campaign: Final = sent_campaign_table.c
_COLUMNS: Final = [_campaign[name] for name in SentCampaign.__struct_fields__]

_CHAIN: Final = """
    chain AS (
        SELECT id, merged_into AS survivor FROM member WHERE merged_into IS NOT NULL AND programme_id = :programme
        UNION ALL
        SELECT chain.id, further.merged_into FROM chain JOIN member AS further ON further.id = chain.survivor
        WHERE further.merged_into IS NOT NULL
    ), person AS (
        SELECT m.id AS member_id, m.id AS person FROM member AS m
        WHERE m.programme_id = :programme AND m.merged_into IS NULL
        UNION ALL
        SELECT chain.id, chain.survivor FROM chain JOIN member AS m ON m.id = chain.survivor AND m.merged_into IS NULL
    ), sent AS (
        SELECT DISTINCT p.person FROM sent_campaign_member AS s JOIN person AS p USING (member_id)
        WHERE s.campaign_id = :campaign
    )
"""
"""Each member as the person it is now, and who was sent the campaign."""

_GROUPS: Final = text(f"""
    WITH RECURSIVE {_CHAIN}, held AS (
        SELECT DISTINCT p.person FROM held_out AS h JOIN person AS p USING (member_id) WHERE h.campaign_id = :campaign
    ), known AS (
        SELECT DISTINCT p.person FROM member_identity AS i JOIN person AS p USING (member_id)
        WHERE i.programme_id = :programme AND i.kind IN ('customer', 'card') AND i.scope = :channel_code
    ), people AS (
        SELECT person, true AS exposed FROM sent
        UNION ALL
        SELECT person, false FROM held WHERE person NOT IN (SELECT person FROM sent)
        UNION ALL
        SELECT person, false FROM known
        WHERE NOT EXISTS (SELECT FROM held) AND person NOT IN (SELECT person FROM sent)
    ), used AS (
        SELECT DISTINCT p.person, u.day FROM sent_campaign_use AS u JOIN person AS p USING (member_id)
        WHERE u.campaign_id = :campaign
    ), bought AS (
        SELECT p.person, sum(t.orders) AS orders, sum(t.amount_minor) AS amount,
            sum(t.amount_minor) FILTER (WHERE used.day IS NOT NULL) AS with_use
        FROM member_trade AS t JOIN person AS p USING (member_id)
        LEFT JOIN used ON used.person = p.person AND used.day = t.day
        WHERE t.channel_id = :channel AND t.currency = :currency AND t.day BETWEEN :first_day AND :last_day
        GROUP BY p.person
    )
    SELECT people.exposed, count(*) AS members, count(*) FILTER (WHERE bought.orders > 0) AS buyers,
        coalesce(sum(bought.orders), 0)::bigint AS orders, coalesce(sum(bought.amount), 0)::bigint AS total_minor,
        coalesce(sum(bought.amount * bought.amount), 0)::numeric AS squares,
        coalesce(sum(bought.with_use), 0)::bigint AS with_use, bool_or(EXISTS (SELECT FROM held)) AS held_out
    FROM people LEFT JOIN bought USING (person) GROUP BY people.exposed
""")  # noqa: S608  (constants; values are bound)

_USES: Final = text(f"""
    WITH RECURSIVE {_CHAIN}
    SELECT u.store, u.clerk, u.benefit, p.person, count(*) AS uses, sum(u.discount_minor)::bigint AS discount_minor
    FROM sent_campaign_use AS u JOIN person AS p USING (member_id)
    WHERE u.campaign_id = :campaign GROUP BY u.store, u.clerk, u.benefit, p.person
""")  # noqa: S608  (constants; values are bound)

_POINTS: Final = text(f"""
    WITH RECURSIVE {_CHAIN}
    SELECT coalesce(sum(e.points - e.taken_back), 0)::bigint
    FROM purchase_order AS o JOIN order_earning AS e USING (member_id, order_id) JOIN person AS p USING (member_id)
    JOIN sent ON sent.person = p.person
    JOIN programme AS g ON g.id = o.programme_id
    WHERE o.channel_id = :channel AND e.unit = 'points'
        AND (o.placed_at AT TIME ZONE g.time_zone)::date BETWEEN :first_day AND :last_day
""")  # noqa: S608  (constants; values are bound)


def campaign_uuid(text_: str) -> UUID:
    """Read a `cam_` id. Raises NotFoundError (`campaign_id`)."""
    return parse_public_id(CAMPAIGN_PREFIX, text_, field="campaign_id")


async def list_campaigns(connection: AsyncConnection, *, programme_id: UUID) -> list[SentCampaign]:
    """The campaigns that were sent, the latest first."""
    query = select(*_COLUMNS).where(_campaign.programme_id == programme_id)
    rows = await connection.execute(query.order_by(_campaign.first_day.desc(), _campaign.code))
    return [SentCampaign(**row) for row in rows.mappings()]


async def get_campaign(connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID) -> SentCampaign:
    """One campaign. Raises NotFoundError (`campaign_id`)."""
    query = select(*_COLUMNS).where(_campaign.programme_id == programme_id, _campaign.id == campaign_id)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        message = f"there is no campaign {public_id(CAMPAIGN_PREFIX, campaign_id)} in this programme"
        raise NotFoundError(message, field="campaign_id")
    return SentCampaign(**row)


async def effect_of(connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID) -> Effect:
    """Measure a campaign as things are known now. Raises NotFoundError (`campaign_id`)."""
    campaign = await get_campaign(connection, programme_id=programme_id, campaign_id=campaign_id)
    channel = await get_channel_by_id(connection, campaign.channel_id)
    asked = {
        "programme": programme_id,
        "campaign": campaign.id,
        "channel": channel.id,
        "channel_code": channel.code,
        "currency": channel.currency,
        "first_day": campaign.first_day,
        "last_day": campaign.last_day,
    }
    groups = {row.exposed: row for row in await connection.execute(_GROUPS, asked)}
    uses = (await connection.execute(_USES, asked)).all()
    exposed, control = _sample(groups.get(True)), _sample(groups.get(False))
    return Effect(
        campaign=campaign,
        currency=channel.currency,
        exposed=exposed,
        control=control,
        held_out=any(row.held_out for row in groups.values()),
        exposed_orders=groups[True].orders if True in groups else 0,
        control_orders=groups[False].orders if False in groups else 0,
        used=len({row.person for row in uses}),
        uses=sum(row.uses for row in uses),
        discount_minor=_sum(row.discount_minor for row in uses),
        revenue_with_minor=groups[True].with_use if True in groups else 0,
        points=int(await connection.scalar(_POINTS, asked) or 0),
        spending=mean_difference(exposed, control),
        buying=share_difference(exposed, control),
        stores=_parts(uses, "store"),
        clerks=_parts(uses, "clerk"),
        benefits=_parts(uses, "benefit"),
    )


def _sample(row: Any) -> Sample:
    if row is None:
        return Sample(members=0, buyers=0, total_minor=0, squares=0)
    return Sample(members=row.members, buyers=row.buyers, total_minor=row.total_minor, squares=int(row.squares))


def _sum(amounts: Any) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _parts(uses: Sequence[Any], column: str) -> tuple[Part, ...]:
    """The uses by one of their columns, where it says anything, the most first."""
    names = sorted({getattr(row, column) for row in uses} - {""})
    parts = []
    for name in names:
        mine = [row for row in uses if getattr(row, column) == name]
        parts.append(
            Part(
                name=name,
                uses=sum(row.uses for row in mine),
                members=len({row.person for row in mine}),
                discount_minor=_sum(row.discount_minor for row in mine),
            )
        )
    return tuple(sorted(parts, key=lambda part: (-part.uses, part.name)))
