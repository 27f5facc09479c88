from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import audit
from ledger.books import monthly_flow, trial_balance
from ledger.reading import balance, expiring
from loyalty.campaigns.bonus.campaign import list_campaigns
from loyalty.campaigns.draws.draw import find_draw
from loyalty.campaigns.missions.mission import list_missions
from loyalty.campaigns.segments.segment import list_segments
from loyalty.demo.brand import CHANNELS, CODE, TIME_ZONE
from loyalty.demo.filling import ForeignDatabaseError, fill, find_brand
from loyalty.demo.leads import EXPIRING, INDEBTED, LOWERED, NEWCOMER, REUNITED, RICH
from loyalty.demo.offers import DRAW
from loyalty.demo.people import phone_of
from loyalty.demo.showcase import SampleKind, open_showcase
from loyalty.items.digital_link import parse_link
from loyalty.items.scans import scan
from loyalty.items.verdicts import VerdictKind
from loyalty.kit.clock import end_of_month, local_date, start_of_local_day, utc_now
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.programme import Programme
from loyalty.members.identity import find
from loyalty.members.member import Member, person_ids
from redemption.benefits.wallet import wallet
from tests.db.demo.conftest import MEMBERS, SEED, Telling, clock_definition
from tiers.reading import history


async def lead(told: AsyncConnection, telling: Telling, number: int) -> Member:
    brand = await find_brand(told)
    assert brand is not None
    (member,) = await find(told, telling.keyring, programme_id=brand.programme.id, text=phone_of(number))
    return member


async def books(connection: AsyncConnection) -> list[tuple[Any, ...]]:
    """Every entry in an order and in words that do not depend on ids."""
    rows = await connection.execute(
        text("""
            SELECT kind, amount, debit, credit, posted, pending, held, debt, lot_expires_at, effective_at, recorded_at
            FROM ledger.entry ORDER BY recorded_at, effective_at, kind, amount, posted, debit, credit
        """)
    )
    return [tuple(row) for row in rows]


async def test_the_books_verify_and_balance(told: AsyncConnection) -> None:
    found = await audit.verify(told)
    assert found.passed, found.findings
    assert found.entries > 5 * MEMBERS
    brand = await find_brand(told)
    assert brand is not None
    assert sum(trial.balance for trial in await trial_balance(told, programme_id=brand.programme.id)) == 0


async def test_the_crm_team_has_something_under_way(told: AsyncConnection) -> None:
    brand = await find_brand(told)
    assert brand is not None
    whose: dict[str, Any] = {"programme_id": brand.programme.id}
    now = utc_now()
    campaigns = {campaign.code: campaign.state(now) for campaign in await list_campaigns(told, **whose)}
    assert campaigns == {"oolong": "running", "double-twelve": "draft"}
    assert {mission.code for mission in await list_missions(told, **whose, running_at=now)} == {
        "three-teas",
        "seven-days",
    }
    assert (await find_draw(told, **whose, code=DRAW)).state(now) == "open"
    assert [segment.version for segment in await list_segments(told, **whose)] == [1]


async def test_the_ledgers_clock_is_the_databases_again(told: AsyncConnection, telling: Telling) -> None:
    assert await clock_definition(told) == telling.clock_before
    assert await told.scalar(text("SELECT abs(extract(epoch FROM ledger.clock() - clock_timestamp())) < 60"))


async def test_the_same_story_told_elsewhere_ends_in_the_same_books(
    told: AsyncConnection, telling: Telling, fresh_database_url: str
) -> None:
    engine = create_engine(fresh_database_url)
    async with transaction(engine) as connection:
        await fill(
            connection,
            telling.keyring,
            telling.item_keys,
            members=MEMBERS,
            seed=SEED,
            today=telling.today,
            progress=lambda _story, _days: None,
        )
        assert await books(connection) == await books(told)
    await engine.dispose()


async def test_filling_again_changes_nothing(told: AsyncConnection, telling: Telling) -> None:
    before = await books(told)
    again = await telling.fill(members=MEMBERS + 10)
    assert again.story is None
    assert set(again.brand.channels) == set(CHANNELS)
    assert await books(told) == before


async def test_nothing_happens_after_the_end(told: AsyncConnection, telling: Telling) -> None:
    end = start_of_local_day(telling.today, TIME_ZONE)
    query = "SELECT max(recorded_at) AS recorded, max(effective_at) AS effective FROM ledger.entry"
    latest = (await told.execute(text(query))).one()
    assert latest.recorded <= end
    assert latest.effective <= end


