"""Prize draws: published with what they commit to, entered, drawn, and proved."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.draws.definition import DrawTerms
from loyalty.campaigns.draws.draw import (
    DRAW_PREFIX,
    Draw,
    DrawState,
    draw_uuid,
    get_draw,
    list_draws,
    publish_draw,
    withdraw_draw,
)
from loyalty.campaigns.draws.entering import Entry, buy_entry, entries_of
from loyalty.campaigns.draws.settling import LONGEST_BEACON, draw_winners, prove
from loyalty.kit.clock import utc_now
from loyalty.kit.ids import public_id
from loyalty.members.member import person_ids
from loyalty.web.api.operations import (
    IdempotencyKey,
    Moment,
    Person,
    Require,
    keyed_problems,
    problems,
    tell,
)
from loyalty.web.api.people import MemberId, reading_member, writing_member
from loyalty.web.idempotency import ledger_key, once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

DrawId = Annotated[str, PathParameter(pattern=f"^{DRAW_PREFIX}_[0-9A-Za-z]{{26}}$", description="The draw's id.")]
Hexadecimal = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class DrawRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draw, which opens at once or later and never changes."""

    code: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$", examples=["new-year"])]
    definition: Annotated[
        DrawTerms,
        Meta(
            description="`prizes` of `count` pieces each over `places`: every entry wins one with odds of exactly "
            "`count` in `places`. `price_points` 0 is for nothing; null, and missions alone give entries."
        ),
    ]
    opens_at: Moment | None = None
    closes_at: Moment
    actor: Person


class WithdrawDrawRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who takes it back."""

    actor: Person


class DrawPrizesRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who draws, and the public number that was announced, where one was."""

    beacon: Annotated[str, Meta(max_length=LONGEST_BEACON, examples=["3,312.55"])] = ""
    actor: Person


class OddsAnswer(Struct, frozen=True, kw_only=True):
    """The odds of an entry for one prize: `wins` in `places`, the same for every entry."""

    prize: str
    wins: int
    places: int


class DrawAnswer(Struct, frozen=True, kw_only=True):
    """A draw. `commitment` is known before it opens; `seed` and `beacon` are revealed once it is drawn."""

    id: Annotated[str, Meta(pattern=f"^{DRAW_PREFIX}_[0-9A-Z]{{26}}$")]
    code: str
    state: DrawState
    definition: DrawTerms
    odds: list[OddsAnswer]
    opens_at: datetime
    closes_at: datetime
    commitment: Hexadecimal
    entries: int
    seed: Hexadecimal | None
    beacon: str | None
    drawn_at: datetime | None
    drawn_by: str | None
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    published_by: str
    published_at: datetime


class Draws(Struct, frozen=True, kw_only=True):
    """Draws, newest first."""

    data: list[DrawAnswer]


class DrawEntryAnswer(Struct, frozen=True, kw_only=True):
    """An entry: its place in the list, and the ticket by which it is found there. `prize` is what it won."""

    draw_id: str
    number: int
    ticket: str
    source: str
    points: int
    entered_at: datetime
    prize: str | None
    given_at: datetime | None


class DrawEntries(Struct, frozen=True, kw_only=True):
    """A member's entries in a draw."""

    data: list[DrawEntryAnswer]


class ProvenPrize(Struct, frozen=True, kw_only=True):
    """A prize as the proof names it."""

    code: str
    name: dict[str, str]
    count: int


class ProvenWinner(Struct, frozen=True, kw_only=True):
    """An entry that won."""

    number: int
    ticket: str
    prize: str


class DrawProof(Struct, frozen=True, kw_only=True):
    """All that anybody needs to draw again: `tallystar draws verify` does, and its method is written down in `format`'s
    specification, the module `loyalty/campaigns/draws/drawing.py`.
    """

    format: str
    draw: str
    name: dict[str, str]
    places: int
    prizes: list[ProvenPrize]
    commitment: Hexadecimal
    seed: Hexadecimal
    beacon: str
    tickets: list[str]
    winners: list[ProvenWinner]


def draw_answer(draw: Draw) -> DrawAnswer:
    """A draw as it is told."""
    return tell(
        DrawAnswer,
        draw,
        id=draw.public_id,
        state=draw.state(utc_now()),
        definition=draw.terms,
        odds=[OddsAnswer(prize=code, wins=count, places=draw.terms.places) for code, count in draw.terms.counted],
        commitment=draw.commitment.hex(),
        seed=draw.seed.hex() if draw.seed is not None else None,
    )


def _entry(entry: Entry) -> DrawEntryAnswer:
    return tell(DrawEntryAnswer, entry, draw_id=public_id(DRAW_PREFIX, entry.draw_id))


