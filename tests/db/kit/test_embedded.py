"""The embedded database is shared, survives kill -9 of anybody, and opens no folder that is not its own."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from loyalty.kit.embedded import EmbeddedPostgres, processes, programs
from loyalty.kit.embedded.account import Account, run_as, server_account
from loyalty.kit.embedded.cluster import data_argument
from loyalty.kit.embedded.layout import Layout
from loyalty.kit.errors import ConflictError, UnavailableError

_USE = """
import os, sys
from pathlib import Path
import psycopg
from loyalty.kit.embedded import EmbeddedPostgres

if len(sys.argv) == 3:
    os.setgroups([])
    os.setresgid(*[int(sys.argv[2])] * 3)
    os.setresuid(*[int(sys.argv[2])] * 3)
with EmbeddedPostgres(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.readline()
"""

_COME_AND_GO = """
import sys
from pathlib import Path
import psycopg
from loyalty.kit.embedded import EmbeddedPostgres

for _ in range(6):
    with EmbeddedPostgres(Path(sys.argv[1])) as url, psycopg.connect(url) as connection:
        connection.execute("INSERT INTO visit DEFAULT VALUES")
"""

_FORK = """
import os, sys
from pathlib import Path
import psycopg
from loyalty.kit.embedded import EmbeddedPostgres

server = EmbeddedPostgres(Path(sys.argv[1]))
url = server.acquire()
child = os.fork()
if not child:
    with server:
        pass
    os._exit(0)
os.waitpid(child, 0)
psycopg.connect(url).close()
server.release()
print("served")
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to show what root does not do")


class User:
    """Another process that uses the database of a home until it is told to leave."""

    def __init__(self, home: Path, script: str = _USE, uid: int | None = None) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-c", script, str(home), *([str(uid)] if uid else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout
        url = self.process.stdout.readline().strip()
        assert url.startswith("postgresql://")
        return url

    def leave(self) -> None:
        self.process.communicate("\n", timeout=20)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=20)


@contextmanager
def using(home: Path, uid: int | None = None) -> Iterator[User]:
    user = User(home, uid=uid)
    try:
        yield user
    finally:
        if user.process.poll() is None:
            user.kill()


@pytest.fixture(scope="module")
def stopped_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose database was used and stopped."""
    home = tmp_path_factory.mktemp("embedded") / "home"
    with EmbeddedPostgres(home) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE visit (id bigserial PRIMARY KEY)")
    return home


@pytest.fixture
def home(stopped_home: Path, tmp_path: Path) -> Iterator[Path]:
    """A used home of the test's own, in which no server is left running."""
    subprocess.run(["cp", "-a", stopped_home, tmp_path / "home"], check=True)
    yield tmp_path / "home"
    EmbeddedPostgres(tmp_path / "home").stop()


def postmaster_pid(home: Path) -> int:
    pid = EmbeddedPostgres(home).status().pid
    assert pid
    return pid


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def visit(url: str) -> int:
    """Commit a row and return how many there are."""
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO visit DEFAULT VALUES")
        row = connection.execute("SELECT count(*) FROM visit").fetchone()
        assert row
        return int(row[0])


def test_processes_share_one_server_and_the_last_to_leave_stops_it(home: Path) -> None:
    with using(home) as first, using(home) as second:
        assert first.url() == second.url()
        pid = postmaster_pid(home)
        first.leave()
        assert postmaster_pid(home) == pid
        second.leave()
    status = EmbeddedPostgres(home).status()
    assert (status.state, status.used) == ("stopped", False)
    assert not processes.runs(pid)


def test_one_process_may_acquire_often_and_stops_with_its_last_release(home: Path) -> None:
    server = EmbeddedPostgres(home)
    assert server.acquire() == server.acquire()
    server.release()
    assert visit(server.acquire()) == 1
    server.release()
    assert server.status().state == "running"
    server.release()
    assert server.status().state == "stopped"
    with pytest.raises(RuntimeError, match="without acquire"):
        server.release()


def test_a_forked_child_does_not_take_the_server_from_its_parent(home: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _FORK, home], capture_output=True, text=True, check=False, timeout=30
    )
    assert result.stdout == "served\n", result.stderr


def test_who_arrives_while_another_leaves_is_served(home: Path) -> None:
    users = [User(home, _COME_AND_GO) for _ in range(3)]
    for user in users:
        user.leave()
    with EmbeddedPostgres(home) as url:
        assert visit(url) == 3 * 6 + 1
    assert EmbeddedPostgres(home).status().state == "stopped"


def test_first_starts_at_once_make_one_database(tmp_path: Path) -> None:
    users = [User(tmp_path / "new") for _ in range(4)]
    assert len({user.url() for user in users}) == 1
    for user in users:
        user.leave()
    assert EmbeddedPostgres(tmp_path / "new").status().state == "stopped"


