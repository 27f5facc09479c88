from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from ledger.errors import (
    AccountNotFoundError,
    ApprovalNeededError,
    EntryNotFoundError,
    HoldClosedError,
    HoldExpiredError,
    HoldNotFoundError,
    InsufficientBalanceError,
    NotReversibleError,
    OpenHoldsError,
    OverReversalError,
    ReinstateWindowOverError,
)
from ledger.operations import ON_EVENT
from ledger.past import as_of
from ledger.posting import confirm, reinstate, settle
from ledger.reading import find_posting, get_hold
from loyalty.kit.errors import IdempotencyMismatchError, InvalidInputError, NotFoundError
from tests.db.ledger.conftest import A_DAY, NEW_YEAR, Book


async def test_earned_points_can_be_spent(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100)
    answer = await book.spend(member, 30)
    assert answer.posted == 70
    assert await book.spendable(member) == 70


async def test_a_spend_beyond_the_balance_takes_nothing(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100)
    async with book.connection.begin_nested():
        with pytest.raises(InsufficientBalanceError) as refused:
            async with book.connection.begin_nested():
                await book.spend(member, 101)
    assert refused.value.members == {"available": 100, "requested": 101, "unit": "points"}
    assert await book.spendable(member) == 100


@pytest.mark.parametrize("amount", [0, -5, 10**12 + 1])
async def test_an_amount_out_of_range_is_refused_by_name(book: Book, member: UUID, amount: int) -> None:
    await book.unit()
    await book.earn(member, 1)
    with pytest.raises(InvalidInputError) as refused:
        async with book.connection.begin_nested():
            await book.earn(member, amount)
    assert refused.value.field == "amount"


async def test_a_repeated_posting_answers_what_it_answered_first(book: Book, member: UUID) -> None:
    await book.unit()
    first = await book.earn(member, 100, key="k")
    await book.spend(member, 50)
    again = await book.earn(member, 100, key="k")
    assert again.replayed
    assert (again.sequence, again.posted) == (first.sequence, first.posted) == (1, 100)
    assert await book.spendable(member) == 50


async def test_a_key_used_for_another_request_is_refused(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100, key="k")
    with pytest.raises(IdempotencyMismatchError):
        async with book.connection.begin_nested():
            await book.earn(member, 101, key="k")


async def test_points_are_spent_soonest_expiring_first_and_never_expiring_last(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 10, expires_at=None)
    await book.earn(member, 10, expires_at=NEW_YEAR + 30 * A_DAY)
    await book.earn(member, 10, expires_at=NEW_YEAR + 10 * A_DAY)
    await book.spend(member, 15)
    assert await book.open_lots(member) == [(5, NEW_YEAR + 30 * A_DAY), (10, None)]


async def test_a_lot_with_a_lower_priority_number_is_spent_first(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 10, expires_at=NEW_YEAR + A_DAY, priority=5)
    await book.earn(member, 10, expires_at=None, priority=1)
    await book.spend(member, 10)
    assert await book.open_lots(member) == [(10, NEW_YEAR + A_DAY)]


async def test_growth_cannot_be_spent(book: Book, member: UUID) -> None:
    await book.unit(code="growth", spendable=False)
    await book.earn(member, 10, unit="growth")
    with pytest.raises(InvalidInputError, match="counts towards tiers"):
        async with book.connection.begin_nested():
            await book.spend(member, 5, unit="growth")


async def test_pending_points_show_and_cannot_be_spent_until_their_day(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100, available_at=NEW_YEAR + 14 * A_DAY)
    before = await book.balance(member)
    assert (before.spendable, before.pending) == (0, 100)
    await book.at(NEW_YEAR + 14 * A_DAY)
    due = await book.balance(member)
    assert (due.spendable, due.pending) == (100, 0)
    await book.spend(member, 100)
    assert ("mature", 100, "pending", "member") in await book.kinds(member)


async def test_points_that_wait_for_an_event_are_confirmed(book: Book, member: UUID) -> None:
    await book.unit()
    earned = await book.earn(member, 100, available_at=ON_EVENT)
    answer = await confirm(book.connection, member_id=member, sequence=earned.sequence, key="c", source="test")
    assert (answer.posted, answer.pending) == (100, 0)
    with pytest.raises(NotReversibleError):
        async with book.connection.begin_nested():
            await confirm(book.connection, member_id=member, sequence=earned.sequence, key="c2", source="test")


