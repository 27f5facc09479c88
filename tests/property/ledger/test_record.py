"""The hashed record is written twice, by the ledger's verifier and by the one that auditors carry away: they agree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.proofs import plain
from ledger.record import FIELDS, EntryRow, chain, encode
from ledger.standalone import verify_proof
from ledger.streams import microseconds

bigints = st.integers(min_value=-(2**63), max_value=2**63 - 1)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
moments = st.datetimes(timezones=st.just(UTC)).map(microseconds)
VALUES: dict[int, st.SearchStrategy[Any]] = {
    16: st.booleans(),
    17: st.binary(max_size=40),
    20: bigints,
    23: st.integers(min_value=-(2**31), max_value=2**31 - 1),
    25: texts,
    1016: st.lists(bigints, min_size=1, max_size=5),
    1184: moments,
    2950: st.binary(min_size=16, max_size=16),
}
rows = st.tuples(*(st.none() | VALUES[kind] for _, kind in FIELDS), st.just(b"")).map(EntryRow._make)


@given(st.binary(min_size=32, max_size=32), rows)
def test_both_verifiers_hash_the_same_bytes(before: bytes, row: EntryRow) -> None:
    assert verify_proof.next_hash(before, plain(row)) == chain(before, row)


@given(rows, rows)
def test_no_two_entries_have_the_same_record(one: EntryRow, other: EntryRow) -> None:
    assert (encode(one) == encode(other)) == (one == other)


def test_a_row_has_the_fields_and_its_hash() -> None:
    assert EntryRow._fields == (*(name for name, _ in FIELDS), "hash")
    assert {*verify_proof.COLUMNS.items()} == {*FIELDS}
    assert [*verify_proof.COLUMNS] == [name for name, _ in FIELDS]


def test_a_moment_is_counted_in_microseconds_since_2000() -> None:
    assert microseconds(datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert microseconds(datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
