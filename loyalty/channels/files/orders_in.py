"""Orders in: a shop's export of purchases is posted, once for all, however often it is imported."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.channels.files.assembling import Assembler
from loyalty.channels.files.committing import commit
from loyalty.channels.files.documents import Content, Document, DocumentReader, FaultError
from loyalty.channels.files.lines import CutShortError, Export
from loyalty.channels.files.mapping import FileFormat, OrderMapping, OrderRole, locate_order_columns
from loyalty.channels.files.people import register_people
from loyalty.channels.files.refusals import Refusal, RefusalFile
from loyalty.channels.files.tally import OrderTally, Watcher
from loyalty.channels.orders.accepting import accept_orders
from loyalty.channels.orders.cancelling import accept_cancellation
from loyalty.channels.orders.refunding import accept_refund
from loyalty.channels.orders.register import find_documents
from loyalty.channels.orders.shapes import Cancellation, DocumentKind, Order, OrderResult, Refund, RefundResult
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import DomainError, NotFoundError
from loyalty.kit.programme import Channel
from loyalty.members.identity import Identity, Record

BATCH_DOCUMENTS: Final = 300
REMEMBERED_PEOPLE: Final = 100_000

UnknownCustomer: TypeAlias = Literal["create", "refuse", "guest"]
"""What to do with an order of somebody who is no member: make them one of the channel alone, refuse, or pass over."""

_Result: TypeAlias = OrderResult | RefundResult | DomainError

_ROLES: Final[dict[str, OrderRole]] = {
    "placed_at": "time",
    "cancelled_at": "time",
    "refunded_at": "time",
    "currency": "currency",
    "order_external_id": "original",
    "amount_minor": "amount",
    "discount_minor": "discount",
    "identities": "customer",
    "member_id": "customer",
    "customer": "customer",
    "card": "card",
    "phone": "phone",
    "email": "email",
    "line_id": "line",
    "sku": "sku",
    "category": "category",
    "quantity": "quantity",
}
"""Which column holds what the domain calls by another name; the order's number stands for all else."""


_KINDS: Final[tuple[DocumentKind, ...]] = ("order", "cancellation", "refund")
_LINE: Final = re.compile(r"lines\[(\d+)\]")


class _Joined(msgspec.Struct):
    """What became of a batch's customers who were not known in this run before."""

    members: dict[tuple[Identity, ...], UUID] = {}
    refused: dict[tuple[Identity, ...], DomainError] = {}
    created: int = 0
    merged: int = 0