async def test_debt_is_repaid_by_the_next_points(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 10)
    await book.claw_back(member, 40)
    assert (await book.balance(member)).debt == 30
    answer = await book.earn(member, 50)
    assert (answer.posted, answer.debt) == (20, 0)


async def test_a_shortfall_that_is_forgiven_is_recorded(book: Book, member: UUID) -> None:
    await book.unit(shortfall="forgive")
    await book.earn(member, 10)
    answer = await book.claw_back(member, 40)
    assert (answer.posted, answer.debt) == (0, 0)
    assert (await book.kinds(member))[-1] == ("claw_back", 30, "forgiven", "issued")


async def test_an_earn_is_reversed_in_parts_and_never_beyond(book: Book, member: UUID) -> None:
    await book.unit()
    earned = await book.earn(member, 70)
    await book.reverse(member, earned.sequence, 23)
    await book.reverse(member, earned.sequence, 23)
    with pytest.raises(OverReversalError) as refused:
        async with book.connection.begin_nested():
            await book.reverse(member, earned.sequence, 25)
    assert refused.value.members["left"] == 24
    await book.reverse(member, earned.sequence)
    assert await book.spendable(member) == 0


async def test_a_reversed_earn_takes_from_its_own_lot_then_others_then_debt(book: Book, member: UUID) -> None:
    await book.unit()
    earned = await book.earn(member, 50, expires_at=NEW_YEAR + 5 * A_DAY)
    await book.earn(member, 20, expires_at=NEW_YEAR + 9 * A_DAY)
    await book.spend(member, 40)
    answer = await book.reverse(member, earned.sequence)
    assert (answer.posted, answer.debt) == (0, 20)
    assert [kind for kind in await book.kinds(member) if kind[0] == "reverse"] == [
        ("reverse", 10, "member", "issued"),
        ("reverse", 20, "member", "issued"),
        ("reverse", 20, "debt", "issued"),
    ]


async def test_points_that_expired_are_not_taken_twice(book: Book, member: UUID) -> None:
    await book.unit()
    earned = await book.earn(member, 50, expires_at=NEW_YEAR + A_DAY)
    await book.earn(member, 20, expires_at=None)
    await book.at(NEW_YEAR + 2 * A_DAY)
    answer = await book.reverse(member, earned.sequence)
    assert (answer.posted, answer.debt) == (20, 0)
    assert (await book.kinds(member))[-1] == ("reverse", 50, "expired", "issued")


async def test_a_reversed_spend_goes_back_to_its_own_lots_with_their_expiry(book: Book, member: UUID) -> None:
    await book.unit()
    soon, late = NEW_YEAR + 5 * A_DAY, NEW_YEAR + 9 * A_DAY
    await book.earn(member, 60, expires_at=soon)
    await book.earn(member, 60, expires_at=late)
    spent = await book.spend(member, 100)
    await book.reverse(member, spent.sequence, 50)
    assert await book.open_lots(member) == [(10, soon), (60, late)]
    await book.reverse(member, spent.sequence, 50)
    assert await book.open_lots(member) == [(60, soon), (60, late)]


async def test_points_given_back_to_an_expired_lot_stay_expired_by_default(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 60, expires_at=NEW_YEAR + A_DAY)
    spent = await book.spend(member, 60)
    await book.at(NEW_YEAR + 3 * A_DAY)
    answer = await book.reverse(member, spent.sequence)
    assert answer.posted == 0
    assert (await book.kinds(member))[-1] == ("expire", 60, "member", "expired")


async def test_points_given_back_to_an_expired_lot_may_have_a_grace(book: Book, member: UUID) -> None:
    await book.unit(expired_return_days=7)
    await book.earn(member, 60, expires_at=NEW_YEAR + A_DAY)
    spent = await book.spend(member, 60)
    await book.at(NEW_YEAR + 3 * A_DAY)
    await book.reverse(member, spent.sequence)
    assert await book.open_lots(member) == [(60, NEW_YEAR + 10 * A_DAY)]


async def test_points_given_back_repay_debt_first(book: Book, member: UUID) -> None:
    await book.unit()
    earned = await book.earn(member, 60)
    spent = await book.spend(member, 60)
    await book.reverse(member, earned.sequence)
    answer = await book.reverse(member, spent.sequence)
    assert (answer.posted, answer.debt) == (0, 0)


async def test_a_reversal_cannot_be_reversed_and_an_unknown_posting_is_not_found(book: Book, member: UUID) -> None:
    await book.unit()
    earned = await book.earn(member, 60)
    reversal = await book.reverse(member, earned.sequence, 10)
    for sequence, error in ((reversal.sequence, NotReversibleError), (99, EntryNotFoundError)):
        with pytest.raises(error):
            async with book.connection.begin_nested():
                await book.reverse(member, sequence)


