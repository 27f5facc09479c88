"""Bringing the lines of one order together, in bounded memory.

Lines of one order usually follow each other. They may lie apart by as many orders as the window holds; an order whose
lines lie further apart is met twice, and the second time its number is taken. One line that cannot be read refuses all
lines of its order, so that no order is ever imported in part.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from loyalty.channels.files.documents import Document, DocumentReader, Draft, FaultError, Place
from loyalty.channels.files.lines import BadLine, Row
from loyalty.channels.files.mapping import OrderMapping, OrderRole, Positions, locate_order_columns
from loyalty.channels.files.refusals import Refusal

WINDOW_ORDERS: Final = 1_000
"""How many orders are open at once, waiting for more of their lines."""

_UNREADABLE: Final = "another line of this order cannot be read"


class Assembler:
    """Call `begin` with each file's header, `add` for each of its records, and `finish` after the last.

    What cannot be imported goes to `refuse`, line by line, and is counted in `orders_refused`; guests in `guests`.
    """

    def __init__(self, mapping: OrderMapping, reader: DocumentReader, refuse: Callable[[Refusal], None]) -> None:
        self.guests = 0
        self.orders_refused = 0
        self._mapping = mapping
        self._reader = reader
        self._refuse = refuse
        self._at = Positions()
        self._window: OrderedDict[str, Draft] = OrderedDict()
        self._spoilt: OrderedDict[str, Place] = OrderedDict()

    def begin(self, file: str, header: Sequence[str]) -> None:
        """Go on with a file that has this header. Raises InvalidInputError (column) as `mapping.locate` does."""
        self._at = locate_order_columns(file, header, self._mapping)

    def add(self, record: Row | BadLine) -> Iterator[Document]:
        """Take one record; gives the order that it pushes out of the window, if any."""
        if isinstance(record, BadLine):
            self._spoil(record)
            return
        number = self._at.text(record.fields, "order")
        place = Place(record.file, record.line)
        if not number:
            self._refuse(Refusal(*place, self._at.column("order"), "", "is empty; a line names its order by it"))
            return
        draft = self._window.get(number)
        if draft is None:
            draft = self._window[number] = self._open(number, place, record.fields)
        else:
            self._window.move_to_end(number)
        draft.places.append(place)
        if draft.fault is None:
            try:
                self._reader.take(draft, place, record.fields, self._at)
            except FaultError as fault:
                draft.fault = fault
        if len(self._window) > WINDOW_ORDERS:
            yield from self._close(self._window.popitem(last=False)[1])

    def finish(self) -> Iterator[Document]:
        """Give the orders that are still open: no more lines follow."""
        while self._window:
            yield from self._close(self._window.popitem(last=False)[1])

    def abandon(self) -> None:
        """Forget the orders that are open: nobody knows what other lines they have."""
        self._window.clear()

    def refuse(self, places: Sequence[Place], fault: FaultError) -> None:
        """Refuse all lines of an order: the one at fault with the reason, the others with a hint at it."""
        self.orders_refused += 1
        for place in places:
            if place == fault.place:
                self._refuse(Refusal(*place, self._at.column(fault.role), fault.value, fault.reason))
            else:
                line, cause = fault.place.line, fault.place.file
                where = f"line {line}" if cause == place.file else f"line {line} of {cause}"
                self._refuse(Refusal(*place, self._at.column("order"), "", f"belongs to a refused order; see {where}"))

    def _open(self, number: str, place: Place, fields: Sequence[str]) -> Draft:
        try:
            draft = self._reader.open(number, place, fields, self._at)
        except FaultError as fault:
            draft = Draft(
                number=number, placed_at=datetime.min.replace(tzinfo=UTC), person=(), original="", fault=fault
            )
        if number in self._spoilt:
            draft.fault = FaultError(self._spoilt.pop(number), "order", number, _UNREADABLE)
        return draft

    def _close(self, draft: Draft) -> Iterator[Document]:
        try:
            if draft.fault is not None:
                raise draft.fault
            document = self._reader.build(draft)
        except FaultError as fault:
            self.refuse(draft.places, fault)
            return
        if document is None:
            self.guests += 1
        else:
            yield document

    def _spoil(self, bad: BadLine) -> None:
        """A line that cannot be read refuses the order that it seems to belong to, wherever its other lines are."""
        place = Place(bad.file, bad.line)
        self._refuse(Refusal(*place, "", bad.text, bad.reason))
        role: OrderRole = "order"
        number = self._at.text(bad.fields, role)
        draft = self._window.get(number)
        if draft is not None:
            draft.fault = draft.fault or FaultError(place, role, number, _UNREADABLE)
        elif number:
            self._spoilt[number] = place
            if len(self._spoilt) > WINDOW_ORDERS:
                self._spoilt.popitem(last=False)