def test_a_killed_user_leaves_the_server_to_the_next(home: Path) -> None:
    with using(home) as user:
        visit(user.url())
        pid = postmaster_pid(home)
        user.kill()
    assert EmbeddedPostgres(home).status().used is False
    with EmbeddedPostgres(home) as url:
        assert postmaster_pid(home) == pid
        assert visit(url) == 2
    assert EmbeddedPostgres(home).status().state == "stopped"


def test_what_killed_users_left_can_be_stopped_but_not_what_is_used(home: Path) -> None:
    with using(home) as user:
        user.url()
        with pytest.raises(ConflictError, match="in use"):
            EmbeddedPostgres(home).stop()
        user.kill()
    assert EmbeddedPostgres(home).stop() is True
    assert EmbeddedPostgres(home).stop() is False


def test_a_killed_backend_costs_its_transaction_alone(home: Path) -> None:
    with EmbeddedPostgres(home) as url:
        visit(url)
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO visit DEFAULT VALUES")
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        with EmbeddedPostgres(home) as again:
            assert visit(again) == 2


def test_a_killed_postmaster_is_replaced_at_the_next_acquire(home: Path) -> None:
    server = EmbeddedPostgres(home)
    with server as url:
        visit(url)
        pid = postmaster_pid(home)
        os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        with EmbeddedPostgres(home) as again:
            assert visit(again) == 2
        assert time.monotonic() - started < 5
        assert postmaster_pid(home) != pid


def test_a_killed_postmaster_is_replaced_while_in_use(home: Path) -> None:
    with EmbeddedPostgres(home) as url:
        visit(url)
        pid = postmaster_pid(home)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: EmbeddedPostgres(home).status().pid not in (None, pid))
        assert visit(url) == 2


def test_a_server_that_was_shut_down_in_order_is_started_by_who_comes_next(home: Path) -> None:
    with EmbeddedPostgres(home):
        os.kill(postmaster_pid(home), signal.SIGTERM)
        wait_until(lambda: EmbeddedPostgres(home).status().state == "stopped")
        with EmbeddedPostgres(home) as again:
            assert visit(again) == 1


def test_a_dead_server_in_the_process_table_is_not_in_the_way(home: Path) -> None:
    """A parent that cannot wait for its child, here because it is stopped, keeps it as a zombie."""
    with using(home) as user:
        visit(user.url())
        pid = postmaster_pid(home)
        user.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, user.process.pid, os.WSTOPPED)
        os.kill(pid, signal.SIGKILL)
        with EmbeddedPostgres(home) as url:
            os.kill(pid, 0)
            assert visit(url) == 2
        user.process.send_signal(signal.SIGCONT)


@pytest.mark.skipif(not Path("/proc").exists(), reason="only /proc tells whose processes hold the lock")
def test_a_backend_that_computes_on_without_its_postmaster_is_cleared_away(home: Path) -> None:
    with EmbeddedPostgres(home) as url:
        visit(url)
        with closing(psycopg.connect(url)) as connection:
            connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000000)")
            time.sleep(0.1)
            os.kill(postmaster_pid(home), signal.SIGKILL)
            with EmbeddedPostgres(home) as again:
                assert visit(again) == 2
            assert not processes.runs(connection.info.backend_pid)


def test_a_half_made_data_directory_is_made_anew(tmp_path: Path) -> None:
    home = tmp_path / "new"
    with using(home) as user:
        wait_until(lambda: any(home.glob("postgres/data.new-*/base")))
        user.kill()
    assert not (home / "postgres" / "data").exists()
    with EmbeddedPostgres(home) as url, psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        assert [entry.name for entry in (home / "postgres").glob("data*")] == ["data"]


