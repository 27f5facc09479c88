"""A compressed Digital Link says what the EPC in it says, or why it says nothing."""

from __future__ import annotations

import pytest

from loyalty.items.digital_link import DigitalLinkError, build_link, parse_link
from loyalty.items.epc_binary import expand, is_compressed
from tests.unit.items.epc_forms import NO_LINK, TAGS, WORKED

BASE_64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
GTIN = "09506000134352"
SGTIN_PLUS = "11110111" + "0" + "011"


def written(segment: str) -> str:
    return build_link("", expand(segment))


def hexadecimal(bits: str) -> str:
    bits += "0" * (-len(bits) % 16)
    return "eh" + "".join(f"{int(bits[at : at + 4], 2):x}" for at in range(0, len(bits), 4))


def base_64(bits: str) -> str:
    bits += "0" * (-len(bits) % 6)
    return "ex" + "".join(BASE_64[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def nibbles(digits: str) -> str:
    return "".join(f"{int(digit, 16):04b}" for digit in digits)


def in_seven_bits(text: str) -> str:
    return f"100{len(text):05b}" + "".join(f"{ord(character):07b}" for character in text)


def day(text: str) -> str:
    return f"{int(text[:2]):07b}{int(text[2:4]):04b}{int(text[4:]):05b}"


def plus(*more: str, gtin: str = GTIN) -> str:
    """An SGTIN+ of serial S1, and what follows it."""
    return SGTIN_PLUS + nibbles(gtin) + in_seven_bits("S1") + "".join(more)


@pytest.mark.parametrize(("segment", "path"), WORKED)
def test_the_worked_examples_of_the_standard_are_expanded(segment: str, path: str) -> None:
    assert is_compressed(segment)
    assert written(segment) == path


@pytest.mark.parametrize(("scheme", "tag", "path"), TAGS, ids=[scheme for scheme, _, _ in TAGS])
def test_every_scheme_of_tags_is_expanded_in_both_forms(scheme: str, tag: str, path: str) -> None:
    bits = nibbles(tag)
    for segment in (f"eh{tag.lower()}", hexadecimal(bits), base_64(bits)):
        assert is_compressed(segment), scheme
        assert written(segment) == path
        assert build_link("", parse_link(path, stem="")) == path


@pytest.mark.parametrize(("scheme", "tag"), NO_LINK)
def test_a_scheme_without_a_link_is_refused_by_its_name(scheme: str, tag: str) -> None:
    assert is_compressed(f"eh{tag.lower()}")
    with pytest.raises(DigitalLinkError, match=scheme) as refused:
        expand(f"eh{tag.lower()}")
    assert refused.value.field == "path"


@pytest.mark.parametrize(
    ("bits", "path"),
    [
        (plus(nibbles("10"), in_seven_bits("ABC123"), nibbles("17"), day("261231")), "/10/ABC123/21/S1?17=261231"),
        (plus(nibbles("10"), in_seven_bits("A/B"), nibbles("22"), in_seven_bits("V1")), "/22/V1/10/A%2FB/21/S1"),
        (plus(nibbles("7006"), day("260228")), "/21/S1?7006=260228"),
        (SGTIN_PLUS + nibbles(GTIN) + "00000101" + f"{123:017b}", "/21/00123"),
        (SGTIN_PLUS + nibbles(GTIN) + "00100011" + nibbles("A0F"), "/21/A0F"),
        (SGTIN_PLUS + nibbles(GTIN) + "01000011" + nibbles("a0f"), "/21/a0f"),
        (SGTIN_PLUS + nibbles(GTIN) + "10100011" + f"{1600 * 1 + 40 * 27 + 31 + 1:016b}", "/21/A-1"),
    ],
)
def test_lots_variants_and_dates_behind_an_epc_are_read(bits: str, path: str) -> None:
    for segment in (hexadecimal(bits), base_64(bits)):
        assert written(segment) == f"/01/{GTIN}{path}"


def test_an_extension_of_zero_is_none() -> None:
    prefix = "00110010" + "011" + "101" + f"{9521141:024b}" + f"{12345:017b}"
    assert written(hexadecimal(prefix + "0" * 41)) == "/414/9521141123454"
    assert written(hexadecimal(prefix + f"{7:041b}")) == "/414/9521141123454/254/7"


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        ("eh00" + "0" * 22, "no header of an EPC"),
        ("ehe2" + "0" * 22, "no header of an EPC"),
        ("eh30164596", "ends before"),
        ("eh30164596f40c0e5cbe991a830001", "more in it"),
        (hexadecimal("00110000" + "011" + "111" + "0" * 82), "partition"),
        (hexadecimal("00110000" + "011" + "110" + "1" * 82), "too large"),
        (hexadecimal(plus(gtin="0950600013435A")), "letter where a digit"),
        (hexadecimal(plus(gtin="09506000134353")), "check digit"),
        (hexadecimal(plus(nibbles("21"), in_seven_bits("S2"))), "by 21"),
        (hexadecimal(plus(*[nibbles("10") + in_seven_bits("L1")] * 2)), "same thing twice"),
        (hexadecimal(plus(nibbles("10"), "11000010" + "0" * 14)), "not in use"),
        (hexadecimal(plus(nibbles("17"), day("260230"))), "not a day"),
        (hexadecimal(plus(nibbles("3103"), f"{1250:020b}")), "3103"),
        (hexadecimal(plus(nibbles("A0"), "1" * 8)), "letter where a digit"),
        (hexadecimal("11111011" + "0011" + "0111" + day("270101") + nibbles(GTIN) + in_seven_bits("S1")), "date"),
        (hexadecimal("11110111" + "0011" + nibbles(GTIN) + "10000011" + f"{0x7F:07b}" * 3), "not a value"),
        (hexadecimal("00111111" + "011" + "101" + f"{9521141:024b}" + f"{67890:017b}" + f"{234:041b}"), "the one"),
        (hexadecimal("00110110" + "011101" + f"{9521141:024b}" + f"{12345:020b}" + f"{65:07b}{0:07b}{65:07b}"), "ends"),
    ],
)
def test_what_says_nothing_is_refused_with_the_reason(segment: str, reason: str) -> None:
    assert is_compressed(segment)
    with pytest.raises(DigitalLinkError, match=reason):
        expand(segment)


@pytest.mark.parametrize(
    "segment",
    [
        *("exchange", "example-of-a-page", "exhibition-2026", "extra-terrestrial", "explorers-club", "extraordinary"),
        *("eh", "ex", "eh30", "EH30164596f40c0e5cbe991a83", "eh30164596F40c0e5cbe991a83", "ehello-world", "ex+/AAAAAA"),
        *("01", "robots.txt", "", "ARFKk4XB0CDKWcnpq", "HxHKVAdpQgZzjr-hCDKigI"),
    ],
)
def test_words_and_other_forms_are_not_taken_for_compressed_links(segment: str) -> None:
    """The last two are compressed as GS1 Digital Link 1.1 had it."""
    assert not is_compressed(segment)
