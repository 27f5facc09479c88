"""Drawing: the seed revealed, the winners written down, their prizes given; and the proof of it all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import func, literal, select, text, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.holding import accounts_held
from loyalty.campaigns.awards import Award, award_many
from loyalty.campaigns.draws.draw import SEED_FIELD, Draw, get_draw, lock_draw, read_draw
from loyalty.campaigns.draws.drawing import FORMAT, draw_key, winning_places
from loyalty.campaigns.draws.entering import Entry, read_entry
from loyalty.campaigns.draws.tables import draw_table, entry_table
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.errors import ConflictError, InvalidInputError
from loyalty.members.member import keep_unmerged
from redemption.benefits.errors import MemberLimitError, OutOfBenefitsError
from redemption.benefits.issuing import hold_limits, issue_of
from redemption.benefits.templates import list_templates

logger = logging.getLogger(__name__)
_GIVEN_AT_ONCE: Final = 200
"""Prizes a transaction: their members' accounts are held until it ends."""
LONGEST_BEACON: Final = 200
BY_TIME: Final = "system:draw"

Problem = Literal["retired", "stock", "limit"]
"""Why a prize waits: its benefit was retired, none of it is left, or the winner had as many as one may."""


class DrawNotClosedError(ConflictError):
    """A draw is still open, or was withdrawn: `state`."""

    type = "draw-not-closed"
    title = "This draw cannot be drawn now"


async def draw_winners(
    connection: AsyncConnection,
    keyring: Keyring,
    *,
    programme_id: UUID,
    draw_id: UUID,
    drawn_by: str,
    beacon: str = "",
) -> Draw:
    """Reveal a closed draw's seed and write down which entries won what; drawn again, it is the same answer.

    Prizes are given afterwards (`give_prizes`). Raises DrawNotClosedError, InvalidInputError (`beacon`: the public
    number that was announced is missing, or none was announced), NotFoundError.
    """
    draw = await lock_draw(connection, programme_id=programme_id, draw_id=draw_id)
    if draw.drawn_at is not None:
        return draw
    state = draw.state(utc_now())
    if state != "closed":
        raise DrawNotClosedError(f"the draw is {state}", field="draw", state=state)
    beacon = beacon.strip()
    if len(beacon) > LONGEST_BEACON or (draw.terms.beacon is None) != (not beacon):
        message = "the public number that was announced" if draw.terms.beacon else "no public number was announced"
        raise InvalidInputError(message, field="beacon")
    sealed = (await connection.execute(select(draw_table.c.sealed_seed).where(draw_table.c.id == draw_id))).scalar_one()
    seed = bytes.fromhex(keyring.decrypt(sealed, owner=draw_id, field=SEED_FIELD))
    tickets = await _tickets(connection, draw_id)
    won = _won(msgspec.structs.replace(draw, seed=seed, beacon=beacon), tickets)
    await connection.execute(_WON, {"draw": draw_id, "numbers": list(won), "prizes": [won[number] for number in won]})
    revealed = {"seed": seed, "beacon": beacon, "drawn_at": func.clock_timestamp(), "drawn_by": drawn_by}
    changed = update(draw_table).where(draw_table.c.id == draw_id).values(revealed).returning(draw_table)
    return read_draw((await connection.execute(changed)).one())


_WON: Final = text("""
    UPDATE prize_draw_entry AS e SET prize = won.prize
    FROM unnest(CAST(:numbers AS integer[]), CAST(:prizes AS text[])) AS won (number, prize)
    WHERE e.draw_id = :draw AND e.number = won.number
""")


async def _tickets(connection: AsyncConnection, draw_id: UUID) -> list[str]:
    columns = entry_table.c
    # One text, not up to a million rows: reading those would hold up everything else of the process for seconds.
    joined = func.string_agg(columns.ticket, aggregate_order_by(literal(","), columns.number))
    listed: str | None = await connection.scalar(select(joined).where(columns.draw_id == draw_id))
    return listed.split(",") if listed else []


def _won(draw: Draw, tickets: Sequence[str]) -> dict[int, str]:
    """The numbers of the entries that win, and the prize of each; places that nobody took win nothing."""
    assert draw.seed is not None  # noqa: S101  (the callers' promise)
    key = draw_key(draw.seed, committed=draw.commitment, beacon=draw.beacon or "", tickets=tickets)
    places = winning_places(key, places=draw.terms.places, prizes=draw.terms.counted)
    return {number: prize for number, prize in sorted(places.items()) if number <= len(tickets)}


