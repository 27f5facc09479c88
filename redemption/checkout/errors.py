"""Refusals of checkouts."""

from __future__ import annotations

from loyalty.kit.errors import ConflictError, NotFoundError


class UnknownCheckoutError(NotFoundError):
    """No checkout has this id in this programme."""

    type = "unknown-checkout"
    title = "There is no such checkout"


class CheckoutRefusedError(ConflictError):
    """Something that was chosen does not apply, so nothing is locked: `refused` says what and why."""

    type = "checkout-refused"
    title = "This does not apply to the basket"


class CheckoutExpiredError(ConflictError):
    """The time to finish ran out, and coupons and points are free again: `expired_at`."""

    type = "checkout-expired"
    title = "This checkout has run out of time"


class CheckoutStateError(ConflictError):
    """A checkout is not in the state that the step needs: `state`, and `order_number` where it was used."""

    type = "checkout-state"
    title = "This checkout is past that step"
