"""Seals: the head of every account at a moment, under one signed root, chained to the seal before.

A closing says which accounts moved, and their heads; a seal covers the closings since the last seal. Its leaves are the
last heads in them, in the order of their bytes; the accounts that did not move stand in an earlier seal, to which the
chain leads. What is signed is a few lines of text that anybody can read, and `statement` is its only definition.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import refusals
from ledger.merkle import Tree
from ledger.seal_keys import SealKeys, SigningKeys
from ledger.streams import driver, stream
from loyalty.kit.errors import ConflictError

HASH_BYTES: Final = 32
NO_SEAL: Final = bytes(HASH_BYTES)
"""What the first seal names as the seal before it."""

_ALONE: Final = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=0x7A11_5EA1)
"""Any number, as long as every process uses the same one: sealers take turns."""


def finite(column: str) -> str:
    """A moment as SQL, but 1970 in the place of one that Python has no name for: nobody signed either."""
    return f"CASE WHEN {column} BETWEEN '0002-01-01' AND '9998-12-31' THEN {column} ELSE 'epoch' END AS {column}"


_SEALS: Final = f"""
    SELECT number, {finite("sealed_at")}, first_closing, last_closing, {finite("complete_until")},
           leaves, root, previous, key_id, signature
    FROM ledger.seal
"""  # noqa: S608  (columns of ours)
_CLOSINGS: Final = text("""
    SELECT min(number) AS first_closing, max(number) AS last_closing, max(complete_until) AS complete_until,
           ledger.clock() AS sealed_at
    FROM ledger.closing WHERE number > :sealed
    HAVING count(*) > 0
""")
_LEAVES: Final = """
    SELECT DISTINCT ON (member_id, unit COLLATE "C") member_id, unit, seq, head
    FROM ledger.closed_head
    WHERE closing BETWEEN %(first)s AND %(last)s
    ORDER BY member_id, unit COLLATE "C", closing DESC
"""
_ADD: Final = text("""
    SELECT ledger.add_seal(:number, :sealed_at, :first_closing, :last_closing, :complete_until, :leaves, :root,
                           :previous, :key_id, :signature)
""")

_STATEMENT: Final = re.compile(
    r"tallystar-seal/1\n"
    r"number (?P<number>[1-9][0-9]{0,17})\n"
    r"sealed_at (?P<sealed_at>\S+)\n"
    r"closings (?P<first_closing>[0-9]{1,18})-(?P<last_closing>[0-9]{1,18})\n"
    r"complete_until (?P<complete_until>\S+)\n"
    r"leaves (?P<leaves>[0-9]{1,18})\n"
    r"root (?P<root>[0-9a-f]{64})\n"
    r"previous (?P<previous>[0-9a-f]{64})\n"
    r"key (?P<key_id>[0-9a-f]{64})\n"
)


class SealError(ConflictError):
    """Sealing stopped because seals do not fit each other, the database or the files outside it. An alarm."""

    type = "seals-differ"
    title = "The seals do not fit"


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `ledger.seal`."""

    number: int
    sealed_at: datetime
    first_closing: int
    last_closing: int
    complete_until: datetime
    leaves: int
    root: bytes
    previous: bytes
    key_id: str
    signature: bytes = b""

    @property
    def statement(self) -> bytes:
        """What is signed, and what the next seal names the hash of."""
        return (
            "tallystar-seal/1\n"
            f"number {self.number}\n"
            f"sealed_at {_moment(self.sealed_at)}\n"
            f"closings {self.first_closing}-{self.last_closing}\n"
            f"complete_until {_moment(self.complete_until)}\n"
            f"leaves {self.leaves}\n"
            f"root {self.root.hex()}\n"
            f"previous {self.previous.hex()}\n"
            f"key {self.key_id}\n"
        ).encode()

    @property
    def digest(self) -> bytes:
        """The hash by which the next seal names this one."""
        return hashlib.sha256(self.statement).digest()


