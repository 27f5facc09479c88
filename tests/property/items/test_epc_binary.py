"""Whatever a tag holds, a compressed link is expanded to what was written on it, or refused."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from loyalty.items.digital_link import DigitalLinkError, build_link, parse_link
from loyalty.items.epc_binary import expand, is_compressed
from loyalty.items.gtin import check_digit

PREFIX_BITS = (40, 37, 34, 30, 27, 24, 20)
SET_82 = "!\"%&'()*+,-./0123456789:;<=>?" + string.ascii_uppercase + "_" + string.ascii_lowercase


def hexadecimal(bits: str) -> str:
    bits += "0" * (-len(bits) % 16)
    return f"eh{int(bits, 2):0{len(bits) // 4}x}"


@given(
    filter_value=st.integers(0, 7),
    partition=st.integers(0, 6),
    digits=st.text("0123456789", min_size=13, max_size=13),
    serial=st.integers(0, 2**38 - 1),
)
def test_a_numeric_tag_says_its_gtin_and_serial(filter_value: int, partition: int, digits: str, serial: int) -> None:
    length = 12 - partition
    bits = PREFIX_BITS[partition]
    tag = f"{0x30:08b}{filter_value:03b}{partition:03b}"
    tag += f"{int(digits[1 : length + 1]):0{bits}b}{int(digits[0] + digits[length + 1 :]):0{44 - bits}b}{serial:038b}"
    link = expand(hexadecimal(tag))
    assert (link.gtin, link.serial) == (digits + str(check_digit(digits)), str(serial))


@given(
    digits=st.text("0123456789", min_size=13, max_size=13),
    serial=st.text(st.sampled_from(SET_82), min_size=1, max_size=20),
)
def test_a_tag_with_a_textual_serial_says_it(digits: str, serial: str) -> None:
    gtin = digits + str(check_digit(digits))
    tag = f"{0xF7:08b}0011" + "".join(f"{int(digit):04b}" for digit in gtin)
    tag += f"100{len(serial):05b}" + "".join(f"{ord(character):07b}" for character in serial)
    link = expand(hexadecimal(tag))
    assert (link.gtin, link.serial) == (gtin, serial)
    assert parse_link(build_link("https://a.example", link)) == link


def is_a_link_or_a_refusal(data: bytes) -> bool:
    segment = f"eh{data.hex()}"
    try:
        link = expand(segment)
    except DigitalLinkError as error:
        return is_compressed(segment) and bool(error.field)
    return parse_link(build_link("https://a.example", link)) == link


@given(data=st.binary(min_size=4, max_size=60))
def test_no_bits_do_anything_but_a_link_or_a_refusal(data: bytes) -> None:
    assert is_a_link_or_a_refusal(data)


@given(header=st.sampled_from([*range(0x2C, 0x42), *range(0xE6, 0xFE)]), data=st.binary(min_size=12, max_size=40))
def test_no_bits_behind_a_known_header_do_either(header: int, data: bytes) -> None:
    assert is_a_link_or_a_refusal(bytes([header]) + data)
