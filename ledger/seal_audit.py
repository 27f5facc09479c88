"""Checking seals: against their signatures, each other, the closed accounts, and the files outside the database."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.findings import Finding, Verification, gone
from ledger.merkle import Tree
from ledger.seal_files import Head, SealFileError, SealFolder, read_leaf
from ledger.seal_keys import SealKeys
from ledger.seals import NO_SEAL, Seal, leaf, seals, signature_problem
from ledger.streams import Driver, driver, microseconds, rows, stream

_HEADS: Final = """
    SELECT member_id, unit, closing, seq, head FROM ledger.closed_head
    ORDER BY member_id, unit COLLATE "C", closing
"""
_CLOSINGS: Final = "SELECT number, complete_until, accounts, entries FROM ledger.closing ORDER BY number"
_SEALED: Final = """
    SELECT s.place, e.hash, (SELECT max(seq) FROM ledger.entry WHERE member_id = s.member_id AND unit = s.unit) AS last
    FROM unnest(%(members)s::uuid[], %(units)s::text[], %(sequences)s::bigint[]) WITH ORDINALITY
        AS s (member_id, unit, seq, place)
    LEFT JOIN ledger.entry AS e ON e.member_id = s.member_id AND e.unit = s.unit AND e.seq = s.seq
"""
_COMPARED_HEADS: Final = 2_000


async def check_seals(connection: AsyncConnection, *, keys: SealKeys | None, folder: SealFolder | None) -> Verification:
    """Everything that is wrong with the seals of the database and, where a folder is given, with the files in it.

    `keys` is None where none were ever made: every seal is then one that nobody here signed. Whether entries are those
    that were closed is found by their replay; here, whether what was closed is what was sealed.
    """
    in_database = await seals(connection)
    findings = [*_chain_findings(in_database, keys)]
    roots = await _check_closed(await driver(connection), in_database, findings)
    if folder is not None:
        intact = {seal.number: seal for seal, right in zip(in_database, roots, strict=True) if right}
        known = {seal.number: seal for seal in in_database}
        check = _FolderCheck(folder, keys, known=known, intact=intact)
        findings += check.files()
        for number in check.doubtful:
            findings += await _compare_heads(await driver(connection), folder, number, check.outside[number])
    return Verification(seals=len(in_database), findings=findings)


def _chain_findings(found: Sequence[Seal], keys: SealKeys | None) -> Iterator[Finding]:
    """What each seal says of itself and of the one before it."""
    expected, previous = 1, NO_SEAL
    for seal in found:
        if seal.number != expected:
            yield _of_seal(expected, "it is missing" if seal.number > expected else f"its number is {seal.number}")
        elif seal.previous != previous:
            yield _of_seal(seal.number, "it does not follow the seal before it")
        yield from _signed(seal, keys)
        expected, previous = seal.number + 1, seal.digest
    for before, after in pairwise(found):
        if after.first_closing != before.last_closing + 1:
            yield _of_seal(
                after.number, f"closings between {before.last_closing} and {after.first_closing} are in none"
            )
        if keys is not None and keys.retired_before(after.key_id, before.key_id):
            yield _of_seal(after.number, "it is signed by a key that was retired before it")


def _signed(seal: Seal, keys: SealKeys | None, *, file: str | None = None) -> Iterator[Finding]:
    problem = "it is signed, and no key is known here" if keys is None else signature_problem(seal, keys)
    if problem is not None:
        yield Finding(seal=seal.number, file=file, problem=problem)


async def _check_closed(connection: Driver, found: Sequence[Seal], findings: list[Finding]) -> list[bool]:
    """Whether the closed heads are those of each seal, in one pass over them, however many seals there are."""
    ends = [seal.last_closing for seal in found]
    trees = [Tree() for _ in found]
    counts: dict[int, list[int]] = {}
    account: tuple[bytes, str] | None = None
    before = 0
    waiting: dict[int, bytes] = {}
    async for piece in stream(connection, _HEADS):
        for member_id, unit, closing, sequence, head in piece:
            if (member_id, unit) != account:
                _plant(trees, waiting)
                account, before = (member_id, unit), 0
            place = bisect_left(ends, closing)
            if place < len(found) and closing >= found[place].first_closing:
                waiting[place] = leaf(member_id, unit, sequence, head)
            count = counts.setdefault(closing, [0, 0])
            count[0] += 1
            count[1] += sequence - before
            before = sequence
    _plant(trees, waiting)
    await _check_closings(connection, found, counts, findings)
    right = [tree.size == seal.leaves and tree.root == seal.root for tree, seal in zip(trees, found, strict=True)]
    findings += [
        _of_seal(seal.number, "the closed accounts are not those that were sealed")
        for seal, fits in zip(found, right, strict=True)
        if not fits
    ]
    return right


def _plant(trees: Sequence[Tree], waiting: dict[int, bytes]) -> None:
    for place, one in waiting.items():
        trees[place].add(one)
    waiting.clear()


async def _check_closings(
    connection: Driver, found: Sequence[Seal], counts: Mapping[int, list[int]], findings: list[Finding]
) -> None:
    closings = {row[0]: row[1:] for row in await rows(connection, _CLOSINGS)}
    for number, (_, accounts, entries) in closings.items():
        if counts.get(number, [0, 0]) != [accounts, entries]:
            findings.append(
                Finding(problem=f"closing {number} says {accounts} accounts and {entries} entries and holds others")
            )
    findings += [Finding(problem=f"closing {number} is missing") for number in sorted(counts.keys() - closings.keys())]
    for seal in found:
        until = closings.get(seal.last_closing, (None,))[0]
        if until != microseconds(seal.complete_until):
            findings.append(_of_seal(seal.number, "its last closing is not complete until the moment that was sealed"))


class _FolderCheck:
    """A folder, file by file. `doubtful` are the seals whose heads have to be compared with the entries themselves."""

    def __init__(
        self, folder: SealFolder, keys: SealKeys | None, *, known: Mapping[int, Seal], intact: Mapping[int, Seal]
    ) -> None:
        self._folder: Final = folder
        self._keys: Final = keys
        self._known: Final = known
        self._intact: Final = intact
        self.outside: dict[int, Seal] = {}
        self.doubtful: list[int] = []

    def files(self) -> Iterator[Finding]:
        """What is wrong with the files."""
        names, numbers = self._folder.names(), self._folder.numbers()
        if not numbers and self._known:
            yield Finding(file=str(self._folder.path), problem="there are no seals in it")
        for before, number in pairwise([0, *numbers]):
            if number > before + 1:
                problem = "it is missing" if number == before + 2 else f"it and all before seal {number} are missing"
                yield Finding(seal=before + 1, file=self._folder.seal_name(before + 1), problem=problem)
            lacking = {self._folder.seal_name(number), self._folder.heads_name(number)} - names
            yield from (Finding(seal=number, file=name, problem="it is missing") for name in sorted(lacking))
            if self._folder.seal_name(number) in names:
                yield from self._seal(number)
            if number in self.outside and self._folder.heads_name(number) in names:
                yield from self._heads(number)

    def _seal(self, number: int) -> Iterator[Finding]:
        name = self._folder.seal_name(number)
        try:
            seal = self._folder.read_seal(number)
        except SealFileError as error:
            yield Finding(seal=number, file=name, problem=str(error))
            return
        problems = [*_signed(seal, self._keys, file=name)]
        before = self.outside.get(number - 1)
        if (number == 1 and seal.previous != NO_SEAL) or (before is not None and seal.previous != before.digest):
            problems.append(Finding(seal=number, file=name, problem="it does not follow the seal before it"))
        yield from problems
        if problems:
            return
        self.outside[number] = seal
        if number not in self._known:
            yield Finding(seal=number, file=name, problem="the database does not know this seal")
        elif seal != self._known[number]:
            yield Finding(seal=number, file=name, problem="the seal in the database is another one")

    def _heads(self, number: int) -> Iterator[Finding]:
        name, seal = self._folder.heads_name(number), self.outside[number]
        tree = Tree()
        try:
            for one in self._folder.read_leaves(number):
                tree.add(one)
        except SealFileError as error:
            yield Finding(seal=number, file=name, problem=str(error))
            return
        if tree.size != seal.leaves or tree.root != seal.root:
            yield Finding(seal=number, file=name, problem="it does not hold the heads that were sealed")
        elif self._intact.get(number) != seal:
            self.doubtful.append(number)


async def _compare_heads(connection: Driver, folder: SealFolder, number: int, seal: Seal) -> list[Finding]:
    """The accounts whose entries are not those that a seal outside holds the heads of."""
    findings = []
    for piece in _pieces(map(read_leaf, folder.read_leaves(number)), _COMPARED_HEADS):
        found = await rows(
            connection,
            _SEALED,
            {
                "members": [head.member_id for head in piece],
                "units": [head.unit for head in piece],
                "sequences": [head.sequence for head in piece],
            },
        )
        for place, entry_hash, last in found:
            head = piece[place - 1]
            if entry_hash != head.head:
                findings.append(_other_history(head, seal, last or 0))
    return findings


def _other_history(head: Head, seal: Seal, last: int) -> Finding:
    held = f"{SealFolder.heads_name(seal.number)} (sealed at {seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC)"
    if last < head.sequence:
        problem = f"{gone(last + 1, head.sequence)}: {held} holds entry {head.sequence}"
        return Finding(member_id=head.member_id, unit=head.unit, sequence=last + 1, seal=seal.number, problem=problem)
    problem = f"it, or an entry before it, was changed: {held} holds another hash"
    return Finding(member_id=head.member_id, unit=head.unit, sequence=head.sequence, seal=seal.number, problem=problem)


def _of_seal(number: int, problem: str) -> Finding:
    return Finding(seal=number, problem=problem)


def _pieces(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while piece := [*islice(iterator, size)]:
        yield piece
