"""Prize draws from publishing to the last prize: odds, limits and stock hold, whoever comes at once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.errors import InsufficientBalanceError
from loyalty.campaigns.draws import draw as lifecycle
from loyalty.campaigns.draws import entering, settling
from loyalty.campaigns.draws.draw import Draw, get_draw, list_draws, publish_draw, withdraw_draw
from loyalty.campaigns.draws.drawing import findings
from loyalty.campaigns.draws.entering import (
    DrawNotOpenError,
    Entry,
    EntryLimitError,
    EntryNotForSaleError,
    buy_entry,
    entries_of,
)
from loyalty.campaigns.draws.resealing import reseal_seeds
from loyalty.campaigns.draws.settling import (
    DrawNotClosedError,
    draw_what_is_due,
    draw_winners,
    give_prizes,
    prove,
    winners_of,
)
from loyalty.campaigns.draws.tables import draw_table
from loyalty.campaigns.missions import mission
from loyalty.campaigns.missions.mission import BuyTimes, MissionTerms, publish_mission
from loyalty.campaigns.missions.progress import collect
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError, InvalidInputError
from redemption.benefits.stock import set_stock
from redemption.benefits.wallet import wallet
from tests.db.campaigns.gifts import publish_gift
from tests.db.channels.orders.conftest import Shop, line, open_shop
from tests.waiting import until_somebody_waits

NAME = {"zh": "抽奖", "en": "Draw"}
POINTS = {"code": "points", "name": NAME, "count": 3, "points": 500}
GIFT = {"code": "gift", "name": NAME, "count": 2, "benefit": "gift"}
LATER = timedelta(days=1)


class Fair:
    """A shop with a draw, whose clock the test moves."""

    def __init__(self, shop: Shop, keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shop, self.keyring, self.monkeypatch = shop, keyring, monkeypatch

    async def publish(self, *, closes_at: datetime | None = None, **fields: Any) -> Draw:
        definition = {"name": NAME, "prizes": [POINTS], "places": 10, "price_points": 0, **fields}
        return await publish_draw(
            self.shop.connection,
            self.keyring,
            programme_id=self.shop.programme.id,
            code=f"draw-{len(await list_draws(self.shop.connection, programme_id=self.shop.programme.id))}",
            definition=definition,
            closes_at=closes_at or utc_now() + LATER,
            published_by="ann",
        )

    async def enter(
        self,
        draw: Draw,
        member_id: UUID | None = None,
        *,
        key: str = "1",
        connection: AsyncConnection | None = None,
    ) -> Entry:
        return await buy_entry(
            connection or self.shop.connection,
            programme_id=self.shop.programme.id,
            member_id=member_id or self.shop.member_id,
            draw_id=draw.id,
            key=key,
        )

    def move_clock(self, moment: datetime) -> None:
        for module in (lifecycle, entering, settling):
            self.monkeypatch.setattr(module, "utc_now", lambda: moment)

    async def draw(self, draw: Draw, **fields: Any) -> Draw:
        return await draw_winners(
            self.shop.connection,
            self.keyring,
            programme_id=self.shop.programme.id,
            draw_id=draw.id,
            drawn_by="ann",
            **fields,
        )


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
async def fair(connection: AsyncConnection, keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> Fair:
    return Fair(await open_shop(connection, keyring), keyring, monkeypatch)


async def test_an_entry_is_bought_once_for_its_key_up_to_a_members_limit(fair: Fair) -> None:
    draw = await fair.publish(price_points=30, per_member=2)
    with pytest.raises(InsufficientBalanceError):
        async with fair.shop.connection.begin_nested():
            await fair.enter(draw)
    await fair.shop.give(100)
    first = await fair.enter(draw)
    assert (first, first.number, first.points) == (await fair.enter(draw), 1, 30)
    assert (await fair.enter(draw, key="2")).number == 2
    with pytest.raises(EntryLimitError):
        async with fair.shop.connection.begin_nested():
            await fair.enter(draw, key="3")
    assert await fair.shop.balance() == (40, 0)
    assert (await get_draw(fair.shop.connection, programme_id=draw.programme_id, draw_id=draw.id)).entries == 2
    with pytest.raises(EntryNotForSaleError):
        await fair.enter(await fair.publish(price_points=None))


async def test_a_mission_gives_an_entry_and_places_are_no_more_than_were_said(fair: Fair) -> None:
    draw = await fair.publish(price_points=None, places=3)
    published = await publish_mission(
        fair.shop.connection,
        programme_id=fair.shop.programme.id,
        code="m",
        terms=MissionTerms(name=NAME, task=BuyTimes(times=1), draw=draw.code),
        published_by="ann",
    )
    members = [fair.shop.member_id, *[await fair.shop.join(str(number)) for number in range(2, 5)]]
    numbers = []
    for place, member_id in enumerate(members):
        await fair.shop.order(str(place), line(1, 100), member_id=member_id, placed_at=utc_now())
        asked: dict[str, Any] = {"programme": fair.shop.programme, "mission_id": published.id, "at": utc_now()}
        if place == 3:
            with pytest.raises(DrawNotOpenError) as refused:
                await collect(fair.shop.connection, member_id=member_id, **asked)
            assert refused.value.members["state"] == "full"
            break
        for _ in range(2):
            await collect(fair.shop.connection, member_id=member_id, **asked)
        (entry,) = await entries_of(fair.shop.connection, member_ids=[member_id], draw_ids=[draw.id])
        numbers.append((entry.number, entry.source))
    assert numbers == [(1, "mission:m"), (2, "mission:m"), (3, "mission:m")]


async def test_a_mission_gives_entries_only_of_a_draw_that_somebody_can_still_enter(fair: Fair) -> None:
    draw, withdrawn = await fair.publish(), await fair.publish()
    mine: dict[str, Any] = {"programme_id": fair.shop.programme.id}
    await withdraw_draw(fair.shop.connection, **mine, draw_id=withdrawn.id, withdrawn_by="ann")
    now = utc_now()

    async def begin(code: str, moment: datetime) -> None:
        fair.monkeypatch.setattr(mission, "utc_now", lambda: moment)
        terms = MissionTerms(name=NAME, task=BuyTimes(times=1), draw=code)
        await publish_mission(fair.shop.connection, **mine, code=f"m-{moment.day}", terms=terms, published_by="ann")

    for moment in (now - LATER, now):  # before it opens, and while it is open
        await begin(draw.code, moment)
    for code, moment, state in ((draw.code, now + 2 * LATER, "closed"), (withdrawn.code, now, "withdrawn")):
        with pytest.raises(ConflictError) as refused:
            await begin(code, moment)
        assert (refused.value.field, refused.value.members) == ("draw", {"state": state})


async def test_what_was_published_is_kept_and_only_a_draw_that_nobody_entered_is_withdrawn(fair: Fair) -> None:
    draw = await fair.publish()
    mine: dict[str, Any] = {"programme_id": fair.shop.programme.id, "draw_id": draw.id}
    changes: list[dict[str, Any]] = [
        {"commitment": bytes(32)},
        {"closes_at": utc_now() + 2 * LATER},
        {"definition": {}},
    ]
    for change in changes:
        with pytest.raises(IntegrityError):
            async with fair.shop.connection.begin_nested():
                await fair.shop.connection.execute(update(draw_table).where(draw_table.c.id == draw.id).values(change))
    await fair.enter(draw)
    with pytest.raises(IntegrityError):
        async with fair.shop.connection.begin_nested():
            await fair.shop.connection.execute(text("UPDATE prize_draw_entry SET number = number + 1"))
    with pytest.raises(ConflictError):
        await withdraw_draw(fair.shop.connection, **mine, withdrawn_by="ann")
    empty = await fair.publish()
    for name in ("bob", "carl"):  # taken back once
        gone = await withdraw_draw(
            fair.shop.connection, programme_id=empty.programme_id, draw_id=empty.id, withdrawn_by=name
        )
        assert (gone.state(utc_now()), gone.withdrawn_by) == ("withdrawn", "bob")
    with pytest.raises(DrawNotOpenError):
        await fair.enter(empty)


async def test_a_draw_is_drawn_once_after_it_closed_and_anybody_can_recompute_it(fair: Fair) -> None:
    announced = {"zh": "次日上证指数收盘", "en": "The index at its next close"}
    draw = await fair.publish(places=8, beacon=announced, prizes=[POINTS, {**POINTS, "code": "more", "count": 2}])
    members = [fair.shop.member_id, *[await fair.shop.join(str(number)) for number in range(2, 7)]]
    for member_id in members:
        await fair.enter(draw, member_id)
    with pytest.raises(DrawNotClosedError):
        await fair.draw(draw, beacon="3,312.55")
    fair.move_clock(utc_now() + 2 * LATER)
    with pytest.raises(DrawNotOpenError):
        await fair.enter(draw, key="late")
    with pytest.raises(InvalidInputError) as refused:
        await fair.draw(draw)
    assert refused.value.field == "beacon"
    drawn = await fair.draw(draw, beacon="3,312.55")
    assert drawn == await fair.draw(draw, beacon="another")
    proof = await prove(fair.shop.connection, drawn)
    assert findings(proof) == []
    assert (proof["commitment"], len(proof["tickets"])) == (draw.commitment.hex(), 6)
    winners = await winners_of(fair.shop.connection, draw_id=draw.id)
    assert [(each.number, each.ticket, each.prize) for each in winners] == [
        (each["number"], each["ticket"], each["prize"]) for each in proof["winners"]
    ]
    assert proof["beacon"] == "3,312.55"
    assert findings(proof | {"commitment": bytes(32).hex()})


async def test_prizes_of_one_benefit_are_promised_from_one_stock(fair: Fair) -> None:
    connection, programme_id = fair.shop.connection, fair.shop.programme.id
    await publish_gift(connection, programme_id, stock=10)
    await publish_gift(connection, programme_id, code="ticket")
    stock: dict[str, Any] = {"programme_id": programme_id, "code": "ticket", "kind": "codes", "total": None}
    await set_stock(connection, **stock, actor="ann")
    codes = text("""
        INSERT INTO benefit_code (template_id, code, programme_id)
        SELECT id, unnest(ARRAY['A-1', 'A-2', 'A-3']), programme_id FROM benefit_template
        WHERE code = 'ticket' AND programme_id = :programme
    """)
    await connection.execute(codes, {"programme": programme_id})

    def prizes(benefit: str, first: int, second: int) -> list[dict[str, Any]]:
        return [
            {**GIFT, "code": f"p{place}", "count": count, "benefit": benefit}
            for place, count in enumerate((first, second))
        ]

    for benefit, left in (("gift", 10), ("ticket", 3)):
        with pytest.raises(ConflictError) as refused:
            await fair.publish(places=100, prizes=[POINTS, *prizes(benefit, left - 1, 2)])
        assert (refused.value.field, refused.value.members["left"]) == ("prizes[2].count", left)
    await fair.publish(places=100, prizes=[*prizes("gift", 9, 1), {**GIFT, "benefit": "ticket", "count": 3}])


async def test_after_a_rotation_a_draw_needs_no_old_key_and_is_what_it_committed_to(fair: Fair, tmp_path: Path) -> None:
    fair.keyring = Keyring.open(tmp_path / "keys.json")
    others = update(draw_table).where(draw_table.c.seed.is_(None), draw_table.c.withdrawn_at.is_(None))
    await fair.shop.connection.execute(others.values(seed=b"", drawn_at=utc_now()))  # of tests with another keyring
    drawn, open_one, withdrawn = [await fair.publish() for _ in range(3)]
    await withdraw_draw(
        fair.shop.connection, programme_id=withdrawn.programme_id, draw_id=withdrawn.id, withdrawn_by="ann"
    )
    await fair.enter(open_one)
    fair.move_clock(utc_now() + 2 * LATER)
    await fair.draw(drawn)

    rotated = Keyring.rotate(tmp_path / "keys.json")
    assert [await reseal_seeds(fair.shop.connection, rotated) for _ in range(2)] == [1, 0]

    for secret in ({"sealed_seed": b""}, {"seed": b"", "drawn_at": utc_now()}):
        with pytest.raises(IntegrityError):  # what was drawn is not touched, and not sealed again
            async with fair.shop.connection.begin_nested():
                await fair.shop.connection.execute(update(draw_table).where(draw_table.c.id == drawn.id).values(secret))
    content = json.loads((tmp_path / "keys.json").read_text())
    del content["keys"]["1"]
    (tmp_path / "keys.json").write_text(json.dumps(content))
    fair.keyring = Keyring.open(tmp_path / "keys.json")
    assert findings(await prove(fair.shop.connection, await fair.draw(open_one))) == []


async def test_prizes_are_given_once_and_wait_where_none_is_left(
    committed_engine: AsyncEngine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six places, all of which win: points for three, a gift for two, of which one is left meanwhile, and one more."""
    async with committed_engine.begin() as connection:
        fair = Fair(await open_shop(connection, keyring), keyring, monkeypatch)
        await publish_gift(connection, fair.shop.programme.id, stock=2)
        more = {**POINTS, "code": "more", "count": 1, "points": 40}
        draw = await fair.publish(places=6, prizes=[POINTS, GIFT, more])
        with pytest.raises(ConflictError):
            await fair.publish(places=6, prizes=[{**GIFT, "count": 3}])
        members = [fair.shop.member_id, *[await fair.shop.join(str(number)) for number in range(2, 7)]]
        for member_id in members:
            await fair.enter(draw, member_id)
        stock: dict[str, Any] = {"programme_id": fair.shop.programme.id, "code": "gift", "kind": "counted"}
        await set_stock(connection, **stock, total=1, actor="ann")
    fair.move_clock(utc_now() + 2 * LATER)
    async with committed_engine.begin() as connection:
        fair.shop.connection = connection
        await fair.draw(draw)
    mine: dict[str, Any] = {"programme_id": fair.shop.programme.id, "draw_id": draw.id}
    given = await asyncio.gather(*(give_prizes(committed_engine, **mine) for _ in range(3)))
    assert sum(given) == 5
    async with committed_engine.begin() as connection:
        waiting = [each for each in await winners_of(connection, draw_id=draw.id) if each.given_at is None]
        assert [(each.prize, each.problem) for each in waiting] == [("gift", "stock")]
        await set_stock(connection, **stock, total=2, actor="ann")
    assert await draw_what_is_due(committed_engine, keyring) == 0  # by the database's clock it is still open
    assert await give_prizes(committed_engine, **mine) == 1
    assert await give_prizes(committed_engine, **mine) == 0
    async with committed_engine.begin() as connection:
        fair.shop.connection = connection
        balances = Counter([(await fair.shop.balance(member_id))[0] for member_id in members])
        held = [len(await wallet(connection, member_id=member_id)) for member_id in members]
    assert balances == Counter({500: 3, 0: 2, 40: 1})
    assert sorted(held) == [0, 0, 0, 0, 1, 1]


