from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.items.codes import INDEX_LIMIT, SERIAL_LENGTH, ItemCode, ItemKeys, fold_serial
from loyalty.items.gtin import check_digit
from loyalty.kit.ids import CROCKFORD_ALPHABET

masters = st.binary(min_size=32, max_size=32)
gtins = st.integers(min_value=0, max_value=10**13 - 1).map(lambda n: f"{n:013}{check_digit(f'{n:013}')}")
indexes = st.integers(min_value=0, max_value=INDEX_LIMIT - 1)
kids = st.integers(min_value=1, max_value=31)

KEYS = ItemKeys(gtin="06901234567892", kid=1, master=bytes(range(32)), pin_master=bytes(range(32, 64)))


@given(gtin=gtins, kid=kids, index=indexes, master=masters, pin_master=masters)
def test_what_is_minted_verifies_as_what_it_was_minted_for(
    gtin: str, kid: int, index: int, master: bytes, pin_master: bytes
) -> None:
    keys = ItemKeys(gtin=gtin, kid=kid, master=master, pin_master=pin_master)
    serial = keys.mint(index)
    assert len(serial) == SERIAL_LENGTH
    assert fold_serial(serial) == serial
    assert keys.verify(serial) == ItemCode(gtin, kid, index)
    assert keys.verify(serial.lower()) == ItemCode(gtin, kid, index)
    assert keys.verify_pin(index, keys.pin(index).lower())


@given(lo=st.integers(min_value=0, max_value=INDEX_LIMIT - 50), count=st.integers(min_value=0, max_value=50))
def test_a_batch_is_its_single_codes(lo: int, count: int) -> None:
    assert KEYS.mint_many(lo, count).tolist() == [KEYS.mint(lo + n).encode() for n in range(count)]
    assert KEYS.pin_many(lo, count).tolist() == [KEYS.pin(lo + n).encode() for n in range(count)]


@settings(max_examples=20)
@given(index=indexes)
def test_no_change_of_one_character_verifies(index: int) -> None:
    serial = KEYS.mint(index)
    for place, present in enumerate(serial):
        for other in CROCKFORD_ALPHABET:
            if other != present:
                assert KEYS.verify(serial[:place] + other + serial[place + 1 :]) is None


def test_200_000_random_strings_and_140_000_changes_of_true_serials_are_all_refused() -> None:
    guesses = random.Random(20260101)  # noqa: S311  (guesses, not secrets)
    strings = ["".join(guesses.choices(CROCKFORD_ALPHABET, k=SERIAL_LENGTH)) for _ in range(100_000)]
    strings += ["1" + text[1:] for text in strings]  # half of them claim to be of the key
    true = [serial.decode() for serial in KEYS.mint_many(INDEX_LIMIT - 300, 300).tolist()]
    changes = [
        serial[:place] + other + serial[place + 1 :]
        for serial in true
        for place, present in enumerate(serial)
        for other in CROCKFORD_ALPHABET
        if other != present
    ][:140_000]

    assert (len(strings), len(changes)) == (200_000, 140_000)
    assert (KEYS.verify_many(strings) == -1).all()
    assert (KEYS.verify_many(changes) == -1).all()
    assert all(KEYS.verify(text) is None for text in strings[::100] + changes[::100])


@given(
    texts=st.lists(
        st.one_of(
            indexes.map(KEYS.mint),
            indexes.map(lambda index: KEYS.mint(index).lower().replace("0", "o").replace("1", "l")),
            indexes.map(lambda index: "2" + KEYS.mint(index)[1:]),
            st.text(min_size=14, max_size=18),
            st.text(alphabet=CROCKFORD_ALPHABET + "iloué", min_size=16, max_size=16),
        ),
        max_size=30,
    )
)
def test_bulk_verification_says_of_each_what_single_verification_says(texts: list[str]) -> None:
    single = [KEYS.verify(text) for text in texts]
    assert KEYS.verify_many(texts).tolist() == [-1 if code is None else code.index for code in single]


@given(lo=st.integers(min_value=0, max_value=INDEX_LIMIT - 20_000), count=st.integers(min_value=0, max_value=20_000))
@settings(max_examples=10)
def test_every_serial_of_a_batch_is_read_back_as_its_index(lo: int, count: int) -> None:
    assert KEYS.verify_many(KEYS.mint_many(lo, count)).tolist() == list(range(lo, lo + count))


@given(text=st.text(max_size=20))
def test_any_text_is_read_or_refused_and_never_fails(text: str) -> None:
    folded = fold_serial(text)
    assert folded is None or (len(folded) == SERIAL_LENGTH and fold_serial(folded) == folded)
    KEYS.verify(text)
    KEYS.verify_pin(0, text)
