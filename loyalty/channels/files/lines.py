"""Reading delimited text record by record, so that memory is bounded and one bad line costs one line.

Python's `csv` module reads the records. Around it, lines are taken one at a time: one that is no text is refused alone,
and after a record that cannot be read (a quote never closed, the wrong number of fields) reading goes on with the
line after the record's first, which the open quote had swallowed.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, cast

from loyalty.channels.files.mapping import FileFormat
from loyalty.kit.errors import InvalidInputError, UnavailableError

STANDARD_INPUT: Final = "-"
MOST_LINE_BYTES: Final = 1 << 20
MOST_RECORD_LINES: Final = 200
"""A quoted field may hold line breaks; more than these mean that a quote was never closed."""

_GZIP: Final = b"\x1f\x8b"
_NOT_TEXT: Final = {
    b"PK\x03\x04": "a workbook or a zip archive; save the sheet as CSV",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
    b"%PDF": "a PDF document",
}
_UNCLOSED: Final = "a quote is opened and not closed"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """One record: the fields as text, as many as the header has. `line` is its first line, from 1."""

    file: str
    line: int
    fields: list[str]


class BadLine(NamedTuple):
    """A line that is no record, and why. `fields` is what could be made of it, to find out whose it is."""

    file: str
    line: int
    text: str
    reason: str
    fields: list[str]


class CutShortError(UnavailableError):
    """The file ends in the middle, or its compressed data is damaged: what follows cannot be known."""

    type = "file-cut-short"
    title = "The file cannot be read to its end"


class Export:
    """One file, open for reading: its header, then its records. Use it as a context manager.

    `path` may be `-` for standard input. Gzip is recognised by its first bytes, whatever the file is called.
    """

    def __init__(self, path: str, file_format: FileFormat) -> None:
        self.name: Final = "standard input" if path == STANDARD_INPUT else path
        self.size: int | None = None
        """The file's size in bytes; None where it comes through a pipe."""
        self.header: list[str] = []
        self._path: Final = path
        self._format: Final = file_format
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        """Open the file and read its header. Raises InvalidInputError (file) where that cannot be."""
        with ExitStack() as stack:
            self._raw = self._open(stack)
            self._lines = _Lines(self.name, self._unpack(stack), self._format)
            self.header = self._read_header()
            self._opened = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @property
    def position(self) -> int:
        """How many bytes of the file were read, to show progress by; 0 for a pipe."""
        return self._raw.tell() if self.size is not None else 0

    def records(self) -> Iterator[Row | BadLine]:
        """Every record after the header; blank lines are passed over. Raises CutShortError."""
        lines, width = self._lines, len(self.header)
        reader = self._reader()
        while True:
            lines.taken.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._refuse_first(_reason(error))
            except _NotARecordError as error:
                # Met inside a record, the line shows that the record's quote was never closed.
                yield self._refuse_first(_UNCLOSED) if lines.taken else error.bad
            else:
                if len(fields) == width:
                    yield Row(self.name, lines.taken[0][0], fields)
                elif fields:
                    yield self._refuse_first(f"has {_counted(len(fields))}, the header has {width}")

    def _open(self, stack: ExitStack) -> io.BufferedReader:
        if self._path == STANDARD_INPUT:
            given = sys.stdin.buffer
            return given if isinstance(given, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", given))
        try:
            raw = stack.enter_context(Path(self._path).open("rb"))  # noqa: SIM115  (the stack closes it)
        except OSError as error:
            message = f"{self._path} cannot be opened: {error.strerror}"
            raise InvalidInputError(message, field="file") from error
        self.size = Path(self._path).stat().st_size if raw.seekable() else None
        return raw

    def _unpack(self, stack: ExitStack) -> io.BufferedIOBase:
        try:
            head = self._raw.peek(4)[:4]
        except OSError as error:
            raise _damaged(self.name, "its start", error) from error
        for magic, what in _NOT_TEXT.items():
            if head.startswith(magic):
                message = f"{self.name} is {what}"
                raise InvalidInputError(message, field="file")
        if head.startswith(_GZIP):
            return stack.enter_context(gzip.GzipFile(fileobj=self._raw))
        return self._raw

    def _read_header(self) -> list[str]:
        try:
            names = next(self._reader())
        except StopIteration:
            message = f"{self.name} is empty; a header line with the columns' names is needed"
            raise InvalidInputError(message, field="file") from None
        except (csv.Error, _NotARecordError) as error:
            reason = _reason(error) if isinstance(error, csv.Error) else error.bad.reason
            message = f"{self.name}, line 1: the header cannot be read: {reason}"
            raise InvalidInputError(message, field="file") from error
        return [name.strip() for name in names]

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._lines, delimiter=self._format.separator, strict=True)

    def _refuse_first(self, reason: str) -> BadLine:
        """The record under way is none: its first line is refused, the others are read again."""
        (number, text), *others = self._lines.taken
        self._lines.read_again(others)
        if others:
            reason = _UNCLOSED
        return _bad_line(self.name, number, text, reason, self._format.separator)


