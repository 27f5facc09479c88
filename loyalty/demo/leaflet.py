"""What the demonstration prints once it answers: where to look, as whom, and with which codes."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final
from urllib.parse import urlsplit

import msgspec

from loyalty.demo.brand import NAME, PASSWORD
from loyalty.demo.leads import EXPIRING, INDEBTED, LOWERED, NEWCOMER, REUNITED, RICH
from loyalty.demo.people import card_of, phone_of
from loyalty.demo.showcase import Sample
from loyalty.demo.terminal import terminal_qr

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_WIDTH: Final = 13

_PEOPLE: Final = (
    (RICH, "buys everywhere and spends nothing: a high tier, a full account"),
    (EXPIRING, "points that expire at the end of this month"),
    (INDEBTED, "owes points: what earned them was brought back"),
    (LOWERED, "a tier reviewed, given grace, and lowered"),
    (REUNITED, "two members who turned out to be one person"),
    (NEWCOMER, "joined two days before the story ends; has a coupon"),
)


class Leaflet(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say. `command` is what to type; `served` is off where the database was filled and no more."""

    public_url: str
    members: int
    last_day: date | None
    samples: Sequence[Sample]
    api_token: str
    command: str
    served: bool

    def lines(self, *, colours: bool) -> Iterator[str]:
        """The page, line by line."""
        url = self.public_url
        yield ""
        ends = f" that ends on {self.last_day:%d %B %Y}" if self.last_day else ""
        yield f"{NAME}: {self.members:,} members, and a year{ends}"
        yield from _section(
            "Look at",
            [
                ("shopper", f"{url}/"),
                ("till", f"{url}/till       sign in as anfu, password {PASSWORD}"),
                ("console", f"{url}/console    sign in as owner, password {PASSWORD}"),
                ("API", f"{url}/v1/reference"),
            ],
        )
        yield "  A key for the API, to try at once:"
        yield f"    curl -H 'Authorization: Bearer {self.api_token}' {url}/v1/programme"
        yield from _section(
            "Sign in as a member (the one-time code is shown on the screen, because this is a demonstration)",
            [(phone_of(number), shows) for number, shows in _PEOPLE],
        )
        yield f"  At the till these phones work too, and the card {card_of(EXPIRING)}."
        yield from self._codes()
        yield ""
        yield terminal_qr(self.samples[0].url, colours=colours)
        yield from self._about_phones()
        yield from self._end()

    def _codes(self) -> Iterator[str]:
        yield ""
        yield "Scan a code, or open its address"
        for sample in self.samples:
            pin = f" (PIN {sample.pin})" if sample.pin else ""
            yield f"  {sample.shows}{pin}"
            yield f"    {sample.url}"

    def _about_phones(self) -> Iterator[str]:
        parts = urlsplit(self.public_url)
        yield "That is the first of these codes: point a phone's camera at it."
        if parts.hostname in _LOOPBACK:
            port = f":{parts.port}" if parts.port else ""
            address = network_address() or "ADDRESS-OF-THIS-MACHINE"
            yield "But only this machine reaches that address. To let phones in the same network come, start it with:"
            yield f"    TALLYSTAR_HOST=0.0.0.0 TALLYSTAR_PUBLIC_URL=http://{address}{port} {self.command}"

    def _end(self) -> Iterator[str]:
        yield ""
        if self.served:
            yield f"Ctrl-C stops it. To go on where it stopped:  {self.command}"
        else:
            yield f"Nothing answers at these addresses yet. To serve it:  {self.command}"
        yield f"To begin anew:  {self.command} --fresh"


def _section(title: str, entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield ""
    yield title
    width = max(_WIDTH, *(len(name) for name, _ in entries))
    for name, text in entries:
        yield f"  {name.ljust(width)}  {text}"


def network_address() -> str | None:
    """This machine's own address in its network, as far as it can be told; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Reserved for documentation (RFC 5737). A datagram socket sends nothing; it only looks up the way.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address
