"""The till: find the customer, see what they may redeem, hold, take it by receipt number, print, undo.

Every step is a page of its own that works by keyboard and scanner and without JavaScript; state lies in the database
and in the address, so a page can be reloaded, and every form carries a key that makes sending it twice harmless.
"""

from __future__ import annotations

from litestar import Router

from loyalty.web.pos import checkouts, customer, finding, redeeming, undoing
from loyalty.web.staff.person import PAGE_ERRORS

router = Router(
    path="/till",
    route_handlers=[
        finding.show_till,
        finding.find_customer,
        finding.find_receipt,
        customer.show_customer,
        customer.show_offers,
        redeeming.begin_redemption,
        checkouts.begin_checkout,
        checkouts.show_checkout,
        checkouts.use_checkout,
        checkouts.release_checkout,
        checkouts.refund_checkout,
        redeeming.show_redemption,
        redeeming.capture_redemption,
        undoing.confirm_void,
        undoing.void_redemption,
        undoing.ask_refund,
        undoing.refund_redemption,
    ],
    exception_handlers=PAGE_ERRORS,
    include_in_schema=False,
)
