"""Benefits in the console: a coupon from its sentence to a member's wallet, with its history."""

from __future__ import annotations

import re

from loyalty.kit.db import transaction
from redemption.benefits.wallet import wallet
from tests.web.house import House
from tests.web.member.conftest import Browser


def _key(browser: Browser) -> str:
    found = re.search(r'name="key" value="([^"]+)"', browser.text)
    assert found is not None
    return found[1]


async def test_a_coupon_is_written_published_stocked_and_given(house: House, manager: Browser) -> None:
    member = await house.member(name="Gao Ying")
    await manager.get("/console/benefits")
    sentence = {
        "name_zh": "满百减二十",
        "name_en": "20 off 100",
        "code": "twenty",
        "effect": "fixed",
        "amount": "20",
        "minimum": "100",
        "where": "stores",
        "days": "30",
    }
    await manager.send("/console/benefits", **(sentence | {"amount": "much"}))
    assert "look at “amount” again" in manager.words
    await manager.send("/console/benefits", **sentence)
    for words in ("¥20.00 off", "From a basket of ¥100.00", "In stores only", "Saved the draft", "Draft"):
        assert words in manager.words

    step = "/console/benefits/twenty/do"
    await manager.send(step, key=_key(manager), step="publish")
    await manager.send(step, key=_key(manager), step="stock", total="1")
    await manager.send(step, key=_key(manager), step="issue", whom="member", member=member.public_id)
    async with transaction(house.engine) as connection:
        (held,) = await wallet(connection, member_id=member.id)
    assert held.template_code == "twenty"
    await manager.send(step, key=_key(manager), step="issue", whom="member", member=member.public_id)
    assert "This cannot be" in manager.words
    await manager.send(step, key=_key(manager), step="issue", whom="everybody", name="May")
    assert "May finding members" in manager.words
    await manager.send(step, key=_key(manager), step="retire")
    assert "Retired" in manager.words
    await manager.get("/console/benefits?lang=zh")
    assert "满百减二十" in manager.words
