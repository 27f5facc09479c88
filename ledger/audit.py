"""Verifying: that entries are as they were posted, that all else follows from them, and that seals say so too."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.account_audit import Span, check_span, spans
from ledger.findings import Finding, Verification
from ledger.rebuild import rebuild
from ledger.seal_audit import check_seals
from ledger.seal_files import SealFolder
from ledger.seal_keys import SealKeys
from ledger.streams import driver
from loyalty.kit.db import create_engine
from loyalty.kit.errors import UnavailableError

__all__ = [
    "Evidence",
    "Finding",
    "Verification",
    "expected_entries",
    "rebuild",
    "verify",
    "verify_all",
    "verify_in_parallel",
]

Progress = Callable[[Verification], None]
"""Told again and again what was gone through."""

LITTLE_ENTRIES: Final = 50_000
"""So few are verified in the time in which other processes would start."""

_EXPECTED: Final = text("SELECT coalesce(sum(seq), 0)::bigint FROM ledger.account WHERE seq BETWEEN 1 AND 1000000000")
_EXPORT: Final = text("SELECT pg_export_snapshot()")
_STAY: Final = text("SET LOCAL idle_in_transaction_session_timeout = 0")


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What seals are checked against."""

    public_keys: tuple[bytes, ...] | None
    """PEM, oldest first; None where no key was ever made."""
    folder: Path | None
    """The seals outside the database; None where only those in it are to be checked."""


async def expected_entries(connection: AsyncConnection) -> int:
    """How many entries a verification will go through if the accounts' rows are right."""
    return int(await connection.scalar(_EXPECTED) or 0)


async def verify(
    connection: AsyncConnection, *, evidence: Evidence | None = None, progress: Progress | None = None
) -> Verification:
    """Replay every account and compare. Call it in a REPEATABLE READ transaction: it reads in several statements.

    Hashes are computed here, not by the database. For each account it names the first wrong entry; where all entries
    are right, each projection that does not follow from them. Seals are checked where there is evidence to do it by.
    """
    raw = await driver(connection)
    result = Verification()
    for span in await spans(raw):
        _add(result, await check_span(raw, span), progress)
    if evidence is not None:
        _add(result, await _check_seals(connection, evidence), progress)
    return result


async def verify_all(
    engine: AsyncEngine, *, jobs: int, evidence: Evidence | None = None, progress: Progress | None = None
) -> Verification:
    """The same on a snapshot of its own, so postings go on meanwhile; in several processes where that is quicker."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        if jobs == 1 or await expected_entries(connection) <= LITTLE_ENTRIES:
            return await verify(connection, evidence=evidence, progress=progress)
    return await verify_in_parallel(engine, jobs=jobs, evidence=evidence, progress=progress)


async def verify_in_parallel(
    engine: AsyncEngine, *, jobs: int, evidence: Evidence | None = None, progress: Progress | None = None
) -> Verification:
    """Verify in several processes, which all see the database at one and the same moment.

    Raises UnavailableError where one of them is killed.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        await connection.execute(_STAY)
        snapshot = await connection.scalar(_EXPORT)
        url = engine.url.render_as_string(hide_password=False)
        pool = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(url, snapshot)
        )
        try:
            work: list[Future[Verification]] = []
            if evidence is not None:
                work.append(pool.submit(_in_process, _check_seals, evidence))
            work += [pool.submit(_in_process, _check_span, span) for span in await spans(await driver(connection))]
            result = Verification()
            for done in asyncio.as_completed(map(asyncio.wrap_future, work)):
                _add(result, await done, progress)
        except BrokenProcessPool as error:
            raise UnavailableError("a process that verified was killed; memory may have run out") from error
        finally:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
    result.findings.sort(key=_place)
    return result


def _add(result: Verification, part: Verification, progress: Progress | None) -> None:
    result.accounts += part.accounts
    result.entries += part.entries
    result.findings.extend(part.findings)
    if part.seals is not None:
        result.seals = part.seals
    if progress is not None:
        progress(result)


def _place(finding: Finding) -> tuple[bool, bytes, str, int, int, str]:
    """Accounts by their order, then seals and files."""
    member = b"" if finding.member_id is None else finding.member_id.bytes
    return (
        finding.member_id is None,
        member,
        finding.unit or "",
        finding.sequence or 0,
        finding.seal or 0,
        finding.file or "",
    )


async def _check_span(connection: AsyncConnection, span: Span) -> Verification:
    return await check_span(await driver(connection), span)


async def _check_seals(connection: AsyncConnection, evidence: Evidence) -> Verification:
    keys = None if evidence.public_keys is None else SealKeys.from_pem(evidence.public_keys)
    folder = None if evidence.folder is None else SealFolder(evidence.folder)
    return await check_seals(connection, keys=keys, folder=folder)


class _Process:
    """What a process of `verify_in_parallel` keeps between pieces of work: a loop, and a connection on the snapshot."""

    runner: ClassVar[asyncio.Runner]
    connection: ClassVar[AsyncConnection]


def _begin(url: str, snapshot: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its processes in order
    _Process.runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
    _Process.connection = _Process.runner.run(_join(url, snapshot))


async def _join(url: str, snapshot: str) -> AsyncConnection:
    connection = await create_engine(url, pool_size=1).connect()
    await connection.execution_options(isolation_level="REPEATABLE READ")
    await connection.execute(text(f"SET TRANSACTION SNAPSHOT '{snapshot}'"))
    await connection.execute(_STAY)
    return connection


def _in_process(work: Callable[[AsyncConnection, Any], Coroutine[Any, Any, Verification]], about: Any) -> Verification:
    return _Process.runner.run(work(_Process.connection, about))
