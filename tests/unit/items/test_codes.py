"""The serial scheme: its published vectors, batch and single alike, and what it refuses."""

from __future__ import annotations

import time

import numpy as np
import pytest

from loyalty.items.codes import (
    INDEX_LIMIT,
    ItemCode,
    ItemKeys,
    clean_typed,
    fold_serial,
    group_serial,
    serial_kid,
)
from loyalty.kit.errors import InvalidInputError

GTIN = "06901234567892"
MASTER = bytes(range(32))
PIN_MASTER = bytes(range(32, 64))

VECTORS = [
    (1, 0, "10Y7DJPF72MHRCYR", "TQFT0W"),
    (1, 1, "1Z1MZPN0HPK6EC3K", "GR75JZ"),
    (2, INDEX_LIMIT - 1, "2628N4E0W98HXXQE", "ZT4FW8"),
]
"""From design/item-codes.md."""


def keys(kid: int = 1, gtin: str = GTIN) -> ItemKeys:
    return ItemKeys(gtin=gtin, kid=kid, master=MASTER, pin_master=PIN_MASTER)


@pytest.mark.parametrize(("kid", "index", "serial", "pin"), VECTORS)
def test_the_published_vectors(kid: int, index: int, serial: str, pin: str) -> None:
    assert keys(kid).mint(index) == serial
    assert keys(kid).pin(index) == pin
    assert keys(kid).verify(serial) == ItemCode(GTIN, kid, index)
    assert keys(kid).verify_pin(index, pin)


@pytest.mark.parametrize(("kid", "index", "serial", "pin"), VECTORS)
def test_the_published_vectors_in_a_batch(kid: int, index: int, serial: str, pin: str) -> None:
    assert keys(kid).mint_many(index, 1).tolist() == [serial.encode()]
    assert keys(kid).pin_many(index, 1).tolist() == [pin.encode()]


def test_a_batch_is_what_single_minting_gives() -> None:
    lo, count = 5_000_000_000, 1_000
    assert keys().mint_many(lo, count).tolist() == [keys().mint(lo + n).encode() for n in range(count)]
    assert keys().pin_many(lo, count).tolist() == [keys().pin(lo + n).encode() for n in range(count)]


def test_ten_thousand_neighbours_have_ten_thousand_serials_that_share_no_look() -> None:
    serials = keys().mint_many(0, 10_000)
    assert len(np.unique(serials)) == 10_000
    # Without the mask, the second character, the top bits of the index, would be 0 for all of these.
    assert len({serial[1:2] for serial in serials[:32].tolist()}) > 10


def test_reading_folds_case_and_the_letters_that_look_like_digits() -> None:
    assert keys().verify("1oY7djpf72mhrcyr") == ItemCode(GTIN, 1, 0)
    assert keys().verify("LZ1MZPNOHPK6EC3K") == ItemCode(GTIN, 1, 1)
    assert keys().verify("iz1mzpn0hpk6ec3k") == ItemCode(GTIN, 1, 1)
    assert fold_serial("iz1mzpnohpk6ec3k") == "1Z1MZPN0HPK6EC3K"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10Y7DJPF72MHRCY",
        "10Y7DJPF72MHRCYR0",
        "10Y7DJPF72MHRCYU",
        "10Y7-DJPF-72MH-R",
        "10Y7DJPF72MHRCY\u0131",
        "２" * 16,
    ],
)
def test_what_cannot_be_a_serial_is_none(text: str) -> None:
    assert fold_serial(text) is None
    assert serial_kid(text) is None
    assert keys().verify(text) is None


def test_a_code_of_another_product_or_key_does_not_verify() -> None:
    serial = keys().mint(7)
    assert keys(gtin="06901234567885").verify(serial) is None
    assert keys(kid=2).verify(serial) is None
    assert keys(kid=2).verify("2" + serial[1:]) is None


def test_the_pin_comes_from_its_own_master_and_is_read_as_people_type() -> None:
    other = ItemKeys(gtin=GTIN, kid=1, master=MASTER, pin_master=MASTER)
    assert other.mint(3) == keys().mint(3)
    assert other.pin(3) != keys().pin(3)
    assert keys().verify_pin(0, " tqf-t0w ")
    assert keys().verify_pin(0, "TQFTOW")
    assert not keys().verify_pin(1, "TQFT0W")
    assert not keys().verify_pin(0, "TQFT0")
    assert not keys().verify_pin(0, "")
    assert not keys().verify_pin(0, "TQFT0é")


def test_people_read_serials_in_groups_and_may_type_them_so() -> None:
    assert group_serial("10Y7DJPF72MHRCYR") == "10Y7-DJPF-72MH-RCYR"
    assert clean_typed("10Y7-DJPF 72MH-RCYR") == "10Y7DJPF72MHRCYR"


@pytest.mark.parametrize("index", [-1, INDEX_LIMIT])
def test_an_index_outside_its_35_bits_is_refused(index: int) -> None:
    with pytest.raises(InvalidInputError, match="an index is from 0"):
        keys().mint(index)
    with pytest.raises(InvalidInputError):
        keys().pin(index)
    with pytest.raises(InvalidInputError):
        keys().mint_many(index, 1)


def test_a_batch_past_the_end_is_refused_and_an_empty_one_is_empty() -> None:
    with pytest.raises(InvalidInputError, match="do not fit"):
        keys().mint_many(INDEX_LIMIT - 1, 2)
    with pytest.raises(InvalidInputError):
        keys().pin_many(0, -1)
    assert keys().mint_many(0, 0).tolist() == []


@pytest.mark.parametrize("kid", [0, 32])
def test_key_ids_are_1_to_31(kid: int) -> None:
    with pytest.raises(InvalidInputError, match="key id"):
        keys(kid)


def test_a_short_master_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="32 bytes"):
        ItemKeys(gtin=GTIN, kid=1, master=MASTER[:31], pin_master=PIN_MASTER)


def test_one_serial_is_verified_in_well_under_a_millisecond() -> None:
    item_keys, serial = keys(), keys().mint(5)
    start = time.perf_counter()
    for _ in range(1_000):
        item_keys.verify(serial)
    assert time.perf_counter() - start < 0.5