async def test_a_hold_is_captured_in_part_and_its_rest_released(book: Book, member: UUID) -> None:
    await book.unit()
    soon, late = NEW_YEAR + 5 * A_DAY, NEW_YEAR + 9 * A_DAY
    await book.earn(member, 50, expires_at=soon)
    await book.earn(member, 50, expires_at=late)
    held = await book.hold(member, 80, expires_at=NEW_YEAR + timedelta(minutes=15))
    assert (held.posted, held.held) == (20, 80)
    await book.capture(member, held.hold_id, 60)
    answer = await book.release(member, held.hold_id)
    assert (answer.posted, answer.held) == (40, 0)
    # The capture took the points that would have expired first; what comes back is the rest of the later lot.
    assert await book.open_lots(member) == [(40, late)]


async def test_a_captured_spend_can_be_reversed(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100)
    held = await book.hold(member, 80, expires_at=NEW_YEAR + A_DAY)
    captured = await book.capture(member, held.hold_id)
    await book.reverse(member, captured.sequence)
    assert await book.spendable(member) == 100


async def test_a_hold_frees_itself(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100)
    held = await book.hold(member, 80, expires_at=NEW_YEAR + timedelta(minutes=15))
    await book.at(NEW_YEAR + timedelta(minutes=15))
    assert await book.spendable(member) == 100
    assert held.hold_id is not None
    assert (await get_hold(book.connection, member_id=member, hold_id=held.hold_id)).amount == 80
    with pytest.raises(HoldExpiredError):
        async with book.connection.begin_nested():
            await book.capture(member, held.hold_id)
    await book.spend(member, 100)


async def test_points_released_after_their_lot_expired_expire(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100, expires_at=NEW_YEAR + A_DAY)
    held = await book.hold(member, 80, expires_at=NEW_YEAR + 5 * A_DAY)
    await book.at(NEW_YEAR + 2 * A_DAY)
    captured = await book.capture(member, held.hold_id, 30)
    assert captured.held == 50
    answer = await book.release(member, held.hold_id)
    assert (answer.posted, answer.held) == (0, 0)


async def test_holds_that_are_unknown_or_closed_or_too_small_are_refused(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100)
    held = await book.hold(member, 50, expires_at=NEW_YEAR + A_DAY)
    with pytest.raises(HoldNotFoundError):
        async with book.connection.begin_nested():
            await book.capture(member, uuid4())
    with pytest.raises(OverReversalError):
        async with book.connection.begin_nested():
            await book.capture(member, held.hold_id, 51)
    await book.capture(member, held.hold_id)
    with pytest.raises(HoldClosedError):
        async with book.connection.begin_nested():
            await book.release(member, held.hold_id)


async def test_expiry_exactly_at_the_moment_counts_as_expired(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100, expires_at=NEW_YEAR + A_DAY)
    await book.at(NEW_YEAR + A_DAY - timedelta(microseconds=1))
    assert await book.spendable(member) == 100
    await book.at(NEW_YEAR + A_DAY)
    assert await book.spendable(member) == 0
    with pytest.raises(InsufficientBalanceError):
        async with book.connection.begin_nested():
            await book.spend(member, 1)


async def test_a_second_sweep_does_nothing(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100, expires_at=NEW_YEAR + A_DAY)
    await book.at(NEW_YEAR + A_DAY)
    assert await settle(book.connection, member_id=member) == 1
    assert await settle(book.connection, member_id=member) == 0


async def test_expired_points_come_back_inside_the_window(book: Book, member: UUID) -> None:
    await book.unit(reinstate_days=10)
    await book.earn(member, 100, expires_at=NEW_YEAR + A_DAY)
    await book.at(NEW_YEAR + 2 * A_DAY)
    await settle(book.connection, member_id=member)
    back: dict[str, Any] = {"member_id": member, "sequence": 2, "source": "test", "expires_at": NEW_YEAR + 40 * A_DAY}
    await reinstate(book.connection, amount=60, key="r1", **back)
    assert await book.open_lots(member) == [(60, NEW_YEAR + 40 * A_DAY)]
    with pytest.raises(OverReversalError):
        async with book.connection.begin_nested():
            await reinstate(book.connection, amount=41, key="r2", **back)
    await book.at(NEW_YEAR + 11 * A_DAY)
    with pytest.raises(ReinstateWindowOverError):
        async with book.connection.begin_nested():
            await reinstate(book.connection, key="r3", **back)


