"""Handing out an export: once, to one holder, from where a broken download stopped, and written down.

What is sent follows from the export and the keys alone, so nothing is kept in between: a download that goes on makes
the bytes before it anew, which also gives it the hash of the whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.age import SECRET_BYTES, Recipient
from loyalty.items.code_tables import code_download_table, code_export_table
from loyalty.items.exports import Export, ExportStateError, get_export, this_export
from loyalty.items.key_records import refuse_compromised
from loyalty.items.keys import MasterKeys
from loyalty.items.press import PressFile
from loyalty.items.press_workers import pieces_by_workers
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import new_id

_FORMAT: Final = 1
"""Counted up when the same export would give other bytes than before: they need another secret then."""
_SALT: Final = b"press-export/v1"
_download: Final = code_download_table.c


class NoSuchBytesError(InvalidInputError):
    """A download that is to go on where it never was."""

    status = 416
    type = "no-such-bytes"
    title = "The download cannot go on from there"


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A download under way. `size` is that of the whole file, where it is known before it is made."""

    id: UUID
    export: Export
    first_byte: int
    size: int | None


class DownloadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was written down of a download. `sent_bytes` is None while it runs, or where the server died."""

    id: UUID
    export_id: UUID
    at: datetime
    actor: str
    address: str | None
    first_byte: int
    sent_bytes: int | None
    sha256: bytes | None
    completed: bool
    ended_at: datetime | None


class Stream:
    """The bytes of an export from some place on, hashed and counted as they are taken.

    `sha256` is that of the whole file as far as it was made, `sent_bytes` what was given to the reader.
    """

    def __init__(self, keys: MasterKeys, export: Export, *, first_byte: int = 0, workers: int = 0) -> None:
        self._keys: Final = keys
        self._export: Final = export
        self._first_byte: Final = first_byte
        self._workers: Final = workers
        self._hash: Final = sha256()
        self.made_bytes = 0
        self.sent_bytes = 0
        self.ended = False

    @property
    def sha256(self) -> bytes:
        """The hash of what was made so far."""
        return self._hash.digest()

    def __iter__(self) -> Iterator[memoryview]:
        """The pieces. Each holds until the next one is asked for."""
        for piece in self._whole():
            view = memoryview(piece)
            self._hash.update(view)
            skipped = max(0, self._first_byte - self.made_bytes)
            self.made_bytes += len(view)
            if skipped < len(view):
                self.sent_bytes += len(view) - skipped
                yield view[skipped:]
            del view, piece
        self.ended = True

    def _whole(self) -> Iterator[bytes | memoryview]:
        export = self._export
        master = self._keys.masters[export.kid]
        file = PressFile(self._keys.for_product(export.gtin, export.kid), export.layout)
        pieces: Iterator[bytes | memoryview]
        if self._workers:
            masters = (master.master, master.pin_master)
            pieces = pieces_by_workers(masters, export.layout, workers=self._workers, packed=export.packed)
        else:
            pieces = file.packed() if export.packed else file.pieces()
        if export.recipient is None:
            return pieces
        return Recipient(export.recipient).encrypt(pieces, self._secret())

    def _secret(self) -> bytes:
        """What encrypts this export and nothing else: another export, or other bytes of it, has another secret."""
        export, master = self._export, self._keys.masters[self._export.kid]
        parts = [export.id.hex, export.layout, export.packed, export.recipient, _FORMAT, _packer(export)]
        known = {"serials": master.master, "pins": master.pin_master}
        source = known.get(export.contents, master.master + master.pin_master)
        info = sha256(msgspec.json.encode(parts, order="deterministic")).digest()
        return HKDF(algorithm=hashes.SHA256(), length=SECRET_BYTES, salt=_SALT, info=info).derive(source)


def file_size(keys: MasterKeys, export: Export) -> int | None:
    """How many bytes an export's file has; None where it is packed, which only making it tells."""
    if export.packed:
        return None
    plain = PressFile(keys.for_product(export.gtin, export.kid), export.layout).size
    return plain if export.recipient is None else Recipient(export.recipient).size(plain)


