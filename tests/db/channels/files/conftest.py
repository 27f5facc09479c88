"""Imports of small files, written in the test, into a programme of its own."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.starting import give_defaults
from loyalty.channels.files.lines import Export
from loyalty.channels.files.mapping import FileFormat, MemberMapping, OrderMapping
from loyalty.channels.files.members_in import MemberImport
from loyalty.channels.files.orders_in import OrderImport, UnknownCustomer
from loyalty.channels.files.refusals import RefusalFile
from loyalty.channels.files.tally import MemberTally, OrderTally, Tally
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import Channel, Programme, get_channel
from tests.factories import make_programme


class Shop:
    """A programme with the default policies, its channels `online` and `store-1`, and a folder for files."""

    def __init__(self, engine: AsyncEngine, programme: Programme, channels: dict[str, Channel], folder: Path) -> None:
        self.engine = engine
        self.programme = programme
        self.channels = channels
        self.folder = folder
        self.keyring = Keyring.generate()
        self.stop_when: Callable[[Tally], bool] = lambda _tally: False
        self._stop = False

    def stopping(self) -> bool:
        return self._stop

    def advanced(self, tally: Tally) -> None:
        self._stop = self.stop_when(tally)

    @property
    def refused(self) -> list[str]:
        path = self.folder / "refused.csv"
        return path.read_text().splitlines()[1:] if path.exists() else []

    def _export(self, stack: ExitStack, lines: list[str], *, cut_short: bool = False) -> Export:
        path = self.folder / "file.csv"
        content = "\n".join(lines).encode() + b"\n"
        path.write_bytes(gzip.compress(content)[:-12] if cut_short else content)
        return stack.enter_context(Export(str(path), FileFormat()))

    async def members(self, *lines: str, channel: str = "online", **mapping: Any) -> MemberTally:
        with ExitStack() as stack:
            importer = MemberImport(
                self.engine,
                self.keyring,
                channel=self.channels[channel],
                mapping=MemberMapping(**mapping),
                refusals=stack.enter_context(RefusalFile(self.folder / "refused.csv")),
                watcher=self,
            )
            return await importer.run([self._export(stack, list(lines))])

    async def orders(
        self,
        *lines: str,
        channel: str = "online",
        unknown_customer: UnknownCustomer = "create",
        cut_short: bool = False,
        **mapping: Any,
    ) -> OrderTally:
        with ExitStack() as stack:
            importer = OrderImport(
                self.engine,
                self.keyring,
                channel=self.channels[channel],
                mapping=OrderMapping(**mapping),
                file_format=FileFormat(),
                unknown_customer=unknown_customer,
                refusals=stack.enter_context(RefusalFile(self.folder / "refused.csv")),
                watcher=self,
            )
            return await importer.run([self._export(stack, list(lines), cut_short=cut_short)])

    async def count(self, table: str) -> int:
        async with self.engine.connect() as connection:
            query = text(f"SELECT count(*) FROM {table} WHERE programme_id = :programme")
            return int((await connection.execute(query, {"programme": self.programme.id})).scalar_one())

    async def points(self) -> list[int]:
        """What every account is worth, least first."""
        query = text(
            "SELECT posted - debt FROM ledger.account WHERE programme_id = :programme AND unit = 'points' ORDER BY 1"
        )
        async with self.engine.connect() as connection:
            return list((await connection.execute(query, {"programme": self.programme.id})).scalars())


@pytest.fixture
async def shop(committed_engine: AsyncEngine, tmp_path: Path) -> Shop:
    """A programme in CNY whose purchases earn a point a yuan, in a database of its own: imports commit."""
    async with transaction(committed_engine) as connection:
        programme = await make_programme(connection)
        await give_defaults(connection, programme, expiry_months=None)
        channels = {code: await get_channel(connection, programme.id, code) for code in ("online", "store-1")}
    return Shop(committed_engine, programme, channels, tmp_path)
