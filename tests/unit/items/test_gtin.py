from __future__ import annotations

import pytest

from loyalty.items.gtin import check_digit, normalise_gtin
from loyalty.kit.errors import InvalidInputError


@pytest.mark.parametrize(
    ("digits", "check"),
    [
        ("629104150021", 3),  # the worked example of GS1's check digit calculator
        ("0690123456789", 2),
        ("9638507", 4),
        ("03600029145", 2),
    ],
)
def test_the_check_digit_is_gs1s(digits: str, check: int) -> None:
    assert check_digit(digits) == check


@pytest.mark.parametrize(
    ("text", "gtin"),
    [
        ("06901234567892", "06901234567892"),
        (" 6901234567892 ", "06901234567892"),
        ("036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
    ],
)
def test_every_length_becomes_14_digits(text: str, gtin: str) -> None:
    assert normalise_gtin(text) == gtin


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("06901234567893", "check digit of 06901234567893 should be 2, not 3"),
        ("690123456789", "check digit"),
        ("123", "8, 12, 13 or 14 digits, not 3"),
        ("0690123456789X", "digits only"),
        ("０６９０１２３４５６７８９２", "digits only"),
        ("", "digits only"),
    ],
)
def test_a_wrong_gtin_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as refused:
        normalise_gtin(text, field="product")
    assert refused.value.field == "product"
