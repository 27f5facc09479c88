"""Whatever stands in a file: a table comes back as it was written, and nothing else costs more than its line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.channels.files.lines import BadLine, Export, Row
from loyalty.channels.files.mapping import FileFormat

FIELDS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=12)
TABLES = st.lists(st.lists(FIELDS, min_size=3, max_size=3), max_size=12)
HEADER = ["a", "b", "c"]


def read(folder: Path, content: bytes) -> list[Row | BadLine]:
    path = folder / "file.csv"
    path.write_bytes(content)
    with Export(str(path), FileFormat()) as export:
        return list(export.records())


def as_csv(table: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([HEADER, *table])
    return text.getvalue().encode()


@given(table=TABLES)
def test_a_table_comes_back_as_it_was_written(table: list[list[str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    records = read(tmp_path_factory.getbasetemp(), as_csv(table))
    assert [record.fields for record in records] == table


@given(content=st.binary(max_size=400))
def test_any_bytes_are_records_or_refused_lines(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    records = read(tmp_path_factory.getbasetemp(), b"a,b,c\n" + content)
    lines = content.split(b"\n")
    assert all(2 <= record.line <= len(lines) + 1 for record in records)
    assert all(isinstance(record, BadLine) or len(record.fields) == len(HEADER) for record in records)


@given(before=TABLES, after=TABLES, broken=st.sampled_from([b'"open', b"\xff", b"\0", b"1,2", b'"x"y,1,2', b"1,2,3,4"]))
def test_a_broken_line_between_records_costs_itself_alone(
    before: list[list[str]], after: list[list[str]], broken: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain = [[field.encode().hex() for field in row] for row in after]
    tail = b"".join(",".join(row).encode() + b"\n" for row in plain)
    records = read(tmp_path_factory.getbasetemp(), as_csv(before) + broken + b"\n" + tail)
    assert [record.fields for record in records if isinstance(record, Row)] == [
        *before,
        *plain,
    ]
    assert sum(isinstance(record, BadLine) for record in records) == 1
