"""`make bench`: measure everything in one run, print the table, write it to `bench/`."""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from loyalty.kit.embedded import EmbeddedPostgres
from loyalty.kit.migrate import migrate
from tests.bench import (
    basket,
    benefits,
    campaigns,
    epcis,
    http,
    importing,
    items,
    ledger_batch,
    ledger_sql,
    packing,
    scale,
    scans,
    tiers,
)
from tests.bench.report import Measure, Section, section, table, write

ROOT = Path(__file__).parents[2]
SECTIONS: dict[str, Callable[[str], list[Measure]]] = {
    "ledger": ledger_sql.measure,
    "batch": ledger_batch.measure,
    "http": http.measure,
    "importing": importing.measure,
    "items": items.measure,
    "scans": scans.measure,
    "packing": packing.measure,
    "epcis": epcis.measure,
    "basket": basket.measure,
    "benefits": benefits.measure,
    "campaigns": campaigns.measure,
    "scale": scale.measure,
    "tiers": tiers.measure,
}


def main(words: list[str]) -> None:
    """Run the sections named, or all of them. All of them are written down, some only where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(SECTIONS)}; all by default")
    parser.add_argument(
        "--members", type=int, help="how many members `scale`, `tiers` and `benefits` load; a million takes long"
    )
    parser.add_argument("--write", action="store_true", help="write the sections named to bench/, beside the others")
    asked = parser.parse_args(words)
    if unknown := {*asked.sections} - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(unknown)}")
    chosen = SECTIONS
    if asked.members is not None:
        chosen = SECTIONS | {
            "scale": functools.partial(scale.measure, members=asked.members),
            "tiers": functools.partial(tiers.measure, members=asked.members),
            "benefits": functools.partial(benefits.measure, members=asked.members),
        }
    sections: dict[str, Section] = {}
    with tempfile.TemporaryDirectory() as home, EmbeddedPostgres(Path(home)) as url:
        migrate(url, login=True)
        for name in asked.sections or chosen:
            print(f"{name} ...", file=sys.stderr, flush=True)
            sections[name] = section(chosen[name](url))
            print(table(sections[name].measures), flush=True)
    if asked.write or not asked.sections:
        write(sections, ROOT / "bench")


if __name__ == "__main__":
    main(sys.argv[1:])
