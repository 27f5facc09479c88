"""The command that proves a draw, and the one that anybody checks a proof with."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.draws import draw as lifecycle
from loyalty.campaigns.draws import settling
from loyalty.campaigns.draws.draw import publish_draw
from loyalty.campaigns.draws.entering import buy_entry
from loyalty.campaigns.draws.settling import draw_winners
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import create_engine
from tests.db.channels.orders.conftest import open_shop
from tests.db.commands.conftest import Tallystar

NAME = {"zh": "抽奖", "en": "Draw"}


async def _draw(connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch) -> str:
    """A draw of three places that one member entered, drawn a day later; answers its commitment."""
    keyring = Keyring.generate()
    shop = await open_shop(connection, keyring)
    definition = {
        "name": NAME,
        "prizes": [{"code": "one", "name": NAME, "count": 2, "points": 5}],
        "places": 3,
        "price_points": 0,
    }
    mine: dict[str, Any] = {"programme_id": shop.programme.id}
    closes_at = utc_now() + timedelta(hours=1)
    draw = await publish_draw(
        connection, keyring, **mine, code="d", definition=definition, closes_at=closes_at, published_by="ann"
    )
    await buy_entry(connection, **mine, member_id=shop.member_id, draw_id=draw.id, key="1")
    for module in (lifecycle, settling):
        monkeypatch.setattr(module, "utc_now", lambda: closes_at)
    await draw_winners(connection, keyring, **mine, draw_id=draw.id, drawn_by="ann")
    return draw.commitment.hex()


def test_a_proof_is_written_checked_offline_and_refused_where_it_was_changed(
    empty: Tallystar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make() -> str:
        engine = create_engine(empty.url)
        async with engine.begin() as connection:
            committed = await _draw(connection, monkeypatch)
        await engine.dispose()
        return committed

    committed = asyncio.run(make())
    (listed,) = empty.json("draws", "list")["draws"]
    assert (listed["state"], listed["entries"], listed["commitment"]) == ("drawn", 1, committed)
    empty("draws", "prove", "d", "--output", "proof.json")
    monkeypatch.delenv("DATABASE_URL")  # nothing but the file
    assert empty.json("draws", "verify", "proof.json", "--commitment", committed) == {"passed": True, "findings": []}
    proof = json.loads((empty.folder / "proof.json").read_text())
    assert "member" not in json.dumps(proof)
    assert empty.json("draws", "verify", "proof.json", "--commitment", "00", code=1)["findings"]
    proof["seed"] = "00" * 32  # of another list of tickets the same places could win, by chance
    (empty.folder / "changed.json").write_text(json.dumps(proof))
    assert empty.json("draws", "verify", "changed.json", code=1)["passed"] is False
    (empty.folder / "other.json").write_text("[]")
    empty("draws", "verify", "other.json", code=1)
