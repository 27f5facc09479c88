"""Reading a page of a member's history, with the names of what its sources only number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import Entry, Place, history
from loyalty.items.products import get_product
from loyalty.kit.errors import NotFoundError
from loyalty.kit.ids import parse_public_id
from loyalty.kit.programme import Channel, Programme, list_channels
from loyalty.members.member import person_ids
from loyalty.web.i18n import Translator
from loyalty.web.member.history import Line, Occasion, describe
from redemption.reading import MOST_REDEMPTIONS, redemptions_of_member

_REDEMPTION: Final = "redemption:"
_CLAIM: Final = "claim:"
_LAST_ID: Final = UUID(int=(1 << 128) - 1)


async def read_history(
    connection: AsyncConnection,
    *,
    programme: Programme,
    member_id: UUID,
    t: Translator,
    before: Place | None,
    limit: int,
) -> tuple[list[Line], Entry | None]:
    """A page of history, newest first; and its last entry, where there are older ones."""
    ids = await person_ids(connection, member_id=member_id)
    entries = await history(connection, member_ids=ids, before=before, limit=limit + 1)
    shown = entries[:limit]
    channels = await list_channels(connection, programme.id)
    sources = {entry.source for entry in shown}
    occasions = await _redeemed(connection, ids, sources, channels, t.language)
    occasions |= await _claimed(connection, programme.id, sources, t.language)
    names = {channel.code: channel.name for channel in channels}
    lines = describe(shown, t, channels=names, occasions=occasions, own_ids=ids)
    return lines, shown[-1] if len(entries) > limit else None


async def _redeemed(
    connection: AsyncConnection,
    member_ids: Sequence[UUID],
    sources: Collection[str],
    channels: Sequence[Channel],
    language: str,
) -> dict[str, Occasion]:
    """The redemptions among the sources: at which till, on which receipt, for what."""
    wanted = {
        parse_public_id("rdm", source.removeprefix(_REDEMPTION)): source
        for source in sources
        if source.startswith(_REDEMPTION)
    }
    if not wanted:
        return {}
    # Ids are in the order of time, so the newest wanted one is where to begin.
    newest = max(wanted)
    found = await redemptions_of_member(
        connection,
        member_id=member_ids[0],
        person_ids=member_ids,
        before=UUID(int=newest.int + 1) if newest < _LAST_ID else None,
        limit=MOST_REDEMPTIONS,
    )
    places = {channel.id: channel.name for channel in channels}
    return {
        wanted[redemption.id]: Occasion(
            place=places.get(redemption.channel_id, ""),
            document=redemption.receipt_number or "",
            about=_within(redemption.name, language),
        )
        for redemption in found
        if redemption.id in wanted
    }


def _within(name: Mapping[str, str] | None, language: str) -> str:
    return name.get(language, "") if name else ""


async def _claimed(
    connection: AsyncConnection, programme_id: UUID, sources: Collection[str], language: str
) -> dict[str, Occasion]:
    """The claimed items among the sources, by the names of their products."""
    gtins = {source: source.split(":")[1] for source in sources if source.startswith(_CLAIM)}
    names: dict[str, str] = {}
    for gtin in set(gtins.values()):
        try:
            product = await get_product(connection, programme_id=programme_id, gtin=gtin)
        except NotFoundError:
            continue  # a product that was given up; the points stay
        names[gtin] = product.names.within(language)
    return {source: Occasion(about=names[gtin]) for source, gtin in gtins.items() if gtin in names}
