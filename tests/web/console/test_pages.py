"""What the console shows, in both languages, of a brand where everything happened once."""

from __future__ import annotations

import re

import pytest

from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.members.identifiers import phone_identity
from loyalty.members.joining import register
from loyalty.web.member.join import CHANNEL_CODE
from tests.web.console.conftest import Life
from tests.web.house import House
from tests.web.member.conftest import Browser

PAGES = ["", "/members", "/ledger", "/codes", "/rules", "/tiers", "/catalogue"]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_there_in_both_languages(house: House, life: Life, path: str, language: str) -> None:
    async with house.at_work("chen.min", language=language) as browser:
        answer = await browser.get(f"/console{path}")
    assert answer.status_code == 200
    assert life.member.public_id  # the brand is not empty
    assert answer.headers["cache-control"] == "no-store"
    assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in answer.text


@pytest.mark.parametrize("path", [*PAGES, "/codes/mint"])
async def test_a_clerk_has_no_console(house: House, path: str) -> None:
    async with house.at_work("li.na") as browser:
        await browser.get("/till")
        answer = (
            await browser.get(f"/console{path}") if path != "/codes/mint" else await browser.send(f"/console{path}")
        )
    assert answer.status_code == 403


async def test_the_overview_counts_members_points_and_money(manager: Browser, life: Life) -> None:
    await manager.get("/console")

    assert life.member
    assert re.search(r"Active members \d+", manager.words)
    assert re.search(r"Points owed to members [\d,]+ ¥[\d,.]+ at the redemption rate", manager.words)
    assert 'class="chart"' in manager.text
    assert "Huaihai Road 1 ¥598.00 1,794 −¥299.00" in manager.words
    assert "Huaihai Road 1 300 ¥3.00" in manager.words


async def test_recent_activity_is_told_in_words(house: House, manager: Browser) -> None:
    member = await house.member(name="Wen Tang")
    await house.earn(member, 70, source="order:online/W-9")

    await manager.get("/console")

    assert "Wen Tang Earned Order Online shop, no. W-9 +70" in manager.words


async def test_the_books_of_every_unit_sum_to_zero(manager: Browser, life: Life) -> None:
    await manager.get("/console/ledger")

    assert life.member
    assert "Sum 0" in manager.words
    assert "The books balance." in manager.words
    assert "These never expire." in manager.words


async def test_earn_rules_read_as_sentences(house: House, manager: Browser) -> None:
    await manager.get("/console/rules")
    assert "Points: 2 for each ¥1.00 paid" in manager.words
    assert "Only where the channel is Huaihai Road" in manager.words
    assert "From ¥500.00" in manager.words
    assert "At most 2,000 an order" in manager.words
    assert "10% more for Peak" in manager.words
    assert "Rounded down, once for the order" in manager.words

    async with house.at_work("chen.min", language="zh") as browser:
        await browser.get("/console/rules")
        assert "积分：每消费 ¥1.00 得 2" in browser.words
        assert "仅当渠道为Huaihai Road" in browser.words


async def test_the_ladder_reads_as_sentences_with_its_members(manager: Browser, life: Life) -> None:
    await manager.get("/console/tiers")

    assert life.member
    assert "A tier is kept for 12 months, then reviewed." in manager.words
    assert "Before a tier is lost there are 30 days of grace." in manager.words
    assert re.search(r"Peak earn 1,000 points in the last 12 months \d+", manager.words)


async def test_the_catalogue_says_what_points_are_worth(manager: Browser) -> None:
    await manager.get("/console/catalogue")

    assert "100 points take ¥1.00 off, from 100 points on, up to 50% of a basket." in manager.words


async def test_members_are_listed_in_pages_that_neither_repeat_nor_leave_out(
    house: House, manager: Browser, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loyalty.web.console.members.PAGE", 3)
    for _ in range(5):
        await house.member()
    seen: list[str] = []
    address: str | None = "/console/members"

    while address:
        await manager.get(address)
        seen += re.findall(r'href="/console/members/(mem_\w+)"', manager.text)
        older = re.search(r'href="([^"]+)" rel="next"', manager.text)
        address = older[1].replace("&amp;", "&") if older else None

    assert len(seen) == len(set(seen)) >= 6
    assert life.member.public_id in seen


@pytest.mark.parametrize("spelling", ["phone", "card", "id"])
async def test_a_member_is_found_by_what_is_known_of_them(manager: Browser, life: Life, spelling: str) -> None:
    text = {"phone": life.phone.removeprefix("+86"), "card": "66880001", "id": life.member.public_id}[spelling]
    await manager.get("/console/members")

    answer = await manager.send("/console/members/find", text=text)

    assert answer.url.path == f"/console/members/{life.member.public_id}"
    assert manager.heading == "Lin Yue"


async def test_nobody_found_says_what_to_try(manager: Browser) -> None:
    await manager.get("/console/members")

    answer = await manager.send("/console/members/find", text="19900000000")

    assert answer.url.path == "/console/members/find"
    assert "Nobody is known by this." in manager.words


async def test_whoever_joined_on_our_own_pages_is_counted_and_listed_there(house: House, manager: Browser) -> None:
    await manager.get("/console")
    before = _joined_on_item_pages(manager)
    async with transaction(house.engine) as connection:
        made = await register(
            connection,
            house.services.keyring,
            programme_id=house.programme.id,
            channel_code=CHANNEL_CODE,
            identities=[phone_identity("+8619900059999")],
            joined_at=utc_now(),
        )

    await manager.get("/console")
    assert _joined_on_item_pages(manager) == before + 1
    await manager.get(f"/console/members?channel={CHANNEL_CODE}")
    assert made.member.public_id in re.findall(r'href="/console/members/(mem_\w+)"', manager.text)


def _joined_on_item_pages(manager: Browser) -> int:
    """How many the overview says: other tests' people join there too."""
    found = re.search(r"Item pages (\d+) ", manager.words)
    return int(found[1]) if found else 0
