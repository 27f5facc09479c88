"""Giving a tier by hand, and what a tier policy's form says of what was typed wrong."""

from __future__ import annotations

import re
from datetime import timedelta

from loyalty.kit.clock import utc_now
from loyalty.web.console.tier_form import FIELDS
from tests.web.console.conftest import Life
from tests.web.house import House
from tests.web.member.conftest import Browser

SOON = (utc_now() + timedelta(days=40)).date().isoformat()


async def test_a_tier_is_given_until_a_day_and_taken_back(house: House, manager: Browser) -> None:
    member = await house.member()
    page = f"/console/members/{member.public_id}"
    await manager.get(page)
    assert "Give a tier by hand" in manager.words

    await manager.get(f"{page}/tier")
    top = re.findall(r'<option value="([a-z]+)"', manager.text)[-1]
    for form, said in (
        ({"tier": top, "until": "2020-01-01", "reason": "opened the store"}, "Choose a last day that lies ahead."),
        ({"tier": top, "until": "soon", "reason": "opened the store"}, "Choose a last day that lies ahead."),
        ({"tier": top, "until": SOON, "reason": ""}, "Say why"),
        ({"tier": "none", "until": SOON, "reason": "x"}, "Choose a tier above"),
    ):
        await manager.send(f"{page}/tier", **form)
        assert said in manager.words
        assert "Given by hand so far" not in manager.words

    await manager.send(f"{page}/tier", tier=top, until=SOON, reason="opened the store with us")
    assert "The tier was given." in manager.words
    assert "opened the store with us" in manager.words

    await manager.send(f"{page}/tier/withdraw")
    assert "The tier was taken back." in manager.words
    assert "taken back by" in manager.words
    await manager.get(page)
    assert "opened the store" not in manager.words


async def test_what_is_wrong_with_a_draft_is_said_by_the_names_of_the_form(
    house: House, manager: Browser, life: Life
) -> None:
    assert life.member
    await manager.get("/console/tiers")
    made = await manager.send("/console/tiers/drafts", of=re.findall(r'name="of" value="(\d+)"', manager.text)[0])
    edit = made.url.path
    shown = dict(re.findall(r'name="(\w+)" value="([^"]*)"', manager.text))
    fields = {name: value for name, value in shown.items() if name in FIELDS}
    fields |= {"keep": "months", "keep_months": "12", "upgrade": "at_once", "downgrade": "one_step"}
    fields |= {"requalification": "keeps_window", "refunds": "keep_until_review", "at_start": "raise_only"}

    await manager.send(edit, **fields | {"grace_days": "999"})
    assert "Days of grace: a whole number of days, 0 to 366." in manager.words
    async with house.at_work("chen.min", language="zh") as browser:
        await browser.get(edit)
        wrong = {"t1_c0_metric": "spend", "t1_c0_window": "lifetime", "t1_c0_least": "abc"}
        await browser.send(edit, **fields | wrong)
        assert "条件 1（至少）——请填写大于 0 的数" in browser.words
