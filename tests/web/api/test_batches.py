"""A batch: many postings in one request, each by itself, as JSON and as lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.kit.errors import UnavailableError
from loyalty.kit.ids import new_id, public_id
from loyalty.kit.programme import Programme
from loyalty.members.tables import member_table
from loyalty.web.api import batches, batches_schemas, batching, lines
from tests.web.conftest import Api, assert_problem, make_api

Item = dict[str, Any]


@pytest.fixture
async def members(engine: AsyncEngine, brand: Programme) -> list[str]:
    """Twelve members of the brand who have done nothing yet."""
    ids = [new_id() for _ in range(12)]
    joined = {"programme_id": brand.id, "joined_at": utc_now(), "joined_channel": "online"}
    async with transaction(engine) as connection:
        await connection.execute(insert(member_table), [{"id": each, **joined} for each in ids])
    return [public_id("mem", each) for each in ids]


def earn(member: str, amount: Any = 100, **other: Any) -> Item:
    return {
        "kind": "earn",
        "member_id": member,
        "idempotency_key": uuid4().hex,
        "amount": amount,
        "source": "test",
        **other,
    }


def like(item: Item, kind: str, **other: Any) -> Item:
    """Another item of the same member."""
    return {
        "kind": kind,
        "member_id": item["member_id"],
        "idempotency_key": uuid4().hex,
        "source": "test",
        **other,
    }


async def as_json(api: Api, items: Sequence[Item]) -> list[Any]:
    answered = await api.post("/ledger/batch", {"items": items}, key=None)
    assert answered.status_code == 200, answered.text
    told = answered.json()
    results: list[Any] = told["results"]
    assert told["posted"] + told["replayed"] + told["refused"] == len(results) == len(items)
    assert told["refused"] == sum(result["status"] != 201 for result in results)
    return results


async def as_lines(api: Api, items: Sequence[Item]) -> list[Any]:
    answered = await send_lines(api, msgspec.json.Encoder().encode_lines(items))
    assert answered.status_code == 200, answered.text
    assert answered.headers["content-type"] == "application/x-ndjson"
    return [msgspec.json.decode(line) for line in answered.content.splitlines()]


async def send_lines(api: Api, content: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/x-ndjson"}
    return await api.client.post("/v1/ledger/batch", content=content, headers=headers)


@pytest.fixture(params=[as_json, as_lines], ids=["json", "lines"])
def send(request: pytest.FixtureRequest) -> Any:
    return request.param


async def spendable(api: Api, member: str) -> int:
    data = (await api.get(f"/members/{member}/points")).json()["data"]
    return int(data[0]["spendable"]) if data else 0


async def test_every_kind_of_posting_has_its_own_result_in_the_order_of_the_items(
    brand_api: Api, members: list[str], send: Any
) -> None:
    first = [earn(members[0]), earn(members[1]), earn(members[2], pending=True), earn(members[3], 300)]
    earned = await send(brand_api, first)
    held = await send(brand_api, [like(first[3], "hold", amount=200)])
    hold_id = held[0]["posting"]["hold_id"]
    items = [
        like(first[0], "spend", amount=30),
        like(first[1], "reverse", sequence=earned[1]["posting"]["sequence"], amount=40),
        like(first[2], "confirm", sequence=earned[2]["posting"]["sequence"]),
        like(first[3], "capture", hold_id=hold_id, amount=150),
        like(first[3], "release", hold_id=hold_id),
        like(first[0], "claw_back", amount=20),
        like(first[1], "adjust", amount=-10, reason="wrong receipt", actor="li.na"),
    ]
    results = await send(brand_api, items)
    assert [result["index"] for result in results] == list(range(7))
    assert [result["idempotency_key"] for result in results] == [item["idempotency_key"] for item in items]
    assert [result["status"] for result in results] == [201] * 7, results
    assert [await spendable(brand_api, member) for member in members[:4]] == [50, 50, 100, 150]


async def test_a_bad_item_is_refused_by_its_field_and_stops_no_other(
    brand_api: Api, members: list[str], send: Any
) -> None:
    good = [earn(member) for member in members[:3]]
    nobody = earn(public_id("mem", new_id()))
    bad: list[tuple[Item, int, str, str]] = [
        (nobody, 404, "not-found", "member_id"),
        (earn("mem_1"), 400, "invalid-input", "member_id"),
        (earn(members[5], 0), 400, "invalid-input", "amount"),
        (earn(members[5], "100"), 400, "invalid-input", "amount"),
        (earn(members[5], points=5), 400, "invalid-input", "points"),
        (earn(members[5], unit="nothing"), 404, "not-found", "unit"),
        (earn(members[5], source="a\0b"), 400, "invalid-input", "source"),
        (earn(members[5], idempotency_key=""), 400, "invalid-input", "idempotency_key"),
        (earn(members[5], kind="gift"), 400, "invalid-input", "kind"),
        (like(good[0], "spend", amount=10_000), 409, "insufficient-balance", "amount"),
        (like(good[0], "adjust", amount=0, reason="x", actor="x"), 400, "invalid-input", "amount"),
        (like(good[0], "capture", hold_id=public_id("hld", new_id())), 404, "hold-not-found", "hold_id"),
        (good[1], 422, "idempotency-key-reused", "idempotency_key"),
    ]
    results = await send(brand_api, [*good, *(item for item, *_ in bad)])
    assert [result["status"] for result in results[:3]] == [201] * 3
    for (item, status, kind, field), result in zip(bad, results[3:], strict=True):
        problem = result["problem"]
        assert (result["status"], problem["type"]) == (status, f"/problems/{kind}"), result
        assert [error["field"] for error in problem["errors"]] == [field], result
        assert result["posting"] is None
        assert result["idempotency_key"] == item["idempotency_key"]
    assert results[3 + 9]["problem"]["available"] == 100
    assert [await spendable(brand_api, member) for member in members[:6]] == [100, 100, 100, 0, 0, 0]


async def test_a_batch_that_is_repeated_gets_the_same_postings_again(
    brand_api: Api, members: list[str], send: Any
) -> None:
    items = [earn(member) for member in members]
    first = await send(brand_api, items)
    again = await send(brand_api, [*items, earn(members[0], 5)])
    assert [result["posting"] for result in again[:12]] == [result["posting"] for result in first]
    assert [result["replayed"] for result in again] == [True] * 12 + [False]
    changed = await send(brand_api, [items[0] | {"amount": 7}, items[1] | {"source": "other"}])
    assert [result["problem"]["type"] for result in changed] == ["/problems/idempotency-key-reused"] * 2
    assert changed[1]["problem"]["errors"][0]["field"] == "idempotency_key"


async def test_an_items_key_is_the_key_of_its_own_request(brand_api: Api, members: list[str]) -> None:
    item = earn(members[0])
    alone = await brand_api.post(
        f"/members/{members[0]}/points/earn", {"amount": 100, "source": "test"}, key=item["idempotency_key"]
    )
    (result,) = await as_json(brand_api, [item])
    assert (result["replayed"], result["posting"]) == (True, alone.json())


async def test_one_key_is_good_for_several_members(brand_api: Api, members: list[str], send: Any) -> None:
    results = await send(brand_api, [earn(member, idempotency_key="campaign-7") for member in members])
    assert [result["status"] for result in results] == [201] * 12


async def test_items_count_towards_tiers_and_what_is_taken_back_no_longer_does(
    brand_api: Api, members: list[str], send: Any
) -> None:
    items = [earn(members[0], 600), earn(members[0], 400), earn(members[1], 999), earn(members[2], 900)]
    results = await send(brand_api, items)
    sequence = results[3]["posting"]["sequence"]
    await send(
        brand_api,
        [like(items[3], "reverse", sequence=sequence, amount=500), earn(members[2], 150), earn(members[1], 1)],
    )
    tiers = [(await brand_api.get(f"/members/{member}/tier")).json()["tier"]["code"] for member in members[:3]]
    assert tiers == ["gold", "gold", "silver"]


async def test_more_items_than_one_transaction_takes_are_all_posted_in_their_order(
    brand_api: Api, members: list[str], send: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (batching, lines, batches):
        monkeypatch.setattr(module, "MOST_TOGETHER", 10)
    items = [earn(members[number % 12], number + 1) for number in range(95)]
    items[40] = earn(members[0], 0)
    results = await send(brand_api, items)
    assert [result["index"] for result in results] == list(range(95))
    assert [result["status"] for result in results] == [201] * 40 + [400] + [201] * 54
    assert sum([await spendable(brand_api, member) for member in members]) == sum(range(1, 96)) - 41


async def test_too_many_items_are_refused(brand_api: Api, members: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    items = [earn(members[0], 1) for _ in range(batches_schemas.MOST_ITEMS + 1)]
    answered = await brand_api.post("/ledger/batch", {"items": items}, key=None)
    assert_problem(answered, 400, "invalid-input", "items")
    assert await spendable(brand_api, members[0]) == 0
    monkeypatch.setattr(lines, "MOST_ITEMS", 5)
    results = await as_lines(brand_api, items[:8])
    assert [result["status"] for result in results] == [201] * 5 + [413]
    assert results[5]["index"] == 5
    assert await spendable(brand_api, members[0]) == 5


@pytest.mark.parametrize(
    ("content", "media_type", "status", "kind", "field"),
    [
        (b'{"items": []}', "application/json", 400, "invalid-input", "items"),
        (b'{"items": [{]}', "application/json", 400, "invalid-input", "body"),
        (b'{"all": true, "items": [{}]}', "application/json", 400, "invalid-input", "all"),
        (b"[]", "application/json", 400, "invalid-input", "body"),
        (b"", "application/json", 400, "invalid-input", "body"),
        (b"\n \n", "application/x-ndjson", 400, "invalid-input", "body"),
        (b"x" * 20_000, "application/x-ndjson", 400, "invalid-input", "body"),
        (b"kind=earn", "text/csv", 415, "unsupported-media-type", "Content-Type"),
    ],
    ids=str,
)
async def test_a_batch_that_cannot_be_read_is_refused_whole(
    brand_api: Api, content: bytes, media_type: str, status: int, kind: str, field: str
) -> None:
    answered = await brand_api.client.post(
        "/v1/ledger/batch",
        content=content,
        headers={"Authorization": f"Bearer {brand_api.token}", "Content-Type": media_type},
    )
    assert_problem(answered, status, kind, field)


async def test_a_line_that_is_not_json_is_its_own_problem_alone(brand_api: Api, members: list[str]) -> None:
    encode = msgspec.json.encode
    broken = [b"{", b'{"kind": "earn"', b"\xff", b"null", b"[1]", b"x" * 20_000 + b"\n"]
    content = b"\n".join([encode(earn(members[0])), *broken, encode(earn(members[1]))])
    answered = await send_lines(brand_api, content)
    results = [msgspec.json.decode(line) for line in answered.content.splitlines()]
    assert [result["status"] for result in results] == [201, *[400] * len(broken), 201]
    assert all(result["problem"]["errors"][0]["field"] == "body" for result in results[1:-1])
    assert [await spendable(brand_api, member) for member in members[:2]] == [100, 100]


async def test_a_line_without_end_is_given_up_and_those_before_it_are_answered(
    brand_api: Api, members: list[str]
) -> None:
    answered = await send_lines(brand_api, msgspec.json.encode(earn(members[0])) + b"\n" + b"[" * 20_000)
    results = [msgspec.json.decode(line) for line in answered.content.splitlines()]
    assert [(result["index"], result["status"]) for result in results] == [(0, 201), (1, 400)]


class Conversation:
    """A client that sends a request's body and reads the answer as it likes; httpx only does one after the other."""

    def __init__(self, app: Litestar, token: str) -> None:
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self.reading = asyncio.Event()
        self.reading.set()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/ledger/batch",
            "raw_path": b"/v1/ledger/batch",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/x-ndjson")],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
            "state": {},
        }
        self.task = asyncio.create_task(app(scope, self.incoming.get, self._send))  # type: ignore[arg-type]

    async def _send(self, message: Any) -> None:
        await self.reading.wait()
        self.outgoing.put_nowait(message)

    def say(self, items: Sequence[Item], *, more: bool = True) -> None:
        body = msgspec.json.Encoder().encode_lines(items)
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def read(self) -> None:
        """Return when the server has read everything that was said."""
        for _ in range(2000):
            if self.incoming.empty():
                return
            await asyncio.sleep(0.01)

    async def hear(self, count: int) -> list[Any]:
        """So many results."""
        results: list[Any] = []
        while len(results) < count:
            message = await asyncio.wait_for(self.outgoing.get(), 20)
            if message["type"] == "http.response.body":
                results += [msgspec.json.decode(line) for line in message["body"].splitlines()]
        return results


