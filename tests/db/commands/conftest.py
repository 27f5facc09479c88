"""The command `tallystar`, called in this process on a database and in a folder of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from loyalty.cli import cli


class Tallystar:
    """Calls the command and reads the database behind it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def __call__(self, *words: str, stdin: str | bytes | None = None, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, words, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def json(self, *words: str, stdin: str | bytes | None = None, code: int = 0) -> Any:
        """The one JSON object that the command answers on standard output."""
        answer = self(*words, "--json", stdin=stdin, code=code).stdout
        assert answer.count("\n") == 1
        return json.loads(answer)

    def file(self, name: str, *lines: str) -> str:
        (self.folder / name).write_text("\n".join(lines) + "\n")
        return name

    def query(self, sql: str) -> Any:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(sql).fetchone()
        return row and row[0]

    def change(self, sql: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(sql)


@pytest.fixture
def empty(fresh_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tallystar:
    """The command on an empty database."""
    monkeypatch.setenv("DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("TALLYSTAR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TALLYSTAR_PROGRAMME", raising=False)
    monkeypatch.chdir(tmp_path)
    return Tallystar(fresh_database_url, tmp_path)


@pytest.fixture
def tallystar(empty: Tallystar) -> Tallystar:
    """The command on a programme in CNY with the channel `online`."""
    empty("init", "--programme", "brand", "--name", "Brand", "--currency", "CNY", "--time-zone", "Asia/Shanghai")
    empty("channel", "add", "online", "--name", "Online", "--kind", "online")
    return empty
