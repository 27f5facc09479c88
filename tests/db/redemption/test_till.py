"""Points for money off at a till: begin, capture, void, refund."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from loyalty.kit.errors import DomainError, IdempotencyMismatchError, InvalidInputError, NotFoundError
from loyalty.kit.programme import get_channel
from redemption import errors
from redemption.reading import (
    find_by_receipt,
    get_redemption,
    quote_for_member,
    redemptions_of_channel,
    redemptions_of_member,
)
from tests.db.redemption.conftest import NOON, Till
from tests.factories import make_programme


@pytest.fixture
async def counter(desk: Till) -> Till:
    """The desk where 100 points are 1 yuan, and a member with 1,000 points."""
    await desk.policy()
    await desk.earn(1_000)
    return desk


async def test_beginning_holds_the_points_and_prices_them(counter: Till) -> None:
    held = await counter.begin(500, clerk="Chen")
    assert (held.kind, held.state, held.points, held.amount_minor) == ("money_off", "held", 500, 500)
    assert (held.currency, held.basket_minor, held.policy_version, held.clerk) == ("CNY", 10_000, 1, "Chen")
    assert held.hold_expires_at == NOON + timedelta(minutes=15)
    balance = await counter.balance()
    assert (balance.spendable, balance.held) == (500, 500)


async def test_capturing_takes_the_points_under_the_receipts_number(counter: Till) -> None:
    held = await counter.begin(500)
    captured = await counter.capture(held, "R-1001")
    assert (captured.state, captured.receipt_number, captured.captured_at) == ("captured", "R-1001", NOON)
    balance = await counter.balance()
    assert (balance.spendable, balance.held) == (500, 0)
    found = await get_redemption(counter.connection, programme_id=counter.programme.id, redemption_id=held.id)
    assert found == captured


async def test_the_same_receipt_again_is_the_same_answer_whatever_the_key(counter: Till) -> None:
    held = await counter.begin(500)
    captured = await counter.capture(held, "R-1001")
    assert await counter.capture(held, "R-1001") == captured
    assert await counter.spendable() == 500


async def test_another_receipt_for_a_captured_redemption_is_refused(counter: Till) -> None:
    held = await counter.begin(500)
    await counter.capture(held, "R-1001")
    with pytest.raises(errors.AlreadyCapturedError) as refused:
        await counter.capture(held, "R-1002")
    assert refused.value.members == {"receipt_number": "R-1001"}


async def test_a_void_before_capture_frees_the_points(counter: Till) -> None:
    held = await counter.begin(500)
    voided = await counter.void(held)
    assert (voided.state, voided.closed_at) == ("voided", NOON)
    balance = await counter.balance()
    assert (balance.spendable, balance.held) == (1_000, 0)


async def test_a_void_after_capture_puts_the_points_back_into_their_lots(desk: Till) -> None:
    await desk.policy()
    soon, later = NOON + timedelta(days=10), NOON + timedelta(days=90)
    await desk.earn(300, expires_at=soon)
    await desk.earn(700, expires_at=later)
    held = await desk.begin(500)
    await desk.capture(held)
    assert await desk.lots() == [(500, later)]

    voided = await desk.void(held)

    assert (voided.state, voided.refunded_points) == ("voided", 0)
    assert await desk.lots() == [(300, soon), (700, later)]


async def test_a_voided_redemption_is_neither_captured_nor_voided_nor_refunded_again(counter: Till) -> None:
    held = await counter.begin(500)
    await counter.void(held)
    for again in (counter.capture(held), counter.void(held), counter.refund(held)):
        with pytest.raises(errors.AlreadyVoidedError):
            await again


async def test_parts_are_refunded_with_their_share_of_the_points_and_sum_exactly(counter: Till) -> None:
    held = await counter.begin(700)
    await counter.capture(held)
    assert await counter.spendable() == 300

    parts = [(await counter.refund(held, amount_minor=233)).refunded_points for _ in range(3)]
    last = await counter.refund(held)

    assert parts == [233, 466, 699]
    assert (last.state, last.refunded_points, last.refunded_minor) == ("refunded", 700, 700)
    assert await counter.spendable() == 1_000


async def test_so_many_points_may_be_refunded_too(counter: Till) -> None:
    await counter.policy(step_points=100, step_amount_minor=33)
    held = await counter.begin(700)
    await counter.capture(held)
    first = await counter.refund(held, points=1)
    assert (first.state, first.refunded_points, first.refunded_minor) == ("captured", 1, 0)
    second = await counter.refund(held, points=699)
    assert (second.state, second.refunded_points, second.refunded_minor) == ("refunded", 700, 231)


async def test_no_more_is_refunded_than_was_redeemed(counter: Till) -> None:
    held = await counter.begin(700)
    await counter.capture(held)
    await counter.refund(held, points=600)
    for asked in ({"points": 101}, {"amount_minor": 101}):
        with pytest.raises(errors.AlreadyRefundedError) as refused:
            await counter.refund(held, **asked)
        assert refused.value.members == {"left_points": 100, "left_minor": 100}
    await counter.refund(held)
    with pytest.raises(errors.AlreadyRefundedError):
        await counter.refund(held)


async def test_what_was_refunded_in_part_is_not_voided(counter: Till) -> None:
    held = await counter.begin(500)
    await counter.capture(held)
    await counter.refund(held, points=100)
    with pytest.raises(errors.AlreadyRefundedError):
        await counter.void(held)


async def test_only_what_was_captured_is_refunded(counter: Till) -> None:
    held = await counter.begin(500)
    with pytest.raises(errors.NotCapturedError):
        await counter.refund(held)


async def test_points_and_an_amount_at_once_are_refused(counter: Till) -> None:
    held = await counter.begin(500)
    with pytest.raises(InvalidInputError):
        await counter.refund(held, points=1, amount_minor=1)


async def test_after_a_merge_the_points_go_back_to_the_survivor(counter: Till) -> None:
    held = await counter.begin(500)
    await counter.capture(held)
    other = await counter.begin(200)
    await counter.capture(other, "R-2")
    survivor = uuid4()
    await counter.earn(1, member=survivor)

    await counter.void(held, person_ids=[survivor, counter.member_id])
    await counter.refund(other, points=50, person_ids=[survivor, counter.member_id])

    assert await counter.spendable(survivor) == 551
    assert await counter.spendable() == 300


# Refusals at the beginning


@pytest.mark.parametrize(
    ("asked", "error", "members"),
    [
        ({"points": 1_100}, errors.NotEnoughPointsError, {"available": 1_000, "requested": 1_100}),
        ({"points": 50}, errors.BelowMinimumError, {"minimum": 100, "requested": 50}),
        ({"points": 250}, errors.NotAMultipleError, {"step": 100, "requested": 250}),
        (
            {"points": 600, "basket_minor": 1_000},
            errors.AboveShareError,
            {"max_points": 500, "limit_minor": 500, "requested": 600},
        ),
        ({"points": 500, "currency": "USD"}, errors.WrongCurrencyError, {"currency": "USD"}),
    ],
)
async def test_what_cannot_be_redeemed_is_refused_with_figures(
    counter: Till, asked: dict[str, Any], error: type[DomainError], members: dict[str, Any]
) -> None:
    with pytest.raises(error) as refused:
        await counter.begin(**asked)
    assert refused.value.members == members
    assert await counter.spendable() == 1_000


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "points"),
        ({"points": 100, "coupon": "X"}, "points"),
        ({"points": 0}, "points"),
        ({"points": 100, "basket_minor": None}, "basket_minor"),
        ({"points": 100, "currency": None}, "currency"),
        ({"points": 100, "basket_minor": -1}, "basket_minor"),
        ({"points": 100, "clerk": ""}, "clerk"),
        ({"points": 100, "key": ""}, "key"),
        ({"points": 100, "hold_seconds": 0}, "hold_seconds"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_with_the_field(
    counter: Till, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await counter.begin(**asked)
    assert refused.value.field == field


async def test_points_that_another_till_holds_cannot_be_held_again(counter: Till) -> None:
    await counter.begin(800)
    with pytest.raises(errors.NotEnoughPointsError) as refused:
        await counter.begin(300)
    assert refused.value.members == {"available": 200, "requested": 300}


async def test_a_channel_of_another_programme_is_unknown(counter: Till) -> None:
    other = await make_programme(counter.connection)
    channel = await get_channel(counter.connection, other.id, "online")
    with pytest.raises(NotFoundError):
        await counter.begin(100, channel_id=channel.id)


async def test_a_receipt_number_is_needed(counter: Till) -> None:
    held = await counter.begin(100)
    with pytest.raises(InvalidInputError) as refused:
        await counter.capture(held, None)
    assert refused.value.field == "receipt_number"


async def test_a_redemption_of_another_programme_is_unknown(counter: Till) -> None:
    held = await counter.begin(100)
    for step in (
        counter.capture(held, programme_id=uuid4()),
        counter.void(held, programme_id=uuid4()),
        counter.refund(held, programme_id=uuid4()),
        get_redemption(counter.connection, programme_id=uuid4(), redemption_id=held.id),
    ):
        with pytest.raises(errors.UnknownRedemptionError):
            await step


# Time


async def test_a_hold_that_ran_out_is_expired_at_once_and_its_points_are_free(counter: Till) -> None:
    held = await counter.begin(500, hold_seconds=60)
    await counter.pass_time(seconds=60)

    found = await get_redemption(counter.connection, programme_id=counter.programme.id, redemption_id=held.id)
    assert (found.state, found.closed_at) == ("expired", held.hold_expires_at)
    assert await counter.spendable() == 1_000
    for late in (counter.capture(held), counter.void(held), counter.refund(held)):
        with pytest.raises(errors.RedemptionExpiredError) as refused:
            await late
        assert refused.value.members == {"expired_at": held.hold_expires_at}


async def test_a_second_before_the_end_it_is_captured(counter: Till) -> None:
    held = await counter.begin(500, hold_seconds=60)
    await counter.pass_time(seconds=59)
    assert (await counter.capture(held)).state == "captured"


# Keys


async def test_the_same_key_and_body_answer_the_same(counter: Till) -> None:
    held = await counter.begin(500, key="begin")
    captured = await counter.capture(held, key="capture")
    refunded = await counter.refund(held, points=100, key="refund")

    assert await counter.begin(500, key="begin") == held
    assert await counter.capture(held, key="capture") == captured
    assert await counter.refund(held, points=100, key="refund") == refunded
    assert await counter.spendable() == 600


async def test_a_void_repeated_under_its_key_is_the_same_answer(counter: Till) -> None:
    held = await counter.begin(500)
    voided = await counter.void(held, key="void")
    assert await counter.void(held, key="void") == voided


async def test_the_same_key_with_another_body_is_refused(counter: Till) -> None:
    held = await counter.begin(500, key="one")
    for other in (
        counter.begin(600, key="one"),
        counter.capture(held, key="one"),
        counter.void(held, key="one"),
        counter.refund(held, key="one"),
    ):
        with pytest.raises(IdempotencyMismatchError):
            await other


# One receipt, several redemptions


async def test_one_receipt_may_carry_several_redemptions(counter: Till) -> None:
    await counter.item()
    first = await counter.begin(500)
    gift = await counter.begin(catalogue_item="mug")
    await counter.capture(first, "R-7")
    await counter.capture(gift, "R-7")
    found = await find_by_receipt(counter.connection, channel_id=counter.channel_id, receipt_number="R-7")
    assert [each.id for each in found] == [gift.id, first.id]


async def test_together_they_pay_no_more_of_the_basket_than_one_may(counter: Till) -> None:
    first = await counter.begin(400, basket_minor=1_000)
    second = await counter.begin(200, basket_minor=1_000)
    third = await counter.begin(100, basket_minor=1_000)
    await counter.capture(first, "R-7")
    with pytest.raises(errors.AboveShareError) as refused:
        async with counter.connection.begin_nested():
            await counter.capture(second, "R-7")
    assert refused.value.members == {"max_points": 100, "limit_minor": 500, "requested": 200}
    assert (await counter.capture(third, "R-7")).state == "captured"


async def test_a_till_may_use_the_same_number_on_another_day(counter: Till) -> None:
    await counter.capture(await counter.begin(500, basket_minor=1_000), "R-7")
    await counter.pass_time(hours=24)
    again = await counter.begin(500, basket_minor=1_000)
    assert (await counter.capture(again, "R-7")).state == "captured"


async def test_what_was_captured_keeps_the_policy_it_was_priced_by(counter: Till) -> None:
    held = await counter.begin(500)
    await counter.policy(step_amount_minor=200)
    captured = await counter.capture(held)
    assert (captured.amount_minor, captured.policy_version) == (500, 1)
    assert (await counter.begin(500)).policy_version == 2


# Reading


async def test_a_members_redemptions_come_newest_first_in_pages(counter: Till) -> None:
    made = [await counter.begin(100) for _ in range(3)]
    read = redemptions_of_member
    page = await read(counter.connection, member_id=counter.member_id, limit=2)
    assert page == [made[2], made[1]]
    assert await read(counter.connection, member_id=counter.member_id, before=page[-1].id) == [made[0]]
    assert await read(counter.connection, member_id=uuid4(), person_ids=[counter.member_id], limit=1) == [made[2]]


async def test_the_tills_list_is_since_a_moment_and_of_a_clerk(counter: Till) -> None:
    await counter.begin(100, clerk="Chen")
    await counter.pass_time(hours=1)
    late = await counter.begin(100, clerk="Li")
    await counter.begin(100, clerk="Chen", hold_seconds=1)
    await counter.pass_time(seconds=1)

    todays = await redemptions_of_channel(counter.connection, channel_id=counter.channel_id, since=NOON)
    assert [each.state for each in todays] == ["expired", "held", "expired"]
    of_clerk = await redemptions_of_channel(
        counter.connection, channel_id=counter.channel_id, since=NOON + timedelta(hours=1), clerk="Li"
    )
    assert of_clerk == [late]


async def test_a_quote_knows_the_members_points(counter: Till) -> None:
    quote = await quote_for_member(
        counter.connection,
        programme_id=counter.programme.id,
        member_id=counter.member_id,
        basket_minor=1_500,
        currency="CNY",
    )
    assert (quote.max_points, quote.max_amount_minor, quote.limit_minor) == (700, 700, 750)
