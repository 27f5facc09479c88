"""An item is claimed once, by whoever was first, and brings its points once."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.reading import balance
from loyalty.items.claims import (
    AlreadyClaimedError,
    Claim,
    ClaimCapError,
    NotClaimableError,
    RefusedTry,
    claim,
    count_claims,
)
from loyalty.items.codes import ItemCode
from loyalty.items.exceptions import clear_suspicion
from loyalty.items.ranges import NextState, RangePolicy, change_state
from loyalty.items.verdicts import ItemSettings, Place
from loyalty.kit.db import transaction
from loyalty.kit.errors import InvalidInputError, NotFoundError, TooManyAttemptsError
from loyalty.kit.ids import new_id
from loyalty.members.merge import merge
from tests.db.items.conftest import GTIN, NOON, Brand, make_brand

CLIENTS = 200
"""Who claim one code at once, on as many connections as a server has."""


async def points_of(brand: Brand, member_id: UUID) -> int:
    return (await balance(brand.connection, member_id=member_id)).spendable


async def test_a_claim_brings_the_products_points_once(brand: Brand) -> None:
    await brand.mint(state="sold")
    ann = await brand.member()
    first = await brand.claim(ann)
    assert first == Claim(code=ItemCode(GTIN, 1, 0), member_id=ann, at=NOON, points=50, replayed=False)
    again = await brand.claim(ann, device="another phone", at=NOON + timedelta(days=3))
    assert again == Claim(code=ItemCode(GTIN, 1, 0), member_id=ann, at=NOON, points=50, replayed=True)
    assert await points_of(brand, ann) == 50
    assert await count_claims(brand.connection, member_id=ann) == 1


async def test_somebody_else_is_refused_kindly_and_nothing_changes(brand: Brand) -> None:
    await brand.mint(state="sold")
    ann, ben = await brand.member(), await brand.member()
    await brand.claim(ann)
    with pytest.raises(AlreadyClaimedError, match="another member claimed this item") as refused:
        await brand.claim(ben)
    assert refused.value.status == 409
    assert refused.value.members["claimed_at"] == NOON
    assert await points_of(brand, ben) == 0
    assert (await brand.scan(device="x", member_id=ben)).claim_blocker == "claimed"
    assert (await brand.scan(device="y", member_id=ann)).claim_blocker == "claimed_by_you"


async def test_a_range_may_bring_other_points_or_none(brand: Brand) -> None:
    await brand.mint(1, state="sold", policy=RangePolicy(points_on_claim=7))
    await brand.mint(1, state="sold", policy=RangePolicy(points_on_claim=0))
    ann = await brand.member()
    await brand.claim(ann, 0)
    nothing = await brand.claim(ann, 1)
    assert isinstance(nothing, Claim)
    assert nothing.points == 0
    assert await points_of(brand, ann) == 7


@pytest.mark.parametrize(
    ("state", "reason"),
    [(None, "not_activated"), ("printed", "not_activated"), ("recalled", "recalled"), ("retired", "retired")],
)
async def test_what_is_not_on_sale_cannot_be_claimed(brand: Brand, state: NextState | None, reason: str) -> None:
    await brand.mint(state=state)
    ann = await brand.member()
    with pytest.raises(NotClaimableError) as refused:
        await brand.claim(ann)
    assert refused.value.members == {"reason": reason}
    assert await points_of(brand, ann) == 0


async def test_an_expired_item_is_claimed_where_the_brand_allows_it(brand: Brand) -> None:
    await brand.mint(state="sold", expires_on=date(2026, 3, 1))
    ann = await brand.member()
    with pytest.raises(NotClaimableError, match="past its date"):
        await brand.claim(ann)
    allowed = await brand.claim(ann, settings=ItemSettings(claim_expired=True))
    assert isinstance(allowed, Claim)


async def test_a_claim_that_was_made_stands_when_the_item_is_recalled(brand: Brand) -> None:
    await brand.mint(10, state="sold")
    ann = await brand.member()
    await brand.claim(ann)
    await change_state(
        brand.connection, programme_id=brand.programme.id, gtin=GTIN, kid=1, lo=0, hi=9, state="recalled"
    )
    again = await brand.claim(ann)
    assert isinstance(again, Claim)
    assert again.replayed


async def test_a_suspected_copy_is_frozen_until_cleared(brand: Brand) -> None:
    await brand.mint(state="sold")
    ann = await brand.member()
    await brand.scan(device="a", place=Place(latitude=31.2, longitude=121.5, source="device"))
    await brand.scan(device="b", place=Place(latitude=39.9, longitude=116.4, source="device"))
    with pytest.raises(NotClaimableError, match="places too far apart"):
        await brand.claim(ann)
    await clear_suspicion(brand.connection, programme_id=brand.programme.id, code=ItemCode(GTIN, 1, 0))
    assert isinstance(await brand.claim(ann), Claim)


async def test_a_member_and_a_device_claim_so_many_a_day(brand: Brand) -> None:
    await brand.mint(state="sold")
    ann, ben = await brand.member(), await brand.member()
    settings = ItemSettings(claims_per_member_day=2, claims_per_device_day=3)
    for index in range(2):
        await brand.claim(ann, index, device="shared", settings=settings)
    savepoint = await brand.connection.begin_nested()
    with pytest.raises(ClaimCapError, match="at most 2"):
        await brand.claim(ann, 2, device="another", settings=settings)
    await savepoint.rollback()
    await brand.claim(ben, 3, device="shared", settings=settings)
    savepoint = await brand.connection.begin_nested()
    with pytest.raises(ClaimCapError, match="at most 3"):
        await brand.claim(ben, 4, device="shared", settings=settings)
    await savepoint.rollback()
    midnight_in_shanghai = NOON + timedelta(hours=12)
    assert isinstance(await brand.claim(ann, 2, settings=settings, at=midnight_in_shanghai), Claim)


async def test_the_pin_is_asked_where_the_print_order_says_so(brand: Brand) -> None:
    await brand.mint(state="sold", policy=RangePolicy(pin_required=True))
    ann = await brand.member()
    assert (await brand.scan(member_id=ann)).pin_required
    with pytest.raises(InvalidInputError) as missing:
        await brand.claim(ann, pin=" ")
    assert missing.value.field == "pin"
    assert await brand.claim(ann, pin=brand.pin(1)) == RefusedTry(reason="wrong_pin", tries_left=4)
    claimed = await brand.claim(ann, pin=brand.pin(0).lower())
    assert isinstance(claimed, Claim)
    assert await points_of(brand, ann) == 50


async def test_a_second_person_with_the_right_pin_holds_a_copy_and_with_a_wrong_one_learns_nothing(
    brand: Brand,
) -> None:
    await brand.mint(state="sold", policy=RangePolicy(pin_required=True))
    ann, ben = await brand.member(), await brand.member()
    await brand.claim(ann, pin=brand.pin(0))
    with pytest.raises(AlreadyClaimedError):
        await brand.claim(ben)
    assert await brand.claim(ben, pin=brand.pin(1)) == RefusedTry(reason="wrong_pin", tries_left=4)
    assert await brand.claim(ben, pin=brand.pin(0)) == RefusedTry(reason="pin_used", claimed_at=NOON)
    query = text("SELECT reason FROM refused_scan WHERE programme_id = :programme ORDER BY reason")
    reasons = await brand.connection.execute(query, {"programme": brand.programme.id})
    assert reasons.scalars().all() == ["pin_used", "wrong_pin"]
    again = await brand.claim(ann, pin=brand.pin(0))
    assert isinstance(again, Claim)
    assert again.replayed
    assert await points_of(brand, ben) == 0


async def test_five_wrong_pins_lock_the_item_for_everybody(brand: Brand) -> None:
    await brand.mint(state="sold", policy=RangePolicy(pin_required=True))
    ann, ben = await brand.member(), await brand.member()
    left = [await brand.claim(ann, pin="000000") for _ in range(5)]
    assert [answer.tries_left for answer in left if isinstance(answer, RefusedTry)] == [4, 3, 2, 1, 0]
    with pytest.raises(NotClaimableError) as locked:
        await brand.claim(ben, pin=brand.pin(0))
    assert locked.value.members == {"reason": "pin_locked"}
    query = text("SELECT DISTINCT reason FROM refused_scan WHERE programme_id = :programme")
    reasons = await brand.connection.execute(query, {"programme": brand.programme.id})
    assert reasons.scalars().all() == ["wrong_pin"]


async def test_a_wrong_code_is_counted_and_not_an_error(brand: Brand) -> None:
    await brand.mint(state="sold")
    ann = await brand.member()
    settings = ItemSettings(bad_codes_per_device=2)
    for _ in range(2):
        assert await brand.claim(ann, serial="hello", settings=settings) == RefusedTry(reason="unknown")
    with pytest.raises(TooManyAttemptsError):
        await brand.claim(ann, settings=settings)


async def test_after_a_merge_the_survivor_has_what_the_other_claimed(brand: Brand) -> None:
    await brand.mint(state="sold")
    ann, ann_too = await brand.member(), await brand.member()
    await brand.claim(ann_too)
    await merge(
        brand.connection,
        brand.keyring,
        programme_id=brand.programme.id,
        survivor_id=ann,
        absorbed_id=ann_too,
        reason="one person",
        actor="clerk",
        key="merge-1",
    )
    again = await brand.claim(ann)
    assert isinstance(again, Claim)
    assert (again.replayed, again.member_id) == (True, ann)
    assert (await brand.scan(member_id=ann)).claim_blocker == "claimed_by_you"
    newer = await brand.claim(ann_too, 1)
    assert isinstance(newer, Claim)
    assert newer.member_id == ann
    assert await points_of(brand, ann) == 100


async def test_nobody_unknown_claims(brand: Brand) -> None:
    await brand.mint(state="sold")
    with pytest.raises(NotFoundError):
        await brand.claim(new_id())


async def test_of_many_members_at_once_one_claims_and_is_paid(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        brand = await make_brand(connection)
        await brand.mint(state="sold")
        members = [await brand.member() for _ in range(CLIENTS)]

    async def attempt(number: int) -> str:
        try:
            async with transaction(committed_engine) as connection:
                await claim(
                    connection,
                    brand.keys,
                    programme_id=brand.programme.id,
                    gtin=GTIN,
                    serial=brand.serial(0),
                    member_id=members[number],
                    device=f"phone-{number}",
                    at=NOON,
                )
        except AlreadyClaimedError:
            return "refused"
        return "claimed"

    answers = await asyncio.gather(*(attempt(number) for number in range(CLIENTS)))
    assert sorted(answers) == ["claimed"] + ["refused"] * (CLIENTS - 1)
    async with transaction(committed_engine) as connection:
        brand.connection = connection
        assert sorted([await points_of(brand, member) for member in members]) == [0] * (CLIENTS - 1) + [50]


async def test_one_member_claiming_at_once_from_many_tabs_is_paid_once(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        brand = await make_brand(connection)
        await brand.mint(state="sold")
        ann = await brand.member()

    async def attempt() -> Claim | RefusedTry:
        async with transaction(committed_engine) as connection:
            return await claim(
                connection,
                brand.keys,
                programme_id=brand.programme.id,
                gtin=GTIN,
                serial=brand.serial(0),
                member_id=ann,
                device="phone",
                at=NOON,
            )

    answers = await asyncio.gather(*(attempt() for _ in range(20)))
    assert sorted(answer.replayed for answer in answers if isinstance(answer, Claim)) == [False] + [True] * 19
    async with transaction(committed_engine) as connection:
        brand.connection = connection
        assert await points_of(brand, ann) == 50


async def test_a_cap_holds_against_claims_at_once(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        brand = await make_brand(connection)
        await brand.mint(state="sold")
        ann = await brand.member()

    async def attempt(index: int) -> bool:
        try:
            async with transaction(committed_engine) as connection:
                await claim(
                    connection,
                    brand.keys,
                    programme_id=brand.programme.id,
                    gtin=GTIN,
                    serial=brand.serial(index),
                    member_id=ann,
                    device=f"phone-{index}",
                    at=NOON,
                    settings=ItemSettings(claims_per_member_day=5),
                )
        except ClaimCapError:
            return False
        return True

    assert sum(await asyncio.gather(*(attempt(index) for index in range(16)))) == 5
    async with transaction(committed_engine) as connection:
        brand.connection = connection
        assert await points_of(brand, ann) == 250
        assert await count_claims(connection, member_id=ann) == 5


async def test_pins_tried_at_once_get_no_more_tries_than_one_after_the_other(committed_engine: AsyncEngine) -> None:
    async with transaction(committed_engine) as connection:
        brand = await make_brand(connection)
        await brand.mint(state="sold", policy=RangePolicy(pin_required=True))
        ann = await brand.member()

    async def attempt(number: int) -> str:
        try:
            async with transaction(committed_engine) as connection:
                answer = await claim(
                    connection,
                    brand.keys,
                    programme_id=brand.programme.id,
                    gtin=GTIN,
                    serial=brand.serial(0),
                    member_id=ann,
                    device=f"phone-{number}",
                    pin="000000",
                    at=NOON,
                )
        except NotClaimableError:
            return "locked"
        assert isinstance(answer, RefusedTry)
        return answer.reason

    answers = await asyncio.gather(*(attempt(number) for number in range(16)))
    assert sorted(answers) == ["locked"] * 11 + ["wrong_pin"] * 5
