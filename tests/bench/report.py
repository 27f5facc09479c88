"""Measures, the table they end up in, and the chart of those that have a goal."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.bench.chart import Bar, chart


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure, and what it is measured against in the same run.

    `rate` is in things a second, and more of it is better: the ratio to the baseline's should be at least the goal. Of
    a measure `at_most`, `rate` is in milliseconds and less of it is better: the ratio should be at most the goal.
    """

    name: str
    rate: float
    baseline: str | None = None
    baseline_rate: float | None = None
    goal: float | None = None
    at_most: bool = False
    notes: dict[str, str] = {}

    @property
    def ratio(self) -> float | None:
        """The rate over the baseline's."""
        return self.rate / self.baseline_rate if self.baseline_rate else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.ratio is None or self.goal is None:
            return None
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    @property
    def row(self) -> list[str]:
        """The measure as cells of the table."""
        return [
            self.name,
            self._figure(self.rate),
            f"{self.baseline} ({self._figure(self.baseline_rate)})" if self.baseline and self.baseline_rate else "",
            f"{self.ratio:.2f}" if self.ratio is not None else "",
            f"{self._relation} {self.goal:g}" if self.goal else "",
            "" if self.met is None else ("yes" if self.met else "no"),
            "; ".join(f"{key} {value}" for key, value in self.notes.items()),
        ]

    @property
    def bar(self) -> Bar | None:
        """The measure as a bar of the chart, where the goal is at 1 and longer is better; None without a goal."""
        if self.ratio is None or self.met is None or not self.goal:
            return None
        length = self.goal / self.ratio if self.at_most else self.ratio / self.goal
        return Bar(
            label=self.name,
            length=length,
            met=self.met,
            words=f"{self.ratio:.2f} (goal {self._relation} {self.goal:g})",
        )

    @property
    def _relation(self) -> str:
        return "≤" if self.at_most else "≥"

    def _figure(self, value: float) -> str:
        if self.at_most:
            return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"
        return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


HEAD = """# Benchmarks

Written by `make bench`. Figures are of one run on one machine and drift; ratios are against a baseline on the same
server in the same run, with fsync and synchronous_commit on. Trust the ratios.

![Each ratio against its goal](results.svg)
"""
HEADER = ["measure", "a second, or ms", "against", "ratio", "goal", "met", "notes"]


def table(measures: Sequence[Measure]) -> str:
    """The measures as a Markdown table whose columns line up."""
    rows = [HEADER, *(measure.row for measure in measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The measures of one section, and the day and machine of the run."""

    day: str
    machine: str
    measures: list[Measure]


def section(measures: list[Measure]) -> Section:
    """The measures of a section that was run just now, here."""
    return Section(
        day=datetime.now(UTC).date().isoformat(),
        machine=f"Python {platform.python_version()}, {platform.machine()}",
        measures=measures,
    )


def write(sections: Mapping[str, Section], folder: Path) -> None:
    """Write sections to `bench/`: figures, table and chart. Sections that were not run keep the figures they had."""
    folder.mkdir(exist_ok=True)
    path = folder / "results.json"
    kept = _read(path) | dict(sections)
    path.write_text(json.dumps(msgspec.to_builtins(kept), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    parts = [HEAD]
    parts += [f"## {name}\n{each.day}, {each.machine}\n\n{table(each.measures)}\n" for name, each in kept.items()]
    (folder / "results.md").write_text("\n".join(parts), encoding="utf-8")
    bars = [measure.bar for each in kept.values() for measure in each.measures]
    drawn = chart([bar for bar in bars if bar is not None])
    (folder / "results.svg").write_text(drawn, encoding="utf-8")


def _read(path: Path) -> dict[str, Section]:
    """What was written before; nothing where that is of an older form."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Section])
    except (FileNotFoundError, msgspec.ValidationError):
        return {}
