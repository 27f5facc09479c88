"""Replaying spans of members and comparing: with hashes, with closed heads, with the projections in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from ledger.findings import Finding, Verification
from ledger.record import COLUMNS, EntryRow
from ledger.replay import AccountReplay, ClosedHead, Hold, Lot
from ledger.streams import Driver, Row, moment, rows, stream

PIECE_ENTRIES: Final = 10_000
"""About how many entries a span has: enough that asking for it costs little, few enough to show that work goes on."""

_MEMBERS: Final = 1 << 128
_UUID_BYTES: Final = 16
_MOST: Final = 1_000_000
"""What an account's row is believed about its entries while spans are made: a wrong one must not upset the sum."""
_SPANS: Final = f"""
    SELECT (array_agg(member_id ORDER BY member_id DESC))[1]
    FROM (SELECT member_id,
                 sum(least(greatest(seq, 1), {_MOST})) OVER (ORDER BY member_id, unit)::bigint / %(piece)s AS piece
          FROM ledger.account) AS account
    GROUP BY piece ORDER BY piece
"""  # noqa: S608  (a number of ours)
_WITHIN: Final = "WHERE member_id BETWEEN %(first)s AND %(last)s"
_ENTRIES: Final = f"SELECT {COLUMNS} FROM ledger.entry {_WITHIN} ORDER BY member_id, unit, seq"  # noqa: S608  (ours)
_ACCOUNTS: Final = f"""
    SELECT member_id, unit, programme_id, posted, pending, held, debt, seq, next_due, idle_expires_at, last_at, head,
           inline_lots, inline_left, inline_expires, filed
    FROM ledger.account {_WITHIN}
"""  # noqa: S608
_LOT_NAMES: Final = (*Lot.__struct_fields__, "open")
_LOTS: Final = f"SELECT member_id, unit, {', '.join(_LOT_NAMES)} FROM ledger.filed_lot {_WITHIN}"  # noqa: S608
_HOLD_NAMES: Final = Hold.__struct_fields__
_HOLDS: Final = f"SELECT member_id, unit, {', '.join(_HOLD_NAMES)} FROM ledger.hold {_WITHIN}"  # noqa: S608
_CLOSED: Final = f"""
    SELECT member_id, unit, seq, head, closing FROM ledger.closed_head {_WITHIN} ORDER BY member_id, unit, closing
"""  # noqa: S608
_MOMENTS: Final = frozenset({"expires_at", "available_at", "last_at", "next_due", "idle_expires_at"})


class Span(msgspec.Struct, frozen=True):
    """Members from one to another, both included."""

    first: UUID
    last: UUID


class AccountRow(NamedTuple):
    """A row of `ledger.account`."""

    member_id: bytes
    unit: str
    programme_id: bytes
    posted: int
    pending: int
    held: int
    debt: int
    seq: int
    next_due: int | None
    idle_expires_at: int | None
    last_at: int
    head: bytes
    inline_lots: list[int]
    inline_left: list[int]
    inline_expires: list[int | None]
    filed: bool


class Account:
    """One account as the database holds it, beside the replay of its entries."""

    def __init__(self, member_id: bytes, unit: str) -> None:
        self.member_id: Final = member_id
        self.unit: Final = unit
        self.row: AccountRow | None = None
        self.lots: dict[int, Row] = {}
        self.holds: dict[bytes, Row] = {}
        self.closed: list[ClosedHead] = []
        self.entries = 0
        self.replay = AccountReplay()


async def spans(connection: Driver) -> list[Span]:
    """Every member that there could be, in spans of about `PIECE_ENTRIES` entries by what the accounts' rows say."""
    found = []
    first = 0
    for (last,) in await rows(connection, _SPANS, {"piece": PIECE_ENTRIES}):
        end = int.from_bytes(last)
        if end >= first:
            found.append(Span(UUID(int=first), UUID(int=end)))
            first = end + 1
    if first < _MEMBERS:
        found.append(Span(UUID(int=first), UUID(int=_MEMBERS - 1)))
    return found


async def check_span(connection: Driver, span: Span) -> Verification:
    """Replay a span's accounts and compare."""
    result = Verification()
    async for account in replay_span(connection, span):
        result.accounts += 1
        result.entries += account.entries
        result.findings.extend(_findings(account))
    return result


async def replay_span(connection: Driver, span: Span) -> AsyncIterator[Account]:
    """The accounts of a span, each once its entries are replayed; those without entries last.

    In memory are the projections of the span and no more than a piece of its entries.
    """
    within = {"first": span.first, "last": span.last}
    waiting = await _projections(connection, within)
    current: Account | None = None
    async for piece in stream(connection, _ENTRIES, within):
        for row in piece:
            if current is None or row[0] != current.member_id or row[1] != current.unit:
                if current is not None:
                    current.replay.finish()
                    yield current
                key = (row[0], row[1])
                current = waiting.pop(key, None) or Account(*key)
                current.replay = AccountReplay(current.closed)
            current.entries += 1
            _apply(current.replay, EntryRow._make(row))
    for account in ([] if current is None else [current]) + [*waiting.values()]:
        if not account.entries:
            account.replay = AccountReplay(account.closed)
        account.replay.finish()
        yield account


