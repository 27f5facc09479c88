"""HTTP: single postings over the same server's empty JSON endpoint, and whole batches over the same at SQL level.

The load comes from one process on the same machine; what a request costs it is among the notes. With two cores that is
time which the database does not get.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from uuid import UUID

import msgspec
import uvloop

from ledger.batch import post_many
from ledger.operations import Earn
from ledger.units import Unit, define_unit
from loyalty.campaigns.awards import award
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.kit.programme import create_channel, create_programme
from loyalty.members.identity import Record, channel_identity, register_many
from loyalty.runtime import KEYRING_FILE
from loyalty.web.security.api_keys import SCOPES, create_api_key
from tests.bench.report import Measure
from tests.bench.serving import CONNECTIONS, SECONDS, load, server
from tiers.ladders import Ladder, TierStep, publish_ladder
from tiers.rules import PointsMetric
from tiers.windows import RollingMonthsWindow

ROUNDS = 3
MEMBERS = 1_000
BULK = 1_000
BULKS = 10
TIERS = (("leaf", 0), ("peak", 10**9))


def measure(url: str) -> list[Measure]:
    """Single earns, whole batches and one client alone, each against what it is measured by, in alternating rounds."""
    return uvloop.run(_measure(url))


async def _measure(url: str) -> list[Measure]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        shop = await _prepare(url, home)
        async with server(url, home) as port:
            alone = await load(port, shop.earn, b"HTTP/1.1 201", connections=1)
            rounds = [
                (await load(port, _ping, b"HTTP/1.1 200"), await load(port, shop.earn, b"HTTP/1.1 201"))
                for _ in range(ROUNDS)
            ]
            bulks = [(await _bulk_at_sql_level(url, shop), await _bulk(port, shop)) for _ in range(ROUNDS)]
        direct = await _direct(url, shop)
    empty = _median([ping.rate for ping, _ in rounds])
    earns = sorted((earn for _, earn in rounds), key=lambda load: load.rate)[ROUNDS // 2]
    return [
        Measure(
            name=f"HTTP earn, one a request, {CONNECTIONS} connections",
            rate=earns.rate,
            baseline="empty JSON endpoint",
            baseline_rate=empty,
            goal=0.6,
            notes=earns.notes,
        ),
        Measure(
            name=f"HTTP earns, {BULK:,} a request, postings",
            rate=_median([over_http for _, over_http in bulks]),
            baseline="a batch at SQL level",
            baseline_rate=_median([at_sql_level for at_sql_level, _ in bulks]),
            goal=0.5,
        ),
        Measure(
            name="HTTP earn, one client alone",
            rate=alone.rate,
            baseline="an award in a transaction of its own, without HTTP",
            baseline_rate=direct,
            notes=alone.notes,
        ),
    ]


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _ping() -> bytes:
    return b"GET /v1/ping HTTP/1.1\r\nHost: bench\r\n\r\n"


class Shop:
    """A programme with a ladder and members, and a key that may post."""

    def __init__(self, programme_id: UUID, token: str, members: Sequence[str]) -> None:
        self.programme_id = programme_id
        self.members = members
        self.ids = [parse_public_id("mem", member) for member in members]
        self._token = token
        self._numbers = count()

    def key(self) -> tuple[int, str]:
        """A member's place and a key that was never used."""
        number = next(self._numbers)
        return number % len(self.members), f"b{number}"

    def earn(self) -> bytes:
        """A request for one earn of the next member."""
        place, key = self.key()
        body = b'{"amount":10,"source":"bench"}'
        return self._request(f"/v1/members/{self.members[place]}/points/earn", body, f"Idempotency-Key: {key}\r\n")

    def batch(self) -> bytes:
        """A request for an earn of each of BULK members."""
        items = []
        for _ in range(BULK):
            place, key = self.key()
            items.append(
                {
                    "kind": "earn",
                    "member_id": self.members[place],
                    "idempotency_key": key,
                    "amount": 10,
                    "source": "bench",
                }
            )
        return self._request("/v1/ledger/batch", msgspec.json.encode({"items": items}), "")

    def _request(self, path: str, body: bytes, headers: str) -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._token}\r\n{headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


async def _bulk(port: int, shop: Shop) -> float:
    """Postings a second by batches over HTTP, one after the other."""
    requests = [shop.batch() for _ in range(BULKS)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    started = time.perf_counter()
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.split(b":")[1]))
        if b'"refused":0,' not in body[:100]:
            raise RuntimeError(body[:1000].decode())
    taken = time.perf_counter() - started
    writer.close()
    return BULK * BULKS / taken


async def _bulk_at_sql_level(url: str, shop: Shop) -> float:
    """Postings a second by `post_many`, a batch a transaction, one after the other."""
    engine = create_engine(url)
    batches = []
    for _ in range(BULKS):
        asked = [shop.key() for _ in range(BULK)]
        batches.append(
            [Earn(member_id=shop.ids[place], amount=10, key=f"s:{key}", source="bench") for place, key in asked]
        )
    started = time.perf_counter()
    for batch in batches:
        async with transaction(engine) as connection:
            await post_many(connection, programme_id=shop.programme_id, postings=batch)
    taken = time.perf_counter() - started
    await engine.dispose()
    return BULK * BULKS / taken


async def _direct(url: str, shop: Shop) -> float:
    """Awards a second, one after the other, each in a transaction of its own."""
    engine = create_engine(url)
    done, end = 0, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        place, key = shop.key()
        async with transaction(engine) as connection:
            await award(
                connection,
                programme_id=shop.programme_id,
                member_id=shop.ids[place],
                amount=10,
                key=f"d:{key}",
                source="bench",
            )
        done += 1
    await engine.dispose()
    return done / SECONDS


async def _prepare(url: str, home: Path) -> Shop:
    engine = create_engine(url)
    keyring = Keyring.open(home / "keys" / KEYRING_FILE)
    async with transaction(engine) as connection:
        programme = await create_programme(connection, code="bench-http", name="Bench")
        channel = await create_channel(connection, programme, code="online", name="Online", kind="online")
        await define_unit(connection, Unit(programme_id=programme.id, expiry_kind="end_of_month", expiry_months=24))
        tiers = [
            TierStep(code=code, name={"zh": code, "en": code}, rank=rank, threshold=threshold)
            for rank, (code, threshold) in enumerate(TIERS)
        ]
        ladder = Ladder(metric=PointsMetric(), window=RollingMonthsWindow(months=12), tiers=tiers)
        await publish_ladder(connection, programme_id=programme.id, ladder=ladder)
        registered = await register_many(
            connection,
            keyring,
            programme_id=programme.id,
            channel_code=channel.code,
            records=[
                Record(
                    identities=[channel_identity("customer", f"c{number}", channel_code=channel.code)],
                    joined_at=datetime.now(UTC),
                )
                for number in range(MEMBERS)
            ],
        )
        key = await create_api_key(
            connection, programme_id=programme.id, name="bench", scopes=SCOPES, channel_id=channel.id
        )
    await engine.dispose()
    members = []
    for registration in registered:
        if isinstance(registration, Exception):
            raise registration
        members.append(public_id("mem", registration.member.id))
    return Shop(programme.id, key.token, members)
