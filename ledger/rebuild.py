"""Writing the projections anew: the entries are the truth, and everything else follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.account_audit import Account, replay_span, spans
from ledger.streams import driver, moment

_WRITTEN: Final = ("account", "filed_lot", "hold")
_UUIDS: Final = ("member_id", "programme_id", "hold_id", "origin_member")
_MOMENTS: Final = ("next_due", "idle_expires_at", "last_at", "expires_at", "available_at")


async def rebuild(connection: AsyncConnection, *, progress: Callable[[int], None] | None = None) -> int:
    """Write the projections anew from the entries; answers the number of accounts.

    The connection is the owner's: nobody else may write projections. It locks them against postings until the
    transaction ends, so run it when shops are closed. Where entries themselves are wrong, it rebuilds what they say:
    verify first.
    """
    await connection.execute(
        text("LOCK TABLE ledger.account, ledger.filed_lot, ledger.hold IN SHARE ROW EXCLUSIVE MODE")
    )
    raw = await driver(connection)
    pieces = await spans(raw)
    for table in _WRITTEN:
        await connection.execute(text(f"DELETE FROM ledger.{table}"))  # noqa: S608  (three names of ours)
    count = 0
    for span in pieces:
        accounts = [account async for account in replay_span(raw, span) if account.entries]
        await _write(connection, accounts)
        count += len(accounts)
        if progress is not None:
            progress(count)
    return count


async def _write(connection: AsyncConnection, accounts: Sequence[Account]) -> None:
    """Insert the projections of some accounts."""
    written: dict[str, list[dict[str, Any]]] = {table: [] for table in _WRITTEN}
    for account in accounts:
        key = {"member_id": account.member_id, "unit": account.unit}
        replay = account.replay
        written["account"].append(
            {
                **key,
                **replay.balances,
                "programme_id": replay.programme_id,
                "seq": replay.sequence,
                "next_due": replay.next_due,
                "idle_expires_at": replay.idle_expires_at,
                "last_at": replay.last_at,
                "head": replay.head,
                "filed": True,
            }
        )
        written["filed_lot"] += [
            {**key, **msgspec.structs.asdict(lot), "open": lot.open} for lot in replay.lots.values()
        ]
        written["hold"] += [{**key, **msgspec.structs.asdict(hold)} for hold in replay.holds.values()]
    for table, found in written.items():
        if found:
            names = ", ".join(found[0])
            values = ", ".join(f":{name}" for name in found[0])
            await connection.execute(
                text(f"INSERT INTO ledger.{table} ({names}) VALUES ({values})"),  # noqa: S608  (names of ours)
                [_as_written(row) for row in found],
            )


def _as_written(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _MOMENTS:
        return moment(value)
    return UUID(bytes=value) if name in _UUIDS else value
