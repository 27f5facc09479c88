"""Redemption policies: one version after another for each currency, none ever changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, InvalidInputError
from redemption.checks import MAX_AMOUNT_MINOR, MAX_POINTS, check_currency, check_range
from redemption.errors import WrongCurrencyError
from redemption.money_off import WHOLE_BP, RedemptionPolicy
from redemption.tables import redemption_policy_table


async def publish_policy(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    currency: str,
    step_points: int,
    step_amount_minor: int,
    minimum_points: int | None = None,
    max_share_bp: int = WHOLE_BP,
) -> RedemptionPolicy:
    """Publish what points are worth in a currency, from now on. `minimum_points` is one step unless given.

    A policy equal to the newest is that version. Raises InvalidInputError naming the field that makes no sense,
    ConflictError where somebody else publishes at the same moment.
    """
    minimum = step_points if minimum_points is None else minimum_points
    check_currency(currency)
    check_range(step_points, "step_points", least=1, most=MAX_POINTS)
    check_range(step_amount_minor, "step_amount_minor", least=1, most=MAX_AMOUNT_MINOR)
    check_range(minimum, "minimum_points", least=1, most=MAX_POINTS)
    check_range(max_share_bp, "max_share_bp", least=1, most=WHOLE_BP)
    if minimum % step_points:
        raise InvalidInputError(f"a multiple of the step of {step_points} points is needed", field="minimum_points")
    newest = await find_policy(connection, programme_id=programme_id, currency=currency)
    policy = RedemptionPolicy(
        programme_id=programme_id,
        currency=currency,
        version=newest.version if newest else 1,
        step_points=step_points,
        step_amount_minor=step_amount_minor,
        minimum_points=minimum,
        max_share_bp=max_share_bp,
    )
    if policy == newest:
        return newest
    policy = msgspec.structs.replace(policy, version=newest.version + 1 if newest else 1)
    query = insert(redemption_policy_table).values(msgspec.structs.asdict(policy)).on_conflict_do_nothing()
    if (await connection.execute(query.returning(redemption_policy_table.c.version))).first() is None:
        raise ConflictError("somebody else published a policy at the same moment", field="currency")
    return policy


async def find_policy(connection: AsyncConnection, *, programme_id: UUID, currency: str) -> RedemptionPolicy | None:
    """The policy in force, or None where points take nothing off in this currency."""
    query = (
        select(redemption_policy_table)
        .filter_by(programme_id=programme_id, currency=currency)
        .order_by(redemption_policy_table.c.version.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return _policy(row) if row else None


async def get_policy(connection: AsyncConnection, *, programme_id: UUID, currency: str) -> RedemptionPolicy:
    """The policy in force. Raises WrongCurrencyError where points take nothing off in this currency."""
    found = await find_policy(connection, programme_id=programme_id, currency=currency)
    if found is None:
        message = f"points take nothing off in {currency[:20]}"
        raise WrongCurrencyError(message, field="currency", currency=currency[:20])
    return found


async def get_policy_version(
    connection: AsyncConnection, *, programme_id: UUID, currency: str, version: int
) -> RedemptionPolicy:
    """The version that a redemption is pinned to."""
    query = select(redemption_policy_table).filter_by(programme_id=programme_id, currency=currency, version=version)
    return _policy((await connection.execute(query)).one())


async def list_policies(connection: AsyncConnection, *, programme_id: UUID) -> list[RedemptionPolicy]:
    """The policy in force for each currency, by currency."""
    columns = redemption_policy_table.c
    query = (
        select(redemption_policy_table)
        .filter_by(programme_id=programme_id)
        .ext(distinct_on(columns.currency))
        .order_by(columns.currency, columns.version.desc())
    )
    return [_policy(row) for row in await connection.execute(query)]


async def policies_over_time(
    connection: AsyncConnection, *, programme_id: UUID
) -> list[tuple[datetime, RedemptionPolicy]]:
    """Every policy that there ever was with the moment from which it was in force, by currency, oldest first."""
    columns = redemption_policy_table.c
    query = (
        select(redemption_policy_table).filter_by(programme_id=programme_id).order_by(columns.currency, columns.version)
    )
    return [(row.published_at, _policy(row)) for row in await connection.execute(query)]


def _policy(row: Row[Any]) -> RedemptionPolicy:
    return RedemptionPolicy(**{field: getattr(row, field) for field in RedemptionPolicy.__struct_fields__})
