"""What the brand did with its own ranges of codes, and packed, told as EPCIS events.

Nothing is stored for it: a range event is about an interval, and becomes an event when it is asked for. Asked about an
item, the event names that item; otherwise it says of how many items of which product it is. Its eventID is the range
event's own, as a URN.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, false, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.digital_link import format_link
from loyalty.items.epcis.moments import write_moment
from loyalty.items.epcis.own_items import SerialNumber, find_own_items
from loyalty.items.epcis.own_packings import OwnPackings
from loyalty.items.epcis.own_telling import (
    OBJECTS,
    PREFIX,
    URN,
    OwnEvent,
    Step,
    fits,
    gtins_among,
    offset,
    own_context,
    serial_numbers,
    shared_conditions,
)
from loyalty.items.epcis.parameters import Mention, Query
from loyalty.items.epcis.vocabulary import DISPOSITION
from loyalty.items.events import EventKind
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import find_serial
from loyalty.items.tables import range_event_table
from loyalty.kit.clock import utc_now
from loyalty.kit.programme import Programme

STEPS: Final[dict[EventKind, Step]] = {
    "minted": Step("OBSERVE", "reserving", "reserved"),
    "printed": Step("OBSERVE", "encoding", "encoded"),
    "made": Step("OBSERVE", "creating_class_instance", "in_progress"),
    "packed": Step("OBSERVE", "packing", "in_progress"),
    "activated": Step("ADD", "commissioning", "active"),
    "shipped": Step("OBSERVE", "shipping", "in_transit"),
    "received": Step("OBSERVE", "receiving", "in_progress"),
    "sold": Step("OBSERVE", "retail_selling", "retail_sold"),
    "recalled": Step("OBSERVE", "holding", "recalled", lasting="set"),
    "released": Step("OBSERVE", None, None, lasting="unset"),
    "retired": Step("DELETE", "decommissioning", "inactive"),
}
"""Codes exist from the print order on (`reserving`: identifiers set aside for another party), are written by the press
(`encoding`), and become those of objects when they are activated, which is what ADD says (CBV 2.0, section 7.1.3).
CBV has no step for a recall that is lifted: a persistent disposition ends."""

_RECALLED: Final = "recalled"


class OwnEvents:
    """The range events of one programme, for queries. `base_url` is what its codes start with."""

    def __init__(self, programme: Programme, item_keys: MasterKeys, base_url: str) -> None:
        self._programme = programme
        self._keys = item_keys
        self._base_url = base_url
        self._packings = OwnPackings(programme, base_url)
        self._context = own_context(base_url)

    async def find(
        self, connection: AsyncConnection, query: Query, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[OwnEvent]:
        """The first events that a query is about, in its order, those after a place in it."""
        asked = await self._asked(connection, query)
        links = {code: await self._link(connection, code) for code in dict.fromkeys(asked.values())}
        found = await self._ranges(connection, query, asked, links, after=after, limit=limit)
        found += await self._packings.find(connection, query, asked, links, after=after, limit=limit)
        by_event_time = query.order_by == "event_time"
        found.sort(
            key=lambda each: (each.at if by_event_time else each.record_time, each.key), reverse=not query.ascending
        )
        return found[:limit]

    async def _ranges(
        self,
        connection: AsyncConnection,
        query: Query,
        asked: dict[SerialNumber, ItemCode],
        links: dict[ItemCode, str],
        *,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[OwnEvent]:
        conditions = self._conditions(query, asked)
        if conditions is None:
            return []
        table = range_event_table.c
        order = (table.at if query.order_by == "event_time" else table.recorded_at, table.id)
        if after is not None:
            conditions.append(tuple_(*order) > tuple_(*after) if query.ascending else tuple_(*order) < tuple_(*after))
        sorting = [column if query.ascending else column.desc() for column in order]
        rows = await connection.execute(select(range_event_table).where(*conditions).order_by(*sorting).limit(limit))
        return [self._event(row, links) for row in rows]

    async def count(self, connection: AsyncConnection, query: Query, *, limit: int) -> int:
        """How many events a query is about, counted up to a limit."""
        asked = await self._asked(connection, query)
        count = await self._packings.count(connection, query, asked, limit=limit)
        conditions = self._conditions(query, asked)
        if conditions is None:
            return count
        first = select(range_event_table.c.id).where(*conditions).limit(limit).subquery()
        return count + (await connection.scalar(select(func.count()).select_from(first)) or 0)

    async def steps(self, connection: AsyncConnection) -> list[tuple[str, Step]]:
        """The types of events that there are, each with its step."""
        table = range_event_table.c
        query = select(table.kind).where(table.programme_id == self._programme.id, table.at <= utc_now()).distinct()
        told = [("ObjectEvent", STEPS[row.kind]) for row in await connection.execute(query)]
        return told + [("AggregationEvent", step) for step in await self._packings.steps(connection)]

    async def _asked(self, connection: AsyncConnection, query: Query) -> dict[SerialNumber, ItemCode]:
        """The brand's own codes among the objects that are asked for."""
        named = [item for mention in query.mentions for item in serial_numbers(mention)]
        return await find_own_items(connection, self._keys, named, programme_id=self._programme.id)

    def _conditions(self, query: Query, asked: dict[SerialNumber, ItemCode]) -> list[ColumnElement[bool]] | None:
        """What a range event has to be; None where the query cannot be about any."""
        table = range_event_table.c
        conditions = shared_conditions({"event_time": table.at, "record_time": table.recorded_at}, table.id, query)
        if conditions is None:
            return None
        if "ObjectEvent" not in query.equal.get("event_type", ("ObjectEvent",)):
            return None
        kinds = [kind for kind, step in STEPS.items() if fits(step, query)]
        conditions += [
            table.programme_id == self._programme.id,
            table.at <= utc_now(),  # what is planned has not happened
            table.kind.in_(kinds),
        ]
        conditions += [_mentioned(mention, asked) for mention in query.mentions]
        return conditions

    def _event(self, row: Row[Any], links: dict[ItemCode, str]) -> OwnEvent:
        step = STEPS[row.kind]
        about = [
            link
            for code, link in links.items()
            if (code.gtin, code.kid) == (row.gtin, row.kid) and row.lo <= code.index <= row.hi
        ]
        plain: dict[str, Any] = {
            "type": "ObjectEvent",
            "eventTime": write_moment(row.at),
            "eventTimeZoneOffset": offset(row.at.astimezone(self._programme.zone)),
            "action": step.action,
        }
        if step.biz_step is not None:
            plain["bizStep"] = step.biz_step
        if step.disposition is not None:
            plain["disposition"] = step.disposition
        if step.lasting is not None:
            plain["persistentDisposition"] = {step.lasting: [_RECALLED]}
        if about:
            plain["epcList"] = about
        else:
            epc_class = format_link(self._base_url, gtin=row.gtin)
            plain["quantityList"] = [{"epcClass": epc_class, "quantity": row.hi - row.lo + 1}]
        plain[f"{PREFIX}:range"] = {f"{PREFIX}:kid": row.kid, f"{PREFIX}:first": row.lo, f"{PREFIX}:last": row.hi}
        if row.places:
            plain[f"{PREFIX}:place"] = {f"{PREFIX}:{locale}": name for locale, name in row.places.items() if name}
        return OwnEvent(
            key=row.id,
            at=row.at,
            record_time=row.recorded_at,
            event_id=f"{URN}{row.id}",
            context=self._context,
            plain=plain,
        )

    async def _link(self, connection: AsyncConnection, code: ItemCode) -> str:
        return format_link(self._base_url, gtin=code.gtin, serial=await find_serial(connection, self._keys, code))


def _mentioned(mention: Mention, asked: dict[SerialNumber, ItemCode]) -> ColumnElement[bool]:
    table = range_event_table.c
    if mention.parameter in OBJECTS:
        codes = [
            and_(table.gtin == code.gtin, table.kid == code.kid, table.lo <= code.index, table.hi >= code.index)
            for item in serial_numbers(mention)
            if (code := asked.get(item)) is not None
        ]
        return or_(false(), *codes, table.gtin.in_(gtins_among(mention.prefixes)))
    if mention.parameter in ("MATCH_epcClass", "MATCH_anyEPCClass"):
        return table.gtin.in_(gtins_among(mention.names))
    if mention.parameter.startswith(_LASTING) and DISPOSITION.address + _RECALLED in mention.names:
        change = mention.parameter.removeprefix(_LASTING)
        return table.kind.in_([kind for kind, step in STEPS.items() if step.lasting == change])
    return false()


_LASTING: Final = "EQ_persistentDisposition_"
