"""Which places of a draw win, computed from its seed and its list of entries with Python's standard library alone.

A draw has `places`, numbered from 1; the n-th entry has place n, and places that nobody took stay empty. Each piece of
each prize lies on a place of its own, every choice of places as likely as any other: a place wins a prize of `count`
pieces with exactly `count` in `places`, whichever place it is and however many take part.

**Commit.** Before the draw opens this is published, over a seed of 32 random bytes and the odds that are promised:

    SHA-256({"draw": ..., "format": ..., "places": ..., "prizes": [[code, count], ...], "seed": ...})

so that nobody can choose another seed afterwards, or other odds. **Reveal.** After the draw has closed the seed is
published with the list. What decides is a key made of both:

    HMAC-SHA256(seed, {"beacon": ..., "commitment": ..., "tickets": SHA-256 of the tickets, one a line, in their order})

JSON is written with sorted keys and without blanks, in UTF-8; bytes in it as hexadecimal digits. Whoever knows the seed
does not know the list before it is closed; whoever is on the list does not know the seed. A `beacon` is a public number
that was announced beforehand and that nobody can foresee (the closing index of a stock exchange on the day after): with
it, not even a brand that adds entries of its own at the last moment can look for a list that suits it.

**Draw.** Blocks HMAC-SHA256(key, i), i = 0, 1, ... as 8 bytes, big-endian, are read as numbers of 8 bytes. A number
below n is such a number modulo n, where those at the top that would make some results likelier are passed over. For
piece k = 0, 1, ... (of the first prize all, then of the second, ...) a number j below `places` - k is taken, and the
piece lies on the (j + k)-th place of the row, which then changes with the k-th (Fisher and Yates, Durstenfeld's way).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FORMAT = "tallystar-draw/1"
SEED_BYTES = 32
_WORD = 8
_RANGE = 1 << (8 * _WORD)


def commitment(seed: bytes, *, draw: str, places: int, prizes: Sequence[tuple[str, int]]) -> bytes:
    """What is published before, of the draw's seed and odds."""
    said = {"draw": draw, "format": FORMAT, "places": places, "prizes": [list(each) for each in prizes]}
    return hashlib.sha256(_json({**said, "seed": seed.hex()})).digest()


def draw_key(seed: bytes, *, committed: bytes, beacon: str, tickets: Sequence[str]) -> bytes:
    """The key that decides."""
    listed = hashlib.sha256("\n".join(tickets).encode()).hexdigest()
    said = {"beacon": beacon, "commitment": committed.hex(), "tickets": listed}
    return hmac.digest(seed, _json(said), "sha256")


def _json(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _words(key: bytes) -> Iterator[int]:
    block = 0
    while True:
        digest = hmac.digest(key, block.to_bytes(_WORD, "big"), "sha256")
        for start in range(0, len(digest), _WORD):
            yield int.from_bytes(digest[start : start + _WORD], "big")
        block += 1


def below(words: Iterator[int], bound: int) -> int:
    """The next number below a bound, every one as likely: words beyond the last whole multiple are passed over."""
    limit = _RANGE - _RANGE % bound
    return next(word for word in words if word < limit) % bound


def winning_places(key: bytes, *, places: int, prizes: Sequence[tuple[str, int]]) -> dict[int, str]:
    """The places that win, from 1, and the code of the prize of each. There are never more pieces than places."""
    words = _words(key)
    moved: dict[int, int] = {}
    won: dict[int, str] = {}
    pieces = (code for code, count in prizes for _ in range(count))
    for piece, code in enumerate(pieces):
        chosen = piece + below(words, places - piece)
        won[moved.get(chosen, chosen) + 1] = code
        moved[chosen] = moved.get(piece, piece)
    return won


def findings(proof: Mapping[str, Any]) -> list[str]:
    """What is wrong with the proof of a draw, as `tallystar draws prove` writes it; nothing where it holds."""
    if proof.get("format") != FORMAT:
        return [f"the format is not {FORMAT}"]
    found = []
    seed, tickets = bytes.fromhex(proof["seed"]), list(proof["tickets"])
    prizes = [(prize["code"], prize["count"]) for prize in proof["prizes"]]
    committed = bytes.fromhex(proof["commitment"])
    odds = {"draw": proof["draw"], "places": proof["places"], "prizes": prizes}
    if len(seed) != SEED_BYTES or commitment(seed, **odds) != committed:
        found.append("the seed and the odds are not those that were committed to")
    if len(set(tickets)) != len(tickets):
        found.append("a ticket is on the list twice")
    if len(tickets) > proof["places"]:
        found.append("there are more tickets than places")
    if sum(count for _, count in prizes) > proof["places"]:
        return [*found, "there are more prizes than places"]
    key = draw_key(seed, committed=committed, beacon=proof["beacon"], tickets=tickets)
    drawn = winning_places(key, places=proof["places"], prizes=prizes)
    winners = {place: code for place, code in drawn.items() if place <= len(tickets)}
    listed = Counter(int(each["number"]) for each in proof["winners"])
    found += [f"place {number} is among the winners {n} times" for number, n in sorted(listed.items()) if n > 1]
    told = {int(each["number"]): (each["ticket"], each["prize"]) for each in proof["winners"]}
    for number in sorted(winners.keys() | told.keys()):
        expected = (tickets[number - 1], winners[number]) if number in winners else None
        if told.get(number) != expected:
            found.append(f"place {number} should say {expected or 'nothing'} and says {told.get(number) or 'nothing'}")
    return found
