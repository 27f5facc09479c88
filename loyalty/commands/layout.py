"""How commands lay out what they print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print columns side by side: text to the left, numbers to the right."""
    lines = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(head), *lines]) for index in range(len(head))]
    right = [bool(rows) and all(isinstance(row[index], int) for row in rows) for index in range(len(head))]
    for line in [list(head), *lines]:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())
