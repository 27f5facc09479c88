"""Item codes: minted into the press's file against a plain loop that writes the same bytes; labels a second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from loyalty.items.digital_link import format_link
from loyalty.items.keys import MasterKeys
from loyalty.items.labels import qr_png
from loyalty.items.press import press_lines
from tests.bench.report import Measure

GTIN = "06901234567892"
CODES = 2_000_000
LABELS = 1_000
SERIALS = 50_000


def measure(_url: str) -> list[Measure]:
    """Minting, labels and verification, on one core."""
    with TemporaryDirectory() as folder:
        keys = MasterKeys.load_or_create(Path(folder) / "keys.json")
        kid = keys.current_kid
        started = time.perf_counter()
        pieces = list(press_lines(keys, gtin=GTIN, kid=kid, lo=0, hi=CODES - 1, base_url="https://t.example"))
        with (Path(folder) / "press.csv").open("wb") as file:
            file.writelines(pieces)
        minted = CODES / (time.perf_counter() - started)
        started = time.perf_counter()
        with (Path(folder) / "plain.csv").open("wb") as file:
            file.writelines(_copies(pieces))
        plain = CODES / (time.perf_counter() - started)
        product = keys.for_product(GTIN, kid)
        serials = [product.mint(index) for index in range(SERIALS)]
        started = time.perf_counter()
        verified = sum(product.verify(serial) is not None for serial in serials)
        verifying = verified / (time.perf_counter() - started)
        links = [format_link("https://t.example", gtin=GTIN, serial=serial) for serial in serials[:LABELS]]
        started = time.perf_counter()
        for link in links:
            qr_png(link)
        labels = LABELS / (time.perf_counter() - started)
    return [
        Measure(
            name="codes minted into the press's file",
            rate=minted,
            baseline="the same bytes written by a plain loop",
            baseline_rate=plain,
        ),
        Measure(name="serials verified, one by one", rate=verifying),
        Measure(name="label PNGs", rate=labels),
    ]


def _copies(pieces: list[bytes]) -> Iterator[bytes]:
    """The same bytes in fresh buffers of the same size, as a plain writer would make them."""
    for piece in pieces:
        yield bytes(bytearray(piece))
