"""Terms as a whole: read from JSON, and checked."""

from __future__ import annotations

import msgspec

from loyalty.kit.errors import InvalidInputError
from redemption.checks import check_currency
from redemption.terms.conditions import (
    Audience,
    Items,
    Minimum,
    Places,
    Schedule,
    check_audience,
    check_items,
    check_minimum,
    check_places,
    check_schedule,
)
from redemption.terms.effects import BuyGet, Effect, check_effect
from redemption.terms.stacking import Stacking, check_stacking


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a coupon takes off (`effect`) and where it applies. Only `effect` and `currency` have to be given.

    `currency` is ISO 4217; a basket in another currency is refused. `items` selects the lines that the effect looks
    at; `minimum`, `schedule`, `places` and `audience` must all hold; `stacking` says how it goes together with others.
    """

    currency: str
    effect: Effect
    items: Items = Items()
    minimum: Minimum = Minimum()
    schedule: Schedule = Schedule()
    places: Places = Places()
    audience: Audience = Audience()
    stacking: Stacking = Stacking()


def check_terms(terms: Terms, *, path: str = "terms") -> None:
    """Hold terms against their limits.

    Raises InvalidInputError whose field is the path of the first fault below `path`, such as
    `terms.schedule.hours[0].end_minute`.
    """
    check_currency(terms.currency, f"{path}.currency")
    check_effect(terms.effect, f"{path}.effect")
    check_items(terms.items, f"{path}.items")
    check_minimum(terms.minimum, f"{path}.minimum")
    check_schedule(terms.schedule, f"{path}.schedule")
    check_places(terms.places, f"{path}.places")
    check_audience(terms.audience, f"{path}.audience")
    check_stacking(terms.stacking, f"{path}.stacking")
    if isinstance(terms.effect, BuyGet) and terms.effect.reward == terms.items:
        message = "rewards are other pieces than those bought; leave it out where they are the same"
        raise InvalidInputError(message, field=f"{path}.effect.reward")


def parse_terms(document: object, *, path: str = "terms") -> Terms:
    """Read terms from decoded JSON and check them. Raises InvalidInputError as check_terms does."""
    try:
        terms = msgspec.convert(document, Terms)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        raise InvalidInputError(reason, field=path + place.rstrip("`")) from None
    check_terms(terms, path=path)
    return terms
