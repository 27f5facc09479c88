"""Points over HTTP: exactly once for each key, whatever comes at once."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import posting
from ledger.units import Unit, define_unit
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.ids import new_id, public_id
from loyalty.kit.programme import Programme
from loyalty.members.tables import member_table
from tests.factories import make_programme
from tests.web.conftest import Api, assert_problem, make_api


@pytest.fixture
async def member(engine: AsyncEngine, committed_programme: Programme) -> str:
    """A member with 1,000 points."""
    member_id = new_id()
    async with transaction(engine) as connection:
        await connection.execute(
            insert(member_table).values(
                id=member_id, programme_id=committed_programme.id, joined_at=utc_now(), joined_channel="online"
            )
        )
        await define_unit(connection, Unit(programme_id=committed_programme.id, adjust_limit=500))
        await posting.earn(
            connection,
            programme_id=committed_programme.id,
            member_id=member_id,
            amount=1000,
            key="first",
            source="test",
        )
    return public_id("mem", member_id)


async def _spendable(api: Api, member: str) -> int:
    answered = await api.get(f"/members/{member}/points")
    assert answered.status_code == 200
    return int(answered.json()["data"][0]["spendable"])


async def test_a_spend_answers_the_posting_and_the_balance_after_it(api: Api, member: str) -> None:
    answered = await api.post(f"/members/{member}/points/spend", {"amount": 300, "source": "till:R-1"})
    assert answered.status_code == 201
    told = answered.json()
    assert (told["member_id"], told["balance"]["spendable"], told["hold_id"]) == (member, 700, None)
    assert "idempotent-replayed" not in answered.headers


async def test_of_64_clients_who_spend_hundreds_of_a_thousand_points_exactly_ten_succeed(api: Api, member: str) -> None:
    answers = await asyncio.gather(
        *(
            api.post(f"/members/{member}/points/spend", {"amount": 100, "source": f"client:{number}"})
            for number in range(64)
        )
    )
    granted = [answered for answered in answers if answered.status_code == 201]
    assert len(granted) == 10
    assert sorted(answered.json()["balance"]["spendable"] for answered in granted) == list(range(0, 1000, 100))
    for answered in answers:
        if answered not in granted:
            assert assert_problem(answered, 409, "insufficient-balance", "amount")["available"] == 0
    assert await _spendable(api, member) == 0


async def test_one_key_sent_a_hundred_times_at_once_makes_one_entry_and_a_hundred_equal_answers(
    api: Api, member: str
) -> None:
    key = uuid4().hex
    body = {"amount": 100, "source": "till:R-2"}
    answers = await asyncio.gather(*(api.post(f"/members/{member}/points/spend", body, key=key) for _ in range(100)))
    assert {answered.status_code for answered in answers} == {201}
    assert len({answered.content for answered in answers}) == 1
    assert [answered.headers.get("idempotent-replayed") for answered in answers].count("true") == 99
    assert await _spendable(api, member) == 900
    entries = (await api.get(f"/members/{member}/points/entries")).json()["data"]
    assert [entry["change"] for entry in entries] == [-100, 1000]


async def test_a_quoted_key_and_the_same_key_bare_are_one(api: Api, member: str) -> None:
    key = uuid4().hex
    body = {"amount": 100, "source": "till:R-3"}
    first = await api.post(f"/members/{member}/points/spend", body, key=key)
    again = await api.post(f"/members/{member}/points/spend", body, key=f'"{key}"')
    assert (first.content, again.headers["idempotent-replayed"]) == (again.content, "true")


@pytest.mark.parametrize(
    "changed", [{"amount": 101}, {"source": "till:R-5"}, {"effective_at": "2026-01-01T00:00:00Z"}], ids=str
)
async def test_a_key_used_for_another_request_is_refused(api: Api, member: str, changed: dict[str, object]) -> None:
    key = uuid4().hex
    body: dict[str, object] = {"amount": 100, "source": "till:R-4"}
    await api.post(f"/members/{member}/points/spend", body, key=key)
    assert_problem(
        await api.post(f"/members/{member}/points/spend", body | changed, key=key), 422, "idempotency-key-reused"
    )
    assert await _spendable(api, member) == 900


async def test_two_api_keys_may_use_the_same_idempotency_key(
    api: Api, member: str, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    other = await make_api(client, engine, api.programme)
    body = {"amount": 100, "source": "till:R-6"}
    for caller in (api, other):
        answered = await caller.post(f"/members/{member}/points/spend", body, key="receipt-6")
        assert "idempotent-replayed" not in answered.headers
    assert await _spendable(api, member) == 800


async def test_a_posting_without_a_key_is_refused(api: Api, member: str) -> None:
    answered = await api.post(f"/members/{member}/points/spend", {"amount": 100, "source": "x"}, key=None)
    assert_problem(answered, 400, "invalid-input", "Idempotency-Key")
    assert await _spendable(api, member) == 1000


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": -5, "source": "x"}, "amount"),
        ({"amount": 0, "source": "x"}, "amount"),
        ({"amount": "100", "source": "x"}, "amount"),
        ({"amount": 100.5, "source": "x"}, "amount"),
        ({"amount": True, "source": "x"}, "amount"),
        ({"amount": None, "source": "x"}, "amount"),
        ({"amount": 10**12 + 1, "source": "x"}, "amount"),
        ({"amount": 10**30, "source": "x"}, "amount"),
        ({"source": "x"}, "amount"),
        ({"amount": 100, "source": ""}, "source"),
        ({"amount": 100, "source": "x" * 121}, "source"),
        ({"amount": 100, "source": "a\0b"}, "source"),
        ({"amount": 100, "source": ["x"]}, "source"),
        ({"amount": 100, "source": "x", "unit": "Points"}, "unit"),
        ({"amount": 100, "source": "x", "effective_at": "2026-01-01T00:00:00"}, "effective_at"),
        ({"amount": 100, "source": "x", "effective_at": "yesterday"}, "effective_at"),
        ({"amount": 100, "source": "x", "points": 5}, "points"),
        ([100], "body"),
    ],
    ids=str,
)
async def test_a_bad_body_is_refused_naming_the_field_and_nothing_is_written(
    api: Api, member: str, body: object, field: str
) -> None:
    assert_problem(await api.post(f"/members/{member}/points/spend", body), 400, "invalid-input", field)
    assert await _spendable(api, member) == 1000


async def test_points_on_hold_are_captured_once_and_the_rest_is_released(api: Api, member: str) -> None:
    held = (await api.post(f"/members/{member}/holds", {"amount": 400, "source": "till:R-7"})).json()
    assert (held["balance"]["spendable"], held["balance"]["held"]) == (600, 400)
    hold = f"/members/{member}/holds/{held['hold_id']}"
    taken = await api.post(f"{hold}/capture", {"amount": 150, "source": "till:R-7"})
    assert taken.json()["balance"]["held"] == 250
    assert_problem(
        await api.post(f"{hold}/capture", {"amount": 251, "source": "till:R-7"}), 409, "more-than-left", "amount"
    )
    freed = await api.post(f"{hold}/release", {"source": "till:R-7"})
    assert freed.json()["balance"]["spendable"] == 850
    assert (await api.get(hold)).json()["state"] != "open"
    assert_problem(await api.post(f"{hold}/capture", {"source": "till:R-7"}), 409, "hold-closed", "hold")


async def test_an_adjustment_above_the_limit_needs_a_second_person(api: Api, member: str) -> None:
    body = {"amount": -600, "reason": "wrong receipt", "actor": "li.na", "source": "desk:1"}
    path = f"/members/{member}/points/adjust"
    assert_problem(await api.post(path, body), 409, "approval-needed", "approved_by")
    assert_problem(await api.post(path, body | {"approved_by": "li.na"}), 400, "invalid-input", "approved_by")
    assert (await api.post(path, body | {"approved_by": "wang.wei"})).json()["balance"]["spendable"] == 400


async def test_history_is_read_in_pages(api: Api, member: str) -> None:
    for number in range(5):
        await api.post(f"/members/{member}/points/spend", {"amount": number + 1, "source": "x"})
    changes: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get(f"/members/{member}/points/entries", limit=2, **cursor)).json()
        changes += [entry["change"] for entry in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert changes == [-5, -4, -3, -2, -1, 1000]
    assert_problem(
        await api.get(f"/members/{member}/points/entries", cursor="nonsense"), 400, "invalid-input", "cursor"
    )


async def test_a_member_of_another_programme_is_not_found(
    member: str, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    async with transaction(engine) as connection:
        elsewhere = await make_programme(connection)
    stranger = await make_api(client, engine, elsewhere)
    assert_problem(await stranger.get(f"/members/{member}/points"), 404, "not-found", "member_id")


async def test_the_balance_of_a_past_moment_is_that_of_then(api: Api, member: str) -> None:
    answered = await api.get(f"/members/{member}/points/as-of", moment="2020-01-01T00:00:00Z")
    assert answered.json()["balance"]["spendable"] == 0
    assert_problem(
        await api.get(f"/members/{member}/points/as-of", moment="2020-01-01T00:00:00"), 400, "invalid-input", "moment"
    )