async def test_a_draw_that_fails_keeps_no_other_waiting(
    committed_engine: AsyncEngine,
    keyring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The seed of the first is sealed with a key that the keyring has lost."""
    async with committed_engine.begin() as connection:
        fair = Fair(await open_shop(connection, keyring), Keyring.generate(), monkeypatch)
        fair.move_clock(utc_now() - 2 * LATER)
        lost = await fair.publish(closes_at=utc_now() - LATER)
        fair.keyring = keyring
        kept = await fair.publish(closes_at=utc_now() - LATER)
    fair.move_clock(utc_now())
    assert await draw_what_is_due(committed_engine, keyring) == 0
    async with committed_engine.begin() as connection:
        listed = await list_draws(connection, programme_id=fair.shop.programme.id)
    assert {each.code: each.state(utc_now()) for each in listed} == {lost.code: "closed", kept.code: "drawn"}
    assert [lost.public_id in record.getMessage() for record in caplog.records] == [True]


async def test_a_request_that_comes_twice_at_once_enters_once(
    committed_engine: AsyncEngine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is the limit or the key that the second would break, and whether or not the account is held first."""
    async with committed_engine.begin() as connection:
        fair = Fair(await open_shop(connection, keyring), keyring, monkeypatch)
        await fair.shop.give(100)
        terms = ((30, 1), (30, 2), (0, 1), (0, 2))
        draws = [await fair.publish(price_points=price, per_member=most) for price, most in terms]

    async def enter_again(draw: Draw) -> Entry:
        async with committed_engine.begin() as connection:
            return await fair.enter(draw, connection=connection)

    for draw in draws:
        async with committed_engine.begin() as connection:
            entry = await fair.enter(draw, connection=connection)
            again = asyncio.create_task(enter_again(draw))
            await until_somebody_waits(committed_engine)
        assert await again == entry
    async with committed_engine.begin() as connection:
        fair.shop.connection = connection
        assert await fair.shop.balance() == (40, 0)


async def test_many_at_once_get_numbers_that_follow_each_other_and_none_beyond_the_places(
    committed_engine: AsyncEngine, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with committed_engine.begin() as connection:
        fair = Fair(await open_shop(connection, keyring), keyring, monkeypatch)
        draw = await fair.publish(places=20, per_member=3, price_points=10)
        members = [fair.shop.member_id, *[await fair.shop.join(str(number)) for number in range(2, 10)]]
        for member_id in members:
            fair.shop.member_id = member_id
            await fair.shop.give(50)

    async def enter(place: int) -> int | None:
        try:
            async with committed_engine.begin() as connection:
                entry = await buy_entry(
                    connection,
                    programme_id=fair.shop.programme.id,
                    member_id=members[place % len(members)],
                    draw_id=draw.id,
                    key=str(place),
                )
        except (DrawNotOpenError, EntryLimitError):
            return None
        return entry.number

    numbers = await asyncio.gather(*(enter(place) for place in range(5 * len(members))))
    assert sorted(number for number in numbers if number is not None) == list(range(1, 21))
    async with committed_engine.begin() as connection:
        fair.shop.connection = connection
        entries = await entries_of(connection, member_ids=members, draw_ids=[draw.id])
        mine = Counter(entry.member_id for entry in entries)
        assert max(mine.values()) == 3
        for member_id in members:
            assert await fair.shop.balance(member_id) == (50 - 10 * mine[member_id], 0)