class _NotARecordError(Exception):
    """A line that `csv` must not see, or one too many for a record."""

    def __init__(self, bad: BadLine) -> None:
        super().__init__(bad.reason)
        self.bad = bad


class _Lines:
    """Hands text lines to `csv`, one at a time, and remembers those of the record under way: `taken`."""

    def __init__(self, name: str, stream: io.BufferedIOBase, file_format: FileFormat) -> None:
        self.taken: list[tuple[int, str]] = []
        self._name = name
        self._stream = stream
        self._format = file_format
        self._number = 0
        self._again: deque[tuple[int, str]] = deque()
        self._set_aside: BadLine | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._again:
            self.taken.append(self._again.popleft())
        else:
            self._take()
        if len(self.taken) > MOST_RECORD_LINES:
            raise _NotARecordError(BadLine(self._name, self.taken[0][0], "", _UNCLOSED, []))
        return self.taken[-1][1]

    def read_again(self, lines: list[tuple[int, str]]) -> None:
        """Put lines back that a record took which was none."""
        self._again.extendleft(reversed(lines))

    def _take(self) -> None:
        """Take the next line of the file. One that is no text ends the record before it, and comes by itself after."""
        if self._set_aside is None:
            self._set_aside = self._read()
        if self._set_aside is not None:
            bad = self._set_aside
            if not self.taken:
                self._set_aside = None
            raise _NotARecordError(bad)

    def _read(self) -> BadLine | None:
        try:
            line = self._stream.readline(MOST_LINE_BYTES)
            complete = len(line) < MOST_LINE_BYTES or line.endswith(b"\n")
            rest = b"" if complete else line
            while rest and not rest.endswith(b"\n"):
                rest = self._stream.readline(MOST_LINE_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise _damaged(self._name, f"line {self._number + 1}", error) from error
        if not line:
            raise StopIteration
        self._number += 1
        if self._number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not complete:
            return self._bad(line[:200], f"is longer than {MOST_LINE_BYTES:,} bytes")
        if b"\0" in line:
            return self._bad(line, "holds a NUL byte")
        try:
            self.taken.append((self._number, line.decode(self._format.encoding)))
        except UnicodeDecodeError as error:
            return self._bad(line, f"is not {self._format.encoding.upper()} at byte {error.start + 1}")
        return None

    def _bad(self, line: bytes, reason: str) -> BadLine:
        text = line.decode(self._format.encoding, errors="replace").replace("\0", "\N{SYMBOL FOR NULL}")
        return _bad_line(self._name, self._number, text, reason, self._format.separator)


def _bad_line(file: str, number: int, text: str, reason: str, separator: str) -> BadLine:
    text = text.rstrip("\r\n")
    return BadLine(file, number, text, reason, [field.strip('"') for field in text.split(separator)])


def _reason(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text or "field limit" in text:
        return _UNCLOSED
    if "new-line character" in text:
        return "a line ends in a carriage return alone; save the file with line feeds"
    return "a quoted field goes on after its closing quote"


def _counted(fields: int) -> str:
    return "1 field" if fields == 1 else f"{fields} fields"


def _damaged(name: str, place: str, error: Exception) -> CutShortError:
    return CutShortError(f"{name} is damaged or cut short at {place}: {error}", field="file")
