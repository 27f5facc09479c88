from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from ledger.seal_files import read_leaf
from ledger.seals import Seal, leaf, read_statement

SEAL = Seal(
    number=12,
    sealed_at=datetime(2026, 3, 1, 9, 0, 2, 114807, tzinfo=UTC),
    first_closing=331,
    last_closing=360,
    complete_until=datetime(2026, 3, 1, 8, 59, 58, tzinfo=UTC),
    leaves=340,
    root=bytes(range(32)),
    previous=bytes(range(32, 64)),
    key_id="ab" * 32,
    signature=b"signature",
)
STATEMENT = b"""\
tallystar-seal/1
number 12
sealed_at 2026-03-01T09:00:02.114807+00:00
closings 331-360
complete_until 2026-03-01T08:59:58.000000+00:00
leaves 340
root 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
previous 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f
key abababababababababababababababababababababababababababababababab
"""


def test_what_is_signed_is_nine_lines_that_anybody_can_read() -> None:
    assert SEAL.statement == STATEMENT


def test_a_statement_is_read_back() -> None:
    assert read_statement(STATEMENT, b"signature") == SEAL


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (b"seal/1", b"seal/2"),
        (b"number 12", b"number 012"),
        (b"number 12", "number ١٢".encode()),
        (b"number 12\n", b"number 12\r\n"),
        (b"leaves 340", b"leaves 340 "),
        (b"root 00", b"root 0A"),
        (b"09:00:02.114807+00:00", b"10:00:02.114807+01:00"),
        (b"09:00:02.114807+00:00", b"09:00:02.114807Z"),
        (b"ab\n", b"ab"),
        (b"ab\n", b"ab\n\n"),
        (b"2026-03-01T09", b"2026-13-01T09"),
    ],
)
def test_a_statement_has_one_spelling(now: bytes, then: bytes) -> None:
    changed = STATEMENT.replace(now, then)
    assert changed != STATEMENT
    with pytest.raises(ValueError, match=r"seal|codec|month"):
        read_statement(changed, b"")


def test_a_leaf_is_read_back() -> None:
    member = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    found = read_leaf(leaf(member.bytes, "points", 7, bytes(32)))
    assert (found.member_id, found.unit, found.sequence, found.head) == (member, "points", 7, bytes(32))


def test_leaves_are_ordered_by_their_bytes_as_accounts_are_by_member_and_unit() -> None:
    accounts = [
        (bytes([member]) * 16, unit) for member in (0, 1, 255) for unit in ("a", "a0", "a_", "aa", "b", "points")
    ]
    assert accounts == sorted(accounts)
    leaves = [leaf(member, unit, 2**40, bytes(32)) for member, unit in accounts]
    assert leaves == sorted(leaves)
