"""Alerts: raised once for what is one thing, looked at by somebody, closed with a word why; all of it written down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.keys import MasterKeys
from loyalty.items.trace.observing import About, AlertKind, Observation, observe
from loyalty.items.trace.settings import read_alert_settings
from loyalty.items.trace.tables import alert_event_table, alert_table
from loyalty.kit.clock import utc_now
from loyalty.kit.db import to_json
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id, parse_public_id, public_id

ALERT_PREFIX: Final = "alr"
NOTE_LIMIT: Final = 2000

AlertState = Literal["open", "acknowledged", "closed"]
AlertEventKind = Literal["raised", "acknowledged", "closed", "reopened", "evidence"]
"""`evidence`: somebody took the evidence of it with them; the note then holds the SHA-256 of what they took."""

_alert: Final = alert_table.c


class AlertReopenedError(ConflictError):
    """The same thing was raised anew since this alert was closed; look at that one."""

    type = "alert-raised-anew"
    title = "There is a newer alert of the same"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that scans gave reason to look at, seen `times` from `first_at` to `last_at`."""

    id: UUID
    programme_id: UUID
    kind: AlertKind
    subject: str
    about: About
    state: AlertState
    first_at: datetime
    last_at: datetime
    times: int
    raised_at: datetime
    state_at: datetime
    state_by: str | None
    note: str

    @property
    def public_id(self) -> str:
        """The id as the outside world sees it."""
        return public_id(ALERT_PREFIX, self.id)


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What was done about an alert, and by whom; None where the server did it."""

    kind: AlertEventKind
    at: datetime
    actor: str | None
    note: str


class Place(NamedTuple):
    """Where a page of alerts ended."""

    last_at: datetime
    id: UUID


_RAISE: Final = text("""
    INSERT INTO alert (id, programme_id, kind, subject, about, state, first_at, last_at, times, raised_at, state_at)
    SELECT new.id, :programme, new.kind, new.subject, CAST(new.about AS jsonb), 'open', new.first_at, new.last_at,
           new.times, :now, :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:subjects AS text[]), CAST(:abouts AS text[]),
                CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[]), CAST(:times AS bigint[]))
         AS new (id, kind, subject, about, first_at, last_at, times)
    ON CONFLICT (programme_id, kind, subject) WHERE state <> 'closed' DO UPDATE SET
        first_at = least(alert.first_at, excluded.first_at),
        last_at = greatest(alert.last_at, excluded.last_at),
        times = greatest(alert.times, excluded.times)
    WHERE excluded.last_at > alert.last_at OR excluded.times > alert.times
    RETURNING id
