"""Campaigns in: what a channel sent, to whom, and what came back, from its files.

What a file holds is told by its columns: with `starts` and `ends` it is campaigns, with `used` what was redeemed, else
who was sent what. Files are read in the order in which they are given. Repeated, nothing happens twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.channels.files.committing import commit
from loyalty.channels.files.lines import BadLine, CutShortError, Export, Row
from loyalty.channels.files.mapping import CAMPAIGN_ROLES, CampaignMapping, Positions, locate
from loyalty.channels.files.refusals import Refusal, RefusalFile
from loyalty.channels.files.tally import CampaignTally, Watcher
from loyalty.channels.files.values import UnreadableError, read_number, to_minor
from loyalty.effects.tables import sent_campaign_member_table, sent_campaign_table, sent_campaign_use_table
from loyalty.kit.crypto import Keyring
from loyalty.kit.currency import minor_digits
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Channel
from loyalty.members.directory import find_holders
from loyalty.members.identifiers import IdentityKey, identity_key
from loyalty.members.identity import channel_identity

BATCH_ROWS: Final = 1_000


class _Read(msgspec.Struct, frozen=True):
    """A row and what it says, by role."""

    row: Row
    at: Positions
    texts: dict[str, str]


class _RefusedError(Exception):
    """A row that cannot be taken: which role is at fault, and why."""

    def __init__(self, role: str, reason: str) -> None:
        super().__init__(reason)
        self.role = role
        self.reason = reason


class CampaignImport:
    """One run over some files, in batches, each its own transaction."""

    def __init__(
        self,
        engine: AsyncEngine,
        keyring: Keyring,
        *,
        channel: Channel,
        mapping: CampaignMapping,
        refusals: RefusalFile,
        watcher: Watcher,
    ) -> None:
        self.tally: Final = CampaignTally()
        self._engine = engine
        self._keyring = keyring
        self._channel = channel
        self._mapping = mapping
        self._refusals = refusals
        self._watcher = watcher
        self._seen: Counter[tuple[str, ...]] = Counter()

    async def run(self, exports: Sequence[Export]) -> CampaignTally:
        """Read open files, one after the other. Raises InvalidInputError (column) before anything is written."""
        positions = [self._locate(export) for export in exports]
        for export, at in zip(exports, positions, strict=True):
            batch: list[_Read] = []
            try:
                for row in export.records():
                    self.tally.rows += 1
                    self.tally.file, self.tally.line = row.file, row.line
                    batch += self._read(row, at)
                    if len(batch) >= BATCH_ROWS:
                        await self._put(batch, at)
                        batch = []
                        if self._watcher.stopping():
                            self.tally.stopped = True
                            return self.tally
            except CutShortError as error:
                self.tally.problem = error.detail
            await self._put(batch, at)
            if self.tally.problem:
                break
        return self.tally

    def _locate(self, export: Export) -> Positions:
        at = locate(export.name, export.header, self._present(export.header), CAMPAIGN_ROLES)
        wanted = ("campaign",) if "starts" in at else ("campaign", "customer")
        for role in wanted:
            if role not in at:
                message = f"{export.name} has no column for the {role}; say which with --column {role}=NAME"
                raise InvalidInputError(message, field="column")
        return at

    def _present(self, header: Sequence[str]) -> dict[str, str]:
        """The mapped columns that a file has: each of the files holds some of the roles."""
        return {role: column for role, column in self._mapping.columns.items() if column in header}

    def _read(self, row: Row | BadLine, at: Positions) -> list[_Read]:
        if isinstance(row, BadLine):
            self._refuse(row.file, row.line, "", row.text, row.reason)
            return []
        return [_Read(row, at, {role: at.text(row.fields, role) for role in CAMPAIGN_ROLES})]

    def _refuse(self, file: str, line: int, column: str, value: str, reason: str) -> None:
        self.tally.lines_refused += 1
        self._refusals.add(Refusal(file, line, column, value, reason))

    async def _put(self, batch: Sequence[_Read], at: Positions) -> None:
        if not batch:
            return
        if "starts" in at:
            rows = self._rows(batch, self._campaign)
            added = await commit(self._engine, lambda connection: _add(connection, sent_campaign_table, rows))
            self.tally.campaigns_added += added
        else:
            uses = "used" in at
            await commit(self._engine, self._known)
            members = await commit(self._engine, lambda connection: self._members(connection, batch))
            rows = self._rows(batch, lambda texts: self._personal(texts, members, uses=uses))
            table = sent_campaign_use_table if uses else sent_campaign_member_table
            added = await commit(self._engine, lambda connection: _add(connection, table, rows))
            if uses:
                self.tally.uses_added += added
            else:
                self.tally.sends_added += added
        self._refusals.flush()
        self._watcher.advanced(self.tally)

    def _rows(self, batch: Sequence[_Read], make: Any) -> list[dict[str, Any]]:
        rows = []
        for read in batch:
            try:
                rows.append(make(read.texts))
            except _RefusedError as error:
                value = read.texts.get(error.role, "")
                self._refuse(read.row.file, read.row.line, read.at.column(error.role), value, error.reason)
        return rows

    def _campaign(self, texts: dict[str, str]) -> dict[str, Any]:
        first, last = self._day(texts, "starts"), self._day(texts, "ends")
        if last < first:
            raise _RefusedError("ends", "is before it starts")
        if not 0 < len(texts["campaign"]) <= 100:  # noqa: PLR2004  (a code, not a text)
            raise _RefusedError("campaign", "has from 1 to 100 characters")
        return {
            "id": new_id(),
            "programme_id": self._channel.programme_id,
            "channel_id": self._channel.id,
            "code": texts["campaign"],
            "kind": texts["kind"][:100],
            "first_day": first,
            "last_day": last,
        }

    def _day(self, texts: dict[str, str], role: str) -> date:
        try:
            form = self._mapping.day_format
            return datetime.strptime(texts[role], form).date() if form else date.fromisoformat(texts[role][:10])  # noqa: DTZ007
        except ValueError:
            raise _RefusedError(role, f"is not a day of the form {self._mapping.day_format or 'YYYY-MM-DD'}") from None

    async def _known(self, connection: AsyncConnection) -> None:
        columns = sent_campaign_table.c
        found = await connection.execute(select(columns.code, columns.id).where(columns.channel_id == self._channel.id))
        self._campaigns: dict[str, UUID] = {row.code: row.id for row in found}

    def _key(self, customer: str) -> IdentityKey:
        identity = channel_identity("customer", customer, channel_code=self._channel.code)
        return identity_key(self._keyring, self._channel.programme_id, identity)

    async def _members(self, connection: AsyncConnection, batch: Sequence[_Read]) -> dict[str, UUID]:
        keys = {read.texts["customer"]: self._key(read.texts["customer"]) for read in batch if read.texts["customer"]}
        holders = await find_holders(connection, programme_id=self._channel.programme_id, keys=set(keys.values()))
        return {customer: holders[key].member_id for customer, key in keys.items() if key in holders}

    def _personal(self, texts: dict[str, str], members: dict[str, UUID], *, uses: bool) -> dict[str, Any]:
        campaign_id = self._campaigns.get(texts["campaign"])
        if campaign_id is None:
            raise _RefusedError("campaign", "is a campaign that nobody told of; import campaigns first")
        member_id = members.get(texts["customer"])
        if member_id is None:
            raise _RefusedError("customer", "is a customer whom nobody knows; import members first")
        row = {"member_id": member_id, "campaign_id": campaign_id, "programme_id": self._channel.programme_id}
        return row | self._use(texts) if uses else row

    def _use(self, texts: dict[str, str]) -> dict[str, Any]:
        day = self._day(texts, "used")
        place = (texts["campaign"], texts["customer"], texts["benefit"], day.isoformat())
        self._seen[place] += 1
        try:
            digits = minor_digits(self._channel.currency)
            discount_minor: int | None = None
            if texts["discount"]:
                amount = abs(read_number(texts["discount"]))
                (discount_minor,) = to_minor([amount], digits=digits, rounding="half_up")
        except UnreadableError as error:
            raise _RefusedError("discount", str(error)) from None
        return {
            "customer": texts["customer"][:100],
            "benefit": texts["benefit"][:100],
            "day": day,
            "number": self._seen[place],
            "store": texts["store"][:100],
            "clerk": texts["clerk"][:100],
            "discount_minor": discount_minor,
        }


async def _add(connection: AsyncConnection, table: Any, rows: Sequence[dict[str, Any]]) -> int:
    """Insert what is not there yet; answers how many that was."""
    if not rows:
        return 0
    added = insert(table).values(list(rows)).on_conflict_do_nothing().returning(table.c.programme_id)
    return len((await connection.execute(added)).all())
