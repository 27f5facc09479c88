"""Orders in: one, or a batch in one transaction with a few statements for all of it.

Both ways are the same code. A batch first finds what came before, refuses what can be refused, and only then writes, so
that a refused order leaves nothing behind and needs no savepoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.holding import accounts_held
from loyalty.campaigns.awards import Award, award_many
from loyalty.campaigns.bonus.campaign import published_between
from loyalty.campaigns.bonus.computing import Published, Purchase
from loyalty.campaigns.bonus.facts import with_facts
from loyalty.campaigns.bonus.giving import give, given_for_orders
from loyalty.campaigns.earning import (
    Basket,
    BasketLine,
    EarnedPoints,
    PublishedPolicy,
    compute,
    in_force,
    policies,
)
from loyalty.campaigns.trade import Trade, add_trades
from loyalty.channels.orders.books import (
    NewEarning,
    NewOrder,
    insert_earnings,
    insert_orders,
    receipt_number_of,
    spread_discount,
)
from loyalty.channels.orders.checking import check_order, content_hash
from loyalty.channels.orders.giving_back import SPENT_UNIT
from loyalty.channels.orders.people import find_members, is_guest, same_person
from loyalty.channels.orders.refunding import book_waiting, lock_waiting
from loyalty.channels.orders.register import Reference, check_same, claim_documents, find_documents
from loyalty.channels.orders.shapes import Order, OrderLine, OrderResult
from loyalty.channels.orders.tables import order_earning_table
from loyalty.kit.clock import local_date
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import DomainError, IdempotencyMismatchError, InvalidInputError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Channel, get_programme
from tiers.counting import Activity
from tiers.reading import tier_at

_ORDER: Final = "order"


class _Arrival(msgspec.Struct, kw_only=True):
    """An order on its way through a batch; `index` is its place in what the caller gave."""

    index: int
    order: Order
    content_hash: bytes
    order_id: UUID
    member_id: UUID
    published: PublishedPolicy
    paid_minor: Sequence[int]

    @property
    def place(self) -> tuple[UUID, datetime, str]:
        """Where it stands in the order of posting."""
        return self.member_id, self.order.placed_at, self.order.external_id


class _Earned(msgspec.Struct, frozen=True, kw_only=True):
    """What an arrival earns, and the tier that its policy looked at, if it looks at tiers."""

    arrival: _Arrival
    tier_code: str | None
    points: Sequence[EarnedPoints]


async def accept_order(connection: AsyncConnection, keyring: Keyring, *, channel: Channel, order: Order) -> OrderResult:
    """Book a purchase: what it earns is posted, counted towards tiers and pinned to the policy that was in force then.

    The same order again answers the same and writes nothing. A guest's order is answered as `guest` and not kept.
    Refunds that waited for the order are booked with it; one that does not fit it is reported in the result.

    Raises InvalidInputError naming the field (also `currency` where the channel or the policy does not count it),
    NotFoundError (`member_id` or `identities` name nobody), ConflictError (they name several, or an erased member),
    NoEarnPolicyError, IdempotencyMismatchError (the number came before with another content).
    """
    (result,) = await accept_orders(connection, keyring, channel=channel, orders=[order])
    if result.error is not None:
        raise result.error
    return result


async def accept_orders(
    connection: AsyncConnection, keyring: Keyring, *, channel: Channel, orders: Sequence[Order]
) -> list[OrderResult]:
    """`accept_order` for many orders of one channel in one transaction, with a result for each, in their order.

    What the single call would raise is a result `refused` with the `error`; the others are booked. Orders of a member
    are booked in the order of their dates, however they stand in the batch. Keep a batch to some thousands: it holds
    its members and their accounts until the transaction ends.
    """
    batch = _Batch(connection, keyring, channel)
    checked = [(index, order, batch.check(index, order)) for index, order in enumerate(orders)]
    await batch.run([(index, order, digest) for index, order, digest in checked if digest is not None])
    return [batch.results[index] for index in range(len(orders))]


class _Batch:
    """One pass over a batch. Every order ends with its result; the undecided are handed from step to step."""

    def __init__(self, connection: AsyncConnection, keyring: Keyring, channel: Channel) -> None:
        self.connection = connection
        self.keyring = keyring
        self.channel = channel
        self.results: dict[int, OrderResult] = {}

    def check(self, index: int, order: Order) -> bytes | None:
        """The order's digest, or None where it is refused as it stands."""
        try:
            check_order(order, self.channel)
        except InvalidInputError as error:
            self._refuse(index, order, error)
            return None
        return content_hash(order)

    async def run(self, orders: Sequence[tuple[int, Order, bytes]]) -> None:
        """Book what is new and answer for the rest."""
        numbers = {order.external_id for _, order, _ in orders}
        known = await find_documents(self.connection, channel=self.channel, kind=_ORDER, external_ids=numbers)
        first: dict[str, tuple[int, Order, bytes]] = {}
        repeats: list[tuple[int, Order, bytes]] = []
        for item in orders:
            number = item[1].external_id
            if number in known or number in first:
                repeats.append(item)
            else:
                first[number] = item
        arrivals = await self._decide(list(first.values()))
        lost = await self._claim(arrivals)
        await self._book([arrival for arrival in arrivals if arrival not in lost])
        repeats += [(arrival.index, arrival.order, arrival.content_hash) for arrival in lost]
        await self._repeat(repeats, {item[1].external_id: item[0] for item in first.values()})

    async def _decide(self, orders: Sequence[tuple[int, Order, bytes]]) -> list[_Arrival]:
        """Find out who bought and which policy counts, refuse the others; answers in the order of posting."""
        named = [item for item in orders if not is_guest(item[1])]
        for index, order, _ in orders:
            if is_guest(order):
                self.results[index] = OrderResult(state="guest", external_id=order.external_id)
        if not named:
            return []
        programme_id = self.channel.programme_id
        members = await find_members(
            self.connection, self.keyring, programme_id=programme_id, documents=[order for _, order, _ in named]
        )
        versions = await policies(self.connection, programme_id=programme_id)
        arrivals = []
        for (index, order, digest), member in zip(named, members, strict=True):
            try:
                if isinstance(member, DomainError):
                    raise member
                published = policy_for(versions, order.currency, order.placed_at)
            except DomainError as error:
                self._refuse(index, order, error)
                continue
            arrivals.append(
                _Arrival(
                    index=index,
                    order=order,
                    content_hash=digest,
                    order_id=new_id(),
                    member_id=member,
                    published=published,
                    paid_minor=spread_discount(order),
                )
            )
        return sorted(arrivals, key=lambda arrival: arrival.place)

    async def _claim(self, arrivals: Sequence[_Arrival]) -> list[_Arrival]:
        """Claim the orders' numbers; answers those that another transaction claimed meanwhile."""
        if not arrivals:
            return []
        claimed = await claim_documents(
            self.connection,
            channel=self.channel,
            kind=_ORDER,
            references=[_reference(arrival) for arrival in arrivals],
        )
        return [arrival for arrival in arrivals if arrival.order.external_id not in claimed]

    async def _book(self, arrivals: Sequence[_Arrival]) -> None:
        """Store and post new orders, while all accounts are held that they may be posted to.

        Where all is one posting it holds them itself. What refunds that waited may give back is locked before accounts.
        """
        waves, campaigns = _waves(arrivals), await self._campaigns(arrivals)
        receipts = {each.order.external_id: (each.member_id, receipt_number_of(each.order)) for each in arrivals}
        waiting = await lock_waiting(self.connection, channel=self.channel, receipts=receipts)
        more = {published.terms.unit for published in campaigns} | ({SPENT_UNIT} if waiting else set())
        accounts = [(arrival.member_id, unit) for arrival in arrivals for unit in more | arrival.published.policy.units]
        several = len(waves) > 1 or bool(campaigns) or bool(waiting)
        async with accounts_held(
            self.connection, programme_id=self.channel.programme_id, accounts=accounts if several else ()
        ):
            await self._book_held(arrivals, waves, campaigns, waiting)

    async def _campaigns(self, arrivals: Sequence[_Arrival]) -> Sequence[Published]:
        """The campaigns that hold at some time from the first order to the last."""
        if not arrivals:
            return ()
        moments = [arrival.order.placed_at for arrival in arrivals]
        return await published_between(
            self.connection, programme_id=self.channel.programme_id, first=min(moments), last=max(moments)
        )

    async def _book_held(
        self,
        arrivals: Sequence[_Arrival],
        waves: Sequence[Sequence[_Arrival]],
        campaigns: Sequence[Published],
        waiting: Sequence[Row[Any]],
    ) -> None:
        """Where a policy looks at tiers, a member's orders go one after the other."""
        earned: list[_Earned] = []
        for wave in waves:
            posted = [await self._earn(arrival) for arrival in wave]
            await insert_orders(self.connection, channel=self.channel, orders=[_new_order(item) for item in posted])
            await self._post(posted)
            earned += posted
        bonus = await self._give_bonuses(earned, campaigns)
        await add_trades(
            self.connection, programme_id=self.channel.programme_id, trades=[self._trade(item) for item in earned]
        )
        references = [_reference(arrival) for arrival in arrivals]
        refunds = await book_waiting(self.connection, channel=self.channel, orders=references, waiting=waiting)
        for item in earned:
            self.results[item.arrival.index] = OrderResult(
                state="booked",
                external_id=item.arrival.order.external_id,
                order_id=item.arrival.order_id,
                member_id=item.arrival.member_id,
                earned=dict(_sums(item.points) + bonus.get(item.arrival.order_id, Counter())),
                refunds=tuple(refunds.get(item.arrival.order.external_id, ())),
            )

    async def _earn(self, arrival: _Arrival) -> _Earned:
        tier_code = None
        if arrival.published.policy.looks_at_tier:
            tier_code = await tier_at(
                self.connection,
                programme_id=self.channel.programme_id,
                member_id=arrival.member_id,
                moment=arrival.order.placed_at,
            )
        order = arrival.order
        basket = basket_of(self.channel, order.placed_at, order.lines, arrival.paid_minor)
        return _Earned(
            arrival=arrival,
            tier_code=tier_code,
            points=compute(arrival.published.policy, basket, tier_code=tier_code),
        )

    async def _post(self, earned: Sequence[_Earned]) -> None:
        given = [(item.arrival, points) for item in earned for points in item.points]
        postings = await award_many(
            self.connection,
            programme_id=self.channel.programme_id,
            awards=[
                Award(
                    member_id=arrival.member_id,
                    unit=points.unit,
                    amount=points.points,
                    key=f"order:{arrival.order_id}:{points.unit}",
                    source=self._source(arrival.order),
                    effective_at=arrival.order.placed_at,
                    rule_version=rule_version(arrival.published),
                )
                for arrival, points in given
            ],
            activities=[
                activity
                for item in earned
                for activity in purchase_activities(
                    item.arrival.order,
                    item.arrival.member_id,
                    self._source(item.arrival.order),
                    item.arrival.paid_minor,
                )
            ],
        )
        await insert_earnings(
            self.connection,
            [
                NewEarning(
                    member_id=arrival.member_id,
                    order_id=arrival.order_id,
                    unit=points.unit,
                    points=points.points,
                    line_points=points.line_points,
                    rules=[msgspec.to_builtins(rule) for rule in points.rules],
                    ledger_sequence=posted.sequence,
                )
                for (arrival, points), posted in zip(given, postings, strict=True)
            ],
        )

    async def _give_bonuses(
        self, earned: Sequence[_Earned], campaigns: Sequence[Published]
    ) -> dict[UUID, Counter[str]]:
        """Give what campaigns give beside the policy; answers it by order and unit."""
        if not campaigns:
            return {}
        programme_id = self.channel.programme_id
        purchases = [self._purchase(item) for item in sorted(earned, key=lambda item: item.arrival.place)]
        purchases = await with_facts(
            self.connection, self.keyring, programme_id=programme_id, campaigns=campaigns, purchases=purchases
        )
        programme = await get_programme(self.connection, programme_id)
        given = await give(
            self.connection,
            programme_id=programme_id,
            time_zone=programme.time_zone,
            campaigns=campaigns,
            purchases=purchases,
        )
        sums: dict[UUID, Counter[str]] = {}
        for each in given:
            sums.setdefault(each.order_id, Counter())[each.unit] += each.points
        return sums

    def _purchase(self, item: _Earned) -> Purchase:
        order = item.arrival.order
        basket = basket_of(self.channel, order.placed_at, order.lines, item.arrival.paid_minor)
        return Purchase(
            member_id=item.arrival.member_id,
            order_id=item.arrival.order_id,
            placed_at=order.placed_at,
            channel=self.channel.code,
            channel_kind=self.channel.kind,
            currency=order.currency,
            lines=basket.lines,
            earned={points.unit: points.line_points for points in item.points},
            campaigns=frozenset(),
            number=order.external_id,
        )

    def _trade(self, item: _Earned) -> Trade:
        return Trade(
            member_id=item.arrival.member_id,
            at=item.arrival.order.placed_at,
            channel_id=self.channel.id,
            currency=item.arrival.order.currency,
            orders=1,
            amount_minor=sum(item.arrival.paid_minor),
        )

    async def _repeat(self, orders: Sequence[tuple[int, Order, bytes]], first: dict[str, int]) -> None:
        """Answer for orders that had come before, also earlier in this batch."""
        if not orders:
            return
        numbers = {order.external_id for _, order, _ in orders}
        known = await find_documents(self.connection, channel=self.channel, kind=_ORDER, external_ids=numbers)
        earned = await _earned_by(self.connection, known.values())
        for index, order, digest in orders:
            reference = known.get(order.external_id)
            if reference is None:
                # Its first in this batch was not kept, and so neither is this one.
                self.results[index] = self.results[first[order.external_id]]
                continue
            try:
                check_same(reference, digest, _ORDER)
                if not await same_person(self.connection, self.channel.programme_id, order, reference.member_id):
                    message = f"order {order.external_id} came before and was another member's"
                    raise IdempotencyMismatchError(message, field="member_id")
            except DomainError as error:
                self._refuse(index, order, error)
                continue
            self.results[index] = OrderResult(
                state="booked",
                external_id=order.external_id,
                order_id=reference.document_id,
                member_id=reference.member_id,
                earned=earned.get(reference.document_id, {}),
                replayed=True,
            )

    def _refuse(self, index: int, order: Order, error: DomainError) -> None:
        self.results[index] = OrderResult(state="refused", external_id=order.external_id, error=error)

    def _source(self, order: Order) -> str:
        return f"order:{self.channel.code}/{order.external_id}"


