"""What is encrypted opens with age (by pyrage, which is age's Rust implementation) and with nothing else."""

from __future__ import annotations

import os

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.items.age import CHUNK_BYTES, SECRET_BYTES, Recipient
from loyalty.kit.errors import InvalidInputError

PRINTER = pyrage.x25519.Identity.generate()
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 5 * CHUNK_BYTES + 17]


@pytest.mark.parametrize("size", SIZES)
def test_the_printer_reads_what_was_encrypted_and_its_size_was_known(size: int) -> None:
    content, recipient = os.urandom(size), Recipient(str(PRINTER.to_public()))
    encrypted = b"".join(recipient.encrypt([content], os.urandom(SECRET_BYTES)))
    assert pyrage.decrypt(encrypted, [PRINTER]) == content
    assert len(encrypted) == recipient.size(size)


@settings(max_examples=20, deadline=None)
@given(pieces=st.lists(st.integers(0, 3 * CHUNK_BYTES), max_size=6), secret=st.binary(min_size=64, max_size=64))
def test_the_same_content_under_the_same_secret_is_the_same_file_however_it_is_cut(
    pieces: list[int], secret: bytes
) -> None:
    recipient = Recipient(str(PRINTER.to_public()))
    content = [os.urandom(size) for size in pieces]
    cut = b"".join(recipient.encrypt((memoryview(piece) for piece in content), secret))
    assert cut == b"".join(recipient.encrypt([b"".join(content)], secret))
    assert pyrage.decrypt(cut, [PRINTER]) == b"".join(content)


def test_another_secret_makes_another_file_and_nobody_else_reads_it() -> None:
    recipient = Recipient(str(PRINTER.to_public()))
    one, two = (b"".join(recipient.encrypt([b"codes"], os.urandom(SECRET_BYTES))) for _ in range(2))
    assert one != two
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(one, [pyrage.x25519.Identity.generate()])
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(one[:-1] + bytes([one[-1] ^ 1]), [PRINTER])


KEY = str(PRINTER.to_public())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        "age1xyz",
        KEY[:-1],
        KEY + "q",
        KEY[:10] + ("q" if KEY[10] != "q" else "p") + KEY[11:],
        KEY.replace("age1", "aga1"),
        KEY[:20] + KEY[20:].upper(),
        str(PRINTER),
    ],
    ids=["nothing", "prefix", "short", "one less", "one more", "one other", "other prefix", "mixed case", "secret"],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        Recipient(text)
    assert refused.value.field == "recipient"


def test_a_key_may_be_pasted_with_blanks_around_it_or_in_capitals() -> None:
    secret = os.urandom(SECRET_BYTES)
    for text in (f" {KEY}\n", KEY.upper()):
        encrypted = b"".join(Recipient(text).encrypt([b"codes"], secret))
        assert pyrage.decrypt(encrypted, [PRINTER]) == b"codes"
