"""Members in: a shop's list of customers becomes members, or is found to be people who are members already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.channels.files.committing import commit
from loyalty.channels.files.lines import BadLine, CutShortError, Export, Row
from loyalty.channels.files.mapping import MEMBER_ROLES, MemberMapping, MemberRole, Positions, locate_member_columns
from loyalty.channels.files.people import Person, register_people
from loyalty.channels.files.refusals import Refusal, RefusalFile
from loyalty.channels.files.tally import MemberTally, Watcher
from loyalty.channels.files.values import TimeReader, UnreadableError
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import DomainError, InvalidInputError
from loyalty.kit.programme import Channel
from loyalty.members.identity import Record, read_record
from loyalty.members.profile import ProfileFields, texts_of

BATCH_RECORDS: Final = 500


class _Reading(NamedTuple):
    """A record on its way to become a member, and the row it was read from."""

    row: Row
    at: Positions
    record: Record


class MemberImport:
    """One run over some files. Records are registered in batches, each its own transaction; repeated, nothing happens.

    A record is taken without the details that are wrong in it, and each of those is told: without a usable phone it is
    a member of its channel alone. It is refused when nothing is left to know the person by.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        keyring: Keyring,
        *,
        channel: Channel,
        mapping: MemberMapping,
        refusals: RefusalFile,
        watcher: Watcher,
    ) -> None:
        self.tally: Final = MemberTally()
        self._engine = engine
        self._keyring = keyring
        self._channel = channel
        self._mapping = mapping
        self._refusals = refusals
        self._watcher = watcher
        self._times = TimeReader(mapping.time_format, mapping.time_zone or channel.time_zone)
        self._now = utc_now()

    async def run(self, exports: Sequence[Export]) -> MemberTally:
        """Read open files, one after the other. Raises InvalidInputError (column) before anything is written."""
        positions = [locate_member_columns(export.name, export.header, self._mapping) for export in exports]
        batch: list[_Reading] = []
        try:
            for export, at in zip(exports, positions, strict=True):
                for row in export.records():
                    self.tally.rows += 1
                    self.tally.file, self.tally.line = row.file, row.line
                    batch += self._read(row, at)
                    if len(batch) >= BATCH_RECORDS:
                        await self._register(batch)
                        batch = []
                        if self._watcher.stopping():
                            self.tally.stopped = True
                            return self.tally
                await self._register(batch)
                batch = []
        except CutShortError as error:
            self.tally.problem = error.detail
            await self._register(batch)
        return self.tally

    def _read(self, row: Row | BadLine, at: Positions) -> list[_Reading]:
        """The record of a row, or nothing where it is refused."""
        if isinstance(row, BadLine):
            self.tally.members_refused += 1
            self.tally.lines_refused += 1
            self._refusals.add(Refusal(row.file, row.line, "", row.text, row.reason))
            return []
        texts = {role: at.text(row.fields, role) for role in MEMBER_ROLES}
        identities, faults = read_record(
            channel_code=self._channel.code,
            phone=texts["phone"],
            email=texts["email"],
            customer=texts["customer"],
            card=texts["card"],
            region=self._mapping.region,
        )
        left_out = {fault["field"]: fault["reason"] for fault in faults}
        record = Record(
            identities=identities, joined_at=self._joined(texts, left_out), profile=_profile(texts, left_out)
        )
        if not identities:
            self._refuse_person(row, at, left_out or {"customer": "is empty, as is all else that names a person"})
            return []
        self.tally.details_left_out += len(left_out)
        for role, reason in left_out.items():
            self._refusals.add(self._refusal(row, at, role, f"{reason} (the record was taken without it)"))
        return [_Reading(row, at, record)]

    def _joined(self, texts: Mapping[MemberRole, str], left_out: dict[str, str]) -> datetime:
        try:
            return self._times.read(texts["joined"]) if texts["joined"] else self._now
        except UnreadableError as error:
            left_out["joined"] = str(error)
            return self._now

    async def _register(self, batch: Sequence[_Reading]) -> None:
        if not batch:
            return

        async def work(connection: AsyncConnection) -> list[Person | DomainError]:
            records = [reading.record for reading in batch]
            return await register_people(connection, self._keyring, channel=self._channel, records=records)

        for reading, person in zip(batch, await commit(self._engine, work), strict=True):
            if isinstance(person, DomainError):
                self._refuse_person(reading.row, reading.at, {person.field or "customer": person.detail})
                continue
            self.tally.members_merged += len(person.registration.merge_ids)
            if person.registration.created:
                self.tally.members_created += 1
            elif person.news:
                self.tally.members_joined += 1
            else:
                self.tally.members_unchanged += 1
        self._refusals.flush()
        self._watcher.advanced(self.tally)

    def _refuse_person(self, row: Row, at: Positions, reasons: Mapping[str, str]) -> None:
        self.tally.members_refused += 1
        self.tally.lines_refused += 1
        for role, reason in reasons.items():
            self._refusals.add(self._refusal(row, at, role, reason))

    def _refusal(self, row: Row, at: Positions, role: str, reason: str) -> Refusal:
        return Refusal(row.file, row.line, at.column(role), at.text(row.fields, role), reason)


def _profile(texts: Mapping[MemberRole, str], left_out: dict[str, str]) -> ProfileFields | None:
    """What a record tells beside who the person is, less what cannot be right."""
    profile = ProfileFields()
    for role in ("name", "birthday"):
        if not texts[role]:
            continue
        try:
            told = ProfileFields(name=texts[role]) if role == "name" else ProfileFields(birthday=_day(texts[role]))
            texts_of(told)
        except InvalidInputError as error:
            left_out[role] = error.detail
        else:
            profile = msgspec.structs.replace(profile, **{role: getattr(told, role)})
    return profile if profile != ProfileFields() else None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError("is not a day such as 1990-12-31", field="birthday") from None
