from __future__ import annotations

from pathlib import Path

import pytest

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
