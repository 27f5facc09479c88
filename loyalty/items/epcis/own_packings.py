"""What the brand packed and unpacked, told as aggregation events: a case and what went into it or came out.

As range events, they are made when they are asked for. Asked about an item, an event names it among its children;
otherwise it says how many items of which product there were.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, and_, bindparam, false, func, literal_column, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from loyalty.items.codes import ItemCode
from loyalty.items.digital_link import DigitalLink, build_link, format_link
from loyalty.items.epcis.moments import write_moment
from loyalty.items.epcis.own_items import SerialNumber
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
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.reading import PackingKind
from loyalty.items.packing.tables import PIECE, packing_event_piece_table, packing_event_table
from loyalty.kit.clock import utc_now
from loyalty.kit.programme import Programme

PACKING_STEPS: Final[dict[PackingKind, Step]] = {
    "packed": Step("ADD", "packing", "in_progress"),
    "unpacked": Step("DELETE", "unpacking", "in_progress"),
}
_SSCC: Final = "00/"
_event: Final = packing_event_table.c
_piece: Final = packing_event_piece_table.c


class OwnPackings:
    """The packing events of one programme, for queries. `base_url` is what its codes start with."""

    def __init__(self, programme: Programme, base_url: str) -> None:
        self._programme = programme
        self._base_url = base_url
        self._context = own_context(base_url)

    async def find(
        self,
        connection: AsyncConnection,
        query: Query,
        asked: dict[SerialNumber, ItemCode],
        links: dict[ItemCode, str],
        *,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[OwnEvent]:
        """The first events that a query is about, in its order, those after a place in it.

        `asked` are the brand's own codes that it names, `links` their addresses.
        """
        conditions = self._conditions(query, asked)
        if conditions is None:
            return []
        order = (_event.at if query.order_by == "event_time" else _event.recorded_at, _event.id)
        if after is not None:
            conditions.append(tuple_(*order) > tuple_(*after) if query.ascending else tuple_(*order) < tuple_(*after))
        sorting = [column if query.ascending else column.desc() for column in order]
        rows = await connection.execute(select(packing_event_table).where(*conditions).order_by(*sorting).limit(limit))
        return [self._told(row, links) for row in rows]

    async def count(
        self, connection: AsyncConnection, query: Query, asked: dict[SerialNumber, ItemCode], *, limit: int
    ) -> int:
        """How many events a query is about, counted up to a limit."""
        conditions = self._conditions(query, asked)
        if conditions is None:
            return 0
        first = select(_event.id).where(*conditions).limit(limit).subquery()
        return await connection.scalar(select(func.count()).select_from(first)) or 0

    async def steps(self, connection: AsyncConnection) -> list[Step]:
        """The steps that there are events of."""
        told = []
        for kind, step in PACKING_STEPS.items():
            query = select(_event.id).where(_event.programme_id == self._programme.id, _event.kind == kind).limit(1)
            if await connection.scalar(query) is not None:
                told.append(step)
        return told

    def _conditions(self, query: Query, asked: dict[SerialNumber, ItemCode]) -> list[ColumnElement[bool]] | None:
        """What a packing event has to be; None where the query cannot be about any."""
        columns = {"event_time": _event.at, "record_time": _event.recorded_at}
        conditions = shared_conditions(columns, _event.id, query)  # type: ignore[arg-type]
        if conditions is None or "AggregationEvent" not in query.equal.get("event_type", ("AggregationEvent",)):
            return None
        kinds = [kind for kind, step in PACKING_STEPS.items() if fits(step, query)]
        conditions += [_event.programme_id == self._programme.id, _event.at <= utc_now(), _event.kind.in_(kinds)]
        conditions += [_mentioned(mention, asked) for mention in query.mentions]
        return conditions

    def _told(self, row: Row[Any], links: dict[ItemCode, str]) -> OwnEvent:
        step = PACKING_STEPS[row.kind]
        held = msgspec.convert(row.intervals, list[Interval])
        about = [
            link
            for code, link in links.items()
            if any((code.gtin, code.kid) == (each.gtin, each.kid) and each.lo <= code.index <= each.hi for each in held)
        ]
        plain: dict[str, Any] = {
            "type": "AggregationEvent",
            "eventTime": write_moment(row.at),
            "eventTimeZoneOffset": offset(row.at.astimezone(self._programme.zone)),
            "parentID": self._unit(row.sscc),
            "action": step.action,
            "bizStep": step.biz_step,
            "disposition": step.disposition,
        }
        children = [self._unit(unit) for unit in row.units] + about
        if children:
            plain["childEPCs"] = children
        if held and not about:
            counts = Counter[str]()
            for each in held:
                counts[each.gtin] += each.count
            plain["childQuantityList"] = [
                {"epcClass": format_link(self._base_url, gtin=gtin), "quantity": count}
                for gtin, count in sorted(counts.items())
            ]
        if held:
            plain[f"{PREFIX}:ranges"] = [
                {
                    f"{PREFIX}:gtin": each.gtin,
                    f"{PREFIX}:kid": each.kid,
                    f"{PREFIX}:first": each.lo,
                    f"{PREFIX}:last": each.hi,
                }
                for each in held
            ]
        return OwnEvent(
            key=row.id,
            at=row.at,
            record_time=row.recorded_at,
            event_id=f"{URN}{row.id}",
            context=self._context,
            plain=plain,
        )

    def _unit(self, sscc: str) -> str:
        return build_link(self._base_url, DigitalLink(key="00", value=sscc))


def _mentioned(mention: Mention, asked: dict[SerialNumber, ItemCode]) -> ColumnElement[bool]:
    ssccs = [name.removeprefix(_SSCC) for name in mention.names if name.startswith(_SSCC)]
    if mention.parameter == "MATCH_parentID":
        return _event.sscc.in_(ssccs)
    if mention.parameter in ("MATCH_epcClass", "MATCH_anyEPCClass"):
        return _with_pieces(_piece.gtin.in_(gtins_among(mention.names)))
    if mention.parameter not in OBJECTS:
        return false()
    codes = [asked[item] for item in serial_numbers(mention) if item in asked]
    held = [_with_pieces(_holds(code)) for code in codes]
    gtins = gtins_among(mention.prefixes)
    if gtins:
        held.append(_with_pieces(_piece.gtin.in_(gtins)))
    if ssccs:
        # The condition of the index, word by word.
        inside = _event.units.op("?|", is_comparison=True)(bindparam(None, ssccs, type_=ARRAY(Text), unique=True))
        held.append(and_(_event.units != literal_column("'[]'::jsonb"), inside))
    if mention.parameter == "MATCH_anyEPC":
        held.append(_event.sscc.in_(ssccs))
    return or_(false(), *held)


def _holds(code: ItemCode) -> ColumnElement[bool]:
    return and_(
        _piece.gtin == code.gtin,
        _piece.kid == code.kid,
        _piece.lo.between(code.index - PIECE + 1, code.index),
        _piece.hi >= code.index,
    )


def _with_pieces(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return _event.id.in_(select(_piece.event_id).where(condition))
