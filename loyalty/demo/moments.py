"""What happens at its own moment, at a till, on a phone, at the desk: each through the function that real ones use."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from ledger.reading import balance
from loyalty.campaigns.awards import award
from loyalty.demo.brand import BIRTHDAY, CLERKS, CURRENCY, REWARDS, Brand
from loyalty.demo.doings import (
    REVIEW_DAYS,
    REVIEW_POINTS,
    Birthday,
    Correction,
    Doing,
    Exchange,
    Reunion,
    Review,
    Scan,
)
from loyalty.demo.items import DemoItems
from loyalty.demo.shopping import Purchase
from loyalty.items.claims import claim
from loyalty.items.scans import scan
from loyalty.items.trace.joins import record_join
from loyalty.items.verdicts import Place
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import ConflictError
from loyalty.members.merge import merge, unmerge
from redemption import till
from redemption.benefits.issuing import issue
from redemption.benefits.wallet import USABLE, wallet
from redemption.reading import quote_for_member

_ONE_IN_VOIDED: Final = 29
"""One till redemption in so many is undone at once: the shopper thinks better of it."""


REGIONS: Final = {
    "上海": "CN-SH",
    "北京": "CN-BJ",
    "广州": "CN-GD",
    "杭州": "CN-ZJ",
    "成都": "CN-SC",
    "武汉": "CN-HB",
}
"""Where cities lie (ISO 3166-2)."""


class _Visit(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at a till with a receipt, and a basket where money is taken off one."""

    member_id: UUID
    channel: str
    receipt_number: str
    basket_minor: int | None = None


