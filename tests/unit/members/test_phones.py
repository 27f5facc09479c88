"""Phone numbers: one number in five spellings and more, and what is refused."""

from __future__ import annotations

import pytest

from loyalty.kit.errors import InvalidInputError
from loyalty.members.phones import mask_phone, normalise_phone


@pytest.mark.parametrize(
    "spelling",
    [
        "19900001001",
        "+8619900001001",
        "+86 199 0000 1001",
        "0086 199 0000 1001",
        "199-0000-1001",
        " 199 0000 1001\t",
        "(+86) 199.0000.1001",
        "8619900001001",
        "tel:+86-199-0000-1001",
        "１９９００００１００１",
        "＋８６　１９９　００００　１００１",
        "199–0000–1001",
        "١٩٩٠٠٠٠١٠٠١",
    ],
)
def test_every_spelling_of_a_number_is_one_number(spelling: str) -> None:
    assert normalise_phone(spelling) == "+8619900001001"


@pytest.mark.parametrize(
    ("spelling", "region", "number"),
    [
        ("020 7946 0018", "GB", "+442079460018"),
        ("+44 20 7946 0018", "CN", "+442079460018"),
        ("(650) 253-0000", "US", "+16502530000"),
        ("06 698 12345", "IT", "+390669812345"),
    ],
)
def test_a_number_without_country_code_is_of_the_callers_region(spelling: str, region: str, number: str) -> None:
    assert normalise_phone(spelling, region) == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has no digits"),
        ("-", "it has no digits"),
        ("n/a", "it has no digits"),
        ("0", "too few digits"),
        ("tel:+1", "too few digits"),
        ("12345", "not a number in use"),
        ("1990000123456", "too many digits"),
        ("+86 1990000", "not a number in use"),
        ("１９９００００12３", "not a number in use"),
        ("+999 199 0000 1001", "needs a country code"),
        ("19900001001 ext 5", "is not a phone number"),
        ("19900001001/19900001002", "is not a phone number"),
        ("call 19900001001", "is not a phone number"),
        ("1-800-FLOWERS", "is not a phone number"),
        ("1" * 300, "is not a phone number"),
        ("400 800 8888", "service number"),
        ("+1 900 253 0000", "service number"),
    ],
)
def test_what_is_no_persons_number_is_refused_with_field_and_reason(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason) as refusal:
        normalise_phone(text)
    assert refusal.value.field == "phone"


def test_without_a_region_a_country_code_is_needed() -> None:
    assert normalise_phone("+8619900001001", None) == "+8619900001001"
    with pytest.raises(InvalidInputError, match="needs a country code"):
        normalise_phone("19900001001", None)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+8619900009452", "199****9452"),
        ("+442079460018", "20****0018"),
        ("+4733378901", "****01"),
    ],
)
def test_a_masked_number_is_known_to_its_owner_alone(number: str, shown: str) -> None:
    assert mask_phone(number) == shown
