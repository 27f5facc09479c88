from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loyalty.commands.demo import _demonstrating, _listen
from loyalty.kit.embedded import EmbeddedPostgres
from loyalty.kit.errors import ConflictError
from loyalty.settings import Settings
from tests.db.commands.conftest import Tallystar

ENOUGH_SECONDS = 120


def test_it_fills_an_empty_database_and_opens_a_filled_one_as_it_is(empty: Tallystar) -> None:
    first = empty("demo", "--no-serve", "--members", "10").stdout
    assert "10 members" in first
    assert "Nothing answers at these addresses yet" in first
    entries = empty.query("SELECT count(*) FROM ledger.entry")
    second = empty("demo", "--no-serve", "--members", "20").stdout
    assert "10 members" in second
    assert empty.query("SELECT count(*) FROM ledger.entry") == entries
    assert re.findall("tsk_[0-9A-Z_]+", first) == re.findall("tsk_[0-9A-Z_]+", second)


def test_a_key_that_was_revoked_or_lost_is_made_anew(empty: Tallystar) -> None:
    first = empty("demo", "--no-serve", "--members", "10").stdout
    (empty.folder / "home" / "demo.json").unlink()
    second = empty("demo", "--no-serve").stdout
    assert re.findall("tsk_[0-9A-Z_]+", first) != re.findall("tsk_[0-9A-Z_]+", second)
    assert (empty.folder / "home" / "demo.json").stat().st_mode & 0o777 == 0o600


def test_a_real_programmes_database_is_refused(tallystar: Tallystar) -> None:
    refused = tallystar("demo", "--no-serve", code=1)
    assert "TALLYSTAR-HOME: this database belongs to brand" in refused.stderr


def test_a_database_of_ones_own_is_not_emptied(empty: Tallystar) -> None:
    refused = empty("demo", "--no-serve", "--fresh", code=1)
    assert "DATABASE-URL: is set: that database is not emptied from here" in refused.stderr


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_where_the_usual_port_is_busy_the_next_free_one_is_taken_and_named(
    busy: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TALLYSTAR_PORT", raising=False)
    with _listen(Settings(home=tmp_path, port=busy), None) as listener:
        assert listener.getsockname()[1] > busy
    assert f"Port {busy} is another program's, so this uses" in capsys.readouterr().out


def test_a_port_that_was_asked_for_is_that_one_or_none(busy: int, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match=f"port {busy} is another program's; choose one with --port"):
        _listen(Settings(home=tmp_path), busy)


def test_an_address_that_is_not_this_machines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="cannot be listened on"):
        _listen(Settings(home=tmp_path, host="192.0.2.1"), None)


def test_the_printed_address_is_one_that_others_can_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYSTAR_PUBLIC_URL", raising=False)
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104  (what the test is about)
        port = listener.getsockname()[1]
        everywhere = _demonstrating(Settings(home=tmp_path, host="0.0.0.0"), listener)  # noqa: S104
    assert re.fullmatch(rf"http://(?!0\.0\.0\.0)[0-9.]+:{port}", everywhere.public_url)
    assert everywhere.demo
    assert everywhere.programme == "tangwu"


def test_an_address_that_was_set_is_printed_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTAR_PUBLIC_URL", "https://demo.example.com")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = _demonstrating(Settings(home=tmp_path, public_url="https://demo.example.com"), listener)
    assert settings.public_url == "https://demo.example.com"


@pytest.mark.long
def test_it_answers_at_every_printed_address_stops_with_ctrl_c_and_begins_anew(tmp_path: Path) -> None:
    home = tmp_path / "home"
    port = _free_port()
    first = _Demo(home, "--members", "10", "--port", str(port))
    for address in first.addresses():
        assert httpx.get(address, follow_redirects=True).status_code in (200, 404), address
    assert first.stop() == 0
    assert EmbeddedPostgres(home).status().state == "stopped"
    anew = _Demo(home, "--members", "12", "--port", str(port), "--fresh")
    assert "12 members" in anew.printed
    assert anew.stop() == 0


class _Demo:
    """The command in a process of its own, once it has said that it can be stopped."""

    def __init__(self, home: Path, *words: str) -> None:
        program = shutil.which("tallystar", path=str(Path(sys.executable).parent))
        assert program is not None
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TALLYSTAR_")}
        environment.pop("DATABASE_URL", None)
        self._process = subprocess.Popen(
            [program, "demo", *words],
            env={**environment, "TALLYSTAR_HOME": str(home)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.printed = ""
        for line in self._process.stdout:
            self.printed += line
            if line.startswith("To begin anew"):
                break

    def addresses(self) -> list[str]:
        found = [address for address in re.findall(r"http://127\S+", self.printed) if "/v1/programme" not in address]
        assert len(found) > 12
        return found

    def stop(self) -> int:
        with self._process:
            self._process.send_signal(signal.SIGINT)
            return self._process.wait(ENOUGH_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
