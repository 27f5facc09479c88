"""What an import refuses, kept in a file so that it can be mended and imported again."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from loyalty.kit.errors import InvalidInputError

COLUMNS: Final = ("file", "line", "column", "value", "reason")
_LONGEST_VALUE: Final = 500


class Refusal(NamedTuple):
    """A line that was not imported as it is: where, which column, what it holds, and why."""

    file: str
    line: int
    column: str
    value: str
    reason: str


class RefusalFile:
    """A csv file of refusals, made with the first one and readable by its owner alone: it quotes personal data.

    An older file of refusals at the same place is replaced; any other file is not touched.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.count = 0
        self._file: io.TextIOWrapper | None = None

    def __enter__(self) -> Self:
        """Remove an older file of refusals. Raises InvalidInputError (refused) where the path holds something else."""
        try:
            with self.path.open(encoding="utf-8", newline="") as older:
                ours = next(csv.reader(older), None) == list(COLUMNS)
        except FileNotFoundError:
            if not self.path.absolute().parent.is_dir():
                message = f"there is no folder {self.path.absolute().parent} for the file of refused lines"
                raise InvalidInputError(message, field="refused") from None
            return self
        except (OSError, UnicodeDecodeError, csv.Error):
            ours = False
        if not ours:
            message = f"{self.path} exists and is not a file of refused lines; choose another with --refused"
            raise InvalidInputError(message, field="refused")
        self.path.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, refusal: Refusal) -> None:
        """Write one refusal; it is in the file once the file is closed or flushed."""
        if self._file is None:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(COLUMNS)
        csv.writer(self._file).writerow(refusal._replace(value=refusal.value[:_LONGEST_VALUE]))
        self.count += 1

    def flush(self) -> None:
        """Hand what was written to the system, so that a killed import leaves it behind."""
        if self._file is not None:
            self._file.flush()
