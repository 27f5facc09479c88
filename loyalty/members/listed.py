"""Members that a file names, a line each: by id, phone, e-mail, card, or what a channel calls them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import parse_public_id
from loyalty.members.identifiers import identity_key
from loyalty.members.identity import readings
from loyalty.members.member import MEMBER_PREFIX, get_member
from loyalty.members.phones import DEFAULT_REGION
from loyalty.members.tables import member_table

MOST_LINES: Final = 100_000
_AT_ONCE: Final = 2_000
_MOST_TEXT: Final = 320
_HEADS: Final = frozenset(
    {
        "member",
        "member id",
        "member_id",
        "phone",
        "e-mail",
        "email",
        "card",
        "会员",
        "会员编号",
        "手机",
        "手机号",
        "卡号",
    }
)


class RefusedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that names no member, several, or one who has left."""

    line: int
    reason: Literal["unknown", "several", "left"]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a file names, each once, and the lines that name nobody."""

    members: Sequence[UUID]
    refused: Sequence[RefusedLine]


_NAMED: Final = text("""
    SELECT w.line, i.member_id
    FROM unnest(CAST(:lines AS integer[]), CAST(:kinds AS text[]), CAST(:digests AS bytea[])) AS w (line, kind, digest)
    JOIN member_identity i ON i.programme_id = :programme AND i.kind = w.kind AND i.digest = w.digest
""")


async def read_list(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    lines: Iterable[str],
    region: str | None = DEFAULT_REGION,
) -> Listed:
    """Read the first column of a file, separated by commas, semicolons or tabs; empty lines and a heading are skipped.

    Merged members are told as their survivor. Raises InvalidInputError (members) for more than MOST_LINES.
    """
    members: dict[UUID, None] = {}
    refused: list[RefusedLine] = []
    waiting: dict[int, str] = {}
    number = 0
    for number, line in enumerate(lines, 1):
        named = _first_cell(line)
        if not named or (number == 1 and named.lower() in _HEADS):
            continue
        waiting[number] = named
        if number > MOST_LINES:
            raise InvalidInputError(f"at most {MOST_LINES:,} lines", field="members", reason="too_many")
        if len(waiting) >= _AT_ONCE:
            await _settle(connection, keyring, programme_id, waiting, region, members, refused)
    await _settle(connection, keyring, programme_id, waiting, region, members, refused)
    return Listed(members=list(members), refused=sorted(refused, key=lambda each: each.line))


def _first_cell(line: str) -> str:
    cell = line.replace("\0", "").lstrip("\ufeff").replace("\t", ",").replace(";", ",").partition(",")[0]
    return cell.strip().strip('"').strip()[: _MOST_TEXT + 1]


async def _settle(
    connection: AsyncConnection,
    keyring: Keyring,
    programme_id: UUID,
    waiting: dict[int, str],
    region: str | None,
    members: dict[UUID, None],
    refused: list[RefusedLine],
) -> None:
    """Look some lines up at once, and put each where it belongs."""
    found: dict[int, set[UUID]] = {line: set() for line in waiting}
    wanted: list[tuple[int, str, bytes]] = []
    for line, named in waiting.items():
        if named.lower().startswith(f"{MEMBER_PREFIX}_"):
            try:
                found[line].add(parse_public_id(MEMBER_PREFIX, named.lower()))
            except NotFoundError:
                continue
        elif len(named) <= _MOST_TEXT:
            keys = [identity_key(keyring, programme_id, identity) for identity in readings(named, region)]
            wanted += [(line, key.kind, key.digest) for key in keys]
    columns = {name: [each[place] for each in wanted] for place, name in enumerate(("lines", "kinds", "digests"))}
    for row in await connection.execute(_NAMED, columns | {"programme": programme_id}):
        found[row.line].add(row.member_id)
    people = await _people(connection, programme_id, {each for named in found.values() for each in named})
    for line, ids in found.items():
        named_members = {people[each] for each in ids if each in people}
        if not named_members:
            refused.append(RefusedLine(line=line, reason="unknown"))
        elif len(named_members) > 1:
            refused.append(RefusedLine(line=line, reason="several"))
        elif (member := named_members.pop()) is None:
            refused.append(RefusedLine(line=line, reason="left"))
        else:
            members[member] = None
    waiting.clear()


async def _people(connection: AsyncConnection, programme_id: UUID, ids: set[UUID]) -> dict[UUID, UUID | None]:
    """Who each id is today; None for those who have left."""
    columns = member_table.c
    query = select(columns.id, columns.state).where(columns.programme_id == programme_id, columns.id.in_(ids))
    people: dict[UUID, UUID | None] = {}
    for row in await connection.execute(query):
        people[row.id] = row.id if row.state == "active" else None
        if row.state == "merged":
            survivor = await get_member(connection, programme_id=programme_id, member_id=row.id)
            people[row.id] = survivor.id if survivor.state == "active" else None
    return people
