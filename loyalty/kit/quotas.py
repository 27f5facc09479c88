"""Quotas: so much of something that may be used up, exact to the unit and without one row that everybody waits for.

A quota belongs to whatever has the id `owner_id` and counts one `unit` of it (`stock`, `uses`, `amount_minor`). How it
stays exact while many take at once is told in `migrations/sql/0021_quota.sql`. Take as late in a transaction as you
can: what is taken is locked until the transaction ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, CheckConstraint, Column, SmallInteger, Table, Text, Uuid, select, text
from sqlalchemy import func as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.db import metadata
from loyalty.kit.errors import ConflictError

MAX_TOTAL: Final = 10**15

quota_table: Final = Table(
    "quota",
    metadata,
    Column("owner_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("total", BigInteger, nullable=False),
    CheckConstraint("total >= 0", name="total"),
)

quota_part_table: Final = Table(
    "quota_part",
    metadata,
    Column("owner_id", Uuid, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("part", SmallInteger, primary_key=True, autoincrement=False),
    Column("remaining", BigInteger, nullable=False),
    CheckConstraint("remaining >= 0", name="remaining"),
    postgresql_with={"fillfactor": 20},
)


class QuotaSpentError(ConflictError):
    """Too little is left of a quota: `unit`."""

    type = "quota-spent"
    title = "None is left"

    def __init__(self, owner_id: UUID, unit: str) -> None:
        super().__init__(f"too little is left of {unit}", unit=unit)
        self.owner_id = owner_id
        self.unit = unit


class Key(NamedTuple):
    """Which quota: whose, and of what."""

    owner_id: UUID
    unit: str


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """How far a quota is used up."""

    total: int
    left: int

    @property
    def taken(self) -> int:
        """How much was taken and not given back."""
        return self.total - self.left


_TAKE: Final = text("SELECT quota_take_all(:owners, :units, :amounts)")
_TAKE_UP_TO: Final = text("SELECT quota_take(:owner, :unit, :amount, 1)")
_GIVE: Final = text("SELECT quota_give(:owner, :unit, :amount)")
_SET: Final = text("SELECT quota_set(:owner, :unit, :programme, :total)")


async def set_total(connection: AsyncConnection, key: Key, *, programme_id: UUID, total: int) -> None:
    """Say how much there may be in all, what was taken before included.

    Raises ConflictError (`taken`) where more than that was taken already.
    """
    parameters = {"owner": key.owner_id, "unit": key.unit, "programme": programme_id, "total": total}
    taken = int((await connection.execute(_SET, parameters)).scalar_one())
    if taken > total:
        message = f"{taken} are used already, so it cannot be {total} in all"
        raise ConflictError(message, field=key.unit, taken=taken)


async def take(connection: AsyncConnection, amounts: Mapping[Key, int]) -> None:
    """Take from several quotas at once; from those that do not exist anything can be taken.

    Raises QuotaSpentError for the first that has too little; then the transaction (or savepoint) has to be undone.
    """
    wanted = sorted((key, amount) for key, amount in amounts.items() if amount > 0)
    if not wanted:
        return
    parameters = {
        "owners": [key.owner_id for key, _ in wanted],
        "units": [key.unit for key, _ in wanted],
        "amounts": [amount for _, amount in wanted],
    }
    place = int((await connection.execute(_TAKE, parameters)).scalar_one())
    if place:
        raise QuotaSpentError(*wanted[place - 1][0])


async def take_up_to(connection: AsyncConnection, key: Key, amount: int) -> int:
    """Take as many as there are of an amount; all of it where no such quota exists."""
    parameters = {"owner": key.owner_id, "unit": key.unit, "amount": amount}
    taken = (await connection.execute(_TAKE_UP_TO, parameters)).scalar_one()
    return amount if taken is None else int(taken)


async def give(connection: AsyncConnection, amounts: Mapping[Key, int]) -> None:
    """Give back what was taken."""
    for key, amount in sorted(amounts.items()):
        if amount > 0:
            await connection.execute(_GIVE, {"owner": key.owner_id, "unit": key.unit, "amount": amount})


async def levels(connection: AsyncConnection, owner_ids: Collection[UUID]) -> dict[Key, Level]:
    """The quotas of some owners. One look while others take: true of some moment, and soon of the past."""
    parts = quota_part_table.c
    left = (
        select(parts.owner_id, parts.unit, sql.sum(parts.remaining).label("remaining"))
        .where(parts.owner_id.in_(owner_ids))
        .group_by(parts.owner_id, parts.unit)
        .subquery()
    )
    query = select(quota_table, left.c.remaining).join(
        left, (left.c.owner_id == quota_table.c.owner_id) & (left.c.unit == quota_table.c.unit)
    )
    rows = await connection.execute(query)
    return {Key(row.owner_id, row.unit): Level(total=row.total, left=int(row.remaining)) for row in rows}


def together(*wanted: Mapping[Key, int]) -> Counter[Key]:
    """Several takings as one."""
    sums: Counter[Key] = Counter()
    for each in wanted:
        sums.update(each)
    return sums
