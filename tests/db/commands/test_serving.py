from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from loyalty.kit.embedded import EmbeddedPostgres

TALLYSTAR = [sys.executable, "-c", "from loyalty.cli import main; main()"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_until_it_is_stopped_and_takes_its_database_with_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    environment = {**os.environ, "TALLYSTAR_HOME": str(tmp_path)}
    environment.pop("DATABASE_URL", None)
    port = free_port()
    command = [*TALLYSTAR, "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == f"Tallystar answers at http://127.0.0.1:{port}\n".encode()
        assert _answer(f"http://127.0.0.1:{port}/healthz") == {"status": "ok"}
        assert EmbeddedPostgres(tmp_path).status().state == "running"
        server.send_signal(number)
        server.communicate(timeout=30)
        assert server.returncode == 0
    assert EmbeddedPostgres(tmp_path).status().state == "stopped"


def _answer(url: str) -> object:
    deadline = time.monotonic() + 30
    while True:
        try:
            return httpx.get(url).json()
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.1)
