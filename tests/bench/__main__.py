"""`make bench`: measure everything in one run, print the table, write it to `bench/`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from loyalty.kit.embedded import EmbeddedPostgres
from loyalty.kit.migrate import migrate
from tests.bench import http, importing, items, ledger_batch, ledger_sql
from tests.bench.report import Measure, table, write

ROOT = Path(__file__).parents[2]
SECTIONS: dict[str, Callable[[str], list[Measure]]] = {
    "ledger": ledger_sql.measure,
    "batch": ledger_batch.measure,
    "http": http.measure,
    "importing": importing.measure,
    "items": items.measure,
}


def main(wanted: list[str]) -> None:
    """Run the sections named, or all of them; only a whole run is written down."""
    measures: list[Measure] = []
    with tempfile.TemporaryDirectory() as home, EmbeddedPostgres(Path(home)) as url:
        migrate(url)
        for name in wanted or SECTIONS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            measures.extend(SECTIONS[name](url))
    print(table(measures))
    if not wanted:
        write(measures, ROOT / "bench")


if __name__ == "__main__":
    main(sys.argv[1:])
