"""What the brand did with its own ranges of codes, told as EPCIS events.

Nothing is stored for it: a range event is about an interval, and becomes an event when it is asked for. Asked about an
item, the event names that item; otherwise it says of how many items of which product it is. Its eventID is the range
event's own, as a URN.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, and_, false, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.digital_link import format_link
from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.epcs import parse_epc
from loyalty.items.epcis.moments import write_moment
from loyalty.items.epcis.parameters import Mention, Query
from loyalty.items.epcis.vocabulary import BIZ_STEP, DISPOSITION
from loyalty.items.events import EventKind
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import read_code
from loyalty.items.tables import range_event_table
from loyalty.kit.clock import utc_now
from loyalty.kit.programme import Programme

PREFIX: Final = "tallystar"
"""The prefix of what our own events say beyond the standard."""
_ID: Final = "urn:uuid:"


class Step(msgspec.Struct, frozen=True):
    """What a kind of range event is in the words of CBV."""

    action: Literal["ADD", "OBSERVE", "DELETE"]
    biz_step: str
    disposition: str


STEPS: Final[dict[EventKind, Step]] = {
    "minted": Step("OBSERVE", "reserving", "reserved"),
    "printed": Step("OBSERVE", "encoding", "encoded"),
    "made": Step("OBSERVE", "creating_class_instance", "in_progress"),
    "packed": Step("OBSERVE", "packing", "in_progress"),
    "activated": Step("ADD", "commissioning", "active"),
    "shipped": Step("OBSERVE", "shipping", "in_transit"),
    "received": Step("OBSERVE", "receiving", "in_progress"),
    "sold": Step("OBSERVE", "retail_selling", "retail_sold"),
    "recalled": Step("OBSERVE", "holding", "recalled"),
    "retired": Step("DELETE", "decommissioning", "inactive"),
}
"""Codes exist from the print order on (`reserving`: identifiers set aside for another party), are written by the press
(`encoding`), and become those of objects when they are activated, which is what ADD says (CBV 2.0, section 7.1.3)."""


class OwnEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A range event as EPCIS tells it."""

    key: UUID
    at: datetime
    record_time: datetime
    event_id: str
    context: Context
    plain: dict[str, Any]