class OrderImport:
    """One run over some files. Orders are posted in batches, each its own transaction.

    A channel's number names a document for ever, so whatever was committed before a stop, a kill or an earlier run is
    found and not posted again. Documents of one person are posted in the order of the file.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        keyring: Keyring,
        *,
        channel: Channel,
        mapping: OrderMapping,
        file_format: FileFormat,
        unknown_customer: UnknownCustomer,
        refusals: RefusalFile,
        watcher: Watcher,
    ) -> None:
        """Raises InvalidInputError (currency) where the mapping's currency is not the channel's."""
        self.tally: Final = OrderTally()
        self._engine = engine
        self._keyring = keyring
        self._channel = channel
        self._mapping = mapping
        self._unknown_customer = unknown_customer
        self._refusals = refusals
        self._watcher = watcher
        self._assembler = Assembler(mapping, DocumentReader(mapping, file_format, channel), self._refuse)
        self._people: OrderedDict[tuple[Identity, ...], UUID] = OrderedDict()
        self._passed_over = 0

    async def run(self, exports: Sequence[Export]) -> OrderTally:
        """Read open files, one after the other. Raises InvalidInputError (column) before anything is written."""
        for export in exports:
            locate_order_columns(export.name, export.header, self._mapping)
        batch: list[Document] = []
        try:
            for document in self._documents(exports):
                batch.append(document)
                if len(batch) < BATCH_DOCUMENTS:
                    continue
                await self._post(batch)
                batch = []
                if self._watcher.stopping():
                    self.tally.stopped = True
                    return self.tally
        except CutShortError as error:
            # The orders still open may lack lines that the rest of the file held: they are not posted.
            self.tally.problem = error.detail
        await self._post(batch)
        return self.tally

    def _documents(self, exports: Sequence[Export]) -> Iterator[Document]:
        for export in exports:
            self._assembler.begin(export.name, export.header)
            for record in export.records():
                self.tally.rows += 1
                self.tally.file, self.tally.line = record.file, record.line
                yield from self._assembler.add(record)
        yield from self._assembler.finish()

    def _refuse(self, refusal: Refusal) -> None:
        self._refusals.add(refusal)
        self.tally.lines_refused += 1

    async def _post(self, batch: Sequence[Document]) -> None:
        """Post a batch, and count what came of it only once it is committed."""

        async def work(connection: AsyncConnection) -> tuple[list[_Result], _Joined]:
            joined = await self._join(connection, batch)
            return await self._accept(connection, batch, joined), joined

        results, joined = await commit(self._engine, work) if batch else ([], _Joined())
        self._remember(joined)
        for document, result in zip(batch, results, strict=True):
            if isinstance(result, OrderResult):
                self._count_order(result)
            elif isinstance(result, RefundResult):
                self._count_cancellation(result)
            else:
                self._count_refused(document, result)
        self.tally.orders_guest = self._assembler.guests + self._passed_over
        self.tally.orders_refused = self._assembler.orders_refused
        self._refusals.flush()
        self._watcher.advanced(self.tally)

    async def _join(self, connection: AsyncConnection, batch: Sequence[Document]) -> _Joined:
        """Make members of new orders' customers who are none, where that is wanted."""
        joined = _Joined()
        if self._unknown_customer != "create":
            return joined
        known: set[str] = set()
        for kind in _KINDS:
            numbers = [document.number for document in batch]
            known |= (await find_documents(connection, channel=self._channel, kind=kind, external_ids=numbers)).keys()
        records: dict[tuple[Identity, ...], Record] = {}
        for document in batch:
            if document.number not in known and document.identities and document.identities not in self._people:
                record = Record(identities=document.identities, joined_at=_moment(document.content))
                records.setdefault(document.identities, record)
        people = await register_people(connection, self._keyring, channel=self._channel, records=list(records.values()))
        for identities, person in zip(records, people, strict=True):
            if isinstance(person, DomainError):
                joined.refused[identities] = person
            else:
                joined.members[identities] = person.registration.member.id
                joined.created += person.registration.created
                joined.merged += len(person.registration.merge_ids)
        return joined

    async def _accept(self, connection: AsyncConnection, batch: Sequence[Document], joined: _Joined) -> list[_Result]:
        """What comes of each document. A person's cancellation comes after their orders that the file has before it."""
        results: dict[int, _Result] = {}
        for stretch in _stretches(batch):
            orders: list[tuple[int, Order]] = []
            for index, document in stretch:
                content = document.content
                if document.identities in joined.refused:
                    results[index] = joined.refused[document.identities]
                elif isinstance(content, Order):
                    orders.append((index, msgspec.structs.replace(content, member_id=self._member(document, joined))))
            accepted = await accept_orders(
                connection, self._keyring, channel=self._channel, orders=[order for _, order in orders]
            )
            results |= {index: result.error or result for (index, _), result in zip(orders, accepted, strict=True)}
            for index, document in stretch:
                if index not in results:
                    results[index] = await self._take_back(connection, document, self._member(document, joined))
        return [results[index] for index in range(len(batch))]

    async def _take_back(self, connection: AsyncConnection, document: Document, member_id: UUID | None) -> _Result:
        try:
            async with connection.begin_nested():
                if isinstance(document.content, Cancellation):
                    cancellation = msgspec.structs.replace(document.content, member_id=member_id)
                    return await accept_cancellation(
                        connection, self._keyring, channel=self._channel, cancellation=cancellation
                    )
                assert isinstance(document.content, Refund)  # noqa: S101  (orders are accepted apart)
                return await accept_refund(connection, channel=self._channel, refund=document.content)
        except DomainError as error:
            return error

    def _member(self, document: Document, joined: _Joined) -> UUID | None:
        """The customer, if this run met them before; otherwise the document's identities will tell."""
        return joined.members.get(document.identities) or self._people.get(document.identities)

    def _remember(self, joined: _Joined) -> None:
        """Know a batch's customers from now on: it is committed. After a merge nobody is known for certain."""
        if joined.merged:
            self._people.clear()
        self._people.update(joined.members)
        while len(self._people) > REMEMBERED_PEOPLE:
            self._people.popitem(last=False)
        self.tally.members_created += joined.created
        self.tally.members_merged += joined.merged

    def _count_order(self, result: OrderResult) -> None:
        if result.state == "guest":
            self._passed_over += 1
        elif result.replayed:
            self.tally.orders_unchanged += 1
        else:
            self.tally.orders_posted += 1
            self.tally.add_earned(result.earned)
            for refund in result.refunds:
                self.tally.add_taken_back(refund.taken_back)

    def _count_cancellation(self, result: RefundResult) -> None:
        if result.state == "guest":
            self._passed_over += 1
        elif result.replayed:
            self.tally.cancellations_unchanged += 1
        elif result.state == "waiting":
            self.tally.cancellations_waiting += 1
        else:
            self.tally.cancellations_posted += 1
            self.tally.add_taken_back(result.taken_back)

    def _count_refused(self, document: Document, error: DomainError) -> None:
        if self._unknown_customer == "guest" and isinstance(error, NotFoundError) and error.field == "identities":
            self._passed_over += 1
            return
        field = error.field or ""
        role = _ROLES.get(field.rpartition(".")[2], "order")
        at_fault, line = document.places[0], _LINE.match(field)
        if line is not None and len(document.places) == len(document.lines):
            at_fault = document.places[int(line[1])]
        value = document.number if role == "order" else ""
        self._assembler.refuse(document.places, FaultError(at_fault, role, value, error.detail))


def _moment(content: Content) -> datetime:
    if isinstance(content, Order):
        return content.placed_at
    return content.refunded_at if isinstance(content, Refund) else content.cancelled_at


def _stretches(batch: Sequence[Document]) -> Iterable[list[tuple[int, Document]]]:
    """Parts of a batch in which no order of a person comes after a cancellation of theirs."""
    stretch: list[tuple[int, Document]] = []
    took_back: set[tuple[Identity, ...]] = set()
    for index, document in enumerate(batch):
        if isinstance(document.content, Order) and document.identities in took_back:
            yield stretch
            stretch = []
            took_back.clear()
        stretch.append((index, document))
        if not isinstance(document.content, Order):
            took_back.add(document.identities)
    yield stretch
