from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from loyalty.kit.embedded import EmbeddedPostgres
from tests.db.commands.conftest import Tallystar


def test_a_database_of_ones_own_is_not_started_or_stopped(empty: Tallystar) -> None:
    for command in ("start", "stop", "status"):
        assert "DATABASE-URL: is set" in empty("db", command, code=1).stderr


def test_migrate_says_that_it_did(empty: Tallystar) -> None:
    assert empty("db", "migrate").stdout == "The database has the newest schema.\n"


def test_an_embedded_database_that_was_never_used(empty: Tallystar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    status = empty.json("db", "status", code=1)
    assert (status["state"], status["used"]) == ("absent", False)
    assert not Path(status["data"]).exists()


def test_a_folder_of_another_version_is_left_alone_and_the_way_out_is_said(
    empty: Tallystar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    home = empty.folder / "home"
    with EmbeddedPostgres(home) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES ('0010_jobs')")
    for words in (["demo", "--no-serve"], ["demo", "--no-serve", "--fresh"], ["serve"], ["ledger", "verify"]):
        said = empty(*words, code=1).stderr
        assert "was made by another version of Tallystar (its schema is 0010_jobs)" in said
        assert f"move the folder {home / 'postgres'} away" in said
