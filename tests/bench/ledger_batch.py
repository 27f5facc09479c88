"""Batches at SQL level: against COPY of the rows that they write, and against earns posted one by one."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from tests.bench.report import Measure

SIZES: Final = (1_000, 8_000)
BATCHES: Final = 8
ONE_BY_ONE: Final = 1_500
MEMBERS: Final = 20_000

_POST: Final = """
    SELECT count(b.refusal) FROM ledger.post_batch(
        %s, %s::text[], %s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::bytea[], %s::text[], %s::text[],
        %s::timestamptz[]
    ) AS b
"""
"""The arrays are written as text before the clock runs, as the bytes that COPY sends are: neither is the database's."""
_EARN: Final = "SELECT (ledger.earn(%s, %s, 'points', 10, %s, '\\x01', 'bench')).posted"

Connection = psycopg.Connection[tuple[Any, ...]]


def measure(url: str) -> list[Measure]:
    """Rounds alternate between what is measured and its baseline; each is the median of its rounds."""
    with psycopg.connect(url, autocommit=True) as connection:
        book = _Book(connection)
        measures = [_against_copy(book, size) for size in SIZES]
        measures.append(_against_one_by_one(book))
    return measures


class _Book:
    """A programme with members who have some points, so that everybody can spend."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.programme_id = uuid4()
        self.members = [UUID(int=(7 << 120) + number) for number in range(MEMBERS)]
        self.keys = count()
        connection.execute(
            "INSERT INTO ledger.unit (programme_id, code, spendable, time_zone, expiry_kind, expiry_months, shortfall,"
            " reinstate_days, adjust_limit)"
            " VALUES (%s, 'points', true, 'Asia/Shanghai', 'end_of_month', 24, 'debt', 90, 1000000)",
            [self.programme_id],
        )
        # After five times the server plans the call no more, and it is only then that the ledger alone is measured.
        for start in range(0, MEMBERS, 4_000):
            self.send(self.batch(self.members[start : start + 4_000], "earn", amount=1_000))
        connection.execute("VACUUM ANALYZE ledger.account, ledger.entry")

    def batch(self, members: list[UUID], *kinds: str, amount: int = 10) -> list[Any]:
        """A batch as it is sent: for each member a posting, of the kinds in turn."""
        size = len(members)
        columns: list[Iterable[object]] = [
            (kinds[place % len(kinds)] for place in range(size)),
            members,
            ["points"] * size,
            [amount] * size,
            (f"b{next(self.keys)}" for _ in members),
            [r'"\\x01"'] * size,
            ["bench"] * size,
            ["NULL"] * size,
            ["NULL"] * size,
        ]
        return [self.programme_id, *("{" + ",".join(map(str, column)) + "}" for column in columns)]

    def send(self, batch: list[Any]) -> None:
        """Post a batch, in a transaction of its own."""
        if self.connection.execute(_POST, batch, prepare=True).fetchone() != (0,):
            message = "a posting of the benchmark was refused"
            raise RuntimeError(message)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _against_copy(book: _Book, size: int) -> Measure:
    connection = book.connection
    for table in ("entry", "account"):
        connection.execute(f"DROP TABLE IF EXISTS copied_{table}".encode())
        connection.execute(f"CREATE TABLE copied_{table} (LIKE ledger.{table} INCLUDING ALL)".encode())
    # As many rows as the ledger's own table has, so that its indexes are as deep.
    connection.execute(b"INSERT INTO copied_entry SELECT * FROM ledger.entry")
    connection.execute(b"VACUUM ANALYZE copied_entry")
    batch, copy = [], []
    for number in range(BATCHES):
        start = number * size % (MEMBERS - size + 1)
        members = book.members[start : start + size]
        asked = book.batch(members, "earn")
        batch.append(_seconds(functools.partial(book.send, asked)))
        copy.append(_copy_of(connection, members, f"b{next(book.keys) - size}"))
        connection.execute(b"TRUNCATE copied_account")
    return Measure(
        name=f"batch of {size:,} earns, one connection",
        rate=size / _median(batch),
        baseline="COPY of its rows, same indexes",
        baseline_rate=size / _median(copy),
        goal=0.5,
    )


def _copy_of(connection: Connection, members: list[UUID], first_key: str) -> float:
    """The seconds that COPY takes for the rows that the last batch wrote, in one transaction."""
    first = int(first_key.removeprefix("b"))
    keys = [f"b{number}" for number in range(first, first + len(members) + 1)]
    rows = {}
    for table, condition in (
        ("entry", "member_id = ANY(%s) AND idem_key = ANY(%s)"),
        ("account", "member_id = ANY(%s) AND %s IS NOT NULL"),
    ):
        query = f"COPY (SELECT * FROM ledger.{table} WHERE {condition}) TO STDOUT (FORMAT binary)"
        with connection.cursor().copy(query.encode(), [members, keys]) as reader:
            rows[table] = b"".join(bytes(block) for block in reader)

    def load() -> None:
        with connection.transaction():
            for table, data in rows.items():
                cursor = connection.cursor()
                with cursor.copy(f"COPY copied_{table} FROM STDIN (FORMAT binary)".encode()) as writer:
                    writer.write(data)
                if cursor.rowcount != len(members):
                    message = f"COPY wrote {cursor.rowcount} rows of {len(members)}"
                    raise RuntimeError(message)

    return _seconds(load)


def _against_one_by_one(book: _Book) -> Measure:
    size = SIZES[0]
    batch, single = [], []
    for number in range(BATCHES):
        start = number * size % (MEMBERS - size + 1)
        members = book.members[start : start + size]
        asked = book.batch(members, "spend", *["earn"] * 4)
        batch.append(_seconds(functools.partial(book.send, asked)) / size)
        single.append(_seconds(functools.partial(_one_by_one, book, members)) / (ONE_BY_ONE / BATCHES))
    return Measure(
        name=f"batch of {size:,}, a fifth of it spends, one connection",
        rate=1 / _median(batch),
        baseline="earns one by one, one connection",
        baseline_rate=1 / _median(single),
        goal=4,
    )


def _one_by_one(book: _Book, members: list[UUID]) -> None:
    for number in range(ONE_BY_ONE // BATCHES):
        book.connection.execute(_EARN, [book.programme_id, members[number], f"o{next(book.keys)}"], prepare=True)
