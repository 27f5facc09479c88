"""Refusals of redemption. Each says in `members` what a page needs to explain it in any language."""

from __future__ import annotations

from loyalty.kit.errors import ConflictError, NotFoundError


class NotEnoughPointsError(ConflictError):
    """Fewer points can be spent than were asked for: `available`, `requested`."""

    type = "not-enough-points"
    title = "There are not enough points"


class BelowMinimumError(ConflictError):
    """Fewer points than the policy lets anyone redeem at once: `minimum`, `requested`."""

    type = "below-minimum-points"
    title = "Fewer points than can be redeemed at once"


class NotAMultipleError(ConflictError):
    """Points are redeemed in whole steps: `step`, `requested`."""

    type = "not-a-multiple-of-step"
    title = "Points are redeemed in whole steps"


class AboveShareError(ConflictError):
    """More of the basket than points may pay: `max_points`, `limit_minor`, `requested`."""

    type = "above-share-of-basket"
    title = "Points may not pay so much of this basket"


class WrongCurrencyError(ConflictError):
    """Nothing is redeemed in this currency here: `currency`."""

    type = "wrong-currency"
    title = "Not redeemable in this currency"


class BasketTooSmallError(ConflictError):
    """A coupon asks for a larger basket: `minimum_basket_minor`, `basket_minor`, `currency`."""

    type = "basket-too-small"
    title = "The basket is too small for this coupon"


class WrongChannelError(ConflictError):
    """A coupon is not taken on this channel: `channel`."""

    type = "wrong-channel"
    title = "This coupon is not taken here"


class NotApplicableError(ConflictError):
    """A coupon does not apply to this purchase: `reason` is the engine's code, beside the figures that explain it."""

    type = "coupon-not-applicable"
    title = "This coupon does not apply here"


class RedemptionExpiredError(ConflictError):
    """The time to finish ran out, and the points are free again: `expired_at`."""

    type = "redemption-expired"
    title = "This redemption has run out of time"


class AlreadyCapturedError(ConflictError):
    """Captured already, with another receipt number: `receipt_number`."""

    type = "already-captured"
    title = "This redemption was captured already"


class AlreadyVoidedError(ConflictError):
    """Voided already: nothing is left to capture, void or refund."""

    type = "already-voided"
    title = "This redemption was voided already"


class AlreadyRefundedError(ConflictError):
    """More was asked back than is left: `left_points`, `left_minor`."""

    type = "already-refunded"
    title = "So much is not left to refund"


class NotCapturedError(ConflictError):
    """Only what was captured can be refunded; before that, it is voided."""

    type = "not-captured"
    title = "This redemption was not captured"


class OutOfStockError(ConflictError):
    """None is left of a catalogue item."""

    type = "out-of-stock"
    title = "None is left"


class UnknownRedemptionError(NotFoundError):
    """No redemption has this id in this programme."""

    type = "unknown-redemption"
    title = "There is no such redemption"
