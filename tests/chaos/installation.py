"""An installation of the product in a folder of its own: to be killed, started again and asked what it knows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg

from loyalty.kit.db import transaction
from loyalty.kit.embedded import EmbeddedPostgres
from loyalty.runtime import open_engine
from loyalty.settings import Settings
from loyalty.web.security.api_keys import create_api_key
from tests.factories import make_brand

TALLYSTAR: Final = (sys.executable, "-c", "from loyalty.cli import main; main()")
START_SECONDS: Final = 90
_POLL_SECONDS: Final = 0.05


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Any, what: str, *, seconds: float = START_SECONDS) -> Any:
    """Ask until the answer is true; answers it. Fails where that takes too long."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} seconds"
        time.sleep(_POLL_SECONDS)
    return answer


@dataclass
class Installation:
    """`tallystar serve` with its embedded database, and a brand with an API key in it."""

    home: Path
    port: int = field(default_factory=free_port)
    token: str = ""
    server: subprocess.Popen[bytes] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the brand and its key, as `tallystar init` and `tallystar api-key` do. The database is stopped then."""

        async def make() -> str:
            async with open_engine(Settings(home=self.home)) as engine, transaction(engine) as connection:
                brand = await make_brand(connection)
                key = await create_api_key(
                    connection,
                    programme_id=brand.id,
                    name="chaos",
                    scopes=("members:write", "points:read", "points:write"),
                )
                return key.token

        self.token = asyncio.run(make())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def log(self) -> Path:
        """What the server said on standard error."""
        return self.home / "serve.log"

    def said(self, instance: str) -> str:
        """What the log says of one failure."""
        return self.log.read_text().partition(instance)[2][:6000]

    def start(self) -> None:
        """Start the server where it does not run, and wait until it answers."""
        wait_until(self._started, "the server answers")

    def _started(self) -> bool:
        """Whether it answers; it is started, or, where its database was killed under it meanwhile, started again."""
        if self.server is None or self.server.poll() is not None:
            self._launch()
        return self.answers()

    def _launch(self) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            "TALLYSTAR_HOME": str(self.home),
            **self.environment,
        }
        command = [*TALLYSTAR, "serve", "--no-jobs", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)

    def answers(self) -> bool:
        """Whether the server, and its database, answer."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz", timeout=20).status_code == httpx.codes.OK
        return False

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        if self.server is not None and self.server.poll() is None:
            self.server.kill()
            self.server.wait()
        if (self.home / "postgres").exists():
            EmbeddedPostgres(self.home).stop()

    # Killing.

    @property
    def database_url(self) -> str:
        """The owner's address of the embedded database."""
        return EmbeddedPostgres(self.home).status().url

    def kill_application(self) -> None:
        """Kill the application; whoever looks after it starts it again. Its database runs on, and it joins it."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()
        self.start()

    def kill_backend(self, chance: random.Random) -> None:
        """Kill the process that works for one of the application's connections, preferably one that is at work."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            busy = connection.execute(f"{query} AND state <> 'idle'").fetchall()
            pids = busy or connection.execute(query).fetchall()
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(pids)[0], signal.SIGKILL)

    def kill_postmaster(self) -> None:
        """Kill the database's first process. The application starts it again."""
        pid = EmbeddedPostgres(self.home).status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    # Asking.

    def verify(self) -> str:
        """`tallystar ledger verify`, which must find nothing; answers what it said."""
        environment = {**os.environ, "TALLYSTAR_HOME": str(self.home)}
        done = subprocess.run(
            [*TALLYSTAR, "ledger", "verify"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@contextlib.contextmanager
def installed(home: Path, **environment: str) -> Iterator[Installation]:
    """An installation that is prepared, not yet started, and stopped afterwards."""
    installation = Installation(home, environment=environment)
    try:
        installation.prepare()
        yield installation
    finally:
        installation.stop()