async def give_prizes(engine: AsyncEngine, *, programme_id: UUID, draw_id: UUID) -> int:
    """Give the prizes that wait, some in a transaction; answers how many were given.

    One that cannot be given now (no stock is left, the member has as many as one may) says why and is tried again the
    next time. What an erased member won is given to nobody.
    """
    given, after = 0, 0
    while True:
        async with transaction(engine) as connection:
            draw = await get_draw(connection, programme_id=programme_id, draw_id=draw_id)
            columns = entry_table.c
            waiting = (
                select(entry_table)
                .where(columns.draw_id == draw_id, columns.prize.is_not(None), columns.given_at.is_(None))
                .where(columns.number > after)
                .order_by(columns.number)
                .limit(_GIVEN_AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            entries = [read_entry(row) for row in await connection.execute(waiting)]
            given += await _give(connection, draw, entries)
        if len(entries) < _GIVEN_AT_ONCE:
            return given
        after = entries[-1].number


async def _give(connection: AsyncConnection, draw: Draw, entries: Sequence[Entry]) -> int:
    winners: list[tuple[UUID, Entry]] = []
    for entry in sorted(entries, key=lambda each: each.member_id):
        member = await keep_unmerged(connection, programme_id=draw.programme_id, member_id=entry.member_id)
        if member.state == "erased":
            await _note(connection, entry, given_at=func.clock_timestamp())
        else:
            winners.append((member.id, entry))
    points = sorted((who, entry.number, entry) for who, entry in winners if _prize(draw, entry).points)
    accounts = [(who, "points") for who, _, _ in points]
    async with accounts_held(connection, programme_id=draw.programme_id, accounts=accounts):
        if points:
            awards = [_award(draw, who, entry) for who, _, entry in points]
            await award_many(connection, programme_id=draw.programme_id, awards=awards)
        for who, _, entry in points:
            await _note(connection, entry, given_at=func.clock_timestamp(), given_to=who, problem=None)
    return len(points) + await _issue(connection, draw, winners)


def _prize(draw: Draw, entry: Entry) -> Any:
    assert entry.prize is not None  # noqa: S101  (it won)
    return draw.terms.prize(entry.prize)


def _award(draw: Draw, who: UUID, entry: Entry) -> Award:
    assert draw.drawn_at is not None  # noqa: S101  (somebody won)
    return Award(
        member_id=who,
        unit="points",
        amount=_prize(draw, entry).points,
        key=f"prize:{draw.id}:{entry.number}",
        source=f"prize:{draw.code}",
        effective_at=draw.drawn_at,
        rule_version=f"draw/{draw.code}",
    )


async def _issue(connection: AsyncConnection, draw: Draw, winners: Sequence[tuple[UUID, Entry]]) -> int:
    """Issue the benefits among the prizes; answers how many."""
    wanted = [(who, entry, _prize(draw, entry).benefit) for who, entry in winners if _prize(draw, entry).benefit]
    if not wanted:
        return 0
    templates = {each.code: each for each in await list_templates(connection, programme_id=draw.programme_id)}
    await hold_limits(connection, [(who, templates[code]) for who, _, code in wanted])
    given = 0
    for who, entry, code in wanted:
        if templates[code].state != "published":
            await _wait(connection, entry, "retired")
            continue
        try:
            await issue_of(
                connection,
                templates[code],
                member_id=who,
                key=f"prize:{draw.id}:{entry.number}",
                source=f"prize:{draw.code}",
                campaign=draw.code,
            )
        except MemberLimitError:
            await _wait(connection, entry, "limit")
            continue
        except OutOfBenefitsError:
            await _wait(connection, entry, "stock")
            continue
        await _note(connection, entry, given_at=func.clock_timestamp(), given_to=who, problem=None)
        given += 1
    return given


async def _wait(connection: AsyncConnection, entry: Entry, problem: Problem) -> None:
    await _note(connection, entry, problem=problem)


async def _note(connection: AsyncConnection, entry: Entry, **values: Any) -> None:
    columns = entry_table.c
    mine = (columns.member_id == entry.member_id) & (columns.draw_id == entry.draw_id)
    await connection.execute(update(entry_table).where(mine, columns.number == entry.number).values(values))


async def draw_what_is_due(engine: AsyncEngine, keyring: Keyring) -> int:
    """Draw what has closed and waits for no public number, and give prizes that wait; answers how many were given.

    A draw that fails is logged, keeps no other waiting, and is tried again the next time.
    """
    columns, entries = draw_table.c, entry_table.c
    waiting = select(entries.draw_id).where(entries.prize.is_not(None), entries.given_at.is_(None))
    query = (
        select(draw_table)
        .where(columns.withdrawn_at.is_(None), columns.closes_at <= func.clock_timestamp())
        .where(columns.drawn_at.is_(None) | columns.id.in_(waiting))
        .order_by(columns.id)
    )
    async with transaction(engine) as connection:
        due = [read_draw(row) for row in await connection.execute(query)]
    given = 0
    for draw in due:
        if draw.drawn_at is None and draw.terms.beacon is not None:
            continue
        try:
            given += await _settle(engine, keyring, draw)
        except Exception:
            logger.exception("draw %s (%s) could not be settled", draw.code, draw.public_id)
    return given


async def _settle(engine: AsyncEngine, keyring: Keyring, draw: Draw) -> int:
    mine: dict[str, Any] = {"programme_id": draw.programme_id, "draw_id": draw.id}
    if draw.drawn_at is None:
        async with transaction(engine) as connection:
            await draw_winners(connection, keyring, **mine, drawn_by=BY_TIME)
    return await give_prizes(engine, **mine)


async def winners_of(connection: AsyncConnection, *, draw_id: UUID) -> list[Entry]:
    """The entries that won, in the order of their numbers."""
    columns = entry_table.c
    query = select(entry_table).where(columns.draw_id == draw_id, columns.prize.is_not(None)).order_by(columns.number)
    return [read_entry(row) for row in await connection.execute(query)]


async def prove(connection: AsyncConnection, draw: Draw) -> dict[str, Any]:
    """The proof of a draw, for anyone: see `drawing.findings`. Raises DrawNotClosedError before it was drawn."""
    if draw.seed is None:
        raise DrawNotClosedError("the draw was not drawn yet", field="draw", state=draw.state(utc_now()))
    winners = await winners_of(connection, draw_id=draw.id)
    return {
        "format": FORMAT,
        "draw": draw.public_id,
        "name": draw.terms.name,
        "places": draw.terms.places,
        "prizes": [{"code": each.code, "name": each.name, "count": each.count} for each in draw.terms.prizes],
        "commitment": draw.commitment.hex(),
        "seed": draw.seed.hex(),
        "beacon": draw.beacon or "",
        "tickets": await _tickets(connection, draw.id),
        "winners": [{"number": each.number, "ticket": each.ticket, "prize": each.prize} for each in winners],
    }
