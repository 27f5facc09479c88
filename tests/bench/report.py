"""Measures and the table they end up in."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A rate, in things a second, and what it is measured against in the same run."""

    name: str
    rate: float
    baseline: str | None = None
    baseline_rate: float | None = None
    goal: float | None = None
    notes: dict[str, str] = {}

    @property
    def ratio(self) -> float | None:
        """The rate over the baseline's."""
        return self.rate / self.baseline_rate if self.baseline_rate else None

    @property
    def row(self) -> list[str]:
        """The measure as cells of the table."""
        ratio = self.ratio
        return [
            self.name,
            f"{self.rate:,.0f}",
            f"{self.baseline} ({self.baseline_rate:,.0f})" if self.baseline and self.baseline_rate else "",
            f"{ratio:.2f}" if ratio is not None else "",
            f"≥ {self.goal:g}" if self.goal else "",
            "" if ratio is None or self.goal is None else ("yes" if ratio >= self.goal else "no"),
            "; ".join(f"{key} {value}" for key, value in self.notes.items()),
        ]


HEADER = ["measure", "a second", "against (a second)", "ratio", "goal", "met", "notes"]


def table(measures: Sequence[Measure]) -> str:
    """The measures as a Markdown table whose columns line up."""
    rows = [HEADER, *(measure.row for measure in measures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write(measures: Sequence[Measure], folder: Path) -> None:
    """Write the table and its figures to `bench/`."""
    folder.mkdir(exist_ok=True)
    when = datetime.now(UTC).date().isoformat()
    text = (
        "# Benchmarks\n\n"
        "Written by `make bench`. Rates are of one run on one machine and drift; ratios are against a baseline on the\n"
        "same server in the same run, with fsync and synchronous_commit on. Trust the ratios.\n\n"
        f"{when}, Python {platform.python_version()}, {platform.machine()}\n\n{table(measures)}\n"
    )
    (folder / "results.md").write_text(text, encoding="utf-8")
    figures = [{**msgspec.structs.asdict(measure), "ratio": measure.ratio} for measure in measures]
    (folder / "results.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
