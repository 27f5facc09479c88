"""From an order's lines to what every channel hands in: an order, a cancellation or a refund.

An order is imported whole or not at all. Its time, customer and currency are its first line's; a later line may repeat
them or leave them out. A line is negative when its quantity or its amount is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

import msgspec

from loyalty.channels.files.mapping import IDENTITY_ROLES, FileFormat, OrderMapping, OrderRole, Positions
from loyalty.channels.files.values import EXACT, TimeReader, UnreadableError, read_number, to_minor
from loyalty.channels.orders.shapes import Cancellation, Order, OrderLine, Refund
from loyalty.kit.currency import minor_digits
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Channel
from loyalty.members.identity import Identity, read_record

MOST_LINES: Final = 1_000
"""Lines of one order: what the product takes of any channel."""
NO_SKU: Final = "-"
"""What was bought where the export does not say."""

_LONGEST_DESCRIPTION: Final = 500
_ONE: Final = Decimal(1)


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int


class FaultError(Exception):
    """Why an order cannot be imported, and what of which line is to blame."""

    def __init__(self, place: Place, role: OrderRole, value: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.role = role
        self.value = value
        self.reason = reason


class Line(NamedTuple):
    """One line of an order, read. A negative `amount`, in whole units of the currency, goes back to the customer."""

    line_id: str
    sku: str
    category: str | None
    description: str | None
    quantity: int
    amount: Decimal
    negative: bool


class Draft(msgspec.Struct, kw_only=True):
    """An order whose lines are being brought together. `person` is what its identity columns say."""

    number: str
    placed_at: datetime
    person: tuple[str, ...]
    original: str
    places: list[Place] = []
    lines: list[Line] = []
    fault: FaultError | None = None


Content: TypeAlias = Order | Cancellation | Refund


class Document(NamedTuple):
    """What an export says under one order number, who it is about, and the lines that said it."""

    content: Content
    identities: tuple[Identity, ...]
    places: list[Place]

    @property
    def number(self) -> str:
        """The channel's own number for it."""
        return self.content.external_id

    @property
    def lines(self) -> tuple[OrderLine, ...]:
        """Its lines, as many as `places` unless some were taken off the whole; none of a refund by amount."""
        return () if isinstance(self.content, Refund) else self.content.lines