async def test_every_month_of_the_year_has_points_coming_in(told: AsyncConnection) -> None:
    brand = await find_brand(told)
    assert brand is not None
    months = await monthly_flow(told, programme_id=brand.programme.id, months=13)
    assert len([month for month in months if month.earned]) >= 12
    assert sum(month.redeemed for month in months) > 0
    assert sum(month.expired for month in months) > 0


async def test_the_rich_one_has_a_high_tier_and_a_full_account(told: AsyncConnection, telling: Telling) -> None:
    member = await lead(told, telling, RICH)
    assert (await balance(told, member_id=member.id)).spendable > 1_000
    assert {change.to_tier for change in await history(told, member_id=member.id)} & {"amber", "grove"}


async def test_the_expiring_one_loses_points_when_this_month_ends(told: AsyncConnection, telling: Telling) -> None:
    member = await lead(told, telling, EXPIRING)
    soonest = (await expiring(told, member_id=member.id))[0]
    assert soonest.amount > 500
    assert soonest.expires_at is not None
    last_day = local_date(soonest.expires_at - timedelta(seconds=1), TIME_ZONE)
    assert last_day == end_of_month(telling.today)


async def test_the_indebted_one_owes(told: AsyncConnection, telling: Telling) -> None:
    member = await lead(told, telling, INDEBTED)
    assert (await balance(told, member_id=member.id)).debt > 0


async def test_the_lowered_one_was_given_grace_and_lowered(told: AsyncConnection, telling: Telling) -> None:
    member = await lead(told, telling, LOWERED)
    kinds = [change.kind for change in await history(told, member_id=member.id)]
    assert {"upgrade", "grace", "downgrade"} <= set(kinds)


async def test_the_reunited_one_has_two_histories(told: AsyncConnection, telling: Telling) -> None:
    member = await lead(told, telling, REUNITED)
    assert len(await person_ids(told, member_id=member.id)) == 2


async def test_the_newcomer_has_a_coupon(told: AsyncConnection, telling: Telling) -> None:
    member = await lead(told, telling, NEWCOMER)
    assert [coupon.state for coupon in await wallet(told, member_id=member.id)] == ["issued"]


async def test_each_code_of_the_showcase_says_what_it_is_there_to_show(told: AsyncConnection, telling: Telling) -> None:
    brand = await find_brand(told)
    assert brand is not None
    samples = await open_showcase(told, telling.item_keys, brand=brand, public_url="https://demo.example.com")
    said: dict[SampleKind, tuple[VerdictKind, str | None]] = {}
    for sample in samples:
        link = parse_link(sample.url)
        verdict = await scan(
            told,
            telling.item_keys,
            programme_id=brand.programme.id,
            gtin=link.value,
            serial=link.serial or "",
            device="a-phone-nobody-knows",
        )
        said[sample.kind] = (verdict.kind, verdict.claim_blocker)
        assert (sample.pin is not None) == verdict.pin_required
    assert said == {
        "fresh": ("first_scan", None),
        "pin": ("first_scan", None),
        "seen": ("seen_before", None),
        "claimed": ("first_scan", "claimed"),
        "amber": ("amber", None),
        "copied": ("suspected_copy", "suspected_copy"),
        "recalled": ("recalled", "recalled"),
        "expired": ("expired", "expired"),
        "not_activated": ("not_activated", "not_activated"),
        "forged": ("unknown", "unknown"),
    }


async def test_a_code_that_was_scanned_makes_room_for_a_fresh_one(told: AsyncConnection, telling: Telling) -> None:
    brand = await find_brand(told)
    assert brand is not None
    first, second = [
        await open_showcase(told, telling.item_keys, brand=brand, public_url="https://demo.example.com")
        for _ in range(2)
    ]
    assert first[0].url == second[0].url
    link = parse_link(first[0].url)
    await scan(
        told,
        telling.item_keys,
        programme_id=brand.programme.id,
        gtin=link.value,
        serial=link.serial or "",
        device="a-phone-nobody-knows",
    )
    third = await open_showcase(told, telling.item_keys, brand=brand, public_url="https://demo.example.com")
    assert third[0].url != first[0].url


async def test_a_real_programmes_database_is_left_alone(
    connection: AsyncConnection, programme: Programme, telling: Telling
) -> None:
    with pytest.raises(ForeignDatabaseError) as refused:
        await fill(
            connection,
            telling.keyring,
            telling.item_keys,
            members=MEMBERS,
            seed=1,
            today=telling.today,
            progress=lambda _story, _days: None,
        )
    assert programme.code in refused.value.detail
    assert await connection.scalar(text("SELECT count(*) FROM programme WHERE code = :code"), {"code": CODE}) == 0
