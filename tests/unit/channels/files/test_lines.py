from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from loyalty.channels.files.lines import MOST_LINE_BYTES, MOST_RECORD_LINES, BadLine, CutShortError, Export, Row
from loyalty.channels.files.mapping import FileFormat
from loyalty.kit.errors import InvalidInputError

PLAIN = FileFormat()


def written(folder: Path, content: bytes, name: str = "orders.csv") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def read(path: str, file_format: FileFormat = PLAIN) -> list[Row | BadLine]:
    with Export(path, file_format) as export:
        return list(export.records())


def good(records: list[Row | BadLine]) -> list[tuple[int, list[str]]]:
    return [(record.line, record.fields) for record in records if isinstance(record, Row)]


def bad(records: list[Row | BadLine]) -> list[tuple[int, str]]:
    return [(record.line, record.reason) for record in records if isinstance(record, BadLine)]


def test_a_header_and_records_with_their_lines(tmp_path: Path) -> None:
    path = written(tmp_path, b"order, amount\n1,2.50\n\n2,3.00\n")
    with Export(path, PLAIN) as export:
        assert export.header == ["order", "amount"]
        assert good(list(export.records())) == [(2, ["1", "2.50"]), (4, ["2", "3.00"])]


def test_gzip_is_known_by_its_first_bytes_and_not_by_the_name(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(b"a,b\n1,2\n"))
    assert good(read(path)) == [(2, ["1", "2"])]


def test_standard_input_may_be_gzipped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(b"a,b\n1,2\n"))))
    monkeypatch.setattr(sys, "stdin", packed)
    with Export("-", PLAIN) as export:
        assert good(list(export.records())) == [(2, ["1", "2"])]
        assert export.name == "standard input"
        assert export.size is None


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n")
    with Export(path, PLAIN) as export:
        assert export.header == ["a", "b"]
        assert good(list(export.records())) == [(2, ["1", "2"])]


@pytest.mark.parametrize(("encoding", "delimiter", "separator"), [("gb18030", ";", ";"), ("latin-1", "tab", "\t")])
def test_other_encodings_and_delimiters(tmp_path: Path, encoding: str, delimiter: str, separator: str) -> None:
    text = "数" if encoding == "gb18030" else "é"
    path = written(tmp_path, f"a{separator}b\n1{separator}{text}\n".encode(encoding))
    assert good(read(path, FileFormat(encoding=encoding, delimiter=delimiter))) == [(2, ["1", text])]


def test_a_quoted_field_may_hold_line_breaks(tmp_path: Path) -> None:
    path = written(tmp_path, b'a,b\n1,"two\nlines"\n2,x\n')
    assert good(read(path)) == [(2, ["1", "two\nlines"]), (4, ["2", "x"])]


def test_the_wrong_number_of_fields_costs_one_line(tmp_path: Path) -> None:
    records = read(written(tmp_path, b"a,b\n1\n2,x\n3,x,y\n4,x\n"))
    assert good(records) == [(3, ["2", "x"]), (5, ["4", "x"])]
    assert bad(records) == [(2, "has 1 field, the header has 2"), (4, "has 3 fields, the header has 2")]


@pytest.mark.parametrize(
    "rest",
    [
        b"3,x\n4,y\n",  # nothing closes the quote before the end of the file
        b'3,"x"\n4,y\n',  # another quote closes it in the middle of a later field
        b'3,x",\n4,y\n',
    ],
)
def test_a_quote_that_is_never_closed_costs_one_line(tmp_path: Path, rest: bytes) -> None:
    records = read(written(tmp_path, b'a,b\n1,x\n2,"open\n' + rest))
    assert bad(records)[0] == (3, "a quote is opened and not closed")
    assert (2, ["1", "x"]) in good(records)
    assert (5, ["4", "y"]) in good(records)


def test_text_after_a_closing_quote_costs_one_line(tmp_path: Path) -> None:
    records = read(written(tmp_path, b'a,b\n1,"x"y\n2,z\n'))
    assert bad(records) == [(2, "a quoted field goes on after its closing quote")]
    assert good(records) == [(3, ["2", "z"])]


def test_an_open_quote_does_not_swallow_the_file_into_memory(tmp_path: Path) -> None:
    lines = 5 * MOST_RECORD_LINES
    records = read(written(tmp_path, b'a,b\n0,"open\n' + b"1,x\n" * lines))
    assert bad(records) == [(2, "a quote is opened and not closed")]
    assert len(good(records)) == lines


def test_what_is_no_text_costs_one_line(tmp_path: Path) -> None:
    records = read(written(tmp_path, b"a,b\n1,caf\xe9\n2,\x00\n3,x\n"))
    assert bad(records) == [(2, "is not UTF-8 at byte 6"), (3, "holds a NUL byte")]
    assert good(records) == [(4, ["3", "x"])]


def test_a_line_that_is_no_text_ends_an_open_quote(tmp_path: Path) -> None:
    records = read(written(tmp_path, b'a,b\n1,"open\n2,\xff\n3,x\n'))
    assert bad(records) == [(2, "a quote is opened and not closed"), (3, "is not UTF-8 at byte 3")]
    assert good(records) == [(4, ["3", "x"])]


def test_a_line_without_end_costs_one_line(tmp_path: Path) -> None:
    records = read(written(tmp_path, b"a,b\n1," + b"x" * (3 * MOST_LINE_BYTES) + b"\n2,x\n"))
    assert bad(records) == [(2, f"is longer than {MOST_LINE_BYTES:,} bytes")]
    assert good(records) == [(3, ["2", "x"])]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "is a workbook or a zip archive"),
        ("a,b\n".encode("utf-16"), "is UTF-16 text"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"a,b\r1,2\r", "carriage return"),
        (b'"a,b\n1,2\n', "the header cannot be read: a quote is opened and not closed"),
        (b"a,\x00b\n", "the header cannot be read: holds a NUL byte"),
    ],
)
def test_what_is_no_table_is_refused_before_anything_is_read(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said) as refused, Export(written(tmp_path, content), PLAIN):
        pass
    assert refused.value.field == "file"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    missing = Export(str(tmp_path / "none.csv"), PLAIN)
    with pytest.raises(InvalidInputError, match="No such file"), missing:
        pass


@pytest.mark.parametrize("damage", ["cut short", "changed"])
def test_a_damaged_gzip_file_says_where(tmp_path: Path, damage: str) -> None:
    whole = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(20_000)))
    half = len(whole) // 2
    content = whole[:half] if damage == "cut short" else whole[:half] + bytes(100) + whole[half + 100 :]
    records: list[Row | BadLine] = []
    with Export(written(tmp_path, content), PLAIN) as export, pytest.raises(CutShortError, match="at line"):
        records.extend(export.records())


def test_progress_is_by_bytes_of_the_file(tmp_path: Path) -> None:
    content = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    with Export(written(tmp_path, content), PLAIN) as export:
        list(export.records())
        assert export.size == export.position == len(content)
