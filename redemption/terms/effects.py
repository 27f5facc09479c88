"""What a coupon takes off: one struct a kind, tagged with `kind` in JSON.

"Matching" lines are those that the terms' `items` select (all, where they select none in particular). Amounts are in
minor units of the terms' currency; shares are in basis points of the whole and always floored, so that no coupon ever
gives more than its words say.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from loyalty.kit.errors import InvalidInputError
from redemption.checks import MAX_AMOUNT_MINOR, check_range, check_text
from redemption.terms.conditions import Items, check_items

WHOLE_BP: Final = 10_000
MAX_TIMES: Final = 10_000
MAX_PIECES: Final = 10_000
MAX_STEPS: Final = 20


class _Effect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of all effects."""


class FixedOff(_Effect, frozen=True, kw_only=True, tag="fixed"):
    """Takes `amount_minor` off the matching lines together, never more than they cost (立减)."""

    amount_minor: int


class PercentOff(_Effect, frozen=True, kw_only=True, tag="percent"):
    """Takes `percent_bp` off the matching lines together, floored, and at most `max_amount_minor` where given.

    2,000 basis points are 20 % off, which Chinese calls 8 折.
    """

    percent_bp: int
    max_amount_minor: int | None = None


class EveryOff(_Effect, frozen=True, kw_only=True, tag="every"):
    """Takes `off_minor` off for each full `every_minor` of the matching lines, at most `max_times` times (每满减)."""

    every_minor: int
    off_minor: int
    max_times: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From `from_minor` of the matching lines on, `off_minor` is taken off."""

    from_minor: int
    off_minor: int


class SteppedOff(_Effect, frozen=True, kw_only=True, tag="stepped"):
    """Takes off what the highest step says that the matching lines reach (阶梯满减: 满200减20, 满300减50).

    Steps rise, in both figures.
    """

    steps: tuple[Step, ...]


class ItemPrice(_Effect, frozen=True, kw_only=True, tag="item_price"):
    """Matching pieces cost `price_minor` each, at most `max_quantity` of them, the dearest first (一口价).

    A piece that costs less already keeps its price.
    """

    price_minor: int
    max_quantity: int | None = None


class BuyGet(_Effect, frozen=True, kw_only=True, tag="buy_get"):
    """For each `buy` matching pieces, `get` more are `off_bp` off, at most `max_times` times (买N赠M, 第二件半价).

    Without `reward` the pieces that are free are among the matching ones: of each `buy + get` pieces `get`, and over
    the whole basket the cheapest ones. With `reward` the matching pieces are bought and the cheapest of the pieces that
    `reward` selects are free; a piece that both select is a reward, and does not count as bought.
    """

    buy: int
    get: int
    off_bp: int = WHOLE_BP
    max_times: int | None = None
    reward: Items | None = None


class GiftLine(_Effect, frozen=True, kw_only=True, tag="gift"):
    """Adds `quantity` of `sku` to the basket as a line that costs nothing (赠品).

    It takes nothing off. `worth_minor` is what the gift counts for when the best combination is looked for: at least
    one, so that a gift is rather taken than left.
    """

    sku: str
    quantity: int = 1
    worth_minor: int = 1


class FreeShipping(_Effect, frozen=True, kw_only=True, tag="free_shipping"):
    """Takes the shipping fee off, at most `max_amount_minor` of it where given (包邮). It touches no line."""

    max_amount_minor: int | None = None


Effect: TypeAlias = FixedOff | PercentOff | EveryOff | SteppedOff | ItemPrice | BuyGet | GiftLine | FreeShipping


def check_effect(effect: Effect, field: str) -> None:  # noqa: C901  (one case a kind)
    """Refuse an effect that makes no sense. Raises InvalidInputError whose field lies below `field`."""

    def amount(value: int | None, name: str, *, least: int = 1) -> None:
        if value is not None:
            check_range(value, f"{field}.{name}", least=least, most=MAX_AMOUNT_MINOR)

    match effect:
        case FixedOff():
            amount(effect.amount_minor, "amount_minor")
        case PercentOff():
            check_range(effect.percent_bp, f"{field}.percent_bp", least=1, most=WHOLE_BP)
            amount(effect.max_amount_minor, "max_amount_minor")
        case EveryOff():
            amount(effect.every_minor, "every_minor")
            check_range(effect.off_minor, f"{field}.off_minor", least=1, most=effect.every_minor)
            _check_times(effect.max_times, field)
        case SteppedOff():
            _check_steps(effect.steps, f"{field}.steps")
        case ItemPrice():
            amount(effect.price_minor, "price_minor", least=0)
            if effect.max_quantity is not None:
                check_range(effect.max_quantity, f"{field}.max_quantity", least=1, most=MAX_PIECES)
        case BuyGet():
            check_range(effect.buy, f"{field}.buy", least=1, most=MAX_PIECES)
            check_range(effect.get, f"{field}.get", least=1, most=MAX_PIECES)
            check_range(effect.off_bp, f"{field}.off_bp", least=1, most=WHOLE_BP)
            _check_times(effect.max_times, field)
            if effect.reward is not None:
                check_items(effect.reward, f"{field}.reward")
        case GiftLine():
            check_text(effect.sku, f"{field}.sku")
            check_range(effect.quantity, f"{field}.quantity", least=1, most=MAX_PIECES)
            amount(effect.worth_minor, "worth_minor")
        case FreeShipping():
            amount(effect.max_amount_minor, "max_amount_minor")


def _check_times(times: int | None, field: str) -> None:
    if times is not None:
        check_range(times, f"{field}.max_times", least=1, most=MAX_TIMES)


def _check_steps(steps: tuple[Step, ...], field: str) -> None:
    if not 1 <= len(steps) <= MAX_STEPS:
        raise InvalidInputError(f"1 to {MAX_STEPS} steps", field=field)
    lower_from, lower_off = 0, 0
    for index, step in enumerate(steps):
        check_range(step.from_minor, f"{field}[{index}].from_minor", least=lower_from + 1, most=MAX_AMOUNT_MINOR)
        most = min(step.from_minor, MAX_AMOUNT_MINOR)
        check_range(step.off_minor, f"{field}[{index}].off_minor", least=lower_off + 1, most=most)
        lower_from, lower_off = step.from_minor, step.off_minor