class OwnEvents:
    """The range events of one programme, for queries. `base_url` is what its codes start with."""

    def __init__(self, programme: Programme, item_keys: MasterKeys, base_url: str) -> None:
        self._programme = programme
        self._keys = item_keys
        self._base_url = base_url
        self._context = Context(declared={PREFIX: f"{base_url}/epcis/terms#"})

    async def find(
        self, connection: AsyncConnection, query: Query, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[OwnEvent]:
        """The first events that a query is about, in its order, those after a place in it."""
        conditions = self._conditions(query)
        if conditions is None:
            return []
        table = range_event_table.c
        order = (table.at if query.order_by == "event_time" else table.recorded_at, table.id)
        if after is not None:
            conditions.append(tuple_(*order) > tuple_(*after) if query.ascending else tuple_(*order) < tuple_(*after))
        sorting = [column if query.ascending else column.desc() for column in order]
        rows = await connection.execute(select(range_event_table).where(*conditions).order_by(*sorting).limit(limit))
        asked = [code for mention in query.mentions for code in self._codes(mention)]
        return [self._event(row, asked) for row in rows]

    async def count(self, connection: AsyncConnection, query: Query, *, limit: int) -> int:
        """How many events a query is about, counted up to a limit."""
        conditions = self._conditions(query)
        if conditions is None:
            return 0
        first = select(range_event_table.c.id).where(*conditions).limit(limit).subquery()
        return await connection.scalar(select(func.count()).select_from(first)) or 0

    async def kinds(self, connection: AsyncConnection) -> list[EventKind]:
        """The kinds of events that there are."""
        table = range_event_table.c
        query = select(table.kind).where(table.programme_id == self._programme.id, table.at <= utc_now()).distinct()
        return [row.kind for row in await connection.execute(query)]

    def _conditions(self, query: Query) -> list[ColumnElement[bool]] | None:
        """What a range event has to be; None where the query cannot be about any."""
        table = range_event_table.c
        nothing = {"read_point", "biz_location", "transformation_id", "error_reason"} & query.equal.keys()
        if nothing or query.within or query.declared or "declared_at" in query.since | query.before:
            return None
        if "ObjectEvent" not in query.equal.get("event_type", ("ObjectEvent",)):
            return None
        kinds = [kind for kind, step in STEPS.items() if _fits(step, query)]
        conditions: list[ColumnElement[bool]] = [
            table.programme_id == self._programme.id,
            table.at <= utc_now(),  # what is planned has not happened
            table.kind.in_(kinds),
        ]
        if "event_id" in query.equal:
            conditions.append(table.id.in_(_uuids(query.equal["event_id"])))
        columns = {"event_time": table.at, "record_time": table.recorded_at}
        conditions += [columns[name] >= moment for name, moment in query.since.items()]
        conditions += [columns[name] < moment for name, moment in query.before.items()]
        conditions += [self._mentioned(mention) for mention in query.mentions]
        return conditions

    def _mentioned(self, mention: Mention) -> ColumnElement[bool]:
        table = range_event_table.c
        if mention.parameter in ("MATCH_epc", "MATCH_anyEPC"):
            codes = [
                and_(table.gtin == code.gtin, table.kid == code.kid, table.lo <= code.index, table.hi >= code.index)
                for code in self._codes(mention)
            ]
            return or_(false(), *codes, table.gtin.in_(_gtins(mention.prefixes)))
        if mention.parameter in ("MATCH_epcClass", "MATCH_anyEPCClass"):
            return table.gtin.in_(_gtins(mention.names))
        return false()

    def _codes(self, mention: Mention) -> list[ItemCode]:
        """Our own codes among the names that are asked for."""
        if mention.parameter not in ("MATCH_epc", "MATCH_anyEPC"):
            return []
        epcs = [parse_epc(f"https://id.gs1.org/{name}") for name in mention.names if name.startswith("01/")]
        codes = [read_code(self._keys, gtin=epc.gtin, serial=epc.serial) for epc in epcs if epc.gtin and epc.serial]
        return [code for code in codes if isinstance(code, ItemCode)]

    def _event(self, row: Row[Any], asked: Sequence[ItemCode]) -> OwnEvent:
        step = STEPS[row.kind]
        about = [
            code for code in asked if (code.gtin, code.kid) == (row.gtin, row.kid) and row.lo <= code.index <= row.hi
        ]
        plain: dict[str, Any] = {
            "type": "ObjectEvent",
            "eventTime": write_moment(row.at),
            "eventTimeZoneOffset": _offset(row.at.astimezone(self._programme.zone)),
            "action": step.action,
            "bizStep": step.biz_step,
            "disposition": step.disposition,
        }
        if about:
            plain["epcList"] = list(dict.fromkeys(self._link(code) for code in about))
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
            event_id=f"{_ID}{row.id}",
            context=self._context,
            plain=plain,
        )

    def _link(self, code: ItemCode) -> str:
        serial = self._keys.for_product(code.gtin, code.kid).mint(code.index)
        return format_link(self._base_url, gtin=code.gtin, serial=serial)


def _fits(step: Step, query: Query) -> bool:
    said = {
        "action": step.action,
        "biz_step": BIZ_STEP.address + step.biz_step,
        "disposition": DISPOSITION.address + step.disposition,
    }
    return all(value in query.equal.get(column, (value,)) for column, value in said.items())  # type: ignore[call-overload]


def _uuids(event_ids: Sequence[str]) -> list[UUID]:
    found = []
    for event_id in event_ids:
        try:
            found.append(UUID(event_id.removeprefix(_ID)))
        except ValueError:
            continue
    return found


def _gtins(names: Sequence[str]) -> list[str]:
    """The products among names such as `01/06901234567892`, with or without a slash at the end."""
    parts = [name.strip("/").split("/") for name in names]
    return [part[1] for part in parts if len(part) == 2 and part[0] == "01"]  # noqa: PLR2004  (a key and its value)


def _offset(local: datetime) -> str:
    written = local.strftime("%z")
    return f"{written[:3]}:{written[3:5]}"
