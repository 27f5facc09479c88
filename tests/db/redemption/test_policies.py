"""Redemption policies, by currency and version."""

from __future__ import annotations

from typing import Any

import pytest

from loyalty.kit.errors import InvalidInputError
from redemption.errors import WrongCurrencyError
from redemption.policies import find_policy, get_policy, get_policy_version, list_policies
from tests.db.redemption.conftest import Till


async def test_a_policy_follows_the_one_before_it_and_equal_ones_are_one(desk: Till) -> None:
    first = await desk.policy()
    assert await desk.policy() == first
    second = await desk.policy(max_share_bp=3_000)
    assert (first.version, second.version) == (1, 2)
    asked: dict[str, Any] = {"programme_id": desk.programme.id, "currency": "CNY"}
    assert await get_policy(desk.connection, **asked) == second
    assert await get_policy_version(desk.connection, **asked, version=1) == first


async def test_each_currency_has_its_own(desk: Till) -> None:
    await desk.policy()
    await desk.policy(step_points=200)
    await desk.policy(currency="USD", step_amount_minor=20)
    listed = await list_policies(desk.connection, programme_id=desk.programme.id)
    assert [(policy.currency, policy.version) for policy in listed] == [("CNY", 2), ("USD", 1)]


async def test_the_minimum_is_one_step_unless_given(desk: Till) -> None:
    assert (await desk.policy(step_points=50)).minimum_points == 50
    assert (await desk.policy(step_points=50, minimum_points=500)).minimum_points == 500


async def test_a_currency_without_a_policy_has_no_money_off(desk: Till) -> None:
    assert await find_policy(desk.connection, programme_id=desk.programme.id, currency="JPY") is None
    with pytest.raises(WrongCurrencyError) as refused:
        await get_policy(desk.connection, programme_id=desk.programme.id, currency="JPY")
    assert refused.value.members == {"currency": "JPY"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"currency": "cny"}, "currency"),
        ({"step_points": 0}, "step_points"),
        ({"step_amount_minor": 0}, "step_amount_minor"),
        ({"minimum_points": 150}, "minimum_points"),
        ({"minimum_points": 0}, "minimum_points"),
        ({"max_share_bp": 0}, "max_share_bp"),
        ({"max_share_bp": 10_001}, "max_share_bp"),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(desk: Till, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await desk.policy(**fields)
    assert refused.value.field == field
