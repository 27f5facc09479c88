from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.db.commands.conftest import Tallystar

ORDERS = ("order,time,customer,amount", "1,2024-01-01,9,10.50", "2,2024-01-02,8,20")


def nothing_written(tallystar: Tallystar) -> bool:
    return all(tallystar.query(f"SELECT count(*) FROM {table}") == 0 for table in ("member", "purchase_order"))


def test_orders_and_a_summary(tallystar: Tallystar) -> None:
    result = tallystar("import", "orders", tallystar.file("o.csv", *ORDERS), "--channel", "online")
    assert "2 posted, 0 unchanged, 0 of guests, 0 refused" in result.stdout
    assert "30 earned, 0 taken back" in result.stdout
    assert "2 rows in" in result.stdout
    assert result.stderr == ""
    again = tallystar("import", "orders", "o.csv", "--channel", "online")
    assert "Nothing was posted: there was nothing new." in again.stdout


def test_members_and_a_summary(tallystar: Tallystar) -> None:
    people = tallystar.file("m.csv", "customer,phone", "1,19900000001", "2,n/a")
    result = tallystar("import", "members", people, "--channel", "online")
    assert "2 created, 0 joined to one there was, 0 unchanged, 0 refused" in result.stdout
    assert "1 details left out" in result.stdout
    assert "m.csv.refused.csv" in result.stdout


def test_several_files_and_standard_input(tallystar: Tallystar) -> None:
    files = [tallystar.file("a.csv", *ORDERS[:2]), tallystar.file("b.csv", ORDERS[0], ORDERS[2])]
    assert tallystar.json("import", "orders", *files, "--channel", "online")["orders_posted"] == 2
    packed = gzip.compress("\n".join([*ORDERS, "3,2024-01-03,7,1"]).encode())
    piped = tallystar.json("import", "orders", "-", "--channel", "online", stdin=packed)
    assert (piped["orders_posted"], piped["orders_unchanged"], piped["rows"]) == (1, 2, 3)


def test_a_mapping_file_and_options_that_win_over_it(tallystar: Tallystar) -> None:
    mapping = tallystar.file("shop.toml", "[orders.columns]", 'order = "No"', 'amount = "Net"', 'customer = "Who"')
    orders = tallystar.file("o.csv", "No,When,Who,Net,Gross", "1,31/12/2023,9,10,12")
    words = ["import", "orders", orders, "--channel", "online", "--mapping", mapping, "--column", "time=When"]
    done = tallystar.json(*words, "--time-format", "%d/%m/%Y", "--column", "amount=Gross")
    assert done["earned"] == {"points": 12}


def test_refused_lines_go_to_a_file_and_the_rest_is_posted(tallystar: Tallystar) -> None:
    orders = tallystar.file("o.csv", *ORDERS, "3,soon,9,1", '4,"2024-01-01,9,1', "5,2024-01-01,9,1")
    done = tallystar.json("import", "orders", orders, "--channel", "online", code=1)
    assert (done["orders_posted"], done["orders_refused"], done["lines_refused"]) == (3, 1, 2)
    assert done["refused_file"] == "o.csv.refused.csv"
    assert Path("o.csv.refused.csv").read_text().splitlines() == [
        "file,line,column,value,reason",
        'o.csv,5,,"4,""2024-01-01,9,1",a quote is opened and not closed',
        "o.csv,4,time,soon,is not an ISO 8601 time; see time_format",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv", "--channel", "online"], "file: none.csv cannot be opened: No such file"),
        (["o.csv", "--channel", "other"], "channel: there is no channel 'other'"),
        (
            ["o.csv", "--channel", "online", "--column", "sku=Code"],
            "column: o.csv has no column 'Code' (sku); its columns",
        ),
        (["o.csv", "--channel", "online", "--column", "price=amount"], "column: 'price=amount' is not role=column"),
        (["o.csv", "--channel", "online", "--currency", "USD"], "currency: channel online sells in CNY"),
        (["o.csv", "--channel", "online", "--time-zone", "Mars"], "time-zone: 'Mars' is not an IANA"),
        (["o.csv", "--channel", "online", "--encoding", "klingon"], "encoding: 'klingon' is not an encoding"),
        (["o.csv", "--channel", "online", "--mapping", "none.toml"], "mapping: none.toml cannot be opened"),
        (["o.csv", "--channel", "online", "--refused", "o.csv"], "refused: o.csv exists and is not"),
    ],
)
def test_what_cannot_be_imported_is_refused_before_anything_is_written(
    tallystar: Tallystar, words: list[str], said: str
) -> None:
    tallystar.file("o.csv", *ORDERS)
    result = tallystar("import", "orders", *words, code=1)
    assert result.stderr.startswith(f"Error: {said}")
    assert result.stderr.count("\n") == 1
    assert nothing_written(tallystar)
    assert not Path("o.csv.refused.csv").exists()


@pytest.mark.parametrize(
    "words", [["o.csv"], ["--channel", "online"], ["o.csv", "--channel", "online", "--rounding", "up"]]
)
def test_wrong_usage_is_told_apart_from_a_refusal(tallystar: Tallystar, words: list[str]) -> None:
    assert "Usage:" in tallystar("import", "orders", *words, code=2).stderr


def test_a_file_cut_short_says_so(tallystar: Tallystar) -> None:
    Path("o.csv.gz").write_bytes(gzip.compress("\n".join(ORDERS).encode())[:-10])
    result = tallystar("import", "orders", "o.csv.gz", "--channel", "online", code=1)
    assert "o.csv.gz is damaged or cut short at line" in result.stderr
    assert nothing_written(tallystar)


def test_ctrl_c_finishes_the_batch_and_says_how_to_go_on(tallystar: Tallystar) -> None:
    words = ["import", "orders", "-", "--channel", "online", "--json"]
    command = [sys.executable, "-c", "from loyalty.cli import main; main()", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=os.environ, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stdout is not None
        process.stdin.write(b"order,time,customer,amount\n")
        numbers = iter(range(1_000_000))
        deadline = time.monotonic() + 30
        while tallystar.query("SELECT count(*) FROM purchase_order") == 0:
            process.stdin.write(lines(numbers))
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        assert b"Stopping when this batch is posted" in process.stderr.readline()
        with contextlib.suppress(BrokenPipeError):
            while process.poll() is None:
                process.stdin.write(lines(numbers))
        assert process.wait(20) == 130
        answer = json.loads(process.stdout.read())
        assert b"Run the same command again to go on" in process.stderr.read()
    assert answer["stopped"] is True
    assert answer["orders_posted"] == tallystar.query("SELECT count(*) FROM purchase_order")
    tallystar("ledger", "verify")


def lines(numbers: Iterator[int]) -> bytes:
    return "".join(f"{number},2024-01-01,{number % 50},1\n" for number in islice(numbers, 100)).encode()
