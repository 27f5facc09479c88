"""The ledger at SQL level, against the floor of `design/ledger.md`, with pgbench on one server in one run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from loyalty.kit.embedded import binaries
from tests.bench.report import Measure

SQL = Path(__file__).parent / "sql"
CLIENTS = 16
SECONDS = 5
ACROSS_EACH = 400
ROUNDS = 3


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


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def measure(url: str) -> list[Measure]:
    """Earn and spend over the floor; rounds alternate, so that a slow minute slows both sides."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((SQL / "floor.sql").read_bytes())
        _prepare(connection)
        scripts = ("floor", "earn", "earn_unchained", "spend_first", "spend_across")
        rates: dict[str, list[float]] = {script: [] for script in scripts}
        latency: dict[str, float] = {}
        wal: dict[str, float] = {}
        for _ in range(ROUNDS):
            for script, measured in rates.items():
                before = _wal_bytes(connection)
                across = ACROSS_EACH // ROUNDS if script == "spend_across" else None
                rate, latency[script] = _pgbench(url, script, transactions=across)
                count = CLIENTS * across if across else rate * SECONDS
                wal[script] = (_wal_bytes(connection) - before) / count
                measured.append(rate)
    floor, earn = _median(rates["floor"]), _median(rates["earn"])
    names = {
        "earn": (f"one earn, {CLIENTS} clients", 0.6),
        "spend_first": ("one spend, from the first of 10 open lots", 0.45),
        "spend_across": ("one spend, across all of 10 open lots", 0.45),
    }
    chain = Measure(
        name="hash chain on",
        rate=earn,
        baseline="the same earn without its hash",
        baseline_rate=_median(rates["earn_unchained"]),
        goal=0.9,
    )
    return [
        Measure(
            name=name,
            rate=_median(rates[script]),
            baseline="UPDATE + INSERT",
            baseline_rate=floor,
            goal=goal,
            notes={"WAL bytes": f"{wal[script]:.0f}", "mean ms": f"{latency[script]:.1f}"},
        )
        for script, (name, goal) in names.items()
    ] + [chain]


def _prepare(connection: psycopg.Connection[tuple[int]]) -> None:
    text = (SQL / "prepare.sql").read_text()
    # VACUUM runs alone, outside the implicit transaction of a script of several statements.
    body, vacuum = text.rsplit("VACUUM", 1)
    connection.execute(body.encode())
    connection.execute(f"VACUUM{vacuum}".encode())
