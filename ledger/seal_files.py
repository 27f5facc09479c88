"""Seals outside the database: two files for each in a folder, or in a bucket mounted as one, and the public keys.

`seal-000000123.json` holds what is signed and its signature, `seal-000000123.heads` the leaves one after the other, so
that a tail of entries which the database has lost can be named from the folder alone. A file is written once, whole,
and never replaced: what differs from the database is for people to look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.merkle import Tree
from ledger.seal_keys import SealKeys, SigningKeys
from ledger.seals import (
    HASH_BYTES,
    Seal,
    SealError,
    check_signature,
    leaves,
    make_seal,
    newest_seal,
    read_statement,
    seals,
    take_turn,
)
from loyalty.kit.db import transaction
from loyalty.kit.files import write_new

COMPARED_SEALS: Final = 1_000
"""How many of the newest seals a publication compares with their files; `verify` compares all, and their heads."""

_NAME: Final = re.compile(r"seal-([0-9]{9,18})\.(json|heads)")
_READ_BYTES: Final = 1 << 20
_MEMBER_BYTES: Final = 16
_SEQUENCE_BYTES: Final = 8


class Head(msgspec.Struct, frozen=True):
    """A leaf read back: the hash that an account's entry of this sequence had when it was sealed."""

    member_id: UUID
    unit: str
    sequence: int
    head: bytes


class SealFileError(Exception):
    """A file does not hold what its name says. The message says why, without the name."""


class _SealFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    statement: str
    signature: str


class SealFolder:
    """The folder. Reading never needs the database."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    @staticmethod
    def seal_name(number: int) -> str:
        """The name of the file of what is signed."""
        return f"seal-{number:09}.json"

    @staticmethod
    def heads_name(number: int) -> str:
        """The name of the file of leaves."""
        return f"seal-{number:09}.heads"

    def names(self) -> set[str]:
        """The names of all files of seals; none where there is no folder."""
        return {path.name for path in self.path.glob("seal-*") if _NAME.fullmatch(path.name)}

    def numbers(self) -> list[int]:
        """The numbers that files are named by, in their order."""
        return sorted({int(found[1]) for found in map(_NAME.fullmatch, self.names()) if found})

    def newest(self) -> int:
        """The highest of them, 0 where there is none."""
        return max(self.numbers(), default=0)

    def read_seal(self, number: int) -> Seal:
        """The seal of a file. Raises FileNotFoundError, and SealFileError where it is not that seal, whole."""
        content = (self.path / self.seal_name(number)).read_bytes()
        try:
            found = msgspec.json.decode(content, type=_SealFile)
            seal = read_statement(found.statement.encode(), bytes.fromhex(found.signature))
        except ValueError as error:  # msgspec's errors are ValueErrors too
            raise SealFileError(f"it does not hold a seal: {error}") from error
        if seal.number != number:
            raise SealFileError(f"it holds seal {seal.number}")
        if content != seal_content(seal):
            raise SealFileError("it is not written as it was")
        return seal

    def read_leaves(self, number: int) -> Iterator[bytes]:
        """The leaves of a file, one by one. Raises FileNotFoundError, and SealFileError where it ends within a leaf."""
        with (self.path / self.heads_name(number)).open("rb") as file:
            rest = b""
            while piece := file.read(_READ_BYTES):
                rest += piece
                start = 0
                while (end := _leaf_end(rest, start)) <= len(rest) and end > 0:
                    yield rest[start:end]
                    start = end
                rest = rest[start:]
            if rest:
                raise SealFileError("it ends within a head")

    def write_keys(self, keys: SealKeys) -> list[str]:
        """Write the public keys that are not there; answers the names written."""
        written = []
        for name, pem in keys.public_pem().items():
            path = self.path / f"key-{name}.pem"
            if not path.exists():
                with write_new(path) as file:
                    file.write(pem)
                written.append(path.name)
        return written


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What a publication wrote, and what does not fit: sentences that each name a file, for an alarm."""

    seal: Seal | None
    """The seal that was made for it; None where nothing was closed since the last."""
    written: list[str]
    problems: list[str]