async def test_a_reinstated_lot_is_the_own_lot_of_its_earn(book: Book, member: UUID) -> None:
    await book.unit()
    earned = await book.earn(member, 100, expires_at=NEW_YEAR + A_DAY)
    await book.at(NEW_YEAR + 2 * A_DAY)
    await settle(book.connection, member_id=member)
    await reinstate(book.connection, member_id=member, sequence=2, amount=60, expires_at=None, key="r", source="test")
    answer = await book.reverse(member, earned.sequence)
    assert (answer.posted, answer.debt) == (0, 0)


async def test_what_was_reinstated_again_and_again_is_still_the_own_lot_of_its_earn(book: Book, member: UUID) -> None:
    await book.unit()
    earned = await book.earn(member, 20, expires_at=NEW_YEAR + A_DAY)
    for day, sequence, expires_at in ((2, 2, NEW_YEAR + 3 * A_DAY), (4, 4, None)):
        await book.at(NEW_YEAR + day * A_DAY)
        await settle(book.connection, member_id=member)
        back: dict[str, Any] = {"sequence": sequence, "amount": 1, "expires_at": expires_at}
        await reinstate(book.connection, member_id=member, key=book.key(), source="test", **back)
    await book.earn(member, 93, expires_at=NEW_YEAR + 30 * A_DAY)
    await book.reverse(member, earned.sequence)
    assert await book.open_lots(member) == [(93, NEW_YEAR + 30 * A_DAY)], "another earn's points were taken"


async def test_adjustments_have_a_reason_and_above_the_limit_a_second_person(book: Book, member: UUID) -> None:
    await book.unit(adjust_limit=100)
    given = await book.adjust(member, 100)
    assert given.posted == 100
    taken = await book.adjust(member, -40)
    assert taken.posted == 60
    for approver in (None, "stf_1"):
        with pytest.raises(ApprovalNeededError):
            async with book.connection.begin_nested():
                await book.adjust(member, 101, approved_by=approver)
    await book.adjust(member, 101, approved_by="stf_2")
    await book.reverse(member, taken.sequence)
    assert await book.spendable(member) == 201


async def test_transferred_lots_travel_with_their_expiry(book: Book, member: UUID) -> None:
    await book.unit()
    friend = uuid4()
    await book.earn(member, 50, expires_at=NEW_YEAR + 5 * A_DAY)
    await book.earn(member, 50, expires_at=None)
    await book.transfer(member, friend, 70)
    assert await book.open_lots(friend) == [(50, NEW_YEAR + 5 * A_DAY), (20, None)]
    assert await book.spendable(member) == 30
    with pytest.raises(InvalidInputError):
        async with book.connection.begin_nested():
            await book.transfer(member, member, 1)


async def test_merging_then_unmerging_conserves_lots_to_the_unit(book: Book, member: UUID) -> None:
    await book.unit()
    twin = uuid4()
    for who in (member, twin):
        await book.earn(who, 50, expires_at=NEW_YEAR + 5 * A_DAY)
        await book.earn(who, 30, available_at=NEW_YEAR + 3 * A_DAY)
        await book.spend(who, 7)
    before = [await book.open_lots(member), await book.open_lots(twin)]
    await book.merge(twin, member)
    merged = await book.balance(member)
    assert (merged.spendable, merged.pending) == (86, 60)
    assert await book.open_lots(twin) == []
    await book.unmerge(twin, member)
    assert [await book.open_lots(member), await book.open_lots(twin)] == before


@pytest.mark.parametrize(("absorbed_has", "survivor_has"), [(-40, 100), (-40, 25), (100, -30), (-5, -6)])
async def test_debts_are_settled_by_a_merge_and_owed_again_after_it(
    book: Book, member: UUID, absorbed_has: int, survivor_has: int
) -> None:
    await book.unit()
    twin = uuid4()
    for who, has in ((twin, absorbed_has), (member, survivor_has)):
        await (book.earn(who, has) if has > 0 else book.claw_back(who, -has))
    await book.merge(twin, member)
    merged = await book.balance(member)
    assert merged.spendable - merged.debt == absorbed_has + survivor_has
    assert 0 in (merged.spendable, merged.debt)
    await book.unmerge(twin, member)
    for who, has in ((twin, absorbed_has), (member, survivor_has)):
        after = await book.balance(who)
        assert after.spendable - after.debt == has


