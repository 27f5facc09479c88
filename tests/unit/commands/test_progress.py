from __future__ import annotations

import pytest

from loyalty.commands import progress
from loyalty.commands.progress import Counter


def test_where_nobody_looks_a_plain_line_is_said_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Counter("rows", total=1000) as counter:
        counter.show(10, 50)
        now += 4.9
        counter.show(1_000, 500)
        now += 0.1
        counter.show(2_000, 600)
        counter.show(2_001, 601)
    printed = capsys.readouterr()
    assert printed.err == "2,000 rows, 400 a second (60 %, 0:00:03 left)\n"
    assert printed.out == ""


def test_without_a_known_total_no_share_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with Counter("accounts") as counter:
        counter._said_at -= progress.PLAIN_SECONDS
        counter.show(3)
    assert capsys.readouterr().err.startswith("3 accounts, ")