""")


async def watch(
    connection: AsyncConnection, keys: MasterKeys, *, programme_id: UUID, now: datetime | None = None
) -> int:
    """Raise what is an alert by now and was not raised yet, and count up what goes on; answers how many are new."""
    moment = now or utc_now()
    settings = await read_alert_settings(connection, programme_id=programme_id)
    seen = await observe(connection, keys, programme_id=programme_id, now=moment, settings=settings)
    return await raise_alerts(connection, programme_id=programme_id, observations=seen, now=moment)


async def raise_alerts(
    connection: AsyncConnection, *, programme_id: UUID, observations: Sequence[Observation], now: datetime
) -> int:
    """Raise or count up these; answers how many are new."""
    if not observations:
        return 0
    # In one order, so that two who raise at once wait for each other and not in a circle.
    ordered = sorted(observations, key=lambda each: (each.kind, each.subject))
    ids = [new_id() for _ in ordered]
    values = {
        "programme": programme_id,
        "now": now,
        "ids": ids,
        "kinds": [each.kind for each in ordered],
        "subjects": [each.subject for each in ordered],
        "abouts": [to_json(each.about) for each in ordered],
        "firsts": [each.first_at for each in ordered],
        "lasts": [each.last_at for each in ordered],
        "times": [each.times for each in ordered],
    }
    written = set((await connection.execute(_RAISE, values)).scalars())
    raised = [identifier for identifier in ids if identifier in written]
    for identifier in raised:
        await _record(connection, identifier, programme_id, "raised", at=now, actor=None, note="")
    return len(raised)


async def list_alerts(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    states: Sequence[AlertState] = ("open", "acknowledged"),
    kind: AlertKind | None = None,
    after: Place | None = None,
    limit: int = 50,
) -> list[Alert]:
    """A page of alerts, what was seen last first; the next page is after `Place(last_at, id)` of the last one."""
    query = select(alert_table).where(_alert.programme_id == programme_id, _alert.state.in_(states))
    if kind is not None:
        query = query.where(_alert.kind == kind)
    if after is not None:
        query = query.where(tuple_(_alert.last_at, _alert.id) < tuple_(*after))
    rows = await connection.execute(query.order_by(_alert.last_at.desc(), _alert.id.desc()).limit(limit))
    return [_read(row) for row in rows]


async def count_open(connection: AsyncConnection, *, programme_id: UUID) -> int:
    """How many alerts nobody has looked at yet."""
    query = select(func.count()).where(_alert.programme_id == programme_id, _alert.state == "open")
    return await connection.scalar(query) or 0


async def get_alert(connection: AsyncConnection, *, programme_id: UUID, alert_id: UUID | str) -> Alert:
    """An alert by its id (a UUID or `alr_…`). Raises NotFoundError."""
    identifier = parse_public_id(ALERT_PREFIX, alert_id, field="alert") if isinstance(alert_id, str) else alert_id
    query = select(alert_table).where(_alert.id == identifier, _alert.programme_id == programme_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFoundError("there is no such alert in this programme", field="alert")
    return _read(row)


async def alerts_about(connection: AsyncConnection, *, programme_id: UUID, subject: str) -> list[Alert]:
    """All alerts of one subject, closed ones too, the newest first."""
    query = select(alert_table).where(_alert.programme_id == programme_id, _alert.subject == subject)
    kinds = _alert.kind.in_(["suspected_copy", "false_code"])  # the index begins with the kind
    return [_read(row) for row in await connection.execute(query.where(kinds).order_by(_alert.raised_at.desc()))]


async def change_alert(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    alert_id: UUID | str,
    state: AlertState,
    note: str = "",
    actor: str,
) -> Alert:
    """Take an alert on, close it with a word why, or open it again; said again, nothing changes.

    Raises NotFoundError, InvalidInputError (`note`) where it is closed without a word or with too long a one,
    AlertReopenedError where the same thing is open under another id.
    """
    words = note.strip()
    if len(words) > NOTE_LIMIT:
        raise InvalidInputError(f"a note has at most {NOTE_LIMIT} characters", field="note")
    before = await get_alert(connection, programme_id=programme_id, alert_id=alert_id)
    await connection.execute(select(_alert.id).where(_alert.id == before.id).with_for_update())
    before = await get_alert(connection, programme_id=programme_id, alert_id=before.id)
    if before.state == state and words in ("", before.note):
        return before
    if state == "closed" and not words:
        raise InvalidInputError("say why it is closed: somebody will ask", field="note")
    if before.state == "closed" and state != "closed" and await _raised_anew(connection, before):
        raise AlertReopenedError("the same was raised again since; look at the newer alert", field="state")
    now = utc_now()
    values = {"state": state, "state_at": now, "state_by": actor, "note": words or before.note}
    await connection.execute(update(alert_table).where(_alert.id == before.id).values(values))
    kind: AlertEventKind = "reopened" if state == "open" else state
    await _record(connection, before.id, programme_id, kind, at=now, actor=actor, note=words)
    return await get_alert(connection, programme_id=programme_id, alert_id=before.id)


async def record_evidence(connection: AsyncConnection, alert: Alert, *, sha256: str, actor: str) -> None:
    """Write down that somebody took the evidence of an alert, and what it was."""
    note = f"SHA-256 {sha256}"
    await _record(connection, alert.id, alert.programme_id, "evidence", at=utc_now(), actor=actor, note=note)


async def alert_history(connection: AsyncConnection, alert: Alert) -> list[AlertEvent]:
    """What was done about an alert, in its order."""
    event = alert_event_table.c
    query = select(event.kind, event.at, event.actor, event.note).where(event.alert_id == alert.id).order_by(event.id)
    return [AlertEvent(**row) for row in (await connection.execute(query)).mappings()]


async def _raised_anew(connection: AsyncConnection, alert: Alert) -> bool:
    query = select(_alert.id).where(
        _alert.programme_id == alert.programme_id,
        _alert.kind == alert.kind,
        _alert.subject == alert.subject,
        _alert.state != "closed",
    )
    return await connection.scalar(query) is not None


async def _record(
    connection: AsyncConnection,
    alert_id: UUID,
    programme_id: UUID,
    kind: AlertEventKind,
    *,
    at: datetime,
    actor: str | None,
    note: str,
) -> None:
    values = {"alert_id": alert_id, "id": new_id(), "programme_id": programme_id, "kind": kind, "at": at}
    await connection.execute(insert(alert_event_table).values(**values, actor=actor, note=note))


def _read(row: Row[Any]) -> Alert:
    fields = {name: getattr(row, name) for name in Alert.__struct_fields__}
    return Alert(**fields | {"about": msgspec.convert(row.about, About)})