def read_statement(statement: bytes, signature: bytes) -> Seal:
    """The seal behind a statement. Raises ValueError where it is not one, to the last byte."""
    found = _STATEMENT.fullmatch(statement.decode("ascii"))
    if found is None:
        raise ValueError("it is not the statement of a seal")
    seal = Seal(
        number=int(found["number"]),
        sealed_at=datetime.fromisoformat(found["sealed_at"]),
        first_closing=int(found["first_closing"]),
        last_closing=int(found["last_closing"]),
        complete_until=datetime.fromisoformat(found["complete_until"]),
        leaves=int(found["leaves"]),
        root=bytes.fromhex(found["root"]),
        previous=bytes.fromhex(found["previous"]),
        key_id=found["key_id"],
        signature=signature,
    )
    if seal.statement != statement:
        raise ValueError("it is not written as a seal is")
    return seal


def leaf(member_id: bytes, unit: str, sequence: int, head: bytes) -> bytes:
    """The leaf of an account: the member's 16 bytes, the unit and a zero byte, 8 bytes of sequence, the head's hash.

    PostgreSQL holds no zero byte in a text, so a leaf ends where it must, and leaves in the order of their bytes are
    in the order of member and unit.
    """
    return member_id + unit.encode() + b"\0" + sequence.to_bytes(8, signed=True) + head


async def seals(connection: AsyncConnection, *, first: int = 1, last: int | None = None) -> list[Seal]:
    """The seals of these numbers, both included, oldest first."""
    found = await connection.execute(
        text(f"{_SEALS} WHERE number >= :first AND (CAST(:last AS bigint) IS NULL OR number <= :last) ORDER BY number"),
        {"first": first, "last": last},
    )
    return [Seal(**row) for row in found.mappings()]


async def newest_seal(connection: AsyncConnection) -> Seal | None:
    """The last seal, or None before the first."""
    row = (await connection.execute(text(f"{_SEALS} ORDER BY number DESC LIMIT 1"))).mappings().first()
    return None if row is None else Seal(**row)


async def seal_of_closing(connection: AsyncConnection, closing: int) -> Seal | None:
    """The seal that covers a closing, or None where it is not sealed yet."""
    found = await connection.execute(
        text(f"{_SEALS} WHERE first_closing <= :closing AND last_closing >= :closing"), {"closing": closing}
    )
    row = found.mappings().first()
    return None if row is None else Seal(**row)


async def leaves(connection: AsyncConnection, *, first_closing: int, last_closing: int) -> AsyncIterator[list[bytes]]:
    """The leaves of a seal over these closings, in their order and in pieces."""
    span = {"first": first_closing, "last": last_closing}
    async for rows in stream(await driver(connection), _LEAVES, span):
        yield [leaf(*row) for row in rows]


async def take_turn(connection: AsyncConnection) -> None:
    """Wait until no other process makes or publishes seals, and keep others from it until the transaction ends."""
    await connection.execute(_ALONE)


async def make_seal(connection: AsyncConnection, keys: SigningKeys) -> Seal | None:
    """Seal the closings that are not sealed yet; None where there are none.

    One transaction, of the caller's. Raises SealError where the newest seal was not signed by a key of ours: nothing
    is added to a chain that is broken.
    """
    await take_turn(connection)
    before = await newest_seal(connection)
    if before is not None:
        check_signature(before, keys)
    sealed = 0 if before is None else before.last_closing
    span = (await connection.execute(_CLOSINGS, {"sealed": sealed})).mappings().first()
    if span is None:
        return None
    tree = Tree()
    async for piece in leaves(connection, first_closing=span["first_closing"], last_closing=span["last_closing"]):
        for one in piece:
            tree.add(one)
    unsigned = Seal(
        **span,
        number=1 if before is None else before.number + 1,
        leaves=tree.size,
        root=tree.root,
        previous=NO_SEAL if before is None else before.digest,
        key_id=keys.current,
    )
    seal = msgspec.structs.replace(unsigned, signature=keys.sign(unsigned.statement))
    with refusals():
        await connection.execute(_ADD, msgspec.structs.asdict(seal))
    return seal


def check_signature(seal: Seal, keys: SealKeys) -> None:
    """Raises SealError where a seal was not signed by a key of ours."""
    problem = signature_problem(seal, keys)
    if problem is not None:
        raise SealError(f"seal {seal.number}: {problem}", seal=seal.number)


def signature_problem(seal: Seal, keys: SealKeys) -> str | None:
    """What is wrong with the signature of a seal; None where a key of ours made it."""
    signed = keys.is_signed(seal.statement, key=seal.key_id, signature=seal.signature)
    if signed is None:
        return f"it is signed by the key {seal.key_id}, which is not known here"
    return None if signed else "its signature is not that of what it says"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
