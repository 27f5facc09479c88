"""Showing how far a command is: a bar where somebody looks, else a plain line every few seconds. On standard error."""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_SECONDS: Final = 5.0


class Counter:
    """Counts things of one kind up, towards a known total of work or not. A context manager."""

    def __init__(self, noun: str, *, total: int | None = None) -> None:
        self._noun: Final = noun
        self._total: Final = total
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._said_at = time.monotonic()
        self._started_at = self._said_at

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            measured = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) if self._total else ()
            self._bar = Progress(
                TextColumn("{task.description}"), *measured, TimeElapsedColumn(), console=self._console, transient=True
            )
            self._task = self._bar.add_task(self._noun, total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, count: int, done: int | None = None, *, beside: str = "") -> None:
        """Say that there are `count` by now, and that `done` of the total is behind us; `beside` is said with it."""
        now = time.monotonic()
        elapsed = max(now - self._started_at, 0.001)
        text = f"{count:,} {self._noun}{beside}, {count / elapsed:,.0f} a second"
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=done)
        elif now - self._said_at >= PLAIN_SECONDS:
            self._console.print(f"{text}{self._share(done, elapsed)}", highlight=False)
            self._said_at = now

    def _share(self, done: int | None, elapsed: float) -> str:
        if not self._total or not done:
            return ""
        left = timedelta(seconds=round(elapsed * max(self._total - done, 0) / done))
        return f" ({min(100 * done // self._total, 100)} %, {left} left)"