@get(
    "/draws",
    operation_id="listDraws",
    summary="Prize draws",
    guards=[Require("campaigns:read")],
    responses=problems(),
)
async def list_all_draws(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> Draws:
    """Every draw, newest first, with the odds of an entry and what it commits to."""
    async with services.transaction() as connection:
        found = await list_draws(connection, programme_id=caller.programme_id)
    return Draws(data=[draw_answer(draw) for draw in found])


@post(
    "/draws",
    operation_id="createDraw",
    summary="Publish a prize draw",
    guards=[Require("campaigns:write")],
    responses=keyed_problems(404),
)
async def create_draw(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[DrawRequest],
) -> Response[DrawAnswer]:
    """Publish a draw with its odds and its commitment: from then on neither can change."""

    async def work(connection: AsyncConnection) -> DrawAnswer:
        made = await publish_draw(
            connection,
            services.keyring,
            programme_id=caller.programme_id,
            code=data.code,
            definition=msgspec.to_builtins(data.definition),
            opens_at=data.opens_at,
            closes_at=data.closes_at,
            published_by=data.actor,
        )
        return draw_answer(made)

    return await once(services, caller, idempotency_key, operation="createDraw", request=data, status=201, work=work)


@get(
    "/draws/{draw_id:str}",
    operation_id="getDraw",
    summary="A prize draw",
    guards=[Require("campaigns:read")],
    responses=problems(404),
)
async def get_one_draw(
    services: NamedDependency[Services], caller: NamedDependency[Caller], draw_id: DrawId
) -> DrawAnswer:
    """A draw with the odds of an entry, what it commits to, and how many have entered."""
    async with services.transaction() as connection:
        found = await get_draw(connection, programme_id=caller.programme_id, draw_id=draw_uuid(draw_id))
    return draw_answer(found)


@post(
    "/draws/{draw_id:str}/withdraw",
    operation_id="withdrawDraw",
    summary="Withdraw a draw that nobody entered",
    guards=[Require("campaigns:write")],
    responses=keyed_problems(404),
)
async def withdraw_one_draw(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    draw_id: DrawId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[WithdrawDrawRequest],
) -> Response[DrawAnswer]:
    """Take a draw back; refused with 409 once somebody takes part."""

    async def work(connection: AsyncConnection) -> DrawAnswer:
        identifier = draw_uuid(draw_id)
        withdrawn = await withdraw_draw(
            connection, programme_id=caller.programme_id, draw_id=identifier, withdrawn_by=data.actor
        )
        return draw_answer(withdrawn)

    request = {"draw": draw_id, "data": data}
    return await once(
        services, caller, idempotency_key, operation="withdrawDraw", request=request, status=201, work=work
    )


@post(
    "/draws/{draw_id:str}/draw",
    operation_id="drawPrizes",
    summary="Draw the winners",
    guards=[Require("campaigns:write")],
    responses=keyed_problems(404),
)
async def draw_prizes(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    draw_id: DrawId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[DrawPrizesRequest],
) -> Response[DrawAnswer]:
    """Reveal the seed of a closed draw and write down who won. Where no public number was announced it happens by
    itself; the worker gives the prizes within a minute.
    """

    async def work(connection: AsyncConnection) -> DrawAnswer:
        drawn = await draw_winners(
            connection,
            services.keyring,
            programme_id=caller.programme_id,
            draw_id=draw_uuid(draw_id),
            beacon=data.beacon,
            drawn_by=data.actor,
        )
        return draw_answer(drawn)

    request = {"draw": draw_id, "data": data}
    return await once(services, caller, idempotency_key, operation="drawPrizes", request=request, status=201, work=work)


@get(
    "/draws/{draw_id:str}/proof",
    operation_id="getDrawProof",
    summary="A draw's proof",
    guards=[Require("campaigns:read")],
    responses=problems(404, 409),
)
async def get_draw_proof(
    services: NamedDependency[Services], caller: NamedDependency[Caller], draw_id: DrawId
) -> DrawProof:
    """Everything by which anyone can draw again and find the same winners; refused with 409 before it is drawn."""
    async with services.transaction() as connection:
        found = await get_draw(connection, programme_id=caller.programme_id, draw_id=draw_uuid(draw_id))
        proof = await prove(connection, found)
    return read_proof(proof)


def read_proof(proof: dict[str, Any]) -> DrawProof:
    """A proof as it is told."""
    prizes = [ProvenPrize(**prize) for prize in proof["prizes"]]
    return DrawProof(**{**proof, "prizes": prizes, "winners": [ProvenWinner(**each) for each in proof["winners"]]})


@post(
    "/members/{member_id:str}/draws/{draw_id:str}/entries",
    operation_id="enterDraw",
    summary="Enter a draw",
    guards=[Require("points:write")],
    responses=keyed_problems(404),
)
async def enter_draw(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    draw_id: DrawId,
    idempotency_key: IdempotencyKey,
) -> Response[DrawEntryAnswer]:
    """Buy an entry for the draw's price in points. State the odds before: they are `count` in `places`."""

    async def work(connection: AsyncConnection) -> DrawEntryAnswer:
        member = await writing_member(connection, caller, member_id)
        entered = await buy_entry(
            connection,
            programme_id=caller.programme_id,
            member_id=member.id,
            draw_id=draw_uuid(draw_id),
            key=ledger_key(caller, idempotency_key),
        )
        return _entry(entered)

    request = {"member": member_id, "draw": draw_id}
    return await once(services, caller, idempotency_key, operation="enterDraw", request=request, status=201, work=work)


@get(
    "/members/{member_id:str}/draws/{draw_id:str}/entries",
    operation_id="listDrawEntries",
    summary="A member's entries",
    guards=[Require("campaigns:read")],
    responses=problems(404),
)
async def list_entries(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId, draw_id: DrawId
) -> DrawEntries:
    """The member's entries in a draw under all ids of the person, and what they won."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        found = await get_draw(connection, programme_id=caller.programme_id, draw_id=draw_uuid(draw_id))
        people = await person_ids(connection, member_id=member.id)
        entries = await entries_of(connection, member_ids=people, draw_ids=[found.id])
    return DrawEntries(data=[_entry(entry) for entry in entries])


router: Final = Router(
    path="/",
    tags=["Prize draws"],
    route_handlers=[
        list_all_draws,
        create_draw,
        get_one_draw,
        withdraw_one_draw,
        draw_prizes,
        get_draw_proof,
        enter_draw,
        list_entries,
    ],
)