class Moments:
    """Lets single moments happen. `members` are known ids by number; `taken_off` what tills took off, by receipt.

    `came_by_item`: members who joined on an item's page, whose first scan is of that item.
    """

    def __init__(self, connection: AsyncConnection, keyring: Keyring, *, brand: Brand, items: DemoItems) -> None:
        self.members: dict[int, UUID] = {}
        self.taken_off: dict[str, int] = {}
        self.came_by_item: set[UUID] = set()
        self._connection: Final = connection
        self._keyring: Final = keyring
        self._brand: Final = brand
        self._programme_id: Final = brand.programme.id
        self._items: Final = items
        self._tills = 0
        self._merges: dict[tuple[int, int], UUID] = {}

    async def happen(self, moment: Doing | Purchase) -> bool:
        """Let one thing happen; answers whether it brought its member points."""
        match moment:
            case Purchase():
                await self._pay_less(moment)
            case Scan():
                return await self._scan(moment)
            case Exchange():
                await self._exchange(moment)
            case Review():
                await self._review(moment)
                return True
            case Birthday():
                await self._send_coupon(moment)
            case Correction():
                await self._correct(moment)
                return moment.points > 0
            case Reunion():
                await (self._part(moment) if moment.parted else self._unite(moment))
        return False

    async def _pay_less(self, purchase: Purchase) -> None:
        """At the till or in the basket, before the order is paid: points or a coupon take money off."""
        member_id = self.members[purchase.number]
        basket_minor = purchase.gross_minor - purchase.discount_minor
        visit = _Visit(
            member_id=member_id,
            channel=purchase.channel,
            receipt_number=purchase.external_id,
            basket_minor=basket_minor,
        )
        taken: till.Redemption | None = None
        if purchase.wish == "points":
            offer = await quote_for_member(
                self._connection,
                programme_id=self._programme_id,
                member_id=member_id,
                basket_minor=basket_minor,
                currency=CURRENCY,
            )
            if offer.max_points:
                taken = await self._redeem(visit, points=offer.max_points)
        else:
            code = await self._usable_coupon(member_id, purchase.channel, basket_minor)
            if code is not None:
                taken = await self._redeem(visit, coupon=code)
        if taken is not None and taken.state == "captured":
            self.taken_off[purchase.external_id] = taken.amount_minor

    async def _usable_coupon(self, member_id: UUID, channel: str, basket_minor: int) -> str | None:
        for coupon in await wallet(self._connection, member_id=member_id):
            terms = coupon.definition.terms
            if terms is None or coupon.state not in USABLE:
                continue
            here = not terms.places.channels or channel in terms.places.channels
            if here and basket_minor >= terms.minimum.amount_minor:
                return coupon.code
        return None

    async def _redeem(
        self, visit: _Visit, *, points: int | None = None, coupon: str | None = None, catalogue_item: str | None = None
    ) -> till.Redemption:
        """Hold, and capture under the receipt's number; now and then somebody thinks better of it."""
        self._tills += 1
        begun = await till.begin(
            self._connection,
            programme_id=self._programme_id,
            member_id=visit.member_id,
            channel_id=self._brand.channels[visit.channel].id,
            key=f"demo-till-{self._tills}",
            clerk=CLERKS.get(visit.channel),
            basket_minor=visit.basket_minor,
            currency=CURRENCY if visit.basket_minor is not None else None,
            points=points,
            coupon=coupon,
            catalogue_item=catalogue_item,
        )
        if self._tills % _ONE_IN_VOIDED == 0:
            return await till.void(
                self._connection,
                programme_id=self._programme_id,
                redemption_id=begun.id,
                key=f"demo-void-{self._tills}",
            )
        return await till.capture(
            self._connection,
            programme_id=self._programme_id,
            redemption_id=begun.id,
            receipt_number=visit.receipt_number,
            key=f"demo-capture-{self._tills}",
        )

    async def _scan(self, moment: Scan) -> bool:
        gtin, serial = self._items.code(moment.sku, moment.batch, moment.piece)
        member_id = self.members.get(moment.number) if moment.number is not None else None
        verdict = await scan(
            self._connection,
            self._items.keys,
            programme_id=self._programme_id,
            gtin=gtin,
            serial=serial,
            device=moment.device,
            member_id=member_id,
            place=Place(city=moment.city, region=REGIONS.get(moment.city, "CN")),
            at=moment.at,
        )
        if member_id in self.came_by_item and member_id is not None:
            self.came_by_item.remove(member_id)
            await record_join(
                self._connection,
                self._items.keys,
                programme_id=self._programme_id,
                member_id=member_id,
                gtin=gtin,
                serial=serial,
                at=moment.at,
            )
        if not moment.claims or member_id is None or not verdict.claimable:
            return False
        await claim(
            self._connection,
            self._items.keys,
            programme_id=self._programme_id,
            gtin=gtin,
            serial=serial,
            member_id=member_id,
            device=moment.device,
            at=moment.at,
        )
        return True

    async def _exchange(self, exchange: Exchange) -> None:
        member_id = self.members[exchange.number]
        spendable = (await balance(self._connection, member_id=member_id)).spendable
        costs = {reward.code: reward.points for reward in REWARDS}
        affordable = [code for code in exchange.wishes if costs[code] <= spendable]
        if affordable:
            receipt_number = f"P{exchange.at:%y%m%d}-{self._tills + 1}"
            visit = _Visit(member_id=member_id, channel=exchange.channel, receipt_number=receipt_number)
            await self._redeem(visit, catalogue_item=affordable[0])

    async def _review(self, review: Review) -> None:
        await award(
            self._connection,
            programme_id=self._programme_id,
            member_id=self.members[review.number],
            amount=REVIEW_POINTS,
            key=f"review:{review.external_id}",
            source=f"review:online/{review.external_id}",
            effective_at=review.at,
            available_at=review.at + timedelta(days=REVIEW_DAYS),
        )

    async def _send_coupon(self, birthday: Birthday) -> None:
        await issue(
            self._connection,
            programme_id=self._programme_id,
            member_id=self.members[birthday.number],
            template_code=BIRTHDAY,
            key=f"birthday-{birthday.at.year}",
            source=f"birthday:{birthday.at.year}",
        )

    async def _correct(self, correction: Correction) -> None:
        member_id = self.members[correction.number]
        points = correction.points
        if points < 0:
            points = -min(-points, (await balance(self._connection, member_id=member_id)).spendable)
        if points:
            await posting.adjust(
                self._connection,
                programme_id=self._programme_id,
                member_id=member_id,
                amount=points,
                key=f"desk:{correction.at.isoformat()}",
                source="desk:members",
                reason=correction.reason,
                actor="members",
                approved_by=correction.approved_by,
            )

    async def _unite(self, reunion: Reunion) -> None:
        survivor_id, absorbed_id = self.members[reunion.number], self.members.get(reunion.twin)
        if absorbed_id is None:
            return
        made = await merge(
            self._connection,
            self._keyring,
            programme_id=self._programme_id,
            survivor_id=survivor_id,
            absorbed_id=absorbed_id,
            reason="同一位顾客：姓名与生日一致 One customer: same name and birthday",
            actor="members",
            key=f"reunion-{reunion.number}",
        )
        self._merges[reunion.number, reunion.twin] = made.id

    async def _part(self, reunion: Reunion) -> None:
        merge_id = self._merges.pop((reunion.number, reunion.twin), None)
        if merge_id is None:
            raise ConflictError("these two are not merged", field="merge_id")
        await unmerge(
            self._connection,
            self._keyring,
            programme_id=self._programme_id,
            merge_id=merge_id,
            reason="是母女两人 They are mother and daughter",
            actor="members",
        )