def entity_tag(export: Export) -> str:
    """What stays the same as long as an export's bytes do, for whoever goes on with a download."""
    parts = [export.id.hex, export.layout, export.packed, export.recipient, _FORMAT, _packer(export)]
    return sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:32]


async def begin_download(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    export_id: UUID,
    actor: str,
    address: str | None = None,
    first_byte: int = 0,
) -> Download:
    """Write down that somebody begins to fetch an export, or goes on from a byte. Commit before anything is sent.

    Whoever began may begin again, or go on, until all of it was sent; after that nobody may. Raises NotFoundError,
    ExportStateError, KeyCompromisedError, NoSuchBytesError.
    """
    export = await get_export(connection, programme_id=programme_id, export_id=export_id)
    await refuse_compromised(connection, programme_id=programme_id, kid=export.kid)
    size = file_size(keys, export) if export.contents != "labels" else 0
    if first_byte and (
        (size is not None and first_byte >= size) or first_byte > await _sent_so_far(connection, export)
    ):
        raise NoSuchBytesError("nothing was sent up to there", field="Range")
    held = update(code_export_table).where(*this_export(export), code_export_table.c.state.in_(("ready", "begun")))
    held = held.where(func.coalesce(code_export_table.c.holder, actor) == actor).values(
        state="begun",
        holder=actor,
        handed_out_at=func.coalesce(code_export_table.c.handed_out_at, func.clock_timestamp()),
    )
    if (await connection.execute(held)).rowcount == 0:
        raise _refusal(await get_export(connection, programme_id=programme_id, export_id=export_id))
    identifier = new_id()
    await connection.execute(
        insert(code_download_table).values(
            export_id=export.id,
            id=identifier,
            programme_id=programme_id,
            at=utc_now(),
            actor=actor,
            address=address,
            first_byte=first_byte,
        )
    )
    return Download(id=identifier, export=export, first_byte=first_byte, size=size)


async def end_download(connection: AsyncConnection, download: Download, stream: Stream) -> None:
    """Write down how a download ended: what was sent, its hash, and that the export is spent where all of it was."""
    export, whole = download.export, stream.ended
    ended: dict[str, Any] = {"sent_bytes": stream.sent_bytes, "completed": whole, "ended_at": utc_now()}
    ended |= {"sha256": stream.sha256} if whole else {}
    this = (_download.export_id == export.id, _download.id == download.id)
    await connection.execute(update(code_download_table).where(*this).values(ended))
    if whole:
        table = code_export_table.c
        spent = update(code_export_table).where(*this_export(export), table.state == "begun")
        await connection.execute(
            spent.values(
                state="completed", size=stream.made_bytes, sha256=stream.sha256, completed_at=func.clock_timestamp()
            )
        )


async def list_downloads(connection: AsyncConnection, *, export_ids: list[UUID]) -> list[DownloadRecord]:
    """Every download of these exports, newest first."""
    query = select(code_download_table).where(_download.export_id.in_(export_ids)).order_by(_download.id.desc())
    rows = (await connection.execute(query)).mappings()
    return [DownloadRecord(**{name: row[name] for name in DownloadRecord.__struct_fields__}) for row in rows]


async def _sent_so_far(connection: AsyncConnection, export: Export) -> int:
    """The furthest byte that may have been sent. Where the server died in the middle, nobody knows, so any may."""
    downloads = await list_downloads(connection, export_ids=[export.id])
    if any(each.sent_bytes is None for each in downloads):
        return 1 << 62
    return max((each.first_byte + (each.sent_bytes or 0) for each in downloads), default=0)


def _packer(export: Export) -> str:
    """What the bytes of a packed file also follow from: another zlib may pack in another way."""
    return zlib.ZLIB_RUNTIME_VERSION if export.packed else ""


def _refusal(export: Export) -> ExportStateError:
    if export.state == "begun":
        return ExportStateError("somebody else began to fetch this export", field="export", state="begun")
    say = "was handed out already" if export.state == "completed" else "was withdrawn"
    return ExportStateError(f"this export {say}; make another one", field="export", state=export.state)
