"""Collecting the reward of a mission on the member's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.campaigns.draws.entering import DrawNotOpenError, EntryLimitError
from loyalty.campaigns.missions.mission import MISSION_PREFIX
from loyalty.campaigns.missions.progress import MissionOpenError, MissionOverError, collect
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError
from loyalty.kit.ids import parse_public_id
from loyalty.web.forms import see_other
from loyalty.web.member.visitor import hold_visitor
from loyalty.web.state import Services
from redemption.benefits.errors import MemberLimitError, NotPublishedError, OutOfBenefitsError

_REASONS: Final[Mapping[type[DomainError], str]] = {
    MissionOpenError: "open",
    MissionOverError: "over",
    OutOfBenefitsError: "used_up",
    MemberLimitError: "limit",
    NotPublishedError: "not_given",
    DrawNotOpenError: "draw_closed",
    EntryLimitError: "draw_limit",
}
REFUSALS: Final = (*_REASONS.values(), "limit_day", "draw_scheduled", "draw_full")
"""Why a reward is not given: `missions.refused` says each in words."""
_CARD: Final = "/me"


@post("/me/missions/{mission_id:str}", include_in_schema=False, status_code=303)
async def collect_reward(
    request: Request[Any, Any, Any], services: NamedDependency[Services], mission_id: FromPath[str]
) -> Response[Any]:
    """Give the reward of a mission that is complete. Where it is not to be had now, nothing is given, it waits on the
    card, and the card says why.
    """
    try:
        async with services.transaction() as connection:
            visitor = await hold_visitor(request, services, connection)
            if visitor.member is None:
                return see_other("/join")
            await collect(
                connection,
                programme=visitor.programme,
                member_id=visitor.member.id,
                mission_id=parse_public_id(MISSION_PREFIX, mission_id),
                at=utc_now(),
            )
    except tuple(_REASONS) as error:
        return see_other(f"{_CARD}?mission={_reason(error)}#missions")
    return see_other(f"{_CARD}#missions")


def _reason(error: DomainError) -> str:
    match error:
        case MemberLimitError(members={"period": "day"}):
            return "limit_day"
        case DrawNotOpenError(members={"state": "scheduled" | "full" as state}):
            return f"draw_{state}"
        case _:
            return _REASONS[type(error)]