def policy_for(versions: Sequence[PublishedPolicy], currency: str, moment: datetime) -> PublishedPolicy:
    """The policy by which a purchase earns. Raises NoEarnPolicyError, InvalidInputError (currency not counted)."""
    published = in_force(versions, moment)
    if not published.policy.counts_currency(currency):
        message = f"no rule of earn policy {published.version} counts {currency}"
        raise InvalidInputError(message, field="currency")
    return published


def rule_version(published: PublishedPolicy) -> str:
    """A policy version as the ledger notes it."""
    return f"earn/{published.version}"


def basket_of(channel: Channel, moment: datetime, lines: Sequence[OrderLine], paid_minor: Sequence[int]) -> Basket:
    """Lines of a document as earn rules see them."""
    return Basket(
        channel=channel.code,
        channel_kind=channel.kind,
        currency=channel.currency,
        day=local_date(moment, channel.time_zone),
        lines=[
            BasketLine(line.sku, line.category, line.quantity, paid)
            for line, paid in zip(lines, paid_minor, strict=True)
        ],
    )


def purchase_activities(order: Order, member_id: UUID, source: str, paid_minor: Sequence[int]) -> Iterable[Activity]:
    """What a purchase counts for towards tiers beside its points: the order, and what was paid."""
    for metric, amount in (("orders", 1), (f"spend:{order.currency}", sum(paid_minor))):
        if amount:
            yield Activity(
                member_id=member_id,
                metric=metric,
                amount=amount,
                counts_at=order.placed_at,
                happened_at=order.placed_at,
                cause=source,
            )


