"""What the benchmarks write down: which goals are met, and a chart that a browser can draw."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench.chart import LABELS, LONGEST, SCALE, Bar, chart
from tests.bench.report import Measure, section, table, write

SVG = "{http://www.w3.org/2000/svg}"

FAST = Measure(name="earn", rate=60, baseline="floor", baseline_rate=100, goal=0.5)
SLOW = Measure(name="spend", rate=40, baseline="floor", baseline_rate=100, goal=0.5)
QUICK = Measure(name="page", rate=1.1, baseline="an empty page", baseline_rate=1.0, goal=1.2, at_most=True)
LATE = Measure(name="p99", rate=30.0, baseline="before", baseline_rate=10.0, goal=2, at_most=True)
ALONE = Measure(name="labels", rate=1000)


@pytest.mark.parametrize(("measure", "met"), [(FAST, True), (SLOW, False), (QUICK, True), (LATE, False), (ALONE, None)])
def test_a_rate_should_reach_its_goal_and_a_time_should_not_pass_it(measure: Measure, met: bool | None) -> None:
    assert measure.met is met
    assert (measure.bar is None) is (met is None)
    if measure.bar is not None:
        assert (measure.bar.length >= 1) is met


def test_the_table_says_goals_in_their_own_direction() -> None:
    lines = table([FAST, LATE, ALONE]).splitlines()
    assert "| earn " in lines[2]
    assert "≥ 0.5" in lines[2]
    assert "floor (100)" in lines[2]
    assert "≤ 2" in lines[3]
    assert "before (10 ms)" in lines[3]
    assert len({len(line) for line in lines}) == 1


def test_the_chart_has_a_bar_for_each_goal_as_long_as_the_goal_is_met() -> None:
    bars = [bar for bar in (FAST.bar, SLOW.bar, QUICK.bar) if bar is not None]
    drawn = ET.fromstring(chart([*bars, Bar(label="<&>", length=99, met=True, words="much")]))  # noqa: S314  (ours)
    rectangles = [each for each in drawn.iter(f"{SVG}rect") if each.get("class") in ("met", "missed")]
    assert [each.get("class") for each in rectangles] == ["met", "missed", "met", "met"]
    lengths = [float(each.get("width", "")) for each in rectangles]
    assert lengths == pytest.approx([1.2 * SCALE, 0.8 * SCALE, 1.2 / 1.1 * SCALE, LONGEST * SCALE], abs=0.06)
    assert {each.get("x") for each in rectangles} == {str(LABELS)}
    assert [each.text for each in drawn.iter(f"{SVG}text")][-2:] == ["<&>", "much"]
    assert sum(1 for _ in drawn.iter(f"{SVG}polygon")) == 1


def test_sections_that_were_not_run_keep_their_figures(tmp_path: Path) -> None:
    write({"ledger": section([FAST]), "scale": section([QUICK])}, tmp_path)
    write({"ledger": section([SLOW])}, tmp_path)
    text = (tmp_path / "results.md").read_text()
    assert "spend" in text
    assert "page" in text
    assert "| earn" not in text
    assert (tmp_path / "results.svg").read_text().count('class="text"') == 2
    (tmp_path / "results.json").write_text("[]")  # of an older form
    write({"ledger": section([FAST])}, tmp_path)
    assert "page" not in (tmp_path / "results.md").read_text()
