"""The ledger page: any day's books, what waits for points to be used, and the journal to take away."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest

from loyalty.kit.clock import local_date, utc_now
from tests.web.console.conftest import Life
from tests.web.house import House
from tests.web.member.conftest import Browser


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_page_shows_expiry_deferred_revenue_and_what_it_rests_on(
    house: House, life: Life, language: str
) -> None:
    assert life.member
    async with house.at_work("chen.min", language=language) as browser:
        text = (await browser.get("/console/ledger")).text
    expected = {
        "zh": ("应兑付积分，按到期月份", "递延收入", "不会被使用的积分", "导出凭证"),
        "en": ("Owed to members by month of expiry", "Deferred revenue", "Points that will not be used", "Take the"),
    }
    assert all(words in text for words in expected[language])
    assert "books." not in re.sub(r"<[^>]*>", "", text)  # every word has a text


async def test_a_past_day_says_so_and_leaves_out_what_came_later(house: House, manager: Browser) -> None:
    member = await house.member(name="Zhou Lan")
    await house.earn(member, 70, source="order:online/B-1")
    yesterday = local_date(utc_now(), house.programme.time_zone) - timedelta(days=1)
    await manager.get(f"/console/ledger?day={yesterday}&known=then")
    assert "Only what had been recorded by then counts." in manager.words
    assert "The books balance." in manager.words
    assert re.search(r"Spendable by members 70\b", manager.words) is None


@pytest.mark.parametrize("address", ["/console/ledger?day=2026-02-30", "/console/ledger/journal.csv?currency=JPY"])
async def test_what_makes_no_sense_is_refused(house: House, life: Life, address: str) -> None:
    assert life.member
    async with house.at_work("chen.min", language="en") as browser:
        assert (await browser.get(address)).status_code == 400


@pytest.mark.parametrize("by", ["day", "entry"])
async def test_the_journal_is_balanced_and_not_kept(house: House, life: Life, by: str) -> None:
    assert life.member
    async with house.at_work("chen.min", language="en") as browser:
        answer = await browser.get(f"/console/ledger/journal.csv?by={by}&currency=CNY")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "attachment" in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) >= 2
    assert sum(int(line["debit"] or 0) - int(line["credit"] or 0) for line in lines) == 0
    assert {line["currency"] for line in lines} == {"CNY"}


async def test_a_clerk_takes_no_journal(house: House) -> None:
    async with house.at_work("li.na") as browser:
        await browser.get("/till")
        assert (await browser.get("/console/ledger/journal.csv")).status_code == 403
