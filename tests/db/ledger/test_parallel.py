"""Several processes verify as one does, all at the same moment."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from itertools import pairwise
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import account_audit, audit
from ledger.account_audit import spans
from ledger.audit import Evidence, Verification, expected_entries, verify_all, verify_in_parallel
from ledger.posting import earn, spend
from ledger.streams import driver
from ledger.units import Unit, define_unit
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.errors import UnavailableError
from tests.roles import application_login

MEMBERS = [UUID(int=0), *(uuid4() for _ in range(38)), UUID(int=(1 << 128) - 1)]


@pytest.fixture(scope="module")
async def engine(module_database_url: str) -> AsyncIterator[AsyncEngine]:
    """Forty members with two units and eight entries each, among them the first and the last that there can be."""
    opened = create_engine(application_login(module_database_url))
    programme = uuid4()
    async with transaction(opened) as connection:
        for unit in ("miles", "points"):
            await define_unit(connection, Unit(programme_id=programme, code=unit))
        for member in MEMBERS:
            about = {"programme_id": programme, "member_id": member, "source": "test"}
            for unit in ("miles", "points"):
                for number in range(3):
                    await earn(connection, **about, unit=unit, amount=10, key=f"{unit}-{number}")  # type: ignore[arg-type]
                await spend(connection, **about, unit=unit, amount=25, key=f"{unit}-spend")  # type: ignore[arg-type]
    yield opened
    await opened.dispose()


async def test_spans_hold_every_member_that_there_could_be(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for piece in (1, 7, 30, 1_000_000):
        monkeypatch.setattr(account_audit, "PIECE_ENTRIES", piece)
        async with transaction(engine) as connection:
            found = await spans(await driver(connection))
        assert (found[0].first.int, found[-1].last.int) == (0, (1 << 128) - 1)
        assert all(before.last.int + 1 == after.first.int for before, after in pairwise(found))
        assert len(found) <= len(MEMBERS)
    assert len(found) == 1


async def test_several_processes_find_what_one_finds(
    engine: AsyncEngine, module_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_audit, "PIECE_ENTRIES", 20)
    seen: list[int] = []
    async with transaction(engine) as connection:
        assert await expected_entries(connection) == 8 * len(MEMBERS)
    right = await verify_in_parallel(engine, jobs=2, progress=lambda found: seen.append(found.entries))
    assert (right.accounts, right.entries, right.findings) == (2 * len(MEMBERS), 8 * len(MEMBERS), [])
    assert seen == sorted(seen)
    assert len(seen) > 10
    with psycopg.connect(module_database_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE ledger.entry SET amount = amount + 1 WHERE seq = 3 AND unit = 'miles'")
        owner.execute("DELETE FROM ledger.account WHERE member_id = %s", [MEMBERS[5]])
        owner.commit()
        evidence = Evidence(public_keys=None, folder=None)
        in_one = await verify_all(engine, jobs=1, evidence=evidence)
        in_three = await verify_in_parallel(engine, jobs=3, evidence=evidence)
        owner.execute("UPDATE ledger.entry SET amount = amount - 1 WHERE seq = 3 AND unit = 'miles'")
    assert in_three.findings == in_one.findings
    assert (in_three.accounts, in_three.entries, in_three.seals) == (in_one.accounts, in_one.entries, 0)
    assert {(finding.member_id, finding.unit, finding.sequence) for finding in in_three.findings} == {
        *((member, "miles", 3) for member in MEMBERS),
        (MEMBERS[5], "points", None),
    }


async def test_what_is_posted_meanwhile_is_not_seen_half(committed_engine: AsyncEngine) -> None:
    programme, members = uuid4(), [uuid4() for _ in range(20)]
    async with transaction(committed_engine) as connection:
        await define_unit(connection, Unit(programme_id=programme))

    async def post(number: int) -> None:
        async with transaction(committed_engine) as connection:
            await earn(
                connection,
                programme_id=programme,
                member_id=members[number % 20],
                amount=10,
                key=str(number),
                source="test",
            )

    for number in range(20):
        await post(number)
    verification = asyncio.create_task(verify_in_parallel(committed_engine, jobs=2))
    number = 20
    while not verification.done():
        await post(number)
        number += 1
    found: Verification = await verification
    assert found.findings == []
    assert 20 <= found.entries < number


async def test_a_process_that_is_killed_is_said_to_be(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_check_span", _die)
    with pytest.raises(UnavailableError, match="was killed"):
        await verify_in_parallel(engine, jobs=2)


async def _die(*_: object) -> Verification:
    os.kill(os.getpid(), signal.SIGKILL)
    return Verification()
