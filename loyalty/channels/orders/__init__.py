"""Orders, refunds and cancellations of any channel, and what they do to the books.

The doors are `accept_order`, `accept_orders` (a batch), `accept_refund` and `accept_cancellation`; `reading` answers
for a member's history. Each is idempotent by nature: a channel's number for a document names it for ever, so the same
document again changes nothing and gives the same answer, and another one under its number is refused.
"""
