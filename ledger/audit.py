"""Verify and rebuild: the entries are the truth, and everything else must follow from them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.replay import AccountReplay, Hold, Lot

BATCH_MEMBERS: Final = 500
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

AccountKey = tuple[UUID, str]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not follow from the entries. `sequence` is the first wrong entry, None for a projection."""

    member_id: UUID
    unit: str
    sequence: int | None
    problem: str


class Verification(msgspec.Struct, kw_only=True):
    """What a verification went through and what it found: the first wrong entry of an account, or its projections."""

    accounts: int = 0
    entries: int = 0
    findings: list[Finding] = []

    @property
    def passed(self) -> bool:
        """Whether everything follows from the entries."""
        return not self.findings


class _Account(msgspec.Struct):
    replay: AccountReplay
    row: RowMapping | None = None
    lots: dict[int, RowMapping] = {}
    holds: dict[UUID, RowMapping] = {}
    entries: int = 0


_MEMBERS: Final = text("""
    (SELECT DISTINCT member_id FROM ledger.entry WHERE member_id > :after ORDER BY member_id LIMIT :limit)
    UNION
    (SELECT DISTINCT member_id FROM ledger.account WHERE member_id > :after ORDER BY member_id LIMIT :limit)
    ORDER BY member_id LIMIT :limit
""")

_ENTRIES: Final = text("""
    SELECT * FROM ledger.entry
    WHERE member_id BETWEEN :first AND :last
    ORDER BY member_id, unit, seq
""")


async def verify(
    connection: AsyncConnection, *, progress: Callable[[Verification], None] | None = None
) -> Verification:
    """Replay every account and compare. Call it in a REPEATABLE READ transaction: it reads in several statements.

    Hashes are computed here, not by the database. For each account it names the first wrong entry; where all entries
    are right, each projection that does not follow from them.
    """
    result = Verification()
    async for members in _member_batches(connection):
        accounts = await _load(connection, members[0], members[-1])
        for key, account in accounts.items():
            result.accounts += 1
            result.entries += account.entries
            result.findings.extend(_findings(key, account))
        if progress is not None:
            progress(result)
    return result


async def rebuild(connection: AsyncConnection, *, progress: Callable[[int], None] | None = None) -> int:
    """Write the projections anew from the entries; answers the number of accounts.

    The connection is the owner's: nobody else may write projections. It locks them against postings until the
    transaction ends, so run it when shops are closed. Where entries themselves are wrong, it rebuilds what they say:
    verify first.
    """
    await connection.execute(
        text("LOCK TABLE ledger.account, ledger.filed_lot, ledger.hold IN SHARE ROW EXCLUSIVE MODE")
    )
    for table in ("account", "filed_lot", "hold"):
        await connection.execute(text(f"DELETE FROM ledger.{table}"))  # noqa: S608  (three names of ours)
    count = 0
    async for members in _member_batches(connection):
        accounts = await _load(connection, members[0], members[-1])
        await _write(connection, {key: account.replay for key, account in accounts.items()})
        count += len(accounts)
        if progress is not None:
            progress(count)
    return count


async def _member_batches(connection: AsyncConnection) -> AsyncIterator[list[UUID]]:
    after = UUID(int=0)
    while True:
        rows = await connection.execute(_MEMBERS, {"after": after, "limit": BATCH_MEMBERS})
        members = list(rows.scalars())
        if not members:
            return
        yield members
        after = members[-1]


async def _load(connection: AsyncConnection, first: UUID, last: UUID) -> dict[AccountKey, _Account]:
    span = {"first": first, "last": last}
    accounts: dict[AccountKey, _Account] = {}

    def account(row: RowMapping) -> _Account:
        key = (row["member_id"], row["unit"])
        if key not in accounts:
            accounts[key] = _Account(replay=AccountReplay(), lots={}, holds={})
        return accounts[key]

    for entry in (await connection.execute(_ENTRIES, span)).mappings():
        found = account(entry)
        found.entries += 1
        found.replay.apply(entry)
    for row in await _rows(connection, "account", span):
        account(row).row = row
    for row in await _rows(connection, "filed_lot", span):
        account(row).lots[row["seq"]] = row
    for row in await _rows(connection, "hold", span):
        account(row).holds[row["hold_id"]] = row
    return accounts


async def _rows(connection: AsyncConnection, table: str, span: Mapping[Any, Any]) -> list[RowMapping]:
    query = text(f"SELECT * FROM ledger.{table} WHERE member_id BETWEEN :first AND :last")  # noqa: S608  (ours)
    return list((await connection.execute(query, span)).mappings())


def _findings(key: AccountKey, account: _Account) -> list[Finding]:
    member_id, unit = key
    if account.replay.problems:
        sequence, problem = account.replay.problems[0]
        return [Finding(member_id=member_id, unit=unit, sequence=sequence, problem=problem)]
    problems = [
        *_account_problems(account),
        *_lot_problems(account),
        *_differences("hold", account.holds, {hold: _hold_row(row) for hold, row in account.replay.holds.items()}),
    ]
    return [Finding(member_id=member_id, unit=unit, sequence=None, problem=problem) for problem in problems]


