"""What a prize draw promises: which prizes, over how many places, and how one takes part."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from loyalty.kit.errors import InvalidInputError
from redemption.checks import check_code, check_name, check_range

MOST_PLACES: Final = 1_000_000
MOST_PRIZES: Final = 20
MOST_PIECES: Final = 10_000
MOST_POINTS: Final = 10**9
_LONGEST: Final = 200


class Prize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`count` pieces of one prize: `points`, or a benefit of the template `benefit`."""

    code: str
    name: dict[str, str]
    count: int
    points: int = 0
    benefit: str | None = None


class DrawTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A prize draw over `places`: so many can enter, and every entry has the same odds, `count` in `places` a prize.

    An entry costs `price_points` (0: nothing); None: it cannot be bought, and missions alone give it. A member has at
    most `per_member` entries. `beacon` says which public number, unknown before the draw closes, goes into it, where
    one does.
    """

    name: dict[str, str]
    prizes: tuple[Prize, ...]
    places: int
    price_points: int | None = None
    per_member: int = 1
    beacon: dict[str, str] | None = None

    @property
    def pieces(self) -> int:
        """How many prizes there are in all."""
        return sum(prize.count for prize in self.prizes)

    @property
    def counted(self) -> list[tuple[str, int]]:
        """The prizes as they are drawn: code and number of pieces."""
        return [(prize.code, prize.count) for prize in self.prizes]

    def prize(self, code: str) -> Prize:
        """The prize of a code."""
        return next(prize for prize in self.prizes if prize.code == code)


def parse_draw(document: Any) -> DrawTerms:
    """Read a definition from decoded JSON and check it. Raises InvalidInputError naming the field."""
    try:
        terms = msgspec.convert(document, DrawTerms)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise InvalidInputError(reason, field=place.rstrip("`") or "definition") from None
    check_draw(terms)
    return terms


def check_draw(terms: DrawTerms) -> None:
    """Hold a definition against its limits. Raises InvalidInputError naming the first field at fault."""
    check_name(terms.name)
    check_range(terms.places, "places", least=1, most=MOST_PLACES)
    check_range(terms.per_member, "per_member", least=1, most=MOST_PLACES)
    if terms.price_points is not None:
        check_range(terms.price_points, "price_points", least=0, most=MOST_POINTS)
    if not 1 <= len(terms.prizes) <= MOST_PRIZES:
        raise InvalidInputError(f"from 1 to {MOST_PRIZES} prizes", field="prizes")
    for place, prize in enumerate(terms.prizes):
        _check_prize(prize, f"prizes[{place}]")
    if len({prize.code for prize in terms.prizes}) < len(terms.prizes):
        raise InvalidInputError("two prizes have one code", field="prizes")
    if terms.pieces > min(MOST_PIECES, terms.places):
        message = f"at most {MOST_PIECES:,} prizes in all, and not more than places"
        raise InvalidInputError(message, field="prizes")
    if terms.beacon is not None:
        _check_texts(terms.beacon, "beacon")


def _check_texts(texts: dict[str, str], field: str) -> None:
    for locale in ("zh", "en"):
        if not 0 < len(texts.get(locale, "").strip()) <= _LONGEST:
            raise InvalidInputError("a text in Chinese and in English is needed", field=f"{field}.{locale}")


def _check_prize(prize: Prize, path: str) -> None:
    check_code(prize.code, f"{path}.code")
    _check_texts(prize.name, f"{path}.name")
    check_range(prize.count, f"{path}.count", least=1, most=MOST_PIECES)
    if prize.benefit is None:
        check_range(prize.points, f"{path}.points", least=1, most=MOST_POINTS)
    else:
        check_code(prize.benefit, f"{path}.benefit")
        if prize.points:
            raise InvalidInputError("points or a benefit, not both", field=f"{path}.points")
