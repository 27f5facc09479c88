from __future__ import annotations

import psycopg
import pytest

from tests.db.commands.conftest import Tallystar
from tests.roles import application_login


def test_with_a_login_of_its_own_everything_is_as_it_should_be(
    empty: Tallystar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYSTAR_OWNER_DATABASE_URL", empty.url)
    monkeypatch.setenv("DATABASE_URL", application_login(empty.url))
    empty("init", "--programme", "brand", "--name", "Brand", "--currency", "CNY", "--time-zone", "Asia/Shanghai")
    assert "Everything is as it should be." in empty("doctor").stdout
    answer = empty.json("doctor")
    assert answer["findings"] == []
    assert answer["schema"] == empty.query("SELECT version_num FROM alembic_version")


def test_it_says_what_is_missing(empty: Tallystar) -> None:
    keys = empty.folder / "home" / "keys"
    keys.mkdir(parents=True)
    keys.chmod(0o755)
    empty.change(
        f"ALTER DATABASE {psycopg.conninfo.conninfo_to_dict(empty.url)['dbname']} SET synchronous_commit = off"
    )
    findings = "\n".join(empty.json("doctor", code=1)["findings"])
    assert "synchronous_commit is off" in findings
    assert "logs in as tallystar, who owns the ledger" in findings
    assert f"{keys} can be entered or read by others" in findings


def test_what_only_the_owner_may_do_is_refused_to_the_application(
    empty: Tallystar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", application_login(empty.url))
    assert "TALLYSTAR-OWNER-DATABASE-URL" in empty("ledger", "rebuild", code=1).stderr
    assert "0 entries of 0 accounts" in empty("ledger", "verify").stdout
