"""Refunds and cancellations of known orders: the spent share goes back first, then the earned share is taken back.

An order and its refunds may come in any order. A refund whose order has not arrived waits, and is booked in the
transaction that brings the order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.holding import accounts_held
from loyalty.campaigns.awards import TakeBack, take_back
from loyalty.campaigns.bonus.giving import Given, given_for_orders
from loyalty.campaigns.bonus.giving import add_taken_back as note_bonus_taken_back
from loyalty.campaigns.trade import Trade, add_trades
from loyalty.channels.orders.books import BookedOrder, add_taken_back, load_order
from loyalty.channels.orders.checking import check_refund, content_hash
from loyalty.channels.orders.giving_back import SPENT_UNIT, give_back, lock_spent
from loyalty.channels.orders.register import (
    Reference,
    check_same,
    claim_documents,
    find_documents,
    lock_order,
    settle_document,
)
from loyalty.channels.orders.shapes import Cancellation, Refund, RefundKind, RefundResult
from loyalty.channels.orders.shares import OrderRefunds, earned_to_take_back
from loyalty.channels.orders.tables import refund_line_table, refund_table, waiting_refund_table
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Channel
from loyalty.members.member import keep_unmerged, person_ids
from redemption.benefits.errors import BenefitNotUsableError, BenefitUsedError
from redemption.benefits.events import Doer
from redemption.benefits.using import revoke
from tiers.counting import Activity


class RefundExceedsOrderError(ConflictError):
    """More is refunded than is left of the order, or of one of its lines. Members: `left`, `requested`."""

    type = "refund-exceeds-order"
    title = "More than is left of the order"


class RefusedOnArrivalError(ConflictError):
    """A refund that waited for its order did not fit it when it came, and was not booked."""

    type = "refund-did-not-fit"
    title = "The refund did not fit its order"


class RefundPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one refund adds to one line of its order."""

    line_number: int
    quantity: int
    amount_minor: int


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that fits its order: what it adds, and the sums with it."""

    amount_minor: int
    parts: Sequence[RefundPart]
    after: OrderRefunds


_DOCUMENTS: Final[dict[str, type[Refund | Cancellation]]] = {"refund": Refund, "cancellation": Cancellation}


async def accept_refund(connection: AsyncConnection, *, channel: Channel, refund: Refund) -> RefundResult:
    """Book a refund of an order, whole or part, or keep it waiting where its order has not arrived.

    By the order's exact share, points that were spent on it go back to the lots that they came from, then what it
    earned is taken back, into debt where the member no longer has it. All refunds of an order sum exactly to what it
    earned and what was spent on it, whatever the parts and their order of arrival (`docs/decisions/refund-shares.md`).
    The same refund again answers the same and writes nothing.

    Raises InvalidInputError naming the field, RefundExceedsOrderError, IdempotencyMismatchError (the number came before
    with another content), RefusedOnArrivalError (it came before, waited, and did not fit its order).
    """
    check_refund(refund, channel)
    return await accept_return(connection, channel=channel, document=refund)


async def accept_return(
    connection: AsyncConnection, *, channel: Channel, document: Refund | Cancellation
) -> RefundResult:
    """Book a checked refund, or a checked cancellation that names its order."""
    kind = _kind(document)
    assert document.order_external_id is not None  # noqa: S101  (the callers' promise)
    order = await lock_order(connection, channel=channel, external_id=document.order_external_id)
    refund_id, digest = new_id(), content_hash(document)
    reference = Reference(
        external_id=document.external_id, member_id=order.member_id, document_id=refund_id, content_hash=digest
    )
    if not await claim_documents(connection, channel=channel, kind=kind, references=[reference]):
        return await replay_refund(connection, channel=channel, document=document, digest=digest)
    if order.member_id is None or order.document_id is None:
        await _keep_waiting(connection, channel, document, kind)
        return RefundResult(state="waiting", external_id=document.external_id, kind=kind, refund_id=refund_id)
    booked = await load_order(connection, member_id=order.member_id, order_id=order.document_id)
    return await _book(connection, channel=channel, order=booked, document=document, refund_id=refund_id)


def _kind(document: Refund | Cancellation) -> RefundKind:
    return "refund" if isinstance(document, Refund) else "cancellation"


def _moment(document: Refund | Cancellation) -> datetime:
    return document.refunded_at if isinstance(document, Refund) else document.cancelled_at


async def replay_refund(
    connection: AsyncConnection, *, channel: Channel, document: Refund | Cancellation, digest: bytes
) -> RefundResult:
    """What a refund's or cancellation's number answered before, or refuse it where it now has another content."""
    kind = _kind(document)
    known = await find_documents(connection, channel=channel, kind=kind, external_ids=[document.external_id])
    reference = known[document.external_id]
    check_same(reference, digest, kind)
    if reference.member_id is None:
        await _refuse_if_refused(connection, channel, document, kind)
        return RefundResult(
            state="waiting",
            external_id=document.external_id,
            kind=kind,
            refund_id=reference.document_id,
            replayed=True,
        )
    columns = refund_table.c
    row = (
        await connection.execute(
            select(refund_table).where(
                columns.member_id == reference.member_id, columns.refund_id == reference.document_id
            )
        )
    ).one()
    return RefundResult(
        state="booked",
        external_id=row.external_id,
        kind=kind,
        refund_id=row.refund_id,
        member_id=row.member_id,
        order_id=row.order_id,
        taken_back=row.taken_back,
        given_back={UUID(redemption): points for redemption, points in row.given_back.items()},
        replayed=True,
    )


async def _refuse_if_refused(
    connection: AsyncConnection, channel: Channel, document: Refund | Cancellation, kind: RefundKind
) -> None:
    columns = waiting_refund_table.c
    row = (
        await connection.execute(
            select(columns.refused_field, columns.refused_reason).where(
                columns.channel_id == channel.id,
                columns.order_external_id == document.order_external_id,
                columns.kind == kind,
                columns.external_id == document.external_id,
            )
        )
    ).one()
    if row.refused_reason is not None:
        raise RefusedOnArrivalError(row.refused_reason, field=row.refused_field)


async def _keep_waiting(
    connection: AsyncConnection, channel: Channel, document: Refund | Cancellation, kind: RefundKind
) -> None:
    await connection.execute(
        insert(waiting_refund_table).values(
            channel_id=channel.id,
            order_external_id=document.order_external_id,
            kind=kind,
            external_id=document.external_id,
            programme_id=channel.programme_id,
            document=msgspec.to_builtins(_without_person(document)),
        )
    )


def _without_person(document: Refund | Cancellation) -> Refund | Cancellation:
    """Personal data does not wait in the clear; the order says who the person is."""
    if isinstance(document, Cancellation):
        return msgspec.structs.replace(document, identities=(), member_id=None)
    return document


async def lock_waiting(
    connection: AsyncConnection, *, channel: Channel, receipts: Mapping[str, tuple[UUID, str]]
) -> Sequence[Row[Any]]:
    """The refunds that wait for orders, for `book_waiting`; and lock what was redeemed on these orders' receipts.

    `receipts` are the members and receipt numbers of orders that were claimed just now, by the order's number. To be
    called before an account is held.
    """
    if not receipts:
        return ()
    columns = waiting_refund_table.c
    rows = await connection.execute(
        select(waiting_refund_table)
        .where(columns.channel_id == channel.id, columns.order_external_id.in_(receipts))
        .order_by(columns.order_external_id, columns.recorded_at, columns.kind, columns.external_id)
    )
    waiting = rows.all()
    awaited = {receipts[row.order_external_id] for row in waiting}
    people = {member_id: await person_ids(connection, member_id=member_id) for member_id, _ in awaited}
    await lock_spent(connection, channel, [(number, people[member_id]) for member_id, number in awaited])
    return waiting


async def book_waiting(
    connection: AsyncConnection, *, channel: Channel, orders: Sequence[Reference], waiting: Sequence[Row[Any]]
) -> dict[str, list[RefundResult]]:
    """Book the refunds that had waited for orders which have now arrived, by the order's number.

    One that does not fit its order is not booked: it stays, with the reason, and is answered as `refused`.
    """
    by_number = {order.external_id: order for order in orders}
    results: dict[str, list[RefundResult]] = {}
    for row in waiting:
        order = by_number[row.order_external_id]
        document = msgspec.convert(row.document, _DOCUMENTS[row.kind])
        result = await _book_waiting(connection, channel, order, document)
        results.setdefault(row.order_external_id, []).append(result)
    return results


async def _book_waiting(
    connection: AsyncConnection, channel: Channel, order: Reference, document: Refund | Cancellation
) -> RefundResult:
    kind, columns = _kind(document), waiting_refund_table.c
    known = await find_documents(connection, channel=channel, kind=kind, external_ids=[document.external_id])
    refund_id = known[document.external_id].document_id
    assert order.member_id is not None and order.document_id is not None and refund_id is not None  # noqa: S101, PT018
    place = (
        (columns.channel_id == channel.id)
        & (columns.order_external_id == order.external_id)
        & (columns.kind == kind)
        & (columns.external_id == document.external_id)
    )
    try:
        # The order's arrival must not fail with a refund that does not fit it.
        async with connection.begin_nested():
            booked = await load_order(connection, member_id=order.member_id, order_id=order.document_id)
            result = await _book(connection, channel=channel, order=booked, document=document, refund_id=refund_id)
    except DomainError as error:
        await connection.execute(
            update(waiting_refund_table).where(place).values(refused_field=error.field, refused_reason=error.detail)
        )
        return RefundResult(
            state="refused", external_id=document.external_id, kind=kind, refund_id=refund_id, error=error
        )
    await settle_document(
        connection, channel=channel, kind=kind, external_id=document.external_id, member_id=order.member_id
    )
    await connection.execute(delete(waiting_refund_table).where(place))
    return result


async def _book(
    connection: AsyncConnection,
    *,
    channel: Channel,
    order: BookedOrder,
    document: Refund | Cancellation,
    refund_id: UUID,
) -> RefundResult:
    plan = _plan(order, document)
    # Members may have been merged since the purchase: the survivor receives and pays, the posting stays whose it was.
    payer = await keep_unmerged(connection, programme_id=channel.programme_id, member_id=order.member_id)
    accounts = await person_ids(connection, member_id=payer.id)
    spent = await lock_spent(connection, channel, [(order.receipt_number, accounts)])
    bonuses = await given_for_orders(connection, member_ids=[order.member_id], order_ids=[order.order_id])
    units = {earning.unit for earning in order.earnings} | {bonus.unit for bonus in bonuses}
    held = [(payer.id, unit) for unit in (units | {SPENT_UNIT} if spent else units)]
    # A single account is held by the first posting to it.
    several = held if len(held) > 1 else ()
    async with accounts_held(connection, programme_id=channel.programme_id, accounts=several):
        given_back = await give_back(connection, channel, spent, plan.after, accounts, refund_id)
        taken_back = await _take_back(
            connection, channel, order, bonuses, plan, document, payer.id, accounts, refund_id
        )
    await _insert(connection, channel, order, document, plan, refund_id, taken_back, given_back)
    undone = Trade(
        member_id=order.member_id,
        at=order.placed_at,
        channel_id=channel.id,
        currency=order.currency,
        orders=-1 if plan.after.whole and not order.refunds.whole else 0,
        amount_minor=-plan.amount_minor,
    )
    await add_trades(connection, programme_id=channel.programme_id, trades=[undone])
    return RefundResult(
        state="booked",
        external_id=document.external_id,
        kind=_kind(document),
        refund_id=refund_id,
        member_id=order.member_id,
        order_id=order.order_id,
        taken_back=taken_back,
        given_back=given_back,
    )


def _plan(order: BookedOrder, document: Refund | Cancellation) -> _Plan:
    """What a refund adds to its order. Raises InvalidInputError and RefundExceedsOrderError naming the field."""
    before = order.refunds
    if document.currency != order.currency:
        message = f"the order was paid in {order.currency}, not in {document.currency}"
        raise InvalidInputError(message, field="currency")
    if isinstance(document, Cancellation):
        after = msgspec.structs.replace(before, cancelled=True)
        return _Plan(amount_minor=before.left_minor, parts=(), after=after)
    if before.cancelled:
        raise _exceeds("order_external_id", "the order was cancelled whole", left=0, requested=document.amount_minor)
    if document.amount_minor is not None:
        if document.amount_minor > before.left_minor:
            message = f"{before.left_minor} is left of the order"
            raise _exceeds("amount_minor", message, left=before.left_minor, requested=document.amount_minor)
        after = msgspec.structs.replace(before, unnamed_minor=before.unnamed_minor + document.amount_minor)
        return _Plan(amount_minor=document.amount_minor, parts=(), after=after)
    return _plan_lines(order, document)


def _plan_lines(order: BookedOrder, refund: Refund) -> _Plan:
    before = order.refunds
    lines = {line.line_id: index for index, line in enumerate(order.lines)}
    sums = list(before.lines)
    parts: list[RefundPart] = []
    for index, part in enumerate(refund.lines):
        path = f"lines[{index}]"
        position = lines.get(part.line_id)
        if position is None:
            raise InvalidInputError(f"the order has no line {part.line_id!r}", field=f"{path}.line_id")
        line = sums[position]
        left_minor, left_quantity = line.paid_minor - line.refunded_minor, line.quantity - line.refunded_quantity
        if part.amount_minor > left_minor:
            message = f"{left_minor} is left of the line"
            raise _exceeds(f"{path}.amount_minor", message, left=left_minor, requested=part.amount_minor)
        if part.quantity > left_quantity:
            message = f"{left_quantity} pieces are left of the line"
            raise _exceeds(f"{path}.quantity", message, left=left_quantity, requested=part.quantity)
        sums[position] = msgspec.structs.replace(
            line,
            refunded_minor=line.refunded_minor + part.amount_minor,
            refunded_quantity=line.refunded_quantity + part.quantity,
        )
        parts.append(
            RefundPart(
                line_number=order.lines[position].line_number, quantity=part.quantity, amount_minor=part.amount_minor
            )
        )
    amount_minor = sum(part.amount_minor for part in parts)
    if amount_minor > before.left_minor:
        message = f"{before.left_minor} is left of the order"
        raise _exceeds("lines", message, left=before.left_minor, requested=amount_minor)
    return _Plan(amount_minor=amount_minor, parts=parts, after=msgspec.structs.replace(before, lines=sums))


def _exceeds(field: str, reason: str, **figures: Any) -> RefundExceedsOrderError:
    return RefundExceedsOrderError(reason, field=field, **figures)


async def _take_back(
    connection: AsyncConnection,
    channel: Channel,
    order: BookedOrder,
    bonuses: Sequence[Given],
    plan: _Plan,
    document: Refund | Cancellation,
    payer_id: UUID,
    accounts: Sequence[UUID],
    refund_id: UUID,
) -> dict[str, int]:
    """Take back what policy and campaigns gave for what is refunded by now, less what was taken back before.

    A benefit that a campaign gave for the order is revoked once all of it is refunded.
    """
    # A shop that exports days without times may date a refund before its purchase.
    moment = max(_moment(document), order.placed_at)
    source = f"{_kind(document)}:{channel.code}/{document.external_id}"
    taken_back: Counter[str] = Counter()
    take_backs: list[TakeBack] = []
    given: list[tuple[UUID, UUID]] = []

    def take(unit: str, points: int, sequence: int, part: str) -> None:
        taken_back[unit] += points
        take_backs.append(
            TakeBack(
                member_id=payer_id,
                unit=unit,
                amount=points,
                key=f"refund:{refund_id}:{part}",
                source=source,
                effective_at=moment,
                counts_at=order.placed_at,
                sequence=sequence,
                origin_member_id=order.member_id,
                accounts=accounts,
            )
        )

    for earning in order.earnings:
        points = earned_to_take_back(earning.line_points, plan.after) - earning.taken_back
        if points:
            take(earning.unit, points, earning.sequence, earning.unit)
            await add_taken_back(connection, order=order, unit=earning.unit, points=points)
    for bonus in bonuses:
        points = earned_to_take_back(bonus.line_points, plan.after) - bonus.taken_back
        if points and bonus.sequence is not None:
            take(bonus.unit, points, bonus.sequence, f"campaign:{bonus.campaign_id}")
            await note_bonus_taken_back(connection, bonus, points=points)
        if bonus.benefit_id is not None and plan.after.whole:
            given.append((bonus.member_id, bonus.benefit_id))
    await take_back(
        connection,
        programme_id=channel.programme_id,
        take_backs=take_backs,
        activities=_no_longer_bought(order, plan, payer_id, moment=moment, cause=source),
    )
    for member_id, benefit_id in given:
        # What was used already, is locked at a till or was given away stays as it is.
        with suppress(BenefitUsedError, BenefitNotUsableError):
            await revoke(connection, member_id=member_id, benefit_id=benefit_id, by=Doer(channel_id=channel.id))
    return dict(taken_back)


def _no_longer_bought(
    order: BookedOrder, plan: _Plan, payer_id: UUID, *, moment: datetime, cause: str
) -> list[Activity]:
    """What the refund takes off the spend and the orders that count towards tiers, on the day of the purchase."""
    unbought = {f"spend:{order.currency}": plan.amount_minor, "orders": plan.after.whole and not order.refunds.whole}
    return [
        Activity(
            member_id=payer_id,
            metric=metric,
            amount=-int(amount),
            counts_at=order.placed_at,
            happened_at=moment,
            cause=cause,
        )
        for metric, amount in unbought.items()
        if amount
    ]


async def _insert(
    connection: AsyncConnection,
    channel: Channel,
    order: BookedOrder,
    document: Refund | Cancellation,
    plan: _Plan,
    refund_id: UUID,
    taken_back: dict[str, int],
    given_back: dict[UUID, int],
) -> None:
    await connection.execute(
        insert(refund_table).values(
            member_id=order.member_id,
            refund_id=refund_id,
            programme_id=channel.programme_id,
            channel_id=channel.id,
            kind=_kind(document),
            external_id=document.external_id,
            order_id=order.order_id,
            currency=document.currency,
            amount_minor=plan.amount_minor,
            by_amount=not plan.parts,
            refunded_at=_moment(document),
            taken_back=taken_back,
            given_back={str(redemption_id): points for redemption_id, points in given_back.items()},
        )
    )
    if plan.parts:
        await connection.execute(
            insert(refund_line_table),
            [
                {"member_id": order.member_id, "refund_id": refund_id, **msgspec.structs.asdict(part)}
                for part in plan.parts
            ],
        )