def _apply(replay: AccountReplay, entry: EntryRow) -> None:
    try:
        replay.apply(entry)
    except Exception as error:  # noqa: BLE001  (whatever a forger put into a column must be a finding, not an accident)
        replay.problems.append((entry.seq, f"it holds what no entry can hold: {error!r}"))


async def _projections(connection: Driver, within: Mapping[str, UUID]) -> dict[tuple[bytes, str], Account]:
    accounts: dict[tuple[bytes, str], Account] = {}

    def account(row: Row) -> Account:
        key = (row[0], row[1])
        if key not in accounts:
            accounts[key] = Account(*key)
        return accounts[key]

    for row in await rows(connection, _ACCOUNTS, within):
        account(row).row = AccountRow._make(row)
    async for piece in stream(connection, _LOTS, within):
        for row in piece:
            account(row).lots[row[2]] = row[2:]
    for row in await rows(connection, _HOLDS, within):
        account(row).holds[row[2]] = row[2:]
    for row in await rows(connection, _CLOSED, within):
        account(row).closed.append(ClosedHead(*row[2:]))
    return accounts


def _findings(account: Account) -> Iterator[Finding]:
    """The first wrong entry; where all are right, each projection that does not follow from them."""
    if account.replay.problems:
        sequence, problem = account.replay.problems[0]
        yield Finding(member_id=UUID(bytes=account.member_id), unit=account.unit, sequence=sequence, problem=problem)
        return
    for check in (_row_problems, _lot_problems, _hold_problems):
        for problem in check(account):
            yield Finding(member_id=UUID(bytes=account.member_id), unit=account.unit, problem=problem)


def _row_problems(account: Account) -> Iterator[str]:
    row, replay = account.row, account.replay
    if row is None:
        yield "the account's row is missing"
    elif not account.entries:
        if any((row.posted, row.pending, row.held, row.debt, row.seq)):
            yield "it has no entries"
    else:
        expected = {
            **replay.balances,
            "programme_id": replay.programme_id,
            "seq": replay.sequence,
            "head": replay.head,
            "last_at": replay.last_at,
        }
        for name, value in expected.items():
            yield from _difference(f"account.{name}", name, getattr(row, name), value)
        due = replay.next_due
        if due is not None and (row.next_due is None or row.next_due > due):
            known = _shown("next_due", row.next_due)
            yield f"account.next_due is {known} and something is due at {_shown('next_due', due)}"


def _lot_problems(account: Account) -> Iterator[str]:
    """A lot is filed, or stands in the account's row where it is plain and open, or is used up and stands nowhere."""
    row, actual, expected = account.row, account.lots, account.replay.lots
    if row is not None:
        if not len(row.inline_lots) == len(row.inline_left) == len(row.inline_expires):
            yield "account.inline_lots, inline_left and inline_expires are not of one length"
            return
        if not row.filed and any(lot[2] for lot in actual.values()):
            yield "account.filed is False and an open lot is filed"
        inline = list(zip(row.inline_lots, row.inline_left, row.inline_expires, strict=True))
        if inline != sorted(inline, key=lambda lot: (lot[2] is None, lot[2], lot[0])):
            yield "the lots in the account's row are not in the order in which they are spent"
        for sequence, left, expires_at in inline:
            if sequence in actual:
                yield f"lot {sequence} is filed and stands in the account's row"
            lot = expected.get(sequence)
            granted, available_at, origin = (lot.granted, lot.available_at, lot.origin_seq) if lot else (0, None, None)
            actual[sequence] = (
                sequence, granted, left, 0, expires_at, available_at, 0, None, origin, False, left > 0
            )  # fmt: skip
    should = (
        (sequence, (*msgspec.structs.astuple(lot), lot.open))
        for sequence, lot in expected.items()
        if sequence in actual or lot.remaining or lot.expired or lot.pending
    )
    yield from _differences("lot", _LOT_NAMES, actual, should)


def _hold_problems(account: Account) -> Iterator[str]:
    should = ((hold_id, msgspec.structs.astuple(hold)) for hold_id, hold in account.replay.holds.items())
    yield from _differences("hold", _HOLD_NAMES, account.holds, should)


def _differences(
    table: str, names: tuple[str, ...], actual: dict[Any, Row], should: Iterable[tuple[Any, Row]]
) -> Iterator[str]:
    """What is different, row by row; `actual` is used up."""
    for key, values in should:
        row = actual.pop(key, None)
        if row is None:
            yield f"{table} {_shown(table, key)} is missing"
        elif row != values:
            for name, is_now, value in zip(names, row, values, strict=True):
                yield from _difference(f"{table} {_shown(table, key)}: {name}", name, is_now, value)
    for key in actual:
        yield f"{table} {_shown(table, key)} is not in the entries"


def _difference(place: str, name: str, is_now: Any, value: Any) -> Iterator[str]:
    if is_now != value:
        yield f"{place} is {_shown(name, is_now)} and should be {_shown(name, value)}"


def _shown(name: str, value: Any) -> str:
    if name in _MOMENTS and value is not None:
        try:
            return moment(value).isoformat()
        except OverflowError:
            return "a moment that no calendar has"
    if isinstance(value, bytes):
        return str(UUID(bytes=value)) if len(value) == _UUID_BYTES else value.hex()
    return str(value)
