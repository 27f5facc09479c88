"""What the brand's own events have in common, whichever of its records they are told from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement

from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.epcs import CANONICAL_DOMAIN, parse_epc
from loyalty.items.epcis.own_items import SerialNumber
from loyalty.items.epcis.parameters import Column, Mention, Query, TimeColumn
from loyalty.items.epcis.vocabulary import BIZ_STEP, DISPOSITION

PREFIX: Final = "tallystar"
"""The prefix of what our own events say beyond the standard."""
URN: Final = "urn:uuid:"
OBJECTS: Final = ("MATCH_epc", "MATCH_anyEPC")


class Step(msgspec.Struct, frozen=True):
    """What a kind of range event is in the words of CBV."""

    action: Literal["ADD", "OBSERVE", "DELETE"]
    biz_step: str | None
    disposition: str | None
    lasting: Literal["set", "unset"] | None = None
    """Whether items are `recalled` from then on, whatever else becomes of them, or are no more."""


class OwnEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of our own as EPCIS tells it."""

    key: UUID
    at: datetime
    record_time: datetime
    event_id: str
    context: Context
    plain: dict[str, Any]


def own_context(base_url: str) -> Context:
    """What declares our prefix, for codes that start with `base_url`."""
    return Context(declared={PREFIX: f"{base_url}/epcis/terms#"})


def shared_conditions(
    columns: dict[TimeColumn, ColumnElement[datetime]], key: ColumnElement[UUID], query: Query
) -> list[ColumnElement[bool]] | None:
    """What a query says of ids and times; None where it asks for what none of our own events has."""
    nothing = {"read_point", "biz_location", "transformation_id", "error_reason"} & query.equal.keys()
    if nothing or query.within or query.declared or "declared_at" in query.since | query.before:
        return None
    conditions: list[ColumnElement[bool]] = []
    if "event_id" in query.equal:
        conditions.append(key.in_(_uuids(query.equal["event_id"])))
    conditions += [columns[name] >= moment for name, moment in query.since.items()]
    conditions += [columns[name] < moment for name, moment in query.before.items()]
    return conditions


def serial_numbers(mention: Mention) -> list[SerialNumber]:
    """The serialised products among the objects that are asked for."""
    if mention.parameter not in OBJECTS:
        return []
    epcs = [parse_epc(CANONICAL_DOMAIN + name) for name in mention.names if name.startswith("01/")]
    return [(epc.gtin, epc.serial) for epc in epcs if epc.gtin and epc.serial]


def fits(step: Step, query: Query) -> bool:
    """Whether a query is about events of such a step."""
    said: dict[Column, str | None] = {
        "action": step.action,
        "biz_step": step.biz_step and BIZ_STEP.address + step.biz_step,
        "disposition": step.disposition and DISPOSITION.address + step.disposition,
    }
    return all(column not in query.equal or value in query.equal[column] for column, value in said.items())


def _uuids(event_ids: Sequence[str]) -> list[UUID]:
    found = []
    for event_id in event_ids:
        try:
            found.append(UUID(event_id.removeprefix(URN)))
        except ValueError:
            continue
    return found


def gtins_among(names: Sequence[str]) -> list[str]:
    """The products among names such as `01/06901234567892`, with or without a slash at the end."""
    parts = [name.strip("/").split("/") for name in names]
    return [part[1] for part in parts if len(part) == 2 and part[0] == "01"]  # noqa: PLR2004  (a key and its value)


def offset(local: datetime) -> str:
    """The offset of a local time as EPCIS writes it, such as `+08:00`."""
    written = local.strftime("%z")
    return f"{written[:3]}:{written[3:5]}"
