"""Earn policies are published in versions, hold from their moment on, and never change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.units import Unit, define_unit
from loyalty.campaigns.earning import (
    BEGINNING,
    EarnPolicy,
    EarnRule,
    NoEarnPolicyError,
    PerAmount,
    PerItem,
    PublishedPolicy,
    policies,
    policy_at,
    publish_policy,
)
from loyalty.campaigns.tables import earn_policy_version_table
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Programme
from loyalty.kit.rules import AllOf, Compare, Not, OneOf
from tests.factories import make_programme

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
FULL = EarnPolicy(
    (
        EarnRule(
            code="tea",
            rate=PerAmount(2, 100, "CNY"),
            when=AllOf((Compare("weekday", "eq", 7), Not(OneOf("tier", ("base",))))),
            items=Compare("category", "eq", "tea"),
            multiplier_bp=15_000,
            tier_bonus_bp={"gold": 2_500},
            minimum_minor=500,
            cap=100,
            rounding="half_up",
        ),
        EarnRule(code="piece", rate=PerItem(1), rounded_per="line"),
    )
)


def policy(points: int) -> EarnPolicy:
    return EarnPolicy((EarnRule(code="base", rate=PerAmount(points, 100, "CNY")),))


@pytest.fixture
async def programme(connection: AsyncConnection) -> Programme:
    """A programme that counts points."""
    programme = await make_programme(connection)
    await define_unit(connection, Unit(programme_id=programme.id))
    return programme


async def publish(
    connection: AsyncConnection, programme: Programme, policy: EarnPolicy, valid_from: datetime | None = None
) -> PublishedPolicy:
    return await publish_policy(
        connection, programme_id=programme.id, policy=policy, published_by="stf_1", valid_from=valid_from
    )


async def test_a_policy_is_read_back_as_it_was_published(connection: AsyncConnection, programme: Programme) -> None:
    published = await publish(connection, programme, FULL)
    assert published.version == 1
    assert published.policy == FULL
    assert await policies(connection, programme_id=programme.id) == [published]


async def test_a_version_holds_until_the_next_one_begins(connection: AsyncConnection, programme: Programme) -> None:
    await publish(connection, programme, policy(1), BEGINNING)
    await publish(connection, programme, policy(2), MARCH)
    await publish(connection, programme, policy(3), MARCH)

    async def version(moment: datetime) -> int:
        return (await policy_at(connection, programme_id=programme.id, moment=moment)).version

    assert await version(MARCH - timedelta(microseconds=1)) == 1
    assert await version(MARCH) == 3  # of two that begin together, the newer
    assert await version(MARCH + timedelta(days=900)) == 3


async def test_before_the_first_version_there_is_none(connection: AsyncConnection, programme: Programme) -> None:
    await publish(connection, programme, policy(1), MARCH)
    with pytest.raises(NoEarnPolicyError, match="2026-02-28"):
        await policy_at(connection, programme_id=programme.id, moment=MARCH - timedelta(seconds=1))


async def test_a_version_is_valid_from_now_unless_it_says_when(
    connection: AsyncConnection, programme: Programme
) -> None:
    published = await publish(connection, programme, policy(1))
    assert abs(published.valid_from - utc_now()) < timedelta(minutes=1)


async def test_a_policy_equal_to_the_newest_is_not_published_twice(
    connection: AsyncConnection, programme: Programme
) -> None:
    first = await publish(connection, programme, policy(1))
    assert await publish(connection, programme, policy(1)) == first
    assert (await publish(connection, programme, policy(2))).version == 2
    assert (await publish(connection, programme, policy(1))).version == 3


@pytest.mark.parametrize("change", ["update", "delete"])
async def test_a_published_version_never_changes(
    connection: AsyncConnection, programme: Programme, change: str
) -> None:
    await publish(connection, programme, policy(1))
    table = earn_policy_version_table
    statement = update(table).values(valid_from=BEGINNING) if change == "update" else delete(table)
    with pytest.raises(DBAPIError, match="never changes"):
        await connection.execute(statement)


async def test_a_rule_for_a_unit_that_the_programme_does_not_count_is_refused(
    connection: AsyncConnection, programme: Programme
) -> None:
    rules = (EarnRule(code="a", rate=PerItem(1)), EarnRule(code="b", rate=PerItem(1), unit="miles"))
    with pytest.raises(InvalidInputError, match="no unit 'miles'") as refused:
        await publish(connection, programme, EarnPolicy(rules))
    assert refused.value.field == "rules[1].unit"


async def test_a_faulty_policy_is_not_published(connection: AsyncConnection, programme: Programme) -> None:
    with pytest.raises(InvalidInputError):
        await publish(connection, programme, EarnPolicy(()))
    assert await policies(connection, programme_id=programme.id) == []
