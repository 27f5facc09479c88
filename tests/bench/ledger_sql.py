"""The ledger at SQL level, against the floor of `design/ledger.md`, with pgbench on one server in one run."""

from __future__ import annotations

import msgspec
import psycopg

from tests.bench import pgbench
from tests.bench.pgbench import CLIENTS, SQL
from tests.bench.report import Measure

SECONDS = 3
ROUNDS = 5
ACROSS_MEMBERS = 20_000
"""How many members `prepare.sql` gives ten lots of one point each, to be spent once."""
SCRIPTS = ("floor", "earn", "earn_unchained", "spend_first", "spend_across")
BASELINES = {"floor": "UPDATE + INSERT", "earn_unchained": "the same earn without its hash"}


def _wal_bytes(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
    assert row is not None
    return row[0]


class _Run(msgspec.Struct, frozen=True):
    """One run of one script: transactions a second, how long they took, and the WAL that each wrote."""

    rate: float
    p50_ms: float
    p99_ms: float
    wal_bytes: float


def measure(url: str) -> list[Measure]:
    """Earn and spend over the floor. Rounds alternate; of each pair the round with the median ratio is reported."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((SQL / "floor.sql").read_bytes())
        _prepare(connection)
        rounds = [{script: _run(connection, url, script) for script in SCRIPTS} for _ in range(ROUNDS)]
    return [
        _compare(rounds, "earn", "floor", name=f"one earn, {CLIENTS} clients", goal=0.6),
        _compare(rounds, "spend_first", "floor", name="one spend, from the first of 10 open lots", goal=0.45),
        _compare(rounds, "spend_across", "floor", name="one spend, across all of 10 open lots", goal=0.45),
        _compare(rounds, "earn", "earn_unchained", name="hash chain on", goal=0.9),
    ]


def _run(connection: psycopg.Connection[tuple[int]], url: str, script: str) -> _Run:
    before = _wal_bytes(connection)
    across = ACROSS_MEMBERS // CLIENTS // ROUNDS if script == "spend_across" else None
    run = pgbench.run(url, script, seconds=SECONDS, transactions=across)
    written = _wal_bytes(connection) - before
    return _Run(run.rate, run.percentile(0.5), run.percentile(0.99), written / len(run.latencies_ms))


def _compare(rounds: list[dict[str, _Run]], script: str, baseline: str, *, name: str, goal: float) -> Measure:
    ordered = sorted(rounds, key=lambda runs: runs[script].rate / runs[baseline].rate)
    runs = ordered[len(ordered) // 2]
    return Measure(
        name=name,
        rate=runs[script].rate,
        baseline=BASELINES[baseline],
        baseline_rate=runs[baseline].rate,
        goal=goal,
        notes={
            "p50 ms": f"{runs[script].p50_ms:.1f}",
            "p99 ms": f"{runs[script].p99_ms:.1f}",
            "WAL bytes": f"{runs[script].wal_bytes:,.0f}",
        },
    )


def _prepare(connection: psycopg.Connection[tuple[int]]) -> None:
    text = (SQL / "prepare.sql").read_text()
    # VACUUM runs alone, outside the implicit transaction of a script of several statements.
    body, vacuum = text.rsplit("VACUUM", 1)
    connection.execute(body.encode())
    connection.execute(f"VACUUM{vacuum}".encode())