@pytest.mark.parametrize(
    "name", ["a folder with spaces", '一百% of + it, here: \' & "there"', "long/" + "x" * 100 + "/" + "y" * 100]
)
def test_any_path_will_do(stopped_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    links = tempfile.TemporaryDirectory(prefix="ts-", dir="/tmp")
    monkeypatch.setattr(tempfile, "tempdir", links.name)
    home = tmp_path / name
    home.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", stopped_home, home], check=True)
    with links, EmbeddedPostgres(home) as url:
        assert visit(url) == 1


def test_it_is_durable_private_and_off_the_network(home: Path) -> None:
    wanted = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": ""}
    with EmbeddedPostgres(home) as url, psycopg.connect(url) as connection:
        found = {name: connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in wanted}
        assert found == {name: (value,) for name, value in wanted.items()}
        encoding = connection.execute("SELECT getdatabaseencoding(), lower('ÄÖ Ж')").fetchone()
        assert encoding == ("UTF8", "äö ж")
        for folder in (home / "postgres" / "data", home / "postgres" / "run"):
            assert folder.stat().st_mode & 0o7777 == 0o700


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    with (home / "postgres" / "data" / "postgresql.conf").open("a") as configuration:
        configuration.write("\nno_such_setting = 1\n")
    with pytest.raises(UnavailableError, match="no_such_setting") as refusal:
        EmbeddedPostgres(home).acquire()
    assert str(home) in refusal.value.detail


def test_the_log_of_a_server_in_use_is_trimmed(home: Path) -> None:
    log = home / "postgres" / "server.log"
    with EmbeddedPostgres(home) as url:
        with log.open("ab") as file:
            file.write(b"much\n" * 1_000_000)
        wait_until(lambda: log.stat().st_size == 0)
        visit(url)
    assert b"database system is shut down" in log.read_bytes()


@pytest.mark.skipif(not Path("/proc").exists(), reason="only /proc tells where a process works")
def test_a_server_that_was_started_by_hand_is_not_joined_by_a_second(home: Path) -> None:
    data = home / "postgres" / "data"
    account = server_account(Layout(home))
    command = [str(programs.binaries() / "postgres"), "-D", data_argument(data, account), "-k", "../run"]
    by_hand = subprocess.Popen(command, cwd=data, stderr=subprocess.DEVNULL, **run_as(account))
    try:
        wait_until((data / "postmaster.pid").exists)
        with pytest.raises(UnavailableError, match=f"process {by_hand.pid} .* was not started by Tallystar"):
            EmbeddedPostgres(home).acquire()
    finally:
        by_hand.send_signal(signal.SIGINT)
        by_hand.wait()
    with EmbeddedPostgres(home) as url:
        assert visit(url) == 1


def test_a_folder_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "postgres" / "data" / "mine.txt").write_text("mine")
    with pytest.raises(UnavailableError, match="move it away"):
        EmbeddedPostgres(tmp_path).acquire()
    assert (tmp_path / "postgres" / "data" / "mine.txt").read_text() == "mine"


def test_asking_for_the_status_makes_nothing(tmp_path: Path) -> None:
    assert EmbeddedPostgres(tmp_path / "new").status().state == "absent"
    assert not (tmp_path / "new").exists()


def modes(folder: Path) -> dict[Path, tuple[int, int, int]]:
    parents = {parent: parent.stat() for parent in (folder, *folder.parents)}
    return {parent: (status.st_mode, status.st_uid, status.st_gid) for parent, status in parents.items()}


@as_root
def test_root_opens_no_folder_and_keeps_no_power(stopped_home: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    subprocess.run(["cp", "-a", stopped_home, closed / "home"], check=True)
    before = modes(closed / "home")
    with EmbeddedPostgres(closed / "home") as url:
        pid = postmaster_pid(closed / "home")
        status = Path(f"/proc/{pid}/status").read_text()
        uid = (closed / "home" / "postgres" / "data").stat().st_uid
        assert uid != 0
        assert f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
        assert "\nGroups:\t \n" in status
        assert "\nCapEff:\t0000000000000000\n" in status
        assert visit(url) == 1
    assert modes(closed / "home") == before


@as_root
def test_root_uses_an_installation_that_only_root_can_read(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = programs.binaries()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "packages").symlink_to(original.parents[2])
    before = modes(closed)
    hidden = closed / "packages" / original.relative_to(original.parents[2])
    monkeypatch.setattr(programs, "binaries", lambda: hidden)
    with EmbeddedPostgres(home) as url:
        copy = (home / "postgres" / "programs").readlink()
        assert (copy.stat().st_mode & 0o7777, copy.stat().st_uid) == (0o755, 0)
        with psycopg.connect(url) as connection:
            connection.execute("SELECT now() AT TIME ZONE 'Asia/Shanghai'")
    assert not copy.exists()
    assert modes(closed) == before


@as_root
def test_in_a_users_home_root_runs_the_server_as_that_user(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65_531, 65_531)
    with EmbeddedPostgres(home) as url, psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
    owners = {entry.stat().st_uid for entry in (home / "postgres").rglob("*")}
    assert owners == {65_531}


@as_root
def test_an_ordinary_user_needs_no_root() -> None:
    uid = pwd.getpwnam("nobody").pw_uid  # initdb wants a user with a name
    try:
        subprocess.run(
            [programs.binaries() / "postgres", "--version"], check=True, cwd="/", **run_as(Account(uid, uid))
        )
    except PermissionError:
        pytest.skip("an ordinary user cannot reach this checkout")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, uid, uid)
        home = Path(folder) / "home"
        with using(home, uid) as user:
            user.url()
            user.leave()
        assert {entry.stat().st_uid for entry in (home, *home.rglob("*"))} == {uid}
