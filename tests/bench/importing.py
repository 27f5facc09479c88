"""Imports of the two shops' records through the command, in rows a second."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loyalty.kit.embedded import EmbeddedPostgres
from tests.bench.report import Measure

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
MAPPINGS = ROOT / "docs" / "examples"

SHOPS = (
    ("online", "online", "GBP", "online-shop.toml", "online_contacts.csv.gz", "online_orders.csv.gz"),
    ("grocer", "store", "USD", "grocer.toml", "store_contacts.csv.gz", "store_baskets.csv.gz"),
)


def measure(_url: str) -> list[Measure]:
    """Rows a second of both shops' members and orders, each shop a channel of one programme."""
    if not DATA.is_dir():
        print(f"importing: left out, {DATA} is not there", file=sys.stderr)
        return []
    measures: list[Measure] = []
    with TemporaryDirectory() as folder:
        home = Path(folder)
        with EmbeddedPostgres(home):
            _run(home, "init", "--programme", "bench", "--name", "Bench", "--currency", "GBP")
            for channel, kind, currency, mapping, contacts, orders in SHOPS:
                _run(home, "channel", "add", channel, "--name", channel, "--kind", kind, "--currency", currency)
                for what, file in (("members", contacts), ("orders", orders)):
                    summary = _run(
                        home,
                        "import",
                        what,
                        str(DATA / file),
                        "--channel",
                        channel,
                        "--mapping",
                        str(MAPPINGS / mapping),
                    )
                    measures.append(
                        Measure(
                            name=f"import {what} of {file}, rows",
                            rate=summary["rows"] / summary["seconds"],
                            notes={"rows": f"{summary['rows']:,}"},
                        )
                    )
    return measures


def _run(home: Path, *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, "TALLYSTAR_HOME": str(home)}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "loyalty.cli", *arguments, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=home)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
