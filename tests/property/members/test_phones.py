"""Any text is either refused for the field `phone` or becomes a number that reads as itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loyalty.kit.errors import InvalidInputError
from loyalty.members.phones import mask_phone, normalise_phone

numbers = st.integers(0, 9999).map(lambda number: f"1990000{number:04d}")


@given(st.text() | st.from_regex(r"[+0-9０-９ ()-]{0,25}", fullmatch=True), st.sampled_from(["CN", "GB", "US", None]))
def test_any_text_is_refused_with_its_field_or_normalised_for_good(text: str, region: str | None) -> None:
    number, refused = None, None
    try:
        number = normalise_phone(text, region)
    except InvalidInputError as refusal:
        refused = refusal.field

    if number is None:
        assert refused == "phone"
    else:
        assert normalise_phone(number, None) == number
        assert mask_phone(number).count("*") == 4


@given(numbers, st.lists(st.sampled_from([" ", "-", ".", "　", ""]), min_size=11, max_size=11), st.booleans())
def test_how_a_number_is_spaced_does_not_matter(number: str, gaps: list[str], full_width: bool) -> None:
    spelling = "".join(digit + gap for digit, gap in zip(number, gaps, strict=True))
    if full_width:
        spelling = spelling.translate({ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)})

    assert normalise_phone(spelling) == f"+86{number}"
