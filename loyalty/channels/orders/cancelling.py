"""Cancellations: of an order that the channel names, or of goods whose order it does not name."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.awards import TakeBack, take_back
from loyalty.campaigns.earning import EarnedPoints, PublishedPolicy, compute, policies
from loyalty.campaigns.trade import Trade, add_trades
from loyalty.channels.orders.accepting import basket_of, policy_for, rule_version
from loyalty.channels.orders.checking import check_cancellation, content_hash
from loyalty.channels.orders.people import find_members, is_guest
from loyalty.channels.orders.refunding import accept_return, replay_refund
from loyalty.channels.orders.register import Reference, claim_documents, find_documents
from loyalty.channels.orders.shapes import Cancellation, RefundResult
from loyalty.channels.orders.tables import refund_table
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import DomainError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Channel
from tiers.counting import Activity
from tiers.reading import tier_at

_CANCELLATION: Final = "cancellation"


async def accept_cancellation(
    connection: AsyncConnection, keyring: Keyring, *, channel: Channel, cancellation: Cancellation
) -> RefundResult:
    """Book a cancellation.

    Of an order that is named: all that is left of it is refunded, or waits for it, as `accept_refund` does. Otherwise
    what the earn policy of that moment gives for the amounts that were paid back is taken back, into debt where the
    member does not have it; points that were spent are not given back, because nothing says which. The same
    cancellation again answers the same and writes nothing.

    Raises as `accept_order` and `accept_refund` do.
    """
    check_cancellation(cancellation, channel)
    if cancellation.order_external_id is not None:
        return await accept_return(connection, channel=channel, document=cancellation)
    digest, number = content_hash(cancellation), cancellation.external_id
    if await find_documents(connection, channel=channel, kind=_CANCELLATION, external_ids=[number]):
        return await replay_refund(connection, channel=channel, document=cancellation, digest=digest)
    if is_guest(cancellation):
        return RefundResult(state="guest", external_id=number, kind=_CANCELLATION)
    (member,) = await find_members(connection, keyring, programme_id=channel.programme_id, documents=[cancellation])
    if isinstance(member, DomainError):
        raise member
    versions = await policies(connection, programme_id=channel.programme_id)
    published = policy_for(versions, cancellation.currency, cancellation.cancelled_at)
    refund_id = new_id()
    reference = Reference(external_id=number, member_id=member, document_id=refund_id, content_hash=digest)
    if not await claim_documents(connection, channel=channel, kind=_CANCELLATION, references=[reference]):
        return await replay_refund(connection, channel=channel, document=cancellation, digest=digest)
    earned = await _earned(connection, channel, cancellation, member, published)
    taken_back = await _claw_back(connection, channel, cancellation, member, refund_id, published, earned)
    await connection.execute(
        insert(refund_table).values(
            member_id=member,
            refund_id=refund_id,
            programme_id=channel.programme_id,
            channel_id=channel.id,
            kind=_CANCELLATION,
            external_id=number,
            order_id=None,
            currency=cancellation.currency,
            amount_minor=_amount_minor(cancellation),
            by_amount=True,
            refunded_at=cancellation.cancelled_at,
            policy_version=published.version,
            taken_back=taken_back,
            given_back={},
        )
    )
    undone = Trade(
        member_id=member,
        at=cancellation.cancelled_at,
        channel_id=channel.id,
        currency=cancellation.currency,
        orders=0,
        amount_minor=-_amount_minor(cancellation),
    )
    await add_trades(connection, programme_id=channel.programme_id, trades=[undone])
    return RefundResult(
        state="booked",
        external_id=number,
        kind=_CANCELLATION,
        refund_id=refund_id,
        member_id=member,
        taken_back=taken_back,
    )


def _amount_minor(cancellation: Cancellation) -> int:
    return sum(line.amount_minor for line in cancellation.lines)


async def _earned(
    connection: AsyncConnection,
    channel: Channel,
    cancellation: Cancellation,
    member_id: UUID,
    published: PublishedPolicy,
) -> list[EarnedPoints]:
    """What a purchase of the cancelled goods at that moment would have earned."""
    tier_code = None
    if published.policy.looks_at_tier:
        tier_code = await tier_at(
            connection,
            programme_id=channel.programme_id,
            member_id=member_id,
            moment=cancellation.cancelled_at,
        )
    paid_minor = [line.amount_minor for line in cancellation.lines]
    basket = basket_of(channel, cancellation.cancelled_at, cancellation.lines, paid_minor)
    return compute(published.policy, basket, tier_code=tier_code)


async def _claw_back(
    connection: AsyncConnection,
    channel: Channel,
    cancellation: Cancellation,
    member_id: UUID,
    refund_id: UUID,
    published: PublishedPolicy,
    earned: list[EarnedPoints],
) -> dict[str, int]:
    source, moment = f"cancellation:{channel.code}/{cancellation.external_id}", cancellation.cancelled_at
    spending = [
        Activity(
            member_id=member_id,
            metric=f"spend:{cancellation.currency}",
            amount=-_amount_minor(cancellation),
            counts_at=moment,
            happened_at=moment,
            cause=source,
        )
    ]
    await take_back(
        connection,
        programme_id=channel.programme_id,
        take_backs=[
            TakeBack(
                member_id=member_id,
                unit=points.unit,
                amount=points.points,
                key=f"cancellation:{refund_id}:{points.unit}",
                source=source,
                effective_at=moment,
                counts_at=moment,
                rule_version=rule_version(published),
            )
            for points in earned
        ],
        activities=spending if _amount_minor(cancellation) else [],
    )
    return {points.unit: points.points for points in earned}
