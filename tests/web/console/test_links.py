"""Where codes lead, in the hands of a brand manager: found, set, tried, changed, removed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from loyalty.items.gtin import check_digit
from loyalty.items.links.link import Link, Wanted, add_link, list_links, remove_link
from loyalty.items.products import LocalText, save_product
from loyalty.kit.db import transaction
from loyalty.web.security.staff_actions import list_actions
from tests.web.console.conftest import GTIN
from tests.web.house import House
from tests.web.member.conftest import Browser

PAGE = f"/console/links/{GTIN}"
FORM = {
    "link_type": "certificationInfo",
    "title": "Lab report",
    "target": "https://a.example/{lot}.pdf",
    "level": "lot",
}


@pytest.fixture(autouse=True)
async def no_links(house: House) -> AsyncIterator[None]:
    """The product as it was, afterwards."""
    yield
    for link in await links(house):
        async with transaction(house.engine) as connection:
            await remove_link(connection, programme_id=house.programme.id, link_id=link.id)


async def links(house: House) -> list[Link]:
    async with transaction(house.engine) as connection:
        return await list_links(connection, programme_id=house.programme.id, key="01", value=GTIN)


async def test_a_manager_adds_changes_and_removes_a_link(house: House, manager: Browser) -> None:
    await manager.get(PAGE)
    assert "No links yet. Codes of this product lead to our own pages." in manager.words

    await manager.send(
        PAGE, **FORM, languages="zh, en-GB", contexts="CN", valid_from="2026-11-01", valid_until="2099-11-30"
    )
    (link,) = await links(house)
    assert "The link was added." in manager.words
    assert "Certificates · Every lot · zh, en-GB · CN · application/pdf · from 1 Nov 2026 · until 30 Nov 2099" in (
        manager.words
    )
    zone = house.programme.zone
    assert (link.valid_from, link.valid_until) == (
        datetime(2026, 11, 1, tzinfo=zone),
        datetime(2099, 12, 1, tzinfo=zone),
    )

    await manager.get(f"{PAGE}?edit={link.public_id}")
    for field, value in (("title", "Lab report"), ("valid_until", "2099-11-30"), ("languages", "zh, en-GB")):
        assert re.search(f'name="{field}"[^>]* value="{value}"', manager.text)
    await manager.send(
        f"{PAGE}/{link.public_id}", **FORM | {"title": "Certificate", "level_value": "L7"}, default="yes"
    )
    (changed,) = await links(house)
    assert (changed.id, changed.title, changed.qualifiers, changed.is_default) == (
        link.id,
        "Certificate",
        {"10": "L7"},
        True,
    )
    assert "The link was saved." in manager.words
    assert "Lot L7" in manager.words

    await manager.send(f"{PAGE}/{link.public_id}", remove="yes")
    assert await links(house) == []
    assert "The link was removed." in manager.words
    async with transaction(house.engine) as connection:
        done = await list_actions(connection, programme_id=house.programme.id, subject_id=link.id)
    assert [(each.name, each.action) for each in done] == [("Chen Min", "change-link")] * 3


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"target": "http://a.example/"}, "target", "The address has to begin with https://."),
        ({"target": "shop.example"}, "target", "The address has to begin with https://."),
        ({"target": ""}, "target", "The address has to begin with https://."),
        ({"target": "https://a.example/{sku}"}, "target", "Only {gtin}, {variant}, {lot} and {serial}"),
        ({"target": "https://a b.example/"}, "target", "This is not a web address"),
        ({"target": f"http://localhost:8000/01/{GTIN}"}, "target", "The address has to begin with https://."),
        ({"title": " "}, "title", "Write a title"),
        ({"level_value": "茶"}, "level_value", "This is not a lot, variant or serial number"),
        ({"languages": "chinese"}, "languages", "Write languages such as zh or en-GB"),
        ({"contexts": "China"}, "contexts", "Write countries such as CN"),
        ({"media_type": "pdf"}, "media_type", "Write a media type"),
        ({"valid_from": "soon"}, "valid_from", "Choose a day."),
        ({"valid_from": "2027-02-02", "valid_until": "2027-02-01"}, "valid_until", "Choose a day that is not before"),
        ({"level": "item", "default": "yes"}, "default", "An item’s own page comes first"),
    ],
)
async def test_what_cannot_be_a_link_is_told_at_its_field_and_the_form_kept(
    house: House, manager: Browser, wrong: dict[str, str], field: str, said: str
) -> None:
    await manager.get(PAGE)
    answer = await manager.send(PAGE, **FORM | wrong)
    assert answer.status_code == 422
    assert manager.error_at(field).startswith(said)
    assert await links(house) == []
    assert 'value="certificationInfo" selected' in manager.text


@pytest.mark.parametrize(
    ("asked", "leads"),
    [
        ({}, f"/product/{GTIN}"),
        ({"try_serial": "ABC-1"}, f"/item/{GTIN}/ABC-1"),
        ({"try_lot": "L7", "try_type": "certificationInfo"}, "https://a.example/L7.pdf"),
        ({"try_type": "certificationInfo"}, "Leads nowhere: no link of this kind."),
        ({"try_lot": "L7", "try_type": "faqs", "try_language": "en"}, "https://a.example/en"),
        ({"try_lot": "L7", "try_type": "faqs"}, "https://a.example/zh"),
        ({"try_lot": "茶"}, "This is not a lot, variant or serial number that a code can hold."),
    ],
)
async def test_a_code_can_be_tried_before_anybody_scans_it(
    house: House, manager: Browser, asked: dict[str, str], leads: str
) -> None:
    wanted = [
        Wanted(value=GTIN, qualifiers={"10": None}, link_type="certificationInfo", target=FORM["target"], title="x"),
        Wanted(value=GTIN, link_type="faqs", target="https://a.example/zh", title="问", languages=["zh"]),
        Wanted(value=GTIN, link_type="faqs", target="https://a.example/en", title="Ask", languages=["en"]),
    ]
    async with transaction(house.engine) as connection:
        for each in wanted:
            await add_link(connection, programme_id=house.programme.id, wanted=each)
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    await manager.get(f"{PAGE}?try=1&{query}")
    trial = manager.words.partition("Address on the code")[2] or manager.words
    assert leads in trial


async def test_products_are_found_by_name_or_number(house: House, manager: Browser) -> None:
    digits = "690123456799"
    other = f"0{digits}{check_digit(f'0{digits}')}"
    async with transaction(house.engine) as connection:
        await save_product(
            connection, programme_id=house.programme.id, gtin=other, names=LocalText(zh="铁观音", en="Oolong")
        )
    await manager.get("/console/links")
    assert "Longjing tea" in manager.words
    assert "our own pages only" in manager.words
    for find in ("oolong", "铁观音", other[3:]):
        await manager.get(f"/console/links?find={find}")
        assert f'href="/console/links/{other}"' in manager.text
        assert f'href="{PAGE}"' not in manager.text
    await manager.get("/console/links?find=coffee")
    assert "No product fits." in manager.words


async def test_the_page_speaks_chinese(house: House) -> None:
    async with house.at_work("chen.min", language="zh") as browser:
        await browser.get(PAGE)
        await browser.send(PAGE, **FORM | {"level_value": "L7"}, default="yes")
        assert "链接已添加" in browser.words
        assert "批次 L7" in browser.words
        await browser.send(PAGE, **FORM | {"target": "ftp://a.example"})
        assert "https://" in browser.error_at("target")


async def test_a_clerk_does_not_decide_where_codes_lead(house: House) -> None:
    async with house.at_work("li.na") as clerk:
        assert (await clerk.get(PAGE)).status_code == 403
        assert (await clerk.send(PAGE, **FORM)).status_code == 403
    assert await links(house) == []


async def test_links_of_another_product_or_of_nobody_are_not_found(manager: Browser) -> None:
    assert (await manager.get("/console/links/04006381333931")).status_code == 404
    for identifier in ("lnk_00000000000000000000000000", "nonsense"):
        assert (await manager.get(f"{PAGE}?edit={identifier}")).status_code == 404
        await manager.get(PAGE)
        assert (await manager.send(f"{PAGE}/{identifier}", remove="yes")).status_code == 404