async def test_what_was_spent_between_merge_and_unmerge_stays_spent(book: Book, member: UUID) -> None:
    await book.unit()
    twin = uuid4()
    await book.earn(twin, 50, expires_at=NEW_YEAR + 5 * A_DAY)
    await book.earn(member, 50, expires_at=NEW_YEAR + 9 * A_DAY)
    await book.merge(twin, member)
    await book.spend(member, 30)
    await book.unmerge(twin, member)
    assert (await book.spendable(twin), await book.spendable(member)) == (20, 50)


async def test_a_merger_that_moves_nothing_leaves_both_accounts_in_order(book: Book, member: UUID) -> None:
    await book.unit()
    twin = uuid4()
    await book.earn(twin, 50, expires_at=NEW_YEAR + 5 * A_DAY)
    await book.earn(member, 70, expires_at=NEW_YEAR + 6 * A_DAY)
    await book.at(NEW_YEAR + 5 * A_DAY)
    await book.merge(twin, member)
    await book.at(NEW_YEAR + 6 * A_DAY)
    await book.unmerge(twin, member)
    assert [kind for kind, *_ in await book.kinds(twin)] == ["earn", "expire"]
    assert [kind for kind, *_ in await book.kinds(member)] == ["earn", "expire"]
    await book.earn(twin, 1)
    await book.earn(member, 1)
    assert (await book.spendable(twin), await book.spendable(member)) == (1, 1)


async def test_after_a_merge_refunds_still_find_the_points(book: Book, member: UUID) -> None:
    await book.unit()
    twin = uuid4()
    earned = await book.earn(twin, 50, expires_at=NEW_YEAR + 5 * A_DAY)
    spent = await book.spend(twin, 10)
    await book.reverse(twin, earned.sequence, 5)
    await book.earn(member, 50, expires_at=NEW_YEAR + 2 * A_DAY)
    await book.merge(twin, member)
    origin: dict[str, Any] = {"origin_member_id": twin, "accounts": [member, twin]}
    await book.reverse(member, earned.sequence, 20, **origin)
    await book.reverse(member, spent.sequence, **origin)
    assert await book.open_lots(member) == [(50, NEW_YEAR + 2 * A_DAY), (25, NEW_YEAR + 5 * A_DAY)]
    with pytest.raises(OverReversalError) as refused:
        async with book.connection.begin_nested():
            await book.reverse(member, earned.sequence, 26, **origin)
    assert refused.value.members["left"] == 25


async def test_members_with_points_on_hold_are_not_merged(book: Book, member: UUID) -> None:
    await book.unit()
    twin = uuid4()
    await book.earn(twin, 50)
    await book.hold(twin, 50, expires_at=NEW_YEAR + A_DAY)
    with pytest.raises(OpenHoldsError):
        async with book.connection.begin_nested():
            await book.merge(twin, member)


async def test_an_account_is_seen_as_it_was_then_or_as_it_is_known_now(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100)
    await book.at(NEW_YEAR + 10 * A_DAY)
    await book.earn(member, 50, effective_at=NEW_YEAR + 2 * A_DAY)
    moment = NEW_YEAR + 5 * A_DAY
    then = await as_of(book.connection, member_id=member, moment=moment, known="then")
    now = await as_of(book.connection, member_id=member, moment=moment, known="now")
    assert (then.posted, now.posted) == (100, 150)
    assert [lot.amount for lot in now.expiring] == [150]


async def test_what_time_will_bring_is_refused_today(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 1)
    with pytest.raises(InvalidInputError) as refused:
        async with book.connection.begin_nested():
            await book.earn(member, 1, effective_at=NEW_YEAR + A_DAY)
    assert refused.value.field == "effective_at"


async def test_unknown_units_programmes_and_accounts_are_named(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 1)
    with pytest.raises(NotFoundError) as refused:
        async with book.connection.begin_nested():
            await book.earn(member, 1, unit="stars")
    assert refused.value.field == "unit"
    with pytest.raises(AccountNotFoundError):
        async with book.connection.begin_nested():
            await book.capture(uuid4(), uuid4())
    stranger = Book(book.connection)
    await stranger.unit()
    with pytest.raises(NotFoundError):
        async with book.connection.begin_nested():
            await stranger.earn(member, 1)


async def test_a_key_names_one_posting_over_all_units(book: Book, member: UUID) -> None:
    await book.unit()
    await book.earn(member, 100, key="order")
    found = await find_posting(book.connection, member_id=member, key="order")
    assert [(entry.sequence, entry.amount) for entry in found] == [(1, 100)]
    assert await find_posting(book.connection, member_id=member, key="other") == []
