"""What campaigns ask of purchases that came in, looked up only where a campaign in force asks it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.bonus.computing import Published, Purchase
from loyalty.campaigns.segments.audience import audience, matching
from loyalty.campaigns.segments.segment import segment_audience
from loyalty.kit.crypto import Keyring
from loyalty.members.profile import read_fields

_BOUGHT: Final = text("""
    WITH RECURSIVE person AS (
        SELECT id, id AS root FROM unnest(CAST(:members AS uuid[])) AS asked (id)
        UNION ALL
        SELECT m.id, person.root FROM person JOIN member m ON m.merged_into = person.id
    )
    SELECT DISTINCT person.root FROM person
    JOIN member_trade trade ON trade.member_id = person.id AND trade.orders > 0
""")


async def with_facts(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    campaigns: Sequence[Published],
    purchases: Sequence[Purchase],
) -> list[Purchase]:
    """The purchases with what these campaigns ask of their members, before these purchases count as trade.

    `campaigns` of each are those whose segment and rule the member matches, held out or not. Purchases come in the
    order of members and, of each, of time: the first of a member who has bought nothing yet is `first`.
    """
    members = list(dict.fromkeys(purchase.member_id for purchase in purchases))
    bought: set[UUID] = set()
    if any(each.terms.first_purchase for each in campaigns):
        bought = set(await connection.scalars(_BOUGHT, {"members": members}))
    birthdays: Mapping[UUID, date | None] = {}
    if any(each.terms.birthday for each in campaigns):
        birthdays = await birthdays_of(connection, keyring, members)
    who = {each.campaign_id: await _matching(connection, programme_id, each, members) for each in campaigns}
    known = []
    for purchase in purchases:
        member_id = purchase.member_id
        asked = frozenset(campaign for campaign, matched in who.items() if matched is None or member_id in matched)
        known.append(
            msgspec.structs.replace(
                purchase, first=member_id not in bought, birthday=birthdays.get(member_id), campaigns=asked
            )
        )
        bought.add(member_id)
    return known


async def birthdays_of(
    connection: AsyncConnection, keyring: Keyring, member_ids: Collection[UUID]
) -> dict[UUID, date | None]:
    """The birthdays that members told, in the clear."""
    fields = await read_fields(connection, keyring, member_ids)
    return {
        member_id: date.fromisoformat(known["birthday"]) if "birthday" in known else None
        for member_id, known in fields.items()
    }


async def _matching(
    connection: AsyncConnection, programme_id: UUID, published: Published, members: Collection[UUID]
) -> set[UUID] | None:
    """Who of the members is in a campaign's segment and matches its rule; None where it asks neither."""
    terms = published.terms
    matched: set[UUID] | None = None
    if terms.segment_id is not None:
        segment = await segment_audience(
            connection, programme_id=programme_id, segment_id=terms.segment_id, version=terms.segment_version
        )
        matched = await matching(connection, segment, member_ids=members)
    if terms.rule is not None:
        asked = await audience(connection, programme_id=programme_id, rule=terms.rule)
        matched = await matching(connection, asked, member_ids=members if matched is None else matched)
    return matched
