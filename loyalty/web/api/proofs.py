"""Proofs of entries, for whoever does not want to trust this server."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from ledger.proofs import Proof, prove
from loyalty.web.api.operations import Require, problems
from loyalty.web.api.people import MemberId, member_uuid, reading_member
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

MOST_ENTRIES: Final = 1_000
"""How many entries a proof over the API may hold; the command line gives longer ones."""


@get(
    "/members/{member_id:str}/points/entries/{sequence:int}/proof",
    operation_id="getEntryProof",
    summary="Proof of an entry",
    guards=[Require("points:read")],
    responses=problems(404, 409),
)
async def get_entry_proof(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    sequence: Annotated[int, PathParameter(ge=1, le=2**53, description="The entry's number on its account.")],
    unit: Annotated[str, QueryParameter(pattern="^[a-z][a-z0-9_]{0,29}$", description="What is counted.")] = "points",
    *,
    later_seals: Annotated[bool, QueryParameter(description="Add the seals that followed, up to the newest.")] = False,
) -> Proof:
    """What proves that the entry stood in the ledger when a seal was signed. `verify_proof.py` checks it without the
    server. The member is the one that the entry itself names, merged or not. Before the next seal there is no proof:
    `not-sealed-yet`.
    """
    async with services.transaction() as connection:
        await reading_member(connection, caller, member_id)
        return await prove(
            connection,
            member_id=member_uuid(member_id),
            unit=unit,
            sequence=sequence,
            later_seals=later_seals,
            most_entries=MOST_ENTRIES,
        )
