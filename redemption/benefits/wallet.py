"""Benefits in members' wallets, as they are at the moment of reading.

A member who was merged with others has their benefits too: `person_ids` are all the ids of one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from redemption.benefits.definition import Definition, read_definition
from redemption.benefits.errors import BenefitNotUsableError, UnknownBenefitError
from redemption.benefits.tables import benefit_table, template_table, version_table
from redemption.checks import clock

BenefitState = Literal["issued", "locked", "used", "returned", "expired", "revoked", "transferred"]
USABLE: Final = ("issued", "returned")
OPEN: Final = ("issued", "returned", "locked")
PREFIX: Final = "ben"
"""What the public ids of benefits begin with."""


class Benefit(msgspec.Struct, frozen=True, kw_only=True):
    """One benefit of one member. `issued` and `returned` ones can be used from `valid_from` until `expires_at`.

    `state` is true at the moment of reading: one past its time reads `expired`, and a lock that ran out reads as it
    was before, whether or not anything has swept by. `waiting` says that its time has not come. `code` is what a till
    scans, or for somebody else's code what the member uses there; nobody can guess it.
    """

    id: UUID
    member_id: UUID
    programme_id: UUID
    template_id: UUID
    template_code: str
    version: int
    code: str
    state: BenefitState
    waiting: bool
    definition: Definition
    source: str
    campaign: str | None
    issued_at: datetime
    valid_from: datetime
    expires_at: datetime
    locked_until: datetime | None

    @property
    def name(self) -> dict[str, str]:
        """What it is called, by locale."""
        return self.definition.name


def _state(row: Row[Any]) -> BenefitState:
    state: BenefitState = row.state
    if state == "locked" and row.locked_until <= row.now:
        state = "issued"
    return "expired" if state in USABLE and row.expires_at <= row.now else state


def read_benefit(row: Row[Any]) -> Benefit:
    """Read a row of `select_benefits`."""
    state = _state(row)
    return Benefit(
        id=row.id,
        member_id=row.member_id,
        programme_id=row.programme_id,
        template_id=row.template_id,
        template_code=row.template_code,
        version=row.version,
        code=row.code,
        state=state,
        waiting=row.valid_from > row.now,
        definition=read_definition(row.definition),
        source=row.source,
        campaign=row.campaign,
        issued_at=row.issued_at,
        valid_from=row.valid_from,
        expires_at=row.expires_at,
        locked_until=row.locked_until if state == "locked" else None,
    )


def select_benefits() -> Select[Any]:
    """Benefits with their definitions and the clock beside them, for `read_benefit`."""
    columns = benefit_table.c
    version = (version_table.c.template_id == columns.template_id) & (version_table.c.version == columns.version)
    return (
        select(
            benefit_table,
            clock().label("now"),
            version_table.c.definition,
            template_table.c.code.label("template_code"),
        )
        .join(version_table, version)
        .join(template_table, template_table.c.id == columns.template_id)
    )


async def wallet(
    connection: AsyncConnection, *, member_id: UUID, person_ids: Sequence[UUID] = (), usable_only: bool = True
) -> list[Benefit]:
    """A member's benefits, soonest to expire first; with `usable_only=False` also those that are over."""
    columns = benefit_table.c
    query = select_benefits().where(columns.member_id.in_({member_id, *person_ids}))
    if usable_only:
        query = query.where(columns.open)
    rows = await connection.execute(query.order_by(columns.expires_at, columns.id))
    benefits = [read_benefit(row) for row in rows]
    return [benefit for benefit in benefits if benefit.state in OPEN or not usable_only]


async def get_benefit(connection: AsyncConnection, *, member_id: UUID, benefit_id: UUID, lock: bool = False) -> Benefit:
    """One benefit of a member, its row locked where that is asked for. Raises UnknownBenefitError."""
    columns = benefit_table.c
    query = select_benefits().where(columns.member_id == member_id, columns.id == benefit_id)
    if lock:
        query = query.with_for_update(of=benefit_table)
    row = (await connection.execute(query)).first()
    if row is None:
        raise UnknownBenefitError("there is no such benefit in this wallet", field="benefit")
    return read_benefit(row)


async def find_benefit(
    connection: AsyncConnection, *, programme_id: UUID, code: str, person_ids: Sequence[UUID] = ()
) -> Benefit:
    """The benefit that was scanned, in any member's wallet or in one person's. Raises UnknownBenefitError.

    Case does not matter for our own codes. Of several under one code (imported for two templates, or given away) the
    one that can be used is told.
    """
    columns = benefit_table.c
    typed = code.strip()
    query = select_benefits().where(columns.code.in_({typed, typed.upper()}), columns.programme_id == programme_id)
    if person_ids:
        query = query.where(columns.member_id.in_(person_ids))
    rows = await connection.execute(query.order_by(columns.open.desc(), columns.issued_at.desc()).limit(1))
    row = rows.first()
    if row is None:
        raise UnknownBenefitError("there is no such benefit", field="benefit")
    return read_benefit(row)


def not_usable(benefit: Benefit) -> BenefitNotUsableError:
    """The refusal of one that cannot be used now."""
    state = "waiting" if benefit.waiting and benefit.state in USABLE else benefit.state
    return BenefitNotUsableError(f"the benefit is {state}", field="benefit", state=state)


_SEEN: Final = text("""
    INSERT INTO benefit_event (
        member_id, id, benefit_id, programme_id, template_id, version, kind, at, campaign, channel_id, actor)
    SELECT b.member_id, gen_random_uuid(), b.id, b.programme_id, b.template_id, b.version, 'seen', ledger.clock(),
        b.campaign, CAST(:channel AS uuid), CAST(:actor AS text)
    FROM benefit b
    WHERE b.member_id = :member AND b.open AND NOT EXISTS (
        SELECT FROM benefit_event e WHERE e.member_id = :member AND e.benefit_id = b.id AND e.kind = 'seen')
""")


async def mark_seen(
    connection: AsyncConnection, *, member_id: UUID, channel_id: UUID | None = None, actor: str | None = None
) -> int:
    """Write down that a member was shown their wallet; once a benefit. Answers how many they saw for the first time."""
    parameters = {"member": member_id, "channel": channel_id, "actor": actor}
    return (await connection.execute(_SEEN, parameters)).rowcount
