from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from loyalty.items.digital_link import DigitalLink, DigitalLinkError, format_link, parse_link

CHARACTERS = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
values = st.none() | st.text(CHARACTERS, min_size=1, max_size=20)


@given(serial=values, lot=values, variant=values)
def test_every_value_a_qualifier_can_have_is_read_back_as_it_was_written(
    serial: str | None, lot: str | None, variant: str | None
) -> None:
    link = format_link("https://example.com/p", gtin="06901234567892", serial=serial, lot=lot, variant=variant)
    assert parse_link(link) == DigitalLink(gtin="06901234567892", serial=serial, lot=lot, variant=variant)


@given(tail=st.text(max_size=40) | st.text("/?&=%+0122", max_size=40))
def test_any_text_is_read_or_refused_with_the_part_at_fault(tail: str) -> None:
    for uri in (tail, f"https://example.com/01/06901234567892{tail}"):
        with contextlib.suppress(DigitalLinkError):
            assert parse_link(uri).gtin == "06901234567892"
