"""The ledger at SQL level, against the floor of `design/ledger.md`, with pgbench on one server in one run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec
import psycopg
from sqlalchemy import make_url

from loyalty.kit.embedded import binaries
from tests.bench.report import Measure

SQL = Path(__file__).parent / "sql"
CLIENTS = 16
SECONDS = 3
ROUNDS = 5
ACROSS_MEMBERS = 20_000
"""How many members `prepare.sql` gives ten lots of one point each, to be spent once."""
SCRIPTS = ("floor", "earn", "earn_unchained", "spend_first", "spend_across")
BASELINES = {"floor": "UPDATE + INSERT", "earn_unchained": "the same earn without its hash"}


def _pgbench(url: str, script: str, *, transactions: int | None = None) -> tuple[float, float]:
    """Transactions a second, and their mean latency in milliseconds."""
    parsed = make_url(url)
    assert parsed.database is not None
    length = ["-t", str(transactions)] if transactions else ["-T", str(SECONDS)]
    command = [
        str(binaries() / "pgbench"),
        *(
            "-h",
            str(parsed.query.get("host") or parsed.host),
            "-p",
            str(parsed.query.get("port") or parsed.port or 5432),
        ),
        *("-U", parsed.username or "postgres", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", *length),
        *("-f", str(SQL / f"{script}.pgbench"), parsed.database),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [re.search(pattern, done.stdout) for pattern in (r"tps = ([\d.]+)", r"latency average = ([\d.]+)")]
    assert found[0] is not None
    assert found[1] is not None
    return float(found[0][1]), float(found[1][1])


def _wal_bytes(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
    assert row is not None
    return row[0]


class _Run(msgspec.Struct, frozen=True):
    """One run of one script: transactions a second, their mean latency, and the WAL that each wrote."""

    rate: float
    milliseconds: float
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
    rate, milliseconds = _pgbench(url, script, transactions=across)
    count = CLIENTS * across if across else rate * SECONDS
    return _Run(rate, milliseconds, (_wal_bytes(connection) - before) / count)


def _compare(rounds: list[dict[str, _Run]], script: str, baseline: str, *, name: str, goal: float) -> Measure:
    ordered = sorted(rounds, key=lambda runs: runs[script].rate / runs[baseline].rate)
    runs = ordered[len(ordered) // 2]
    return Measure(
        name=name,
        rate=runs[script].rate,
        baseline=BASELINES[baseline],
        baseline_rate=runs[baseline].rate,
        goal=goal,
        notes={"WAL bytes": f"{runs[script].wal_bytes:.0f}", "mean ms": f"{runs[script].milliseconds:.1f}"},
    )


def _prepare(connection: psycopg.Connection[tuple[int]]) -> None:
    text = (SQL / "prepare.sql").read_text()
    # VACUUM runs alone, outside the implicit transaction of a script of several statements.
    body, vacuum = text.rsplit("VACUUM", 1)
    connection.execute(body.encode())
    connection.execute(f"VACUUM{vacuum}".encode())
