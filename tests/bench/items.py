"""Item codes: minted for the press, verified in bulk and one by one, drawn as labels."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from loyalty.items.digital_link import format_link
from loyalty.items.keys import MasterKeys
from loyalty.items.labels import qr_png
from tests.bench import minting
from tests.bench.report import Measure

GTIN = "06901234567892"
LABELS = 1_000
SERIALS = 50_000
SERIALS_AT_ONCE = 2_000_000
BULK_GOAL = 100_000
SINGLE_GOAL_SECONDS = 50e-6


def measure(_url: str) -> list[Measure]:
    """Minting, labels and verification, on one core."""
    minted = minting.measure()  # first, so that its peak of memory is its own
    with TemporaryDirectory() as folder:
        keys = MasterKeys.load_or_create(Path(folder) / "keys.json")
        kid = keys.current_kid
        product = keys.for_product(GTIN, kid)
        serials = [product.mint(index) for index in range(SERIALS)]
        started = time.perf_counter()
        verified = sum(product.verify(serial) is not None for serial in serials)
        verifying = verified / (time.perf_counter() - started)
        many = product.mint_many(0, SERIALS_AT_ONCE)
        texts = [serial.decode() for serial in many.tolist()]
        started = time.perf_counter()
        bulk = int((product.verify_many(texts) >= 0).sum())
        bulk_verifying = bulk / (time.perf_counter() - started)
        links = [format_link("https://t.example", gtin=GTIN, serial=serial) for serial in serials[:LABELS]]
        started = time.perf_counter()
        for link in links:
            qr_png(link)
        labels = LABELS / (time.perf_counter() - started)
    return [
        *minted,
        Measure(
            name="serials verified at once, one core",
            rate=bulk_verifying,
            baseline="what is asked for",
            baseline_rate=BULK_GOAL,
            goal=1.0,
        ),
        Measure(
            name="serials verified one by one",
            rate=verifying,
            baseline="50 µs each",
            baseline_rate=1 / SINGLE_GOAL_SECONDS,
            goal=1.0,
        ),
        Measure(name="label PNGs", rate=labels),
    ]
