"""Orders of the past as campaigns see purchases, for trying a campaign before it is published."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.bonus.computing import Published, Purchase
from loyalty.campaigns.bonus.definition import CampaignTerms
from loyalty.campaigns.bonus.facts import with_facts
from loyalty.campaigns.bonus.preview import Preview, preview
from loyalty.campaigns.earning import BasketLine
from loyalty.kit.crypto import Keyring
from loyalty.kit.programme import Programme

MOST_ORDERS: Final = 20_000
"""The newest so many orders are looked at, which takes a few seconds."""

_PURCHASES: Final = text("""
    SELECT page.member_id, page.order_id, page.placed_at, page.currency, channel.code, channel.kind,
        lines.lines, earned.earned,
        NOT EXISTS (
            SELECT FROM purchase_order before
            WHERE before.member_id = page.member_id
                AND (before.placed_at, before.order_id) < (page.placed_at, page.order_id)
        ) AS is_first
    FROM (
        SELECT * FROM purchase_order
        WHERE programme_id = :programme AND placed_at >= :first AND placed_at < :last
        ORDER BY placed_at DESC, order_id DESC LIMIT :most
    ) page
    JOIN channel ON channel.id = page.channel_id
    JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_array(sku, category, quantity, paid_minor) ORDER BY line_number) AS lines
        FROM order_line WHERE order_line.member_id = page.member_id AND order_line.order_id = page.order_id
    ) lines ON true
    JOIN LATERAL (
        SELECT jsonb_object_agg(unit, to_jsonb(line_points)) AS earned
        FROM order_earning WHERE order_earning.member_id = page.member_id AND order_earning.order_id = page.order_id
    ) earned ON true
    ORDER BY page.placed_at, page.order_id
""")


async def preview_campaign(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme: Programme,
    campaign_id: UUID,
    terms: CampaignTerms,
    first: datetime,
    last: datetime,
) -> Preview:
    """What a campaign would have given for the orders placed from `first` until before `last`, the newest 20,000.

    Whether a member matches its segment or rule is asked as of today; whether a purchase was their first, as of then.
    What was refunded since is not taken off. Nothing is written.
    """
    parameters = {"programme": programme.id, "first": first, "last": last, "most": MOST_ORDERS}
    rows = (await connection.execute(_PURCHASES, parameters)).all()
    purchases = [
        Purchase(
            member_id=row.member_id,
            order_id=row.order_id,
            placed_at=row.placed_at,
            channel=row.code,
            channel_kind=row.kind,
            currency=row.currency,
            lines=[BasketLine(*line) for line in row.lines or ()],
            earned=row.earned or {},
            campaigns=frozenset(),
        )
        for row in rows
    ]
    asked = Published(campaign_id=campaign_id, code="preview", version=0, terms=terms, starts_at=first, ends_at=last)
    known = await with_facts(connection, keyring, programme_id=programme.id, campaigns=[asked], purchases=purchases)
    firsts = {row.order_id: row.is_first for row in rows}
    purchases = [msgspec.structs.replace(each, first=firsts[each.order_id]) for each in known]
    return preview(terms, campaign_id=campaign_id, purchases=purchases, time_zone=programme.time_zone)