class DocumentReader:
    """Reads lines, and builds documents of them, by one mapping."""

    def __init__(self, mapping: OrderMapping, file_format: FileFormat, channel: Channel) -> None:
        """Raises InvalidInputError (currency) where the mapping's currency is not the channel's."""
        self._mapping = mapping
        self._decimal_mark = file_format.decimal_mark
        self._channel = channel
        self._currency = channel.currency
        if mapping.currency not in (None, self._currency):
            message = f"channel {channel.code} sells in {self._currency}, the mapping says {mapping.currency}"
            raise InvalidInputError(message, field="currency")
        self._times = TimeReader(mapping.time_format, mapping.time_zone or channel.time_zone)

    def open(self, number: str, place: Place, fields: Sequence[str], at: Positions) -> Draft:
        """Begin an order with its first line, which `take` has to be given as well. Raises FaultError."""
        text = at.text(fields, "time")
        try:
            placed_at = self._times.read(text)
        except UnreadableError as error:
            raise FaultError(place, "time", text, str(error)) from None
        person = tuple(at.text(fields, role) for role in IDENTITY_ROLES)
        return Draft(number=number, placed_at=placed_at, person=person, original=at.text(fields, "original"))

    def take(self, draft: Draft, place: Place, fields: Sequence[str], at: Positions) -> None:
        """Add a line to its order. Raises FaultError."""
        if len(draft.lines) == MOST_LINES:
            raise FaultError(place, "order", draft.number, f"has more than {MOST_LINES:,} lines")
        self._check_first_line(draft, place, fields, at)
        quantity = self._number(place, fields, at, "quantity", _ONE)
        amount = self._amount(place, fields, at, quantity)
        pieces = abs(quantity)
        draft.lines.append(
            Line(
                line_id=at.text(fields, "line") or str(len(draft.lines) + 1),
                sku=at.text(fields, "sku") or NO_SKU,
                category=at.text(fields, "category") or None,
                description=_plain(at.text(fields, "description")),
                quantity=int(pieces) if pieces == pieces.to_integral_value() else 0,
                amount=amount,
                negative=amount < 0 or (amount == 0 and quantity < 0),
            )
        )

    def build(self, draft: Draft) -> Document | None:
        """The document that an order's lines make; None for a guest's. Raises FaultError.

        A refund needs no customer: its order has one.
        """
        identities = self._identities(draft) if any(draft.person) else ()
        if not identities and not draft.original:
            return None
        content = self._content(draft, identities)
        return None if isinstance(content, Order) and not identities else Document(content, identities, draft.places)

    def _check_first_line(self, draft: Draft, place: Place, fields: Sequence[str], at: Positions) -> None:
        for role, first in zip(IDENTITY_ROLES, draft.person, strict=True):
            text = at.text(fields, role)
            if text and text != first:
                raise FaultError(place, role, text, f"is not {first!r}, as on the order's first line")
        currency = at.text(fields, "currency")
        if currency and currency != self._currency:
            reason = f"channel {self._channel.code} sells in {self._currency}"
            raise FaultError(place, "currency", currency, reason)
        time = at.text(fields, "time")
        try:
            _ = time and self._times.read(time)
        except UnreadableError as error:
            raise FaultError(place, "time", time, str(error)) from None

    def _number(
        self, place: Place, fields: Sequence[str], at: Positions, role: OrderRole, default: Decimal | None = None
    ) -> Decimal:
        text = at.text(fields, role)
        if not text and default is not None:
            return default
        try:
            return read_number(text, self._decimal_mark)
        except UnreadableError as error:
            raise FaultError(place, role, text, str(error)) from None

    def _amount(self, place: Place, fields: Sequence[str], at: Positions, quantity: Decimal) -> Decimal:
        """What was paid for a line, exactly, with its discount taken off; negative where it goes back."""
        if "amount" in at:
            amount = self._number(place, fields, at, "amount")
            amount = -abs(amount) if quantity < 0 else amount
        else:
            amount = EXACT.multiply(quantity, self._number(place, fields, at, "unit_price"))
        if "discount" not in at:
            return amount
        discount = abs(self._number(place, fields, at, "discount", Decimal(0)))
        if discount > abs(amount):
            text = at.text(fields, "discount")
            raise FaultError(place, "discount", text, f"is more than the line's amount, {abs(amount)}")
        return EXACT.add(amount, discount) if amount < 0 else EXACT.subtract(amount, discount)

    def _identities(self, draft: Draft) -> tuple[Identity, ...]:
        texts = dict(zip(IDENTITY_ROLES, draft.person, strict=True))
        identities, refused = read_record(
            channel_code=self._channel.code,
            customer=texts["customer"],
            card=texts["card"],
            phone=texts["phone"],
            email=texts["email"],
            region=self._mapping.region,
        )
        if identities:
            return tuple(identities)
        role = next(role for role in IDENTITY_ROLES if role == refused[0]["field"])
        raise FaultError(draft.places[0], role, texts[role], refused[0]["reason"])

    def _content(self, draft: Draft, identities: tuple[Identity, ...]) -> Content:
        positive = any(line.amount > 0 for line in draft.lines)
        negative = any(line.negative for line in draft.lines)
        prefixed = self._mapping.cancellations == "prefix" and draft.number.startswith(
            self._mapping.cancellation_prefix
        )
        if prefixed and positive and negative:
            raise self._of_whole(draft, "is a cancellation, and has lines that are negative and lines that are not")
        if prefixed or (negative and not positive and self._mapping.cancellations == "sign"):
            return self._take_back(draft, identities)
        return self._order(draft, identities)

    def _order(self, draft: Draft, identities: tuple[Identity, ...]) -> Order:
        """An order. Its negative lines (vouchers, deposits) are taken off the whole of it."""
        bought = [line for line in draft.lines if not line.negative]
        paid = self._to_minor([line.amount for line in bought])
        discount_minor = 0
        if len(bought) < len(draft.lines):
            net = sum((line.amount for line in draft.lines), start=Decimal(0))
            if not bought or net < 0:
                raise self._of_whole(draft, "is negative; does the export tell cancellations by prefix or by sign?")
            discount_minor = sum(paid) - self._to_minor([net])[0]
        return Order(
            external_id=draft.number,
            placed_at=draft.placed_at,
            currency=self._currency,
            lines=_order_lines(bought, paid),
            identities=identities,
            discount_minor=discount_minor,
        )

    def _take_back(self, draft: Draft, identities: tuple[Identity, ...]) -> Cancellation | Refund:
        """A refund of the order that it names, by its amount; else goods that come back, of no order in particular."""
        amounts = self._to_minor([abs(line.amount) for line in draft.lines])
        if draft.original:
            return Refund(
                external_id=draft.number,
                order_external_id=draft.original,
                refunded_at=draft.placed_at,
                currency=self._currency,
                amount_minor=sum(amounts),
            )
        return Cancellation(
            external_id=draft.number,
            cancelled_at=draft.placed_at,
            currency=self._currency,
            lines=_order_lines(draft.lines, amounts),
            identities=identities,
        )

    def _to_minor(self, amounts: Sequence[Decimal]) -> list[int]:
        return to_minor(amounts, digits=minor_digits(self._currency), rounding=self._mapping.rounding)

    def _of_whole(self, draft: Draft, reason: str) -> FaultError:
        return FaultError(draft.places[0], "order", draft.number, reason)


def _order_lines(lines: Sequence[Line], amounts: Sequence[int]) -> tuple[OrderLine, ...]:
    return tuple(
        OrderLine(
            line_id=line.line_id,
            sku=line.sku,
            quantity=line.quantity,
            amount_minor=amount_minor,
            category=line.category,
            description=line.description,
        )
        for line, amount_minor in zip(lines, amounts, strict=True)
    )


def _plain(text: str) -> str | None:
    """A description on one line, cut to what is kept."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:_LONGEST_DESCRIPTION] or None
