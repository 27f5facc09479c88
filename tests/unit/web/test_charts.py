from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from loyalty.web.charts import Bar, Flow, Spot, bar_chart, flow_chart, nice_step, place_map
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


def test_bars_are_as_long_as_their_values() -> None:
    bars = [Bar(label="scans", value=200), Bar(label="joins", value=50, part=25), Bar(label="none", value=0)]
    svg = _svg(bar_chart(bars, title="Funnel", description="of a month", number=format_number))

    whole = [float(each.attrib["width"]) for each in svg.iter("rect") if each.get("class") == "chart__in"]
    part = [float(each.attrib["width"]) for each in svg.iter("rect") if each.get("class") == "chart__out"]

    assert whole[0] == pytest.approx(4 * whole[1], abs=0.2)
    assert part == [pytest.approx(whole[1] / 2, abs=0.2)]


@pytest.mark.parametrize(
    "places",
    [[(31.2, 121.5)], [(31.2, 121.5), (30.6, 104.1)], [(-33.9, 151.2), (51.5, -0.1)], [(89.0, 10.0), (0.0, 10.0)]],
)
def test_places_lie_on_the_map_as_on_the_earth_and_inside_it(places: list[tuple[float, float]]) -> None:
    spots = [Spot(label="city", tip="then", latitude=north, longitude=east) for north, east in places]
    svg = _svg(place_map(spots, title="Where", description="scans", way=True))

    width, height = (float(each) for each in svg.attrib["viewBox"].split()[2:])
    dots = [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in svg.iter("circle")]
    assert len(dots) == len(places)
    assert all(0 < x < width and -1 < y < height for x, y in dots)
    east_first = sorted(zip(places, dots, strict=True), key=lambda pair: pair[0][1])
    assert [x for _, (x, _) in east_first] == sorted(x for x, _ in dots)


def test_scans_of_one_place_are_one_dot_that_says_how_many() -> None:
    spots = [Spot(label="Chengdu", tip=f"at {hour}", latitude=30.57, longitude=104.07) for hour in range(5)]
    drawn = place_map(spots, title="Where", description="scans", way=False)
    assert drawn.count("<circle") == 1
    assert "Chengdu \N{MULTIPLICATION SIGN}5" in drawn
    assert "polyline" not in drawn
