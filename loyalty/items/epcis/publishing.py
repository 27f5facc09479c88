"""What shoppers see of captured events: nothing, until the brand says which business steps to show, and as what."""

from __future__ import annotations

from typing import Final, get_args
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.epcs import parse_epc
from loyalty.items.epcis.tables import epcis_place_table, epcis_public_step_table
from loyalty.items.epcis.vocabulary import BIZ_STEP
from loyalty.items.events import EventKind
from loyalty.items.products import LocalText
from loyalty.kit.errors import InvalidInputError, NotFoundError

_CONTEXT: Final = Context()
_MOST_STEPS: Final = 200
_LONGEST_NAME: Final = 200

USUAL_KINDS: Final[dict[str, EventKind]] = {
    "creating_class_instance": "made",
    "commissioning": "made",
    "assembling": "made",
    "packing": "packed",
    "repackaging": "packed",
    "shipping": "shipped",
    "departing": "shipped",
    "receiving": "received",
    "arriving": "received",
    "accepting": "received",
    "retail_selling": "sold",
}
"""What a business step is called on an item's page where the brand does not say otherwise."""


class PublicStep(msgspec.Struct, frozen=True, kw_only=True):
    """A business step that is shown, and the kind of step that shoppers read."""

    biz_step: str
    kind: EventKind


async def publish_step(
    connection: AsyncConnection, *, programme_id: UUID, biz_step: str, kind: EventKind | None = None
) -> PublicStep:
    """Show a business step on the pages of the items that events name. Raises InvalidInputError naming the field."""
    canonical = _step(biz_step)
    shown = kind or USUAL_KINDS.get(BIZ_STEP.word(canonical))
    if shown is None or shown not in get_args(EventKind):
        message = f"say as what {biz_step} is shown: {', '.join(get_args(EventKind))}"
        raise InvalidInputError(message, field="kind")
    values = {"programme_id": programme_id, "biz_step": canonical, "kind": shown}
    saved = insert(epcis_public_step_table).values(values)
    await connection.execute(saved.on_conflict_do_update(index_elements=["programme_id", "biz_step"], set_=values))
    return PublicStep(biz_step=BIZ_STEP.word(canonical), kind=shown)


async def withhold_step(connection: AsyncConnection, *, programme_id: UUID, biz_step: str) -> None:
    """Show a business step no more. Raises InvalidInputError, and NotFoundError where it was not shown."""
    step = epcis_public_step_table.c
    statement = delete(epcis_public_step_table).where(
        step.programme_id == programme_id, step.biz_step == _step(biz_step)
    )
    if (await connection.execute(statement)).rowcount == 0:
        raise NotFoundError(f"{biz_step} is not shown to shoppers", field="biz_step")


async def public_steps(connection: AsyncConnection, *, programme_id: UUID) -> list[PublicStep]:
    """The business steps that are shown."""
    step = epcis_public_step_table.c
    query = select(step.biz_step, step.kind).where(step.programme_id == programme_id).order_by(step.biz_step)
    return [PublicStep(biz_step=BIZ_STEP.word(row.biz_step), kind=row.kind) for row in await connection.execute(query)]


async def name_place(connection: AsyncConnection, *, programme_id: UUID, place: str, names: LocalText) -> None:
    """Say what a read point or business location is called on an item's page. Raises InvalidInputError."""
    try:
        canonical = parse_epc(place).canonical
    except ValueError as error:
        raise InvalidInputError(str(error), field="place") from error
    if not (names.zh or names.en):
        raise InvalidInputError("a name is needed, in Chinese or in English", field="names")
    if max(len(names.zh), len(names.en)) > _LONGEST_NAME:
        raise InvalidInputError(f"a name has at most {_LONGEST_NAME} characters", field="names")
    values = {"programme_id": programme_id, "place": canonical, "names": names}
    saved = insert(epcis_place_table).values(values)
    await connection.execute(saved.on_conflict_do_update(index_elements=["programme_id", "place"], set_=values))


STEPS_OF_ASKED: Final = f"""
    SELECT p.kind, e.event_time AS at, coalesce(b.names, r.names)::jsonb AS places
    FROM epcis_item AS i
    JOIN epcis_event AS e ON e.key = i.event_key
    JOIN epcis_public_step AS p ON p.programme_id = e.programme_id AND p.biz_step = e.biz_step
    LEFT JOIN epcis_place AS b ON b.programme_id = e.programme_id AND b.place = e.biz_location
    LEFT JOIN epcis_place AS r ON r.programme_id = e.programme_id AND r.place = e.read_point
    WHERE i.gtin = a.gtin AND i.kid = a.kid AND i.index = a.index AND e.event_time <= a.at
        AND NOT EXISTS (
            SELECT FROM epcis_event AS d
            WHERE d.event_id = e.event_id AND d.programme_id = e.programme_id AND d.declared_at IS NOT NULL)
    ORDER BY e.event_time, e.key
    LIMIT {_MOST_STEPS}
"""  # noqa: S608  (a number of ours)
"""The steps of an item that captured events tell of and the brand shows, oldest first, as a subquery: `kind`, `at`, and
`places` in the brand's words. `a` is the item that it is about (`gtin`, `kid`, `index`) and the moment (`at`).

An event that an error declaration took back is none, nor is one that is yet to come.
"""


def _step(biz_step: str) -> str:
    try:
        return BIZ_STEP.canonical(biz_step, _CONTEXT)
    except ValueError as error:
        raise InvalidInputError(str(error), field="biz_step") from error
