"""Coupons: wallets, and one use each at the till."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from loyalty.kit.errors import IdempotencyMismatchError, NotFoundError
from redemption import errors
from redemption.benefits import errors as refusals
from redemption.benefits.definition import DaysFromIssue
from redemption.benefits.using import revoke
from redemption.benefits.wallet import Benefit, find_benefit, wallet
from redemption.stale import sweep
from redemption.terms import Effect, FixedOff, PercentOff, Places
from tests.db.redemption.conftest import NOON, Till


async def _state(desk: Till, coupon: Benefit) -> str:
    return (await find_benefit(desk.connection, programme_id=desk.programme.id, code=coupon.code)).state


# Issuing


async def test_a_coupon_is_valid_to_the_end_of_its_last_local_day(desk: Till) -> None:
    await desk.template(validity=DaysFromIssue(days=30))
    coupon = await desk.issue()
    assert (coupon.state, coupon.issued_at) == ("issued", NOON)
    assert coupon.expires_at == datetime(2026, 4, 1, 16, tzinfo=UTC)


async def test_codes_are_long_and_all_different(desk: Till) -> None:
    await desk.template()
    codes = {(await desk.issue()).code for _ in range(20)}
    assert len(codes) == 20
    assert {len(code) for code in codes} == {16}


async def test_one_key_issues_one_coupon(desk: Till) -> None:
    await desk.template()
    await desk.template(code="other")
    first = await desk.issue(key="birthday-2026")
    assert await desk.issue(key="birthday-2026") == first
    with pytest.raises(IdempotencyMismatchError):
        await desk.issue("other", key="birthday-2026")


async def test_an_unknown_template_is_refused(desk: Till) -> None:
    with pytest.raises(NotFoundError):
        await desk.issue("unknown")


async def test_the_wallet_shows_what_can_be_used_soonest_to_expire_first(desk: Till) -> None:
    await desk.template(validity=DaysFromIssue(days=30))
    late = await desk.issue()
    await desk.template(code="week", validity=DaysFromIssue(days=7))
    soon = await desk.issue("week")
    gone = await desk.issue()
    await revoke(desk.connection, member_id=desk.member_id, benefit_id=gone.id)

    shown = await wallet(desk.connection, member_id=desk.member_id)
    assert [coupon.id for coupon in shown] == [soon.id, late.id]
    assert len(await wallet(desk.connection, member_id=desk.member_id, usable_only=False)) == 3
    merged = await wallet(desk.connection, member_id=uuid4(), person_ids=[desk.member_id])
    assert merged == shown


# At the till


async def test_a_coupon_is_locked_at_the_beginning_and_used_at_capture(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()

    held = await desk.begin(coupon=coupon.code.lower())
    assert (held.kind, held.points, held.amount_minor, held.benefit_id) == ("coupon", 0, 1_000, coupon.id)
    assert await _state(desk, coupon) == "locked"

    captured = await desk.capture(held)
    assert (captured.state, captured.capture_sequence) == ("captured", None)
    assert await _state(desk, coupon) == "used"


@pytest.mark.parametrize(
    ("effect", "basket_minor", "amount_minor"),
    [
        (FixedOff(amount_minor=8_000), 6_000, 6_000),
        (PercentOff(percent_bp=1_500), 9_999, 1_499),
        (PercentOff(percent_bp=5_000, max_amount_minor=2_000), 10_000, 2_000),
        (PercentOff(percent_bp=10_000), 5_000, 5_000),
    ],
)
async def test_a_coupon_takes_off_what_its_terms_say_and_no_more_than_the_basket(
    desk: Till, effect: Effect, basket_minor: int, amount_minor: int
) -> None:
    await desk.template(effect=effect)
    coupon = await desk.issue()
    assert (await desk.begin(coupon=coupon.code, basket_minor=basket_minor)).amount_minor == amount_minor


async def test_one_coupon_is_not_used_by_two_orders(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    held = await desk.begin(coupon=coupon.code)
    with pytest.raises(refusals.BenefitNotUsableError) as refused:
        await desk.begin(coupon=coupon.code)
    assert refused.value.members == {"state": "locked"}
    await desk.capture(held)
    with pytest.raises(refusals.BenefitNotUsableError) as refused:
        await desk.begin(coupon=coupon.code)
    assert refused.value.members == {"state": "used"}


async def test_a_void_before_capture_frees_it_and_after_capture_returns_it(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    await desk.void(await desk.begin(coupon=coupon.code))
    assert await _state(desk, coupon) == "issued"

    used = await desk.begin(coupon=coupon.code)
    await desk.capture(used)
    await desk.void(used)
    assert await _state(desk, coupon) == "returned"
    assert (await desk.begin(coupon=coupon.code)).state == "held"


async def test_a_refund_returns_it(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    used = await desk.begin(coupon=coupon.code)
    await desk.capture(used)
    refunded = await desk.refund(used)
    assert (refunded.state, refunded.refunded_minor) == ("refunded", 1_000)
    assert await _state(desk, coupon) == "returned"


async def test_a_lock_that_ran_out_is_open_to_the_next_till_before_any_sweep(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    slow = await desk.begin(coupon=coupon.code, hold_seconds=60)
    await desk.pass_time(seconds=60)
    assert await _state(desk, coupon) == "issued"

    quick = await desk.begin(coupon=coupon.code)
    assert await sweep(desk.connection) == 1
    assert await _state(desk, coupon) == "locked"
    with pytest.raises(errors.RedemptionExpiredError):
        await desk.capture(slow)
    assert (await desk.capture(quick)).state == "captured"


async def test_the_sweep_frees_a_lock_that_ran_out(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    await desk.begin(coupon=coupon.code, hold_seconds=60)
    await desk.pass_time(seconds=60)
    assert await sweep(desk.connection) == 1
    (found,) = await wallet(desk.connection, member_id=desk.member_id)
    assert (found.state, found.locked_until) == ("issued", None)


async def test_an_expired_coupon_is_refused(desk: Till) -> None:
    await desk.template(validity=DaysFromIssue(days=1))
    coupon = await desk.issue()
    await desk.pass_time(days=2)
    with pytest.raises(refusals.BenefitNotUsableError) as refused:
        await desk.begin(coupon=coupon.code)
    assert refused.value.members == {"state": "expired"}


async def test_the_basket_has_to_be_large_enough(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    with pytest.raises(errors.BasketTooSmallError) as refused:
        await desk.begin(coupon=coupon.code, basket_minor=4_999)
    assert refused.value.members == {"minimum_basket_minor": 5_000, "basket_minor": 4_999, "currency": "CNY"}


async def test_a_coupon_is_taken_in_its_currency_and_channels_alone(desk: Till) -> None:
    await desk.template(terms={"places": Places(channels=("online",))})
    coupon = await desk.issue()
    with pytest.raises(errors.WrongChannelError) as refused:
        await desk.begin(coupon=coupon.code)
    assert refused.value.members == {"reason": "wrong_channel"}

    await desk.template(code="dollars", terms={"currency": "USD"})
    dollars = await desk.issue("dollars")
    with pytest.raises(errors.WrongCurrencyError):
        await desk.begin(coupon=dollars.code)


async def test_somebody_elses_coupon_is_unknown_in_this_wallet(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue(member_id=uuid4())
    for code in (coupon.code, "0000000000000000"):
        with pytest.raises(refusals.UnknownBenefitError):
            await desk.begin(coupon=code)


async def test_a_merged_members_coupon_is_the_survivors_too(desk: Till) -> None:
    await desk.template()
    absorbed = uuid4()
    coupon = await desk.issue(member_id=absorbed)
    held = await desk.begin(coupon=coupon.code, person_ids=[desk.member_id, absorbed])
    assert (held.member_id, held.benefit_id) == (desk.member_id, coupon.id)
    await desk.capture(held)
    assert await _state(desk, coupon) == "used"


# Revoking


async def test_revoking_twice_is_the_same_answer(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    first = await revoke(desk.connection, member_id=desk.member_id, benefit_id=coupon.id)
    assert first.state == "revoked"
    assert await revoke(desk.connection, member_id=desk.member_id, benefit_id=coupon.id) == first


async def test_a_coupon_at_a_till_or_used_is_not_revoked(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    held = await desk.begin(coupon=coupon.code)
    with pytest.raises(refusals.BenefitNotUsableError):
        await revoke(desk.connection, member_id=desk.member_id, benefit_id=coupon.id)
    await desk.capture(held)
    with pytest.raises(refusals.BenefitUsedError):
        await revoke(desk.connection, member_id=desk.member_id, benefit_id=coupon.id)


async def test_an_unknown_coupon_is_not_revoked(desk: Till) -> None:
    with pytest.raises(refusals.UnknownBenefitError):
        await revoke(desk.connection, member_id=desk.member_id, benefit_id=uuid4())


async def test_a_lock_ends_with_the_redemptions_hold(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue()
    await desk.begin(coupon=coupon.code, hold_seconds=90)
    (found,) = await wallet(desk.connection, member_id=desk.member_id)
    assert (found.state, found.locked_until) == ("locked", NOON + timedelta(seconds=90))
