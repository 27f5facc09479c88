"""A prize draw in the console and on the card: published, entered, drawn, proved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from loyalty.campaigns.draws import draw as lifecycle
from loyalty.campaigns.draws import settling
from loyalty.campaigns.draws.draw import list_draws
from loyalty.campaigns.draws.drawing import findings
from loyalty.campaigns.draws.entering import buy_entry
from loyalty.campaigns.draws.tables import entry_table
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.members.identity import find
from loyalty.web import draw_proofs
from loyalty.web.console import draws as page
from loyalty.web.member import card
from tests.web.house import House
from tests.web.member.conftest import Browser

PAGE = "/console/draws"
CLOSES = utc_now().date() + timedelta(days=3)
LAST_DAY = f"{CLOSES.day} {CLOSES:%b} {CLOSES.year}"
FORM = {
    "name_zh": "新年抽奖",
    "name_en": "New Year draw",
    "places": "2",
    "price": "10",
    "per_member": "1",
    "closes": CLOSES.isoformat(),
    "prize1_count": "2",
    "prize1_zh": "五百积分",
    "prize1_en": "Five hundred points",
    "prize1_points": "500",
    "beacon_zh": "上证指数",
    "beacon_en": "The Shanghai index",
}


async def test_what_is_typed_wrong_is_said_at_its_field(manager: Browser) -> None:
    await manager.get(PAGE)
    for changed, message in (
        ({"name_zh": ""}, "A name in Chinese is needed."),
        ({"prize1_count": "3"}, "Each prize needs a number"),
        ({"prize1_points": ""}, "Each prize needs a number"),
        ({"closes": ""}, "A last day is needed"),
        ({"beacon_zh": ""}, "Say which number it is, in both languages."),
        ({"places": "none"}, "From 1 to 1,000,000."),
    ):
        await manager.send(PAGE, **{**FORM, **changed})
        assert message in manager.words


async def test_a_draw_that_was_withdrawn_says_who_did_it(house: House, manager: Browser) -> None:
    await manager.get(PAGE)
    await manager.send(PAGE, **FORM)
    async with transaction(house.engine) as connection:
        unwanted = (await list_draws(connection, programme_id=house.programme.id))[0]
    await manager.send(f"{PAGE}/{unwanted.public_id}", action="withdraw", beacon="")
    assert f"withdrawn by {unwanted.published_by}" in manager.words


async def test_a_draw_from_its_odds_to_its_proof(
    house: House, manager: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await manager.get(PAGE)
    await manager.send(PAGE, **FORM)
    assert "Published. Its commitment stands below" in manager.words
    assert "Five hundred points: 2 in 2" in manager.words
    async with transaction(house.engine) as connection:
        draw = (await list_draws(connection, programme_id=house.programme.id))[0]
    assert draw.commitment.hex() in manager.text

    entering_page = f"/me/draws/{draw.public_id}"
    async with house.at_work(None) as shopper:
        await shopper.join("19900088001")
        await shopper.get("/me")
        assert "Five hundred points: 2 in 2" in shopper.words
        assert f"until {LAST_DAY}" in shopper.words
        await shopper.send(entering_page, key="a")
        assert "You have too few points for an entry." in shopper.words
        async with transaction(house.engine) as connection:
            (member,) = await find(
                connection, house.services.keyring, programme_id=house.programme.id, text="19900088001"
            )
        await house.earn(member, 25)
        for key in ("b", "b"):  # sent twice, entered once
            await shopper.send(entering_page, key=key)
        assert "1 of 2 places taken" in shopper.words
        await shopper.send(entering_page, key="c")
        assert "You have as many entries as one may." in shopper.words

        await manager.get(f"{PAGE}/{draw.public_id}?lang=zh")
        await manager.send(f"{PAGE}/{draw.public_id}", action="draw", beacon="1")
        assert "抽奖截止后才能开奖" in manager.words
        await manager.get(f"{PAGE}/{draw.public_id}?lang=en")

        after = utc_now() + timedelta(days=5)
        for module in (lifecycle, settling, page, card):
            monkeypatch.setattr(module, "utc_now", lambda: after)
        await manager.get(f"{PAGE}/{draw.public_id}")
        assert "Closed, not drawn yet" in manager.words
        await manager.send(f"{PAGE}/{draw.public_id}", action="withdraw")
        assert "Somebody has entered meanwhile" in manager.words
        await manager.send(f"{PAGE}/{draw.public_id}", action="draw", beacon="")
        assert "Type in the number that was announced." in manager.words
        await manager.send(f"{PAGE}/{draw.public_id}", action="draw", beacon="3,312.55")
        assert "1 winner" in manager.words
        assert "1 prize is still to be given." in manager.words
        mine = {"programme_id": house.programme.id, "draw_id": draw.id}
        assert await settling.give_prizes(house.engine, **mine) == 1
        await shopper.get("/me")
        assert "You won: Five hundred points" in shopper.words
        assert "Your ticket:" in shopper.words
        proof = (await shopper.get(f"/draws/{draw.public_id}/proof.json")).json()
    assert findings(proof) == []
    assert (proof["commitment"], proof["beacon"]) == (draw.commitment.hex(), "3,312.55")
    await manager.get(f"{PAGE}?lang=zh")
    assert "五百积分：中奖机会 2 分之 2" in manager.words


async def test_a_proof_is_made_once_and_kept_by_everybody(
    house: House, manager: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draw of 210 places that all win: of its winners the page lists 200; one waits, and says why in Chinese."""
    await manager.get(PAGE)
    definition = {"places": "210", "price": "0", "per_member": "210", "prize1_count": "210"}
    await manager.send(PAGE, **{**FORM, **definition, "beacon_zh": "", "beacon_en": ""})
    async with transaction(house.engine) as connection:
        draw = (await list_draws(connection, programme_id=house.programme.id))[0]
    address = f"/draws/{draw.public_id}/proof.json"
    winner = await house.member()
    async with house.at_work(None) as visitor:
        early = await visitor.get(address)
        assert (early.status_code, early.headers["cache-control"]) == (409, "no-store")
        mine: dict[str, Any] = {"programme_id": house.programme.id, "draw_id": draw.id}
        async with transaction(house.engine) as connection:
            for number in range(210):
                await buy_entry(connection, **mine, member_id=winner.id, key=str(number))
        after = utc_now() + timedelta(days=5)
        for module in (lifecycle, settling, page):
            monkeypatch.setattr(module, "utc_now", lambda: after)
        async with transaction(house.engine) as connection:
            await settling.draw_winners(connection, house.services.keyring, **mine, drawn_by="li.na")
            waiting = update(entry_table).where(entry_table.c.draw_id == draw.id, entry_table.c.number == 1)
            await connection.execute(waiting.values(problem="stock"))
        await manager.get(f"{PAGE}/{draw.public_id}")
        assert "210 winners" in manager.words
        assert "10 more winners are in the proof and not shown here." in manager.words
        await manager.get(f"{PAGE}/{draw.public_id}?lang=zh")
        assert "库存不足" in manager.words

        visitor.client.cookies.clear()
        first = await visitor.get(address)
        assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert first.headers["content-encoding"] == "gzip"
        assert "set-cookie" not in first.headers
        assert findings(first.json()) == []
        monkeypatch.setattr(draw_proofs, "prove", None)  # it is not made again
        plain = await visitor.get(address, **{"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == first.content
        known = await visitor.get(address, **{"If-None-Match": f'"other", {first.headers["etag"]}'})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", first.headers["etag"])
