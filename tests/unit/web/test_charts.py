from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from loyalty.web.charts import Flow, flow_chart, nice_step
from loyalty.web.i18n.formats import format_number


def _flow(*pairs: tuple[int, int]) -> str:
    flows = [Flow(label=f"M{index}", inward=inward, outward=outward) for index, (inward, outward) in enumerate(pairs)]
    return flow_chart(
        flows, title="Points", description="by month", inward_name="in", outward_name="out", number=format_number
    )


def _svg(drawn: str) -> ET.Element:
    return ET.fromstring(drawn[drawn.index("<svg") :])  # noqa: S314  (drawn by ourselves)


@pytest.mark.parametrize(
    ("extent", "step"), [(1, 1), (6, 1), (7, 2), (12, 2), (13, 5), (30, 5), (31, 10), (61, 20), (1_000_000, 200_000)]
)
def test_a_step_is_the_smallest_round_number_that_needs_at_most_six_ticks(extent: int, step: int) -> None:
    assert nice_step(extent) == step


def test_columns_are_as_tall_as_their_values_and_meet_at_zero() -> None:
    svg = _svg(_flow((400, 100), (200, 0)))

    inward = [each for each in svg.iter("rect") if each.get("class") == "chart__in"]
    outward = [each for each in svg.iter("rect") if each.get("class") == "chart__out"]

    heights = [float(each.attrib["height"]) for each in (*inward, *outward)]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
    assert heights[0] == pytest.approx(4 * heights[2], abs=0.4)
    assert heights[3] == 0
    assert float(inward[0].attrib["y"]) + heights[0] == pytest.approx(float(outward[0].attrib["y"]), abs=0.2)


def test_everything_lies_inside_the_picture() -> None:
    svg = _svg(_flow(*[(month * 997, month * 331) for month in range(36)]))

    for rectangle in svg.iter("rect"):
        x, y, width, height = (float(rectangle.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + width <= 720
        assert y + height <= 280


def test_large_numbers_have_room_at_the_edge() -> None:
    svg = _svg(_flow((48_000_000, 31_000_000)))

    for mark in svg.iter("text"):
        if mark.get("text-anchor") == "end":
            assert float(mark.attrib["x"]) >= 7.5 * len(mark.text or "")


def test_many_months_name_only_some_of_them() -> None:
    labels = re.findall(r'text-anchor="middle">(M\d+)<', _flow(*[(1, 1)] * 36))

    assert 8 <= len(labels) <= 14
    assert labels[0] == "M0"


@pytest.mark.parametrize("pairs", [(), ((0, 0),), ((0, 5),), ((5, 0),)])
def test_nothing_to_show_is_still_a_picture(pairs: tuple[tuple[int, int], ...]) -> None:
    assert _svg(_flow(*pairs)).get("role") == "img"


def test_names_are_escaped() -> None:
    drawn = flow_chart(
        [Flow(label="<b>&", inward=3, outward=0)],
        title='"t"',
        description="d",
        inward_name="<i>",
        outward_name="out",
        number=format_number,
    )

    assert "<b>" not in drawn
    assert "<i>" not in drawn


def test_a_picture_needs_no_inline_style() -> None:
    assert "style=" not in _flow((1, 2))