def _reference(arrival: _Arrival) -> Reference:
    return Reference(
        external_id=arrival.order.external_id,
        member_id=arrival.member_id,
        document_id=arrival.order_id,
        content_hash=arrival.content_hash,
    )


def _new_order(item: _Earned) -> NewOrder:
    return NewOrder(
        member_id=item.arrival.member_id,
        order_id=item.arrival.order_id,
        order=item.arrival.order,
        paid_minor=item.arrival.paid_minor,
        policy_version=item.arrival.published.version,
        tier_code=item.tier_code,
    )


def _waves(arrivals: Sequence[_Arrival]) -> Sequence[Sequence[_Arrival]]:
    """Split a batch so that no order is computed before the member's earlier ones have raised the tier it looks at."""
    if not any(arrival.published.policy.looks_at_tier for arrival in arrivals):
        return [arrivals] if arrivals else []
    waves: list[list[_Arrival]] = []
    turns: dict[UUID, int] = {}
    for arrival in arrivals:
        turn = turns.get(arrival.member_id, 0)
        turns[arrival.member_id] = turn + 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(arrival)
    return waves


async def _earned_by(connection: AsyncConnection, references: Iterable[Reference]) -> dict[UUID | None, dict[str, int]]:
    """What known orders earned when they came, by unit."""
    columns, known = order_earning_table.c, list(references)
    rows = await connection.execute(
        select(columns.order_id, columns.unit, columns.points).where(
            columns.member_id.in_([reference.member_id for reference in known]),
            columns.order_id.in_([reference.document_id for reference in known]),
        )
    )
    earned: dict[UUID | None, dict[str, int]] = {}
    for row in rows:
        earned.setdefault(row.order_id, {})[row.unit] = row.points
    for given in await given_for_orders(
        connection,
        member_ids=[reference.member_id for reference in known if reference.member_id],
        order_ids=[reference.document_id for reference in known if reference.document_id],
    ):
        sums = earned.setdefault(given.order_id, {})
        sums[given.unit] = sums.get(given.unit, 0) + given.points
    return earned


def _sums(points: Sequence[EarnedPoints]) -> Counter[str]:
    return Counter({each.unit: each.points for each in points})