def seal_content(seal: Seal) -> bytes:
    """The file of what is signed."""
    content = _SealFile(statement=seal.statement.decode(), signature=seal.signature.hex())
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def read_leaf(one: bytes) -> Head:
    """Take a leaf of a file apart."""
    end = one.index(b"\0", _MEMBER_BYTES)
    number_end = end + 1 + _SEQUENCE_BYTES
    return Head(
        UUID(bytes=one[:_MEMBER_BYTES]),
        one[_MEMBER_BYTES:end].decode(errors="replace"),
        int.from_bytes(one[end + 1 : number_end], signed=True),
        one[number_end:],
    )


async def publish(engine: AsyncEngine, *, keys: SigningKeys, folder: SealFolder) -> Published:
    """Make the next seal, if anything was closed, and write outside whatever is missing there.

    The seal is committed before it is written: a process that is killed in between leaves a missing file, which the
    next publication writes. Raises SealError, and seals nothing, where the folder holds seals that the database does
    not know: the database is older than its evidence.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    async with transaction(engine) as connection:
        await take_turn(connection)
        before = await newest_seal(connection)
        known = 0 if before is None else before.number
        if folder.newest() > known:
            message = (
                f"{folder.path} holds seals up to {folder.newest()} and the database up to {known}: it lost some, or "
                "is not the database that was sealed there. Look with tallystar ledger verify"
            )
            raise SealError(message, field="TALLYSTAR_SEALS")
        seal = await make_seal(connection, keys)
    async with transaction(engine) as connection:
        await take_turn(connection)
        written = folder.write_keys(keys)
        written += await _write_missing(connection, keys, folder)
        problems = await _compare_newest(connection, folder)
    return Published(seal=seal, written=written, problems=problems)


async def _write_missing(connection: AsyncConnection, keys: SealKeys, folder: SealFolder) -> list[str]:
    newest = await newest_seal(connection)
    names = folder.names()
    written = []
    for number in range(1, 1 + (newest.number if newest else 0)):
        lacking = {folder.heads_name(number), folder.seal_name(number)} - names
        if not lacking:
            continue
        (seal,) = await seals(connection, first=number, last=number)
        check_signature(seal, keys)
        if folder.heads_name(number) in lacking:
            await _write_heads(connection, seal, folder)
        if folder.seal_name(number) in lacking:
            with write_new(folder.path / folder.seal_name(number)) as file:
                file.write(seal_content(seal))
        written += sorted(lacking)
    return written


async def _write_heads(connection: AsyncConnection, seal: Seal, folder: SealFolder) -> None:
    tree = Tree()
    with write_new(folder.path / folder.heads_name(seal.number)) as file:
        async for piece in leaves(connection, first_closing=seal.first_closing, last_closing=seal.last_closing):
            for one in piece:
                tree.add(one)
            file.write(b"".join(piece))
        if tree.root != seal.root:
            message = f"seal {seal.number}: the heads in the database are not those that were sealed"
            raise SealError(message, seal=seal.number)


async def _compare_newest(connection: AsyncConnection, folder: SealFolder) -> list[str]:
    newest = await newest_seal(connection)
    if newest is None:
        return []
    found = await seals(connection, first=newest.number - COMPARED_SEALS + 1, last=newest.number)
    return [
        f"{folder.path / folder.seal_name(seal.number)} is not the seal {seal.number} of the database"
        for seal in found
        if (folder.path / folder.seal_name(seal.number)).read_bytes() != seal_content(seal)
    ]


def _leaf_end(data: bytes, start: int) -> int:
    """Where the leaf that starts there ends; 0 where its unit does not end in these bytes."""
    zero = data.find(b"\0", start + _MEMBER_BYTES)
    return 0 if zero < 0 else zero + 1 + _SEQUENCE_BYTES + HASH_BYTES
