"""Benefits: drafts, versions, stock, limits, what becomes of them, and what is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any, get_args
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from redemption.benefits import errors, stock, templates, using
from redemption.benefits.budgets import figures_of, save_budget
from redemption.benefits.definition import (
    KINDS,
    DaysFromIssue,
    Definition,
    FixedDates,
    Gift,
    Gives,
    MoneyOff,
    Service,
    ThirdParty,
    parse_definition,
)
from redemption.benefits.events import events_of
from redemption.benefits.issuing import claim
from redemption.benefits.wallet import Benefit, find_benefit, mark_seen, wallet
from redemption.terms import Places
from tests.db.redemption.conftest import NOON, Till, make_till
from tests.factories import make_programme

NAME = {"zh": "礼", "en": "Gift"}
MUG = Definition(name=NAME, gives=Gift(item={"zh": "马克杯", "en": "A mug"}), validity=DaysFromIssue(days=7))


def _mug(**fields: Any) -> Definition:
    return Definition(**{"name": MUG.name, "gives": MUG.gives, "validity": MUG.validity, **fields})


async def _lines(*lines: str) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def _kinds_of(desk: Till, benefit: Benefit) -> list[str]:
    found = await events_of(desk.connection, member_id=benefit.member_id, benefit_ids=[benefit.id])
    return [event.kind for event in found]


def test_every_kind_of_thing_is_named() -> None:
    assert {each.__struct_config__.tag for each in get_args(Gives)} == set(KINDS)


# Templates


async def test_a_draft_is_saved_undone_published_and_stays_as_it_was_for_those_who_have_it(desk: Till) -> None:
    asked: dict[str, Any] = {"programme_id": desk.programme.id, "code": "mug", "actor": "li"}
    await templates.save_draft(desk.connection, definition=MUG, **asked)
    with pytest.raises(errors.NotPublishedError):
        await desk.issue("mug")
    changed = _mug(per_member=1)
    await templates.save_draft(desk.connection, definition=changed, **asked)
    assert (await templates.undo_draft(desk.connection, **asked)).draft == MUG
    with pytest.raises(errors.NothingToUndoError):
        await templates.undo_draft(desk.connection, **asked)

    published = await templates.publish(desk.connection, **asked)
    assert (published.state, published.version, published.draft) == ("published", 1, None)
    held = await desk.issue("mug")
    await templates.save_draft(desk.connection, definition=changed, **asked)
    second = await templates.publish(desk.connection, **asked)
    assert (second.version, second.definition) == (2, changed)
    assert (await wallet(desk.connection, member_id=desk.member_id))[0].definition == held.definition == MUG

    await templates.retire(desk.connection, **asked)
    with pytest.raises(errors.NotPublishedError):
        await desk.issue("mug")
    told = await templates.history(desk.connection, template_id=second.id)
    assert [(change.action, change.actor) for change in reversed(told)] == [
        ("saved", "li"),
        ("saved", "li"),
        ("undone", "li"),
        ("published", "li"),
        ("saved", "li"),
        ("published", "li"),
        ("retired", "li"),
    ]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": {"zh": "礼"}}, "name.en"),
        ({"per_member": 0}, "per_member"),
        ({"validity": FixedDates(first_day=date(2026, 2, 1), last_day=date(2026, 1, 1))}, "validity.last_day"),
        ({"validity": DaysFromIssue(days=-1)}, "validity.days"),
        ({"gives": MoneyOff(amount_minor=0, currency="CNY")}, "gives.amount_minor"),
        ({"gives": ThirdParty(provider="Cinema", link="http://a.example")}, "gives.link"),
        ({"gives": Service(what={"zh": "修"})}, "gives.what.en"),
        ({"about": {"zh": "a\0"}}, "definition"),
    ],
)
async def test_what_makes_no_sense_is_refused(desk: Till, changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await desk.publish("mug", _mug(**changed))
    assert refused.value.field == field


def test_a_document_that_is_no_definition_is_refused_at_the_place_of_its_fault() -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_definition({"name": NAME, "gives": {"kind": "yacht"}, "validity": {"by": "days", "days": 1}})
    assert refused.value.field == "definition.gives.kind"


async def test_channels_and_budgets_that_are_not_there_are_refused(desk: Till) -> None:
    for fields in ({"terms": {"places": Places(channels=("store-99",))}}, {"budget": "spring"}):
        with pytest.raises(NotFoundError):
            await desk.template(**fields)


async def test_it_is_valid_between_the_days_of_its_definition(desk: Till) -> None:
    await desk.publish("march", _mug(validity=FixedDates(first_day=date(2026, 3, 3), last_day=date(2026, 3, 5))))
    march = await desk.issue("march")
    assert (march.waiting, march.valid_from, march.expires_at) == (
        True,
        datetime(2026, 3, 2, 16, tzinfo=UTC),
        datetime(2026, 3, 5, 16, tzinfo=UTC),
    )
    with pytest.raises(errors.BenefitNotUsableError) as refused:
        await desk.begin(coupon=march.code, basket_minor=None, currency=None)
    assert refused.value.members == {"state": "waiting"}
    await desk.publish("later", _mug(validity=DaysFromIssue(days=1, after_days=2)))
    later = await desk.issue("later")
    assert later.valid_from == datetime(2026, 3, 3, 16, tzinfo=UTC)
    assert later.expires_at == datetime(2026, 3, 5, 16, tzinfo=UTC)


# Stock and limits


async def test_counted_stock_ends_and_a_revoked_one_is_to_be_had_again(desk: Till) -> None:
    await desk.publish("mug", MUG)
    await stock.set_stock(
        desk.connection, programme_id=desk.programme.id, code="mug", kind="counted", total=2, actor="li"
    )
    first, _ = await desk.issue("mug", key="1"), await desk.issue("mug", key="2")
    assert await desk.issue("mug", key="1") == first
    with pytest.raises(errors.OutOfBenefitsError) as refused:
        await desk.issue("mug")
    assert refused.value.members == {"unit": "stock"}
    await using.revoke(desk.connection, member_id=desk.member_id, benefit_id=first.id)
    await desk.issue("mug")
    template = await templates.get_template(desk.connection, programme_id=desk.programme.id, code="mug")
    assert (await figures_of(desk.connection, template.id))["stock"].left == 0


async def test_a_member_gets_no_more_than_one_may_in_all_and_on_a_day(desk: Till) -> None:
    await desk.publish("mug", _mug(per_member=3, per_member_day=2))
    await desk.issue("mug")
    await desk.issue("mug")
    with pytest.raises(errors.MemberLimitError) as refused:
        await desk.issue("mug")
    assert refused.value.members == {"limit": 2, "period": "day"}
    await desk.issue("mug", member_id=uuid4())
    await desk.pass_time(days=1)
    await desk.issue("mug")
    with pytest.raises(errors.MemberLimitError) as refused:
        await desk.issue("mug")
    assert refused.value.members == {"limit": 3, "period": "ever"}


async def test_a_budget_ends_what_can_be_used_and_gives_back_what_was_not(desk: Till) -> None:
    """Two templates share 25 yuan; each coupon takes 10 off."""
    asked: dict[str, Any] = {"programme_id": desk.programme.id, "actor": "li"}
    await save_budget(desk.connection, code="spring", name=NAME, currency="CNY", amount_minor=2_500, **asked)
    for code in ("one", "two"):
        await desk.template(code, budget="spring")
    held = [await desk.begin(coupon=(await desk.issue(code)).code) for code in ("one", "two")]
    third = await desk.issue("one")
    with pytest.raises(errors.OutOfBenefitsError):
        async with desk.connection.begin_nested():
            await desk.begin(coupon=third.code)
    await desk.void(held[0])
    used = await desk.begin(coupon=third.code)
    await desk.capture(used)
    with pytest.raises(ConflictError) as refused:
        await save_budget(desk.connection, code="spring", name=NAME, currency="CNY", amount_minor=1_999, **asked)
    assert refused.value.members["taken"] == 2_000
    await desk.refund(used)
    await save_budget(desk.connection, code="spring", name=NAME, currency="CNY", amount_minor=1_000, **asked)


async def test_a_use_that_nobody_finished_frees_its_budget_before_any_sweep(desk: Till) -> None:
    await desk.template()
    await stock.set_budget(desk.connection, programme_id=desk.programme.id, code="ten-off", uses=1, actor="li")
    await desk.begin(coupon=(await desk.issue()).code, hold_seconds=60)
    coupon = await desk.issue()
    with pytest.raises(errors.OutOfBenefitsError):
        async with desk.connection.begin_nested():
            await desk.begin(coupon=coupon.code)
    await desk.pass_time(seconds=60)
    assert (await desk.begin(coupon=coupon.code)).state == "held"


async def test_imported_codes_are_taken_once_and_handed_out_once(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        programme = await make_programme(connection)
        desk = await make_till(connection, programme)
        gives = ThirdParty(provider="Cinema")
        definition = Definition(name=NAME, gives=gives, validity=DaysFromIssue(days=7))
        asked: dict[str, Any] = {"programme_id": programme.id, "code": "cinema", "actor": "li"}
        await templates.save_draft(connection, definition=definition, **asked)
        with pytest.raises(ConflictError):
            await templates.publish(connection, **asked)
    told = await stock.import_codes(committed_engine, lines=_lines("\ufeffA-1\n", "b-2", "A-1", "", "x" * 201), **asked)
    assert (told.lines, told.added) == (5, 2)
    assert [(each.line, each.reason) for each in told.examples] == [(3, "duplicate"), (5, "too_long")]
    again = await stock.import_codes(committed_engine, lines=_lines("A-1", "C-3"), **asked)
    assert (again.added, again.refused) == (1, 1)
    async with transaction(committed_engine) as connection:
        await templates.publish(connection, **asked)
        desk.connection = connection
        given = [await desk.issue("cinema") for _ in range(3)]
        assert {each.code for each in given} == {"A-1", "b-2", "C-3"}
        with pytest.raises(errors.OutOfBenefitsError) as refused:
            await desk.issue("cinema")
        assert refused.value.members == {"unit": "codes"}
        await using.revoke(connection, member_id=desk.member_id, benefit_id=given[0].id)
        with pytest.raises(errors.OutOfBenefitsError):
            await desk.issue("cinema")
        found = await find_benefit(connection, programme_id=programme.id, code="b-2")
        assert found.id in {each.id for each in given}


# What becomes of one


async def test_what_is_there_to_be_claimed_is_claimed_and_nothing_else(desk: Till) -> None:
    asked: dict[str, Any] = {"programme_id": desk.programme.id, "member_id": desk.member_id}
    await desk.publish("mug", _mug(claimable=True))
    await desk.publish("cup", MUG)
    assert (await claim(desk.connection, template_code="mug", key="1", **asked)).source == "claim"
    with pytest.raises(errors.NotClaimableError):
        await claim(desk.connection, template_code="cup", key="2", **asked)


async def test_one_that_may_be_given_away_is_the_others_alone(desk: Till) -> None:
    friend = uuid4()
    await desk.template(transferable=True, per_member=1)
    mine = await desk.issue()
    theirs = await using.transfer(desk.connection, member_id=desk.member_id, benefit_id=mine.id, to_member_id=friend)
    assert (theirs.member_id, theirs.expires_at, theirs.code == mine.code) == (friend, mine.expires_at, False)
    with pytest.raises(errors.BenefitNotUsableError):
        await desk.begin(coupon=mine.code)
    assert (await desk.begin(coupon=theirs.code, member_id=friend)).state == "held"
    await desk.issue(member_id=friend)  # what came from another counts against nobody's limit
    await desk.template("kept")
    kept = await desk.issue("kept")
    with pytest.raises(errors.NotTransferableError):
        await using.transfer(desk.connection, member_id=desk.member_id, benefit_id=kept.id, to_member_id=friend)


async def test_a_refund_returns_it_as_its_template_says(desk: Till) -> None:
    await desk.template("kept", after_refund="keep_used")
    await desk.template("back", return_days=10, validity=DaysFromIssue(days=2))
    for code, state in (("kept", "used"), ("back", "returned")):
        coupon = await desk.issue(code)
        used = await desk.begin(coupon=coupon.code)
        await desk.capture(used, f"R-{code}")
        await desk.refund(used)
        found = await find_benefit(desk.connection, programme_id=desk.programme.id, code=coupon.code)
        assert found.state == state
    assert found.expires_at == datetime(2026, 3, 12, 16, tzinfo=UTC)


async def test_a_gift_is_handed_over_without_a_basket(desk: Till) -> None:
    await desk.publish("mug", MUG)
    mug = await desk.issue("mug")
    held = await desk.begin(coupon=mug.code, basket_minor=None, currency=None)
    assert (held.kind, held.amount_minor, held.name) == ("benefit", 0, NAME)
    assert (await desk.capture(held)).state == "captured"


async def test_all_that_happens_is_written_down_and_stays(desk: Till) -> None:
    await desk.template()
    coupon = await desk.issue(campaign="spring")
    assert await mark_seen(desk.connection, member_id=desk.member_id) == 1
    assert await mark_seen(desk.connection, member_id=desk.member_id) == 0
    await desk.void(await desk.begin(coupon=coupon.code, clerk="li"))
    used = await desk.begin(coupon=coupon.code, clerk="li")
    await desk.capture(used)
    await desk.refund(used)
    await using.revoke(desk.connection, member_id=desk.member_id, benefit_id=coupon.id)
    kinds = ["issued", "seen", "locked", "released", "locked", "used", "returned", "revoked"]
    assert sorted(await _kinds_of(desk, coupon)) == sorted(kinds)
    (told,) = [each for each in await events_of(desk.connection, member_id=desk.member_id) if each.kind == "used"]
    assert (told.campaign, told.channel_id, told.clerk, told.order_number, told.amount_minor, told.currency) == (
        "spring",
        desk.channel_id,
        "li",
        "R-1",
        1_000,
        "CNY",
    )
    assert told.at == NOON
    for change in ("UPDATE benefit_event SET clerk = 'x'", "DELETE FROM benefit_event"):
        with pytest.raises(DBAPIError, match="never changed"):
            async with desk.connection.begin_nested():
                await desk.connection.execute(text(change))


async def test_the_sweep_writes_down_what_ran_out_once(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        desk = await make_till(connection, await make_programme(connection))
        await desk.template()
        gone, locked, live = [await desk.issue(key=str(number)) for number in range(3)]
        await desk.begin(coupon=locked.code)
        for each in (gone, locked):
            past = {"id": each.id}
            await connection.execute(
                text("UPDATE benefit SET expires_at = now() - interval '1 s' WHERE id = :id"), past
            )
    assert await using.expire_due(committed_engine, batch_size=1) == 1
    assert await using.expire_due(committed_engine) == 0
    async with transaction(committed_engine) as connection:
        held = await wallet(connection, member_id=desk.member_id, usable_only=False)
        assert {each.id: each.state for each in held} == {gone.id: "expired", locked.id: "locked", live.id: "issued"}
        desk.connection = connection
        assert sorted(await _kinds_of(desk, gone)) == ["expired", "issued"]
