"""Budgets: how many of a template's may be given and used and how much they may take off, alone or with others.

A template has its own figures, and may share a budget with other templates (a campaign's). Each figure is a quota:
`stock` counts what is issued, `uses` and `amount_minor` what is locked or used at a checkout.
"""

from __future__ import annotations

from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.quotas import Key, Level, levels, set_total
from redemption.benefits.tables import budget_table
from redemption.checks import MAX_AMOUNT_MINOR, check_code, check_currency, check_name, check_range, check_text

Unit = Literal["stock", "uses", "amount_minor"]
UNITS: Final[tuple[Unit, ...]] = ("stock", "uses", "amount_minor")


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget that templates share. Its money is in minor units of `currency`."""

    id: UUID
    programme_id: UUID
    code: str
    name: dict[str, str]
    currency: str


async def save_budget(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    code: str,
    name: dict[str, str],
    currency: str,
    actor: str,
    uses: int | None = None,
    amount_minor: int | None = None,
) -> Budget:
    """Make a budget, or change the figures of the one of this code; None leaves a figure as it is.

    Raises InvalidInputError, ConflictError where more is used already, or for another currency.
    """
    check_code(code)
    check_name(name)
    check_currency(currency)
    check_text(actor, "actor")
    values = {"id": new_id(), "programme_id": programme_id, "code": code, "currency": currency}
    query = insert(budget_table).values(values | {"name": name, "created_by": actor})
    await connection.execute(query.on_conflict_do_update(index_elements=["programme_id", "code"], set_={"name": name}))
    budget = await get_budget(connection, programme_id=programme_id, code=code)
    if budget.currency != currency:
        raise ConflictError(f"this budget is in {budget.currency}", field="currency", currency=budget.currency)
    await set_figures(
        connection, owner_id=budget.id, programme_id=programme_id, figures={"uses": uses, "amount_minor": amount_minor}
    )
    return budget


async def set_figures(
    connection: AsyncConnection, *, owner_id: UUID, programme_id: UUID, figures: dict[Unit, int | None]
) -> None:
    """Set what there may be in all of each unit; None leaves it as it is. Raises as `quotas.set_total`."""
    for unit, total in figures.items():
        if total is not None:
            check_range(total, unit, least=0, most=MAX_AMOUNT_MINOR)
            await set_total(connection, Key(owner_id, unit), programme_id=programme_id, total=total)


async def get_budget(connection: AsyncConnection, *, programme_id: UUID, code: str) -> Budget:
    """A budget by its code. Raises NotFoundError."""
    row = (await connection.execute(select(budget_table).filter_by(programme_id=programme_id, code=code))).first()
    if row is None:
        raise NotFoundError(f"there is no budget {code[:40]!r}", field="budget")
    return Budget(**{field: getattr(row, field) for field in Budget.__struct_fields__})


async def list_budgets(connection: AsyncConnection, *, programme_id: UUID) -> list[Budget]:
    """A programme's budgets by code."""
    query = select(budget_table).filter_by(programme_id=programme_id).order_by(budget_table.c.code)
    rows = await connection.execute(query)
    return [Budget(**{field: getattr(row, field) for field in Budget.__struct_fields__}) for row in rows]


async def figures_of(connection: AsyncConnection, owner_id: UUID) -> dict[str, Level]:
    """The figures of one owner by unit; a unit that is not there is unlimited."""
    return {key.unit: level for key, level in (await levels(connection, [owner_id])).items()}
