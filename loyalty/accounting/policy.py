"""How a programme's points are accounted for: what one is worth, what is assumed of them, and the accounts they go to.

Versions are never changed. Where none was published, points are worth what they take off a purchase, all points that
outlive everything observed are expected to be used, and accounts bear the ledger's own names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.journal import ACCOUNTS
from ledger.units import get_unit
from loyalty.accounting.tables import accounting_policy_table
from loyalty.kit.errors import ConflictError, InvalidInputError
from redemption.policies import policies_over_time

WHOLE_BP: Final = 10_000
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_CODE: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z .:/_-]{0,39}")
_MOST: Final = 10**12


class PointValue(msgspec.Struct, frozen=True, kw_only=True):
    """So many points are worth so much when they are used, in minor units of a currency."""

    points: int
    amount_minor: int

    @property
    def of_one(self) -> Fraction:
        """What one point is worth, in minor units."""
        return Fraction(self.amount_minor, self.points)


class AccountingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One version.

    `beyond_bp` is the share, in basis points, of the points that outlive everything observed which is expected to be
    used. `values` by currency take the place of what points take off a purchase. `accounts` are the general ledger's
    codes for the ledger's account classes; a class without one goes by its name.
    """

    beyond_bp: int = WHOLE_BP
    values: dict[str, PointValue] = msgspec.field(default_factory=dict)
    accounts: dict[str, str] = msgspec.field(default_factory=dict)

    def check(self) -> None:
        """Raise InvalidInputError naming the field that makes no sense."""
        if not 0 <= self.beyond_bp <= WHOLE_BP:
            raise InvalidInputError(f"from 0 to {WHOLE_BP}", field="beyond_bp")
        for currency, value in self.values.items():
            if not _CURRENCY.fullmatch(currency):
                raise InvalidInputError("a currency is three capital letters", field="values")
            if not (0 < value.points <= _MOST and 0 < value.amount_minor <= _MOST):
                raise InvalidInputError(f"points and amounts are from 1 to {_MOST}", field="values")
        for account, code in self.accounts.items():
            if account not in ACCOUNTS:
                message = f"there is no class {account!r}; there are {', '.join(ACCOUNTS)}"
                raise InvalidInputError(message, field="accounts")
            if not _CODE.fullmatch(code):
                raise InvalidInputError("up to 40 letters, digits, blanks and .:/_-", field="accounts")


class Valuation(msgspec.Struct, frozen=True, kw_only=True):
    """What a point was worth in one currency from each moment on, oldest first."""

    steps: list[tuple[datetime, Fraction]]

    def at(self, moment: datetime) -> Fraction:
        """What it was worth at a moment; before the first value, that value, because older sales are imported."""
        past = [value for since, value in self.steps if since <= moment]
        return past[-1] if past else self.steps[0][1]


async def publish_policy(
    connection: AsyncConnection, *, programme_id: UUID, unit: str, policy: AccountingPolicy, published_by: str
) -> int:
    """Publish a policy from now on; answers its version. One equal to the newest is that version.

    Raises InvalidInputError, NotFoundError (unit), ConflictError where somebody else publishes at the same moment.
    """
    policy.check()
    await get_unit(connection, programme_id=programme_id, code=unit)
    newest, before = await _newest(connection, programme_id=programme_id, unit=unit)
    if newest and policy == before:
        return newest
    table = accounting_policy_table
    values = {"programme_id": programme_id, "unit": unit, "version": newest + 1, "published_by": published_by}
    query = insert(table).values(**values, policy=msgspec.to_builtins(policy)).on_conflict_do_nothing()
    if (await connection.execute(query.returning(table.c.version))).first() is None:
        raise ConflictError("somebody else published a policy at the same moment", field="policy")
    return newest + 1


async def read_policy(connection: AsyncConnection, *, programme_id: UUID, unit: str = "points") -> AccountingPolicy:
    """The policy in force."""
    return (await _newest(connection, programme_id=programme_id, unit=unit))[1]


async def _newest(connection: AsyncConnection, *, programme_id: UUID, unit: str) -> tuple[int, AccountingPolicy]:
    table = accounting_policy_table
    query = (
        select(table.c.version, table.c.policy)
        .where(table.c.programme_id == programme_id, table.c.unit == unit)
        .order_by(table.c.version.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return (row.version, msgspec.convert(row.policy, AccountingPolicy)) if row else (0, AccountingPolicy())


async def valuations(
    connection: AsyncConnection, *, programme_id: UUID, policy: AccountingPolicy
) -> Mapping[str, Valuation]:
    """What a point is worth by currency: as the policy says, else what it takes off a purchase, version by version."""
    found: dict[str, Valuation] = {}
    for published_at, each in await policies_over_time(connection, programme_id=programme_id):
        value = Fraction(each.step_amount_minor, each.step_points)
        found.setdefault(each.currency, Valuation(steps=[])).steps.append((published_at, value))
    for currency, fixed in policy.values.items():
        found[currency] = Valuation(steps=[(_EVER, fixed.of_one)])
    return found


_EVER: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
