from __future__ import annotations

from datetime import date

import msgspec
import numpy as np
import pytest
import zxingcpp

from loyalty.demo.leaflet import Leaflet
from loyalty.demo.showcase import Sample
from loyalty.demo.terminal import terminal_qr

URL = "http://127.0.0.1:8420"
FRESH = f"{URL}/01/09520410000014/21/10Y7DJPF72MHRCYR"
LEAFLET = Leaflet(
    public_url=URL,
    members=1_234,
    last_day=date(2026, 11, 22),
    samples=[
        Sample(kind="fresh", url=FRESH, shows="genuine"),
        Sample(kind="pin", url=f"{URL}/01/09520410000373/21/1SB27NEZ1GRGEJCG", shows="with a PIN", pin="ABC123"),
    ],
    api_token="tsk_ABC_DEF",
    command="tallystar demo",
    served=True,
)


def page(leaflet: Leaflet = LEAFLET) -> str:
    return "\n".join(leaflet.lines(colours=False))


def test_it_names_every_address_login_code_and_key() -> None:
    text = page()
    for expected in (f"{URL}/", f"{URL}/till", f"{URL}/console", f"{URL}/v1/reference", "anfu", "owner", FRESH):
        assert expected in text
    for expected in ("tangwu-demo", "tsk_ABC_DEF", "+86 199 0000 0001", "ABC123", "1,234 members", "Ctrl-C"):
        assert expected in text


def test_on_a_loopback_address_it_says_how_to_let_phones_come() -> None:
    assert "TALLYSTAR_HOST=0.0.0.0 TALLYSTAR_PUBLIC_URL=http://" in page()
    assert ":8420 tallystar demo" in page()


def test_on_an_address_that_phones_reach_it_does_not() -> None:
    assert "TALLYSTAR_HOST" not in page(msgspec.structs.replace(LEAFLET, public_url="https://demo.example.com"))


def test_where_nothing_answers_it_says_so() -> None:
    assert "Nothing answers at these addresses yet" in page(msgspec.structs.replace(LEAFLET, served=False))


@pytest.mark.parametrize("colours", [True, False])
def test_the_symbol_in_the_terminal_can_be_read_by_a_camera(colours: bool) -> None:
    drawn = terminal_qr(FRESH, colours=colours)
    lines = [line.removeprefix("\x1b[38;5;16;48;5;231m").removesuffix("\x1b[0m") for line in drawn.splitlines()]
    assert len({len(line) for line in lines}) == 1
    light = "█▀▄ " if not colours else " ▄▀█"
    # Each character is two modules, one above the other; a camera sees light and dark.
    seen = {light[0]: (255, 255), light[1]: (255, 0), light[2]: (0, 255), light[3]: (0, 0)}
    rows = [[seen[character][half] for character in line] for line in lines for half in (0, 1)]
    picture = np.kron(np.array(rows, dtype=np.uint8), np.ones((8, 8), dtype=np.uint8))
    assert [read.text for read in zxingcpp.read_barcodes(np.pad(picture, 32, constant_values=255))] == [FRESH]
