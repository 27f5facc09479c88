"""Control groups: members who are held out of a campaign or an issue, so that its effect can be told from chance.

Who is held out is not drawn but computed: a member's place for a campaign is a hash of both ids, from 0 to 9,999, and
those below the campaign's share are its control group. So a campaign that is stopped and begun again, or is asked for
one member at a till and for a million in a job, holds out the same people, and two campaigns hold out different ones.

A programme may have a control group of its own, under its own id: members who get no campaign at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Uuid,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.tables import held_out_table, holdout_table
from loyalty.kit.errors import ConflictError, InvalidInputError

WHOLE_BP: Final = 10_000
MOST_SHARE_BP: Final = 5_000
"""A control group larger than the group it is compared with is a mistake."""
_DIGITS: Final = 15
"""Hexadecimal digits of the hash that are looked at: 60 bits, so that a bigint holds them and no place is likelier."""


class Holdout(msgspec.Struct, frozen=True, kw_only=True):
    """Which share of the members, in basis points, is held out of a campaign (or, by its own id, a programme)."""

    campaign_id: UUID
    programme_id: UUID
    share_bp: int


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """Who is held out of one campaign: its own control group, and the programme's."""

    programme_id: UUID
    campaign_id: UUID
    holdouts: tuple[Holdout, ...]

    def holds(self, member_id: UUID) -> bool:
        """Whether a member is held out."""
        return any(place_bp(each.campaign_id, member_id) < each.share_bp for each in self.holdouts)

    def condition(self, member_id: ColumnElement[UUID]) -> ColumnElement[bool]:
        """`holds` in SQL, of a column of member ids."""
        places = [_place_in_sql(each.campaign_id, member_id) < each.share_bp for each in self.holdouts if each.share_bp]
        return or_(*places) if places else false()


def place_bp(campaign_id: UUID, member_id: UUID) -> int:
    """A member's place for a campaign: SHA-256 of both ids' bytes, its first 60 bits, modulo 10,000."""
    digest = hashlib.sha256(campaign_id.bytes + member_id.bytes).hexdigest()
    return int(digest[:_DIGITS], 16) % WHOLE_BP


def _place_in_sql(campaign_id: UUID, member_id: ColumnElement[UUID]) -> ColumnElement[int]:
    both = func.uuid_send(literal(campaign_id, Uuid)).op("||")(func.uuid_send(member_id))
    digits = func.substr(func.encode(func.sha256(both), "hex"), 1, _DIGITS)
    number = cast(cast(literal("x").op("||")(digits), BIT(4 * _DIGITS)), BigInteger)
    return func.mod(number, WHOLE_BP)


async def define_holdout(
    connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID, share_bp: int, defined_by: str
) -> Holdout:
    """Say once which share is held out of a campaign, before it begins; the same again has no effect.

    The programme's own id as `campaign_id` is for members who get no campaign at all. Raises InvalidInputError
    (`share_bp`) beyond 0 to 5,000, and ConflictError where another share was said before: people who were left out are
    not counted as left out any more once the share changes.
    """
    if not 0 <= share_bp <= MOST_SHARE_BP:
        raise InvalidInputError(f"from 0 to {MOST_SHARE_BP} basis points", field="share_bp")
    row = {"campaign_id": campaign_id, "programme_id": programme_id, "share_bp": share_bp, "defined_by": defined_by}
    await connection.execute(upsert(holdout_table).values(row).on_conflict_do_nothing())
    columns = holdout_table.c
    known = (await connection.execute(select(holdout_table).where(columns.campaign_id == campaign_id))).one()
    if known.share_bp != share_bp or known.programme_id != programme_id:
        raise ConflictError(f"{known.share_bp} basis points are held out of this campaign already", field="share_bp")
    return Holdout(campaign_id=campaign_id, programme_id=programme_id, share_bp=share_bp)


async def control_of(connection: AsyncConnection, *, programme_id: UUID, campaign_id: UUID) -> Control:
    """Who is held out of a campaign; nobody where no share was ever said."""
    columns = holdout_table.c
    rows = await connection.execute(
        select(columns.campaign_id, columns.programme_id, columns.share_bp)
        .where(columns.campaign_id.in_((campaign_id, programme_id)), columns.programme_id == programme_id)
        .order_by(columns.campaign_id)
    )
    holdouts = tuple(Holdout(**row) for row in rows.mappings())
    return Control(programme_id=programme_id, campaign_id=campaign_id, holdouts=holdouts)


async def hold_out(connection: AsyncConnection, control: Control, *, member_ids: Collection[UUID]) -> frozenset[UUID]:
    """Who of these members is held out of the campaign; it is recorded of each, once.

    Whoever is about to give somebody something asks this first, and leaves out whom it answers.
    """
    held = frozenset(member_id for member_id in member_ids if control.holds(member_id))
    if held:
        rows = [_row(control) | {"member_id": member_id} for member_id in sorted(held)]
        await connection.execute(upsert(held_out_table).on_conflict_do_nothing(), rows)
    return held


def _row(control: Control) -> dict[str, Any]:
    return {"campaign_id": control.campaign_id, "programme_id": control.programme_id}


async def hold_out_of(connection: AsyncConnection, control: Control, audience: Select[UUID]) -> int:
    """Record everybody of an audience (a SELECT of member ids) who is held out, in one statement; answers how many.

    Recorded once each: what was recorded before is not counted again.
    """
    if not any(each.share_bp for each in control.holdouts):
        return 0
    asked = audience.order_by(None).subquery()
    (member_id,) = asked.c
    source = select(member_id, literal(control.campaign_id, Uuid), literal(control.programme_id, Uuid)).where(
        control.condition(member_id)
    )
    recorded = upsert(held_out_table).from_select(["member_id", "campaign_id", "programme_id"], source)
    return (await connection.execute(recorded.on_conflict_do_nothing(), execution_options=_COUNTED)).rowcount


_COUNTED: Final = {"preserve_rowcount": True}
"""SQLAlchemy forgets how many rows an INSERT made unless it is told to remember."""


def without(audience: Select[UUID], control: Control) -> Select[UUID]:
    """The members of an audience who are not held out, in the audience's order by id."""
    asked = audience.order_by(None).subquery()
    (member_id,) = asked.c
    return select(member_id).where(not_(control.condition(member_id))).order_by(member_id)
