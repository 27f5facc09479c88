"""Telling the story: each day goes through the same functions as a brand's real days."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from loyalty.channels.orders.accepting import accept_orders
from loyalty.channels.orders.books import spread_discount
from loyalty.channels.orders.cancelling import accept_cancellation
from loyalty.channels.orders.refunding import accept_refund
from loyalty.channels.orders.shapes import Cancellation, Order, OrderLine, Refund, RefundLine
from loyalty.demo.brand import CURRENCY, EXPIRY_MONTHS, ONLINE, TIME_ZONE, Brand
from loyalty.demo.clock import StoryClock
from loyalty.demo.doings import REVIEW_DAYS, Review
from loyalty.demo.moments import Moments
from loyalty.demo.people import Person
from loyalty.demo.shopping import LooseCancellation, Purchase, Return
from loyalty.demo.story import Day, Entrance, Story
from loyalty.kit.clock import add_months
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import DomainError
from loyalty.members.consent import MARKETING_SMS, TERMS, Consent
from loyalty.members.identity import (
    PROGRAMME_WIDE,
    Identity,
    Record,
    channel_identity,
    email_identity,
    phone_identity,
    register_many,
)
from loyalty.members.profile import ProfileFields
from loyalty.web.member.consents import MARKETING_VERSION, TERMS_VERSION
from loyalty.web.member.join import CHANNEL_CODE as MEMBER_PAGES
from tiers.review import review_due

_END_OF_DAY: Final = time(23, 58)
_REVIEW_WEEKDAY: Final = 0
_SHARE_WHOLE_BP: Final = 10_000


class Teller:
    """Tells a story into a database, in one transaction, at the story's times."""

    def __init__(
        self,
        connection: AsyncConnection,
        keyring: Keyring,
        *,
        brand: Brand,
        story: Story,
        clock: StoryClock,
        moments: Moments,
    ) -> None:
        self._connection: Final = connection
        self._keyring: Final = keyring
        self._brand: Final = brand
        self._story: Final = story
        self._clock: Final = clock
        self._moments: Final = moments
        self._members: Final = moments.members
        self._zone: Final = ZoneInfo(TIME_ZONE)
        self._due: defaultdict[date, set[UUID]] = defaultdict(set)

    async def tell(self, day: Day) -> None:
        """One day: what time has brought, who comes, what is done, and what the channels report at its end."""
        await self._settle(day.day)
        await self._enter(day.entrances)
        for moment in day.moments:
            await self._clock.set(moment.at)
            if await self._moments.happen(moment):
                self._expect_expiry(self._members[moment.number or 0], day.day)
            if isinstance(moment, Review):
                self._due[day.day + timedelta(REVIEW_DAYS + 1)].add(self._members[moment.number])
        await self._clock.set(datetime.combine(day.day, _END_OF_DAY, self._zone))
        await self._report(day)
        for returned in day.returns:
            await self._take_back(returned)

    async def _settle(self, day: date) -> None:
        """What the worker does by itself: points expire, waiting points come free, tiers are reviewed."""
        await self._clock.set(datetime.combine(day, time(0, 5), self._zone))
        for member_id in sorted(self._due.pop(day, ())):
            await posting.settle(self._connection, member_id=member_id)
        if day.weekday() == _REVIEW_WEEKDAY or day == self._story.days[-1].day:
            moment = datetime.combine(day, time(0, 17), self._zone)
            while (await review_due(self._connection, programme_id=self._brand.programme.id, moment=moment)).members:
                pass

    def _expect_expiry(self, member_id: UUID, day: date) -> None:
        self._due[add_months(day.replace(day=1), EXPIRY_MONTHS + 1)].add(member_id)

    async def _enter(self, entrances: list[Entrance]) -> None:
        by_channel: defaultdict[str, list[Entrance]] = defaultdict(list)
        for entrance in entrances:
            by_channel[entrance.channel or MEMBER_PAGES].append(entrance)
        for channel, coming in by_channel.items():
            registered = await register_many(
                self._connection,
                self._keyring,
                programme_id=self._brand.programme.id,
                channel_code=channel,
                records=[self._record(self._story.people[entrance.number], entrance) for entrance in coming],
            )
            for entrance, registration in zip(coming, registered, strict=True):
                if isinstance(registration, DomainError):
                    raise registration
                self._members[entrance.number] = registration.member.id
                if registration.created and channel == MEMBER_PAGES:
                    self._moments.came_by_item.add(registration.member.id)

    def _record(self, person: Person, entrance: Entrance) -> Record:
        first = entrance.channel == person.joined_by
        scanned = entrance.channel is None
        identities: list[Identity] = []
        if person.phone is not None:
            identities.append(phone_identity(person.phone, verified=scanned))
        if first and person.email is not None:
            identities.append(email_identity(person.email))
        if entrance.channel is not None:
            identities += _channel_identities(person, entrance.channel)
            if entrance.channel != ONLINE:
                identities.append(_till_number(person, entrance.channel))
        source = MEMBER_PAGES if scanned else f"channel:{entrance.channel}"
        answers = [(TERMS, TERMS_VERSION, True), (MARKETING_SMS, MARKETING_VERSION, person.marketing)]
        return Record(
            identities=identities,
            joined_at=entrance.at,
            profile=ProfileFields(name=person.name, birthday=person.birthday) if first else None,
            consents=[
                Consent(purpose=purpose, granted=granted, text_version=version, given_at=entrance.at, source=source)
                for purpose, version, granted in answers
            ]
            if first
            else (),
            locale="en" if person.latin else "zh",
        )

    async def _report(self, day: Day) -> None:
        """The channels hand over the day's orders, as a nightly run would."""
        for code, channel in self._brand.channels.items():
            orders = [self._order(purchase) for purchase in day.purchases if purchase.channel == code]
            if not orders:
                continue
            results = await accept_orders(self._connection, self._keyring, channel=channel, orders=orders)
            for order, result in zip(orders, results, strict=True):
                if result.error is not None:
                    raise result.error
                if result.member_id is not None:
                    self._expect_expiry(result.member_id, order.placed_at.astimezone(self._zone).date())

    def _order(self, purchase: Purchase) -> Order:
        person = self._story.people[purchase.number]
        taken_off = self._moments.taken_off.get(purchase.external_id, 0)
        return Order(
            external_id=purchase.external_id,
            placed_at=purchase.at,
            currency=CURRENCY,
            identities=tuple(_channel_identities(person, purchase.channel)) or (_phone(person),),
            discount_minor=purchase.discount_minor + taken_off,
            lines=_order_lines(purchase),
        )

    async def _take_back(self, returned: Return | LooseCancellation) -> None:
        if isinstance(returned, LooseCancellation):
            await self._cancel(
                returned.channel,
                Cancellation(
                    external_id=returned.external_id,
                    cancelled_at=returned.at,
                    currency=CURRENCY,
                    member_id=self._members[returned.number],
                    lines=_order_lines(returned),
                ),
            )
            return
        purchase = returned.purchase
        if returned.whole:
            await self._cancel(
                purchase.channel,
                Cancellation(
                    external_id=returned.external_id,
                    cancelled_at=returned.at,
                    currency=CURRENCY,
                    order_external_id=purchase.external_id,
                ),
            )
            return
        refund = self._refund(returned)
        if refund is not None:
            channel = self._brand.channels[purchase.channel]
            await accept_refund(self._connection, channel=channel, refund=refund)

    async def _cancel(self, channel: str, cancellation: Cancellation) -> None:
        await accept_cancellation(
            self._connection, self._keyring, channel=self._brand.channels[channel], cancellation=cancellation
        )

    def _refund(self, returned: Return) -> Refund | None:
        """What is paid back, of what was really paid; None where that is nothing."""
        purchase = returned.purchase
        order = self._order(purchase)
        paid_minor = spread_discount(order)
        bare = Refund(
            external_id=returned.external_id,
            order_external_id=purchase.external_id,
            refunded_at=returned.at,
            currency=CURRENCY,
        )
        if returned.share_bp is not None:
            amount_minor = sum(paid_minor) * returned.share_bp // _SHARE_WHOLE_BP
            return msgspec.structs.replace(bare, amount_minor=amount_minor) if amount_minor else None
        lines = tuple(
            RefundLine(line_id=str(place + 1), amount_minor=paid_minor[place], quantity=purchase.lines[place].quantity)
            for place in returned.lines
        )
        return msgspec.structs.replace(bare, lines=lines)


def _channel_identities(person: Person, channel: str) -> list[Identity]:
    """What a channel calls somebody: the online shop by its account, stores by the brand's card."""
    if channel == ONLINE:
        return [channel_identity("customer", person.account, channel_code=ONLINE)] if person.account else []
    return [channel_identity("card", person.card, channel_code=PROGRAMME_WIDE)] if person.card else []


def _till_number(person: Person, store: str) -> Identity:
    """The number that a store's own till system has for a customer."""
    return channel_identity("customer", f"{100_000 + person.number}", channel_code=store)


def _phone(person: Person) -> Identity:
    return phone_identity(person.phone or "")


def _order_lines(purchase: Purchase | LooseCancellation) -> tuple[OrderLine, ...]:
    return tuple(
        OrderLine(
            line_id=str(place),
            sku=line.product.sku,
            quantity=line.quantity,
            amount_minor=line.amount_minor,
            category=line.product.category,
            description=line.product.zh,
        )
        for place, line in enumerate(purchase.lines, 1)
    )
