"""pgbench of the embedded server's tools: a script run by many clients, with what each transaction took."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import make_url

from loyalty.kit.embedded import binaries

SQL = Path(__file__).parent / "sql"
CLIENTS = 16


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How many transactions a second, and what they took: `latencies_ms` in the order of their ends."""

    rate: float
    latencies_ms: list[float]

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that so large a share of the transactions did not exceed."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def command(url: str, scripts: Sequence[str], *, clients: int, variables: Mapping[str, int] | None = None) -> list[str]:
    """The command without its length: prepared statements, scripts of `sql/` chosen evenly."""
    parsed = make_url(url)
    assert parsed.database is not None
    host = parsed.query.get("host") or parsed.host
    port = parsed.query.get("port") or parsed.port or 5432
    return [
        str(binaries() / "pgbench"),
        *("-h", str(host), "-p", str(port), "-U", parsed.username or "postgres"),
        *("-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2))),
        *(part for name, value in (variables or {}).items() for part in ("-D", f"{name}={value}")),
        *(part for script in scripts for part in ("-f", str(SQL / f"{script}.pgbench"))),
        parsed.database,
    ]


def run(
    url: str,
    *scripts: str,
    seconds: int,
    clients: int = CLIENTS,
    transactions: int | None = None,
    variables: Mapping[str, int] | None = None,
) -> Run:
    """Run scripts for so long, or so many times by each client. Raises CalledProcessError where one fails."""
    with tempfile.TemporaryDirectory() as folder:
        *words, database = command(url, scripts, clients=clients, variables=variables)
        length = ["-t", str(transactions)] if transactions else ["-T", str(seconds)]
        length += ["-l", f"--log-prefix={folder}/log"]
        done = subprocess.run([*words, *length, database], capture_output=True, text=True, check=True)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        assert found is not None
        return Run(rate=float(found[1]), latencies_ms=[taken for _, taken in _log(Path(folder))])


class Load:
    """A load that goes on beside what is measured. When it has ended, `window` says how it fared meanwhile."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.ended: list[tuple[float, float]] = []

    def pause(self) -> None:
        """Stop the clients where they are; their sessions stay. What is under way ends in a moment."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the clients go on. What they waited for meanwhile has ended then, and took long."""
        self._process.send_signal(signal.SIGCONT)

    def window(self, start: float, end: float) -> Run:
        """The transactions that ended between two moments of `time.time()`."""
        taken = [latency for moment, latency in self.ended if start <= moment <= end]
        return Run(rate=len(taken) / (end - start), latencies_ms=taken)


@contextmanager
def load(
    url: str, *scripts: str, clients: int, variables: Mapping[str, int] | None = None, most_seconds: int = 3600
) -> Iterator[Load]:
    """Clients that run scripts until the block ends. Raises RuntimeError where they ended before."""
    with tempfile.TemporaryDirectory() as folder:
        *words, database = command(url, scripts, clients=clients, variables=variables)
        length = ["-T", str(most_seconds), "-l", f"--log-prefix={folder}/log"]
        process = subprocess.Popen([*words, *length, database], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        running = Load(process)
        try:
            yield running
            ended_early = process.poll() is not None
        finally:
            process.terminate()
            running.resume()
            _, said = process.communicate()
        if ended_early:
            raise RuntimeError(said.decode())
        running.ended.extend(_log(Path(folder)))


def _log(folder: Path) -> Iterator[tuple[float, float]]:
    """When each transaction ended and how many milliseconds it took, from pgbench's logs."""
    for path in sorted(folder.glob("log*")):
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) >= 6:  # the last line of a load that was stopped may be cut
                yield int(words[4]) + int(words[5]) / 1e6, int(words[2]) / 1000
