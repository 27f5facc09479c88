"""What came of a campaign: who bought and for how much while it ran, sent it and not, and how sure that is.

Whom it is compared with: where a share was held out of the campaign (`campaigns.holdout`), those who were; then chance
alone tells the two groups apart. Where nobody was held out, everybody else whom the channel knows as a customer; then
the difference holds whatever else tells them apart, above all why they were chosen, and is no effect by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.effects.intervals import Difference, Sample, mean_difference, share_difference
from loyalty.effects.queries import groups_query, points_query, steps_query, uses_query
from loyalty.effects.subjects import Subject, get_subject
from loyalty.kit.programme import get_channel_by_id, get_programme
from redemption.benefits.events import EventKind

STEPS: tuple[EventKind, ...] = ("issued", "seen", "locked", "used", "returned")
"""The way of a benefit: into a wallet, before somebody's eyes, to a checkout, used, and back after a refund."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How many benefits, of how many members, have come to a step at least once."""

    step: EventKind
    benefits: int
    members: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What came back through one store, by one clerk, or of one benefit."""

    name: str
    uses: int
    members: int
    discount_minor: int | None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's effect. Amounts are in minor units of `currency`: the channel's, or the programme's.

    `used` members used something of it, `uses` times, for `discount_minor` (None: nobody said). Of what the exposed
    bought, `revenue_with_minor` fell on days on which they used something. `held_out` says that the control group was
    held out by chance, and not merely left over. `steps` are those of our own benefits; what a channel sent has none.
    """

    campaign: Subject
    currency: str
    exposed: Sample
    control: Sample
    held_out: bool
    exposed_orders: int
    control_orders: int
    used: int
    uses: int
    discount_minor: int | None
    revenue_with_minor: int
    points: int
    spending: Difference | None
    buying: Difference | None
    stores: tuple[Part, ...]
    clerks: tuple[Part, ...]
    benefits: tuple[Part, ...]
    steps: tuple[Step, ...] = ()

    @property
    def revenue_without_minor(self) -> int:
        """What the exposed bought on days on which they used nothing."""
        return self.exposed.total_minor - self.revenue_with_minor


async def effect_of(connection: AsyncConnection, *, programme_id: UUID, campaign_id: str) -> Effect:
    """Measure what has this public id, as things are known now. Raises NotFoundError (`campaign_id`)."""
    return await measure(connection, await get_subject(connection, programme_id=programme_id, subject_id=campaign_id))


async def measure(connection: AsyncConnection, subject: Subject) -> Effect:
    """Measure something as things are known now."""
    channel = await get_channel_by_id(connection, subject.channel_id) if subject.channel_id is not None else None
    currency = channel.currency if channel else (await get_programme(connection, subject.programme_id)).currency
    asked = {
        "programme": subject.programme_id,
        "subject": subject.id,
        "template": subject.template_id,
        "key": f"issue:{subject.id}",
        "channel": subject.channel_id,
        "channel_code": channel.code if channel else None,
        "currency": currency,
        "first_day": subject.first_day,
        "last_day": subject.last_day,
    }
    source = subject.source
    found = await connection.execute(groups_query(source, of_channel=channel is not None), asked)
    groups = {row.exposed: row for row in found}
    uses = (await connection.execute(uses_query(source), asked)).all()
    exposed, control = _sample(groups.get(True)), _sample(groups.get(False))
    return Effect(
        campaign=subject,
        currency=currency,
        exposed=exposed,
        control=control,
        held_out=any(row.held_out for row in groups.values()),
        exposed_orders=groups[True].orders if True in groups else 0,
        control_orders=groups[False].orders if False in groups else 0,
        used=len({row.person for row in uses}),
        uses=sum(row.uses for row in uses),
        discount_minor=_sum(row.discount_minor for row in uses),
        revenue_with_minor=groups[True].with_use if True in groups else 0,
        points=int(await connection.scalar(points_query(source), asked) or 0),
        spending=mean_difference(exposed, control),
        buying=share_difference(exposed, control),
        stores=_parts(uses, "store"),
        clerks=_parts(uses, "clerk"),
        benefits=_parts(uses, "benefit"),
        steps=await _steps(connection, subject, asked),
    )


async def _steps(connection: AsyncConnection, subject: Subject, asked: dict[str, Any]) -> tuple[Step, ...]:
    """The steps of what was issued; nothing where nothing was."""
    if subject.source == "sent":
        return ()
    rows = {row.kind: row for row in await connection.execute(steps_query(subject.source), asked)}
    if "issued" not in rows:
        return ()
    return tuple(
        Step(step=kind, benefits=rows[kind].benefits, members=rows[kind].members)
        if kind in rows
        else Step(step=kind, benefits=0, members=0)
        for kind in STEPS
    )


def _sample(row: Any) -> Sample:
    if row is None:
        return Sample(members=0, buyers=0, total_minor=0, squares=0)
    return Sample(members=row.members, buyers=row.buyers, total_minor=row.total_minor, squares=int(row.squares))


def _sum(amounts: Any) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _parts(uses: Sequence[Any], column: str) -> tuple[Part, ...]:
    """The uses by one of their columns, where it says anything, the most first."""
    names = sorted({getattr(row, column) for row in uses} - {""})
    parts = []
    for name in names:
        mine = [row for row in uses if getattr(row, column) == name]
        parts.append(
            Part(
                name=name,
                uses=sum(row.uses for row in mine),
                members=len({row.person for row in mine}),
                discount_minor=_sum(row.discount_minor for row in mine),
            )
        )
    return tuple(sorted(parts, key=lambda part: (-part.uses, part.name)))