def _account_problems(account: _Account) -> list[str]:
    row, replay = account.row, account.replay
    if row is None:
        return ["the account's row is missing"]
    if not account.entries:
        return (
            [] if not any(row[name] for name in ("posted", "pending", "held", "debt", "seq")) else ["it has no entries"]
        )
    expected = {**replay.balances, "seq": replay.sequence, "head": replay.head, "last_at": replay.last_at}
    problems = [
        f"account.{name} is {row[name]!r} and should be {value!r}"
        for name, value in expected.items()
        if row[name] != value
    ]
    due = replay.next_due
    if due is not None and (row["next_due"] is None or row["next_due"] > due):
        problems.append(f"account.next_due is {row['next_due']} and something is due at {due}")
    return problems


def _lot_problems(account: _Account) -> list[str]:
    """A lot is filed, or stands in the account's row where it is plain and open, or is used up and stands nowhere."""
    assert account.row is not None or not account.entries  # noqa: S101  (said before: the row is missing)
    row: Mapping[Any, Any] = account.row or {"inline_lots": [], "inline_left": [], "inline_expires": [], "filed": True}
    inline = list(zip(row["inline_lots"], row["inline_left"], row["inline_expires"], strict=False))
    if not len(inline) == len(row["inline_lots"]) == len(row["inline_left"]) == len(row["inline_expires"]):
        return ["account.inline_lots, inline_left and inline_expires are not of one length"]
    problems = [f"lot {seq} is filed and stands in the account's row" for seq, _, _ in inline if seq in account.lots]
    actual: dict[int, Mapping[Any, Any]] = dict(account.lots)
    expected = {seq: _lot_row(lot) for seq, lot in account.replay.lots.items()}
    for seq, left, expires_at in inline:
        plain = {"expired": 0, "priority": 0, "pending": False, "origin_member": None}
        actual[seq] = {**expected.get(seq, {}), **plain, "remaining": left, "expires_at": expires_at, "open": left > 0}
    if inline != sorted(inline, key=lambda lot: (lot[2] or _NEVER, lot[0])):
        problems.append("the lots in the account's row are not in the order in which they are spent")
    if not row["filed"] and any(lot["open"] for lot in account.lots.values()):
        problems.append("account.filed is False and an open lot is filed")
    used_up = {seq for seq, lot in expected.items() if not (lot["remaining"] or lot["expired"] or lot["pending"])}
    return problems + _differences(
        "lot", actual, {seq: lot for seq, lot in expected.items() if seq in actual or seq not in used_up}
    )


def _differences(
    table: str, actual: Mapping[Any, Mapping[Any, Any]], expected: Mapping[Any, Mapping[Any, Any]]
) -> list[str]:
    problems = [f"{table} {key} is not in the entries" for key in actual.keys() - expected.keys()]
    for key, values in expected.items():
        if key not in actual:
            problems.append(f"{table} {key} is missing")
            continue
        problems.extend(
            f"{table} {key}: {name} is {actual[key][name]!r} and should be {value!r}"
            for name, value in values.items()
            if actual[key][name] != value
        )
    return problems


def _lot_row(lot: Lot) -> dict[str, Any]:
    return {**msgspec.structs.asdict(lot), "open": lot.remaining > 0}


def _hold_row(hold: Hold) -> dict[str, Any]:
    return msgspec.structs.asdict(hold)


async def _write(connection: AsyncConnection, replays: Mapping[AccountKey, AccountReplay]) -> None:
    """Insert the projections of a batch of accounts."""
    accounts: list[dict[str, Any]] = []
    lots: list[dict[str, Any]] = []
    holds: list[dict[str, Any]] = []
    programmes = {
        (row["member_id"], row["unit"]): row["programme_id"]
        for row in (
            await connection.execute(
                text(
                    "SELECT member_id, unit, programme_id FROM ledger.entry WHERE seq = 1 AND member_id = ANY(:members)"
                ),
                {"members": [member_id for member_id, _ in replays]},
            )
        ).mappings()
    }
    for (member_id, unit), replay in replays.items():
        key = {"member_id": member_id, "unit": unit}
        accounts.append(
            {
                **key,
                **replay.balances,
                "programme_id": programmes[member_id, unit],
                "seq": replay.sequence,
                "next_due": replay.next_due,
                "idle_expires_at": replay.idle_expires_at,
                "last_at": replay.last_at,
                "head": replay.head,
                "filed": True,
            }
        )
        lots.extend({**key, **_lot_row(lot)} for lot in replay.lots.values())
        holds.extend({**key, **_hold_row(hold)} for hold in replay.holds.values())
    for table, rows in (("account", accounts), ("filed_lot", lots), ("hold", holds)):
        if rows:
            names = ", ".join(rows[0])
            values = ", ".join(f":{name}" for name in rows[0])
            await connection.execute(text(f"INSERT INTO ledger.{table} ({names}) VALUES ({values})"), rows)  # noqa: S608
