"""Units: what a programme counts. `points` can be spent; `growth` counts towards tiers alone."""

from __future__ import annotations

import re
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.tables import unit_table
from loyalty.kit.db import to_json
from loyalty.kit.errors import InvalidInputError, NotFoundError

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,29}")
_MOST_MONTHS: Final = 1200
_MOST_DAYS: Final = 36_600


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit and its policies.

    `expiry_kind`: `never`; `fixed_period` after `expiry_months` and `expiry_days`; `end_of_month` after
    `expiry_months`; `yearly` on `expiry_month`/`expiry_day`, at least `expiry_months` after earning;
    `after_activity`, `expiry_months` after the member last did something. Days are the time zone's, and the last
    one counts whole.
    `shortfall`: what happens when more is taken back than there is, `debt` or `forgive`.
    `expired_return_days`: a grace in days for points given back to a lot that has expired; None: they stay expired.
    `reinstate_days`: how long expired points can be brought back.
    `adjust_limit`: staff need a second person above it.
    """

    programme_id: UUID
    code: str = "points"
    spendable: bool = True
    time_zone: str = "UTC"
    expiry_kind: Literal["never", "fixed_period", "end_of_month", "yearly", "after_activity"] = "never"
    expiry_months: int | None = None
    expiry_days: int | None = None
    expiry_month: int | None = None
    expiry_day: int | None = None
    shortfall: Literal["debt", "forgive"] = "debt"
    expired_return_days: int | None = None
    reinstate_days: int = 90
    adjust_limit: int = 10_000

    def check(self) -> None:
        """Raise InvalidInputError naming the field where policies do not fit together."""
        if not _CODE.fullmatch(self.code):
            raise InvalidInputError("lower-case letters, digits and underscores, at most 30", field="code")
        months, days = self.expiry_months, self.expiry_days
        if months is not None and not 0 <= months <= _MOST_MONTHS:
            raise InvalidInputError(f"from 0 to {_MOST_MONTHS}", field="expiry_months")
        if days is not None and not 0 <= days <= _MOST_DAYS:
            raise InvalidInputError(f"from 0 to {_MOST_DAYS}", field="expiry_days")
        if self.expiry_kind in ("end_of_month", "after_activity") and months is None:
            raise InvalidInputError(f"{self.expiry_kind} needs a number of months", field="expiry_months")
        if self.expiry_kind == "fixed_period" and not (months or days):
            raise InvalidInputError("a fixed period needs months or days", field="expiry_months")
        if self.expiry_kind == "yearly" and (
            self.expiry_month not in range(1, 13) or self.expiry_day not in range(1, 32)
        ):
            raise InvalidInputError("a yearly expiry needs a month and a day", field="expiry_month")


def _unit(row: Row[Any]) -> Unit:
    return Unit(**{name: row._mapping[name] for name in Unit.__struct_fields__})  # noqa: SLF001  (SQLAlchemy's API)


async def define_unit(connection: AsyncConnection, unit: Unit) -> Unit:
    """Create a unit or change its policies; what is posted keeps the expiry it was posted with."""
    unit.check()
    await connection.execute(text("SELECT ledger.define_unit(CAST(:unit AS jsonb))"), {"unit": to_json(unit)})
    return unit


async def get_unit(connection: AsyncConnection, *, programme_id: UUID, code: str = "points") -> Unit:
    """Find a unit. Raises NotFoundError."""
    query = select(unit_table).where(unit_table.c.programme_id == programme_id, unit_table.c.code == code)
    row = (await connection.execute(query)).first()
    if row is None:
        message = f"there is no unit {code!r} in this programme"
        raise NotFoundError(message, field="unit")
    return _unit(row)


async def list_units(connection: AsyncConnection, *, programme_id: UUID) -> list[Unit]:
    """A programme's units by code."""
    query = select(unit_table).where(unit_table.c.programme_id == programme_id).order_by(unit_table.c.code)
    return [_unit(row) for row in await connection.execute(query)]
