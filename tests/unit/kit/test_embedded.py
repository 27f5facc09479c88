from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from loyalty.kit.embedded import cluster
from loyalty.kit.embedded.cluster import caches, memory_bytes
from loyalty.kit.embedded.layout import Layout
from loyalty.kit.embedded.locks import Deadline, FileLock, exclusive
from loyalty.kit.embedded.log import open_log, tail, trim_log
from loyalty.kit.embedded.processes import runs
from loyalty.kit.errors import UnavailableError


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files whose path is short."""
    with tempfile.TemporaryDirectory(prefix="ts-", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def socket_folder(url: str) -> Path:
    """Where both of the address's readers look for the socket."""
    host = make_url(url).query["host"]
    assert psycopg.conninfo.conninfo_to_dict(url)["host"] == host
    assert isinstance(host, str)
    return Path(host)


@pytest.mark.parametrize("home", ["/srv/tallystar", "/srv/a b", "/srv/100%+", "/srv/会员"])
def test_a_short_path_is_the_sockets_own(home: str) -> None:
    url = Layout(Path(home)).url()
    assert socket_folder(url) == Path(home) / "postgres" / "run"
    parts = make_url(url)
    assert (parts.username, parts.password, parts.port, parts.database) == ("tallystar", None, 5432, "tallystar")


@pytest.mark.parametrize("home", ["/srv/" + "x" * 100, "/srv/one,two", "/srv/one:two", "/srv/" + "会" * 30])
def test_a_path_that_no_address_can_hold_goes_through_a_private_link(home: str, temporary: Path) -> None:
    link = socket_folder(Layout(Path(home)).url())
    assert link.readlink() == Path(home) / "postgres" / "run"
    assert link.parent.parent == temporary
    assert link.parent.stat().st_mode & 0o7777 == 0o700
    assert socket_folder(Layout(Path(home)).url()) == link


def test_a_link_that_points_elsewhere_is_set_right(temporary: Path) -> None:
    home = Path("/srv") / ("x" * 100)
    link = socket_folder(Layout(home).url())
    link.unlink()
    link.symlink_to(temporary)
    assert socket_folder(Layout(home).url()).readlink() == home / "postgres" / "run"


def test_a_folder_for_links_that_others_may_enter_is_refused(temporary: Path) -> None:
    (temporary / f"tallystar-{os.geteuid()}").mkdir(mode=0o755)
    with pytest.raises(UnavailableError, match="only this user may enter"):
        Layout(Path("/srv") / ("x" * 100)).url()


def test_a_lock_is_shared_by_many_or_held_by_one(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock") as first, FileLock(tmp_path / "lock") as second:
        first.share()
        second.share()
        assert not first.try_exclusive()
    with FileLock(tmp_path / "lock") as last:
        assert last.try_exclusive()


def test_waiting_for_a_lock_ends_at_the_deadline(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "lock", Deadline(1)),
        pytest.raises(UnavailableError, match="too long"),
        exclusive(tmp_path / "lock", Deadline(0.05)),
    ):
        pass


def test_a_lock_that_cannot_be_opened_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(UnavailableError) as refusal:
        FileLock(tmp_path / "lock")
    assert refusal.value.field == "TALLYSTAR_HOME"


def test_the_log_stays_within_bounds_and_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    with open_log(path) as log:
        log.write(b"old\n" * 1_100_000)
        trim_log(path)
        log.write(b"new\n")
        assert path.read_bytes() == b"new\n"
        assert (tmp_path / "server.log.1").stat().st_size == 4_400_000
        trim_log(path)
        assert tail(path) == "new"


def test_the_log_is_not_written_through_somebodys_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "server.log").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        open_log(tmp_path / "server.log")


def test_a_process_is_told_from_its_remains() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    os.kill(child, 0)
    assert not runs(child)
    os.waitpid(child, 0)
    assert not runs(child)
    assert runs(os.getpid())


@pytest.mark.parametrize(
    ("memory_mb", "buffers"),
    [(512, "128MB"), (1_024, "128MB"), (2_048, "256MB"), (4_000, "500MB"), (8_192, "1024MB"), (262_144, "2048MB")],
)
def test_its_own_cache_is_an_eighth_of_the_memory_within_bounds(memory_mb: int, buffers: str) -> None:
    chosen = caches(memory_mb * 2**20)
    assert chosen["shared_buffers"] == buffers
    assert int(chosen["effective_cache_size"].removesuffix("MB")) >= 2 * int(buffers.removesuffix("MB"))


@pytest.mark.parametrize(("limit", "least"), [("67108864\n", 64 * 2**20), ("max\n", None), (None, None)])
def test_a_containers_limit_counts_as_its_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str | None, least: int | None
) -> None:
    monkeypatch.setattr(cluster, "_CONTAINER_LIMIT", tmp_path / "memory.max")
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_bytes() == (least or whole)