@pytest.fixture
async def conversation(app: Litestar, brand_api: Api) -> AsyncIterator[Conversation]:
    begun = Conversation(app, brand_api.token)
    yield begun
    begun.task.cancel()
    await asyncio.gather(begun.task, return_exceptions=True)


async def test_results_come_while_items_are_still_being_sent(conversation: Conversation, members: list[str]) -> None:
    conversation.say([earn(member) for member in members[:3]])
    assert [result["index"] for result in await conversation.hear(3)] == [0, 1, 2]
    conversation.say([earn(member) for member in members[3:5]])
    assert [result["index"] for result in await conversation.hear(2)] == [3, 4]
    conversation.say([earn(members[5])], more=False)
    assert [result["status"] for result in await conversation.hear(1)] == [201]
    await asyncio.wait_for(conversation.task, 20)


async def test_a_client_who_reads_only_at_the_end_is_not_waited_for(
    conversation: Conversation, members: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST_TOGETHER", 20)
    conversation.reading.clear()
    for _ in range(10):
        conversation.say([earn(member, 1) for member in members])
    conversation.say([], more=False)
    await conversation.read()
    assert conversation.incoming.empty()  # although nothing of the answer was taken
    conversation.reading.set()
    assert [result["index"] for result in await conversation.hear(120)] == list(range(120))


async def test_a_client_who_goes_away_keeps_what_was_posted(
    conversation: Conversation, brand_api: Api, members: list[str]
) -> None:
    items = [earn(member) for member in members[:3]]
    conversation.say(items)
    await conversation.hear(3)
    conversation.incoming.put_nowait({"type": "http.disconnect"})
    await asyncio.wait_for(conversation.task, 20)
    again = await as_lines(brand_api, items)
    assert [result["replayed"] for result in again] == [True] * 3


@pytest.mark.parametrize("media_type", ["json", "lines"])
@pytest.mark.parametrize("lost_at", [0, 1])
async def test_a_database_that_goes_away_is_told_to_all_who_were_not_posted(
    app: Litestar,
    brand_api: Api,
    members: list[str],
    monkeypatch: pytest.MonkeyPatch,
    media_type: str,
    lost_at: int,
) -> None:
    coalescer = app.state["services"].coalescer
    really, calls = coalescer.post_all, count()

    async def lose(programme_id: Any, requests: Any) -> Any:
        if next(calls) < lost_at:
            return await really(programme_id, requests)
        return [UnavailableError("the database does not answer") for _ in requests]

    for module in (batching, lines, batches):
        monkeypatch.setattr(module, "MOST_TOGETHER", 5)
    items = [earn(member) for member in members]
    with monkeypatch.context() as broken:
        broken.setattr(coalescer, "post_all", lose)
        if lost_at == 0:
            answered = (
                await brand_api.post("/ledger/batch", {"items": items}, key=None)
                if media_type == "json"
                else await send_lines(brand_api, msgspec.json.Encoder().encode_lines(items))
            )
            assert_problem(answered, 503, "unavailable")
            assert answered.headers["retry-after"]
        else:
            results = await (as_json if media_type == "json" else as_lines)(brand_api, items)
            assert [result["status"] for result in results] == [201] * 5 + [503] * 7
            assert next(calls) == 2  # and no more was tried
    again = await as_json(brand_api, items)
    assert [result["replayed"] for result in again] == [True] * (5 * lost_at) + [False] * (12 - 5 * lost_at)


async def test_a_key_that_may_only_read_posts_nothing(
    client: httpx.AsyncClient, engine: AsyncEngine, brand: Programme, members: list[str]
) -> None:
    reader = await make_api(client, engine, brand, scopes=("points:read",))
    refused = await reader.post("/ledger/batch", {"items": [earn(members[0])]}, key=None)
    assert_problem(refused, 403, "not-permitted")
