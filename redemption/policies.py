"""Redemption policies: one version after another for each currency, none ever changed."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from redemption.money_off import RedemptionPolicy


async def publish_policy(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    currency: str,
    step_points: int,
    step_amount_minor: int,
    minimum_points: int | None = None,
    max_share_bp: int = 10_000,
) -> RedemptionPolicy:
    """Publish what points are worth in a currency, from now on. `minimum_points` is one step unless given.

    A policy equal to the newest is that version. Raises InvalidInputError naming the field that makes no sense.
    """
    raise NotImplementedError


async def find_policy(connection: AsyncConnection, *, programme_id: UUID, currency: str) -> RedemptionPolicy | None:
    """The policy in force, or None where points take nothing off in this currency."""
    raise NotImplementedError


async def get_policy(connection: AsyncConnection, *, programme_id: UUID, currency: str) -> RedemptionPolicy:
    """The policy in force. Raises WrongCurrencyError where points take nothing off in this currency."""
    raise NotImplementedError


async def list_policies(connection: AsyncConnection, *, programme_id: UUID) -> list[RedemptionPolicy]:
    """The policy in force for each currency, by currency."""
    raise NotImplementedError
