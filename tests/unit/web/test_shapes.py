"""Shapes: drawn once, filled in for each visitor, and compressed no worse than whole."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from loyalty.web.ornament import bands, rosette
from loyalty.web.shapes import MOST_SHAPES, SHORT_BYTES, Shape, Shapes, slot

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=3 * SHORT_BYTES)
NAMES = st.sampled_from(["serial", "first", "address"])


@given(
    between=st.lists(TEXTS, min_size=1, max_size=6), names=st.lists(NAMES, min_size=5), values=st.tuples(*[TEXTS] * 3)
)
def test_a_filled_shape_is_what_rendering_with_the_values_gives_whole_and_compressed(
    between: list[str], names: list[str], values: tuple[str, str, str]
) -> None:
    given_values = dict(zip(("serial", "first", "address"), values, strict=True))
    slots = names[: len(between) - 1]
    drawn = "".join(text + mark for text, mark in zip(between, [*(str(slot(name)) for name in slots), ""], strict=True))
    rendered = "".join(
        text + value for text, value in zip(between, [*(given_values[name] for name in slots), ""], strict=True)
    )

    filled = Shape(drawn).fill(given_values)

    assert filled.body.decode() == rendered
    assert gzip.decompress(filled.gzipped()) == filled.body


def test_a_page_is_rendered_once_for_all_who_see_it_alike_and_anew_for_others() -> None:
    shapes, rendered = Shapes(), []

    def render(text: str) -> str:
        rendered.append(text)
        return text + slot("serial")

    first, again = (shapes.find(("genuine", "zh"), lambda: render("正品 ")) for _ in range(2))
    other = shapes.find(("genuine", "en"), lambda: render("Genuine "))

    assert rendered == ["正品 ", "Genuine "]
    assert first.fill({"serial": "A"}).body.decode() == "正品 A"
    assert again.fill({"serial": "B"}).body.decode() == "正品 B", "nothing of the first visitor's is left"
    assert other.fill({"serial": "A"}).body.decode() == "Genuine A"


def test_shapes_used_longest_ago_make_room() -> None:
    shapes, rendered = Shapes(), []

    def find(number: int) -> None:
        shapes.find(number, lambda: rendered.append(number) or "page")  # type: ignore[func-returns-value]

    for number in range(MOST_SHAPES):
        find(number)
    find(0)
    find(MOST_SHAPES)
    rendered.clear()
    find(0)
    find(1)

    assert rendered == [1]


def test_a_tag_is_the_same_for_the_same_page_alone() -> None:
    page = f"<p>{slot('first')}{slot('serial')}</p>"
    told = Shape(page).fill({"first": "ab", "serial": "c"}).tag

    assert Shape(page).fill({"first": "ab", "serial": "c"}).tag == told
    assert Shape(page).fill({"first": "ab", "serial": "d"}).tag != told
    assert Shape(page + "<p>").fill({"first": "ab", "serial": "c"}).tag != told


def test_splicing_costs_little_over_compressing_whole() -> None:
    shape = Shape(f"<svg>{slot('outer')}{slot('middle')}{slot('inner')}</svg>" + "<p>Genuine: it is ours.</p>" * 40)
    outer, middle, inner = bands("06901234567892")
    filled = shape.fill({"outer": outer, "middle": middle, "inner": inner})

    assert len(filled.gzipped()) < 1.1 * len(zlib.compress(filled.body, 6))


def test_a_rosette_is_its_bands_the_same_for_a_seed_and_unlike_for_others() -> None:
    drawn = rosette("a")

    assert all(band in drawn for band in bands("a"))
    assert rosette("a") == drawn != rosette("b")
    assert 'aria-hidden="true"' in drawn
    assert 'aria-label="&lt;b&gt;"' in rosette("a", label="<b>")
