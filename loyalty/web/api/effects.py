"""Effects of campaigns that were sent, for programs that report on them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import PathParameter
from msgspec import Meta, Struct

from loyalty.effects.intervals import Difference, Sample
from loyalty.effects.measuring import (
    CAMPAIGN_PREFIX,
    Effect,
    Part,
    SentCampaign,
    campaign_uuid,
    effect_of,
    list_campaigns,
)
from loyalty.web.api.operations import Require, problems, tell
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

CampaignId = Annotated[
    str, PathParameter(pattern=f"^{CAMPAIGN_PREFIX}_[0-9A-Za-z]{{26}}$", description="The campaign's id.")
]


class SentCampaignAnswer(Struct, frozen=True, kw_only=True):
    """A campaign that a channel sent; both days belong to it."""

    id: str
    code: str
    kind: str
    first_day: date
    last_day: date


class SentCampaigns(Struct, frozen=True, kw_only=True):
    """The campaigns that were sent, the latest first."""

    data: list[SentCampaignAnswer]


class GroupAnswer(Struct, frozen=True, kw_only=True):
    """A group while the campaign ran. `mean_minor` is over all members, buyers or not."""

    members: int
    buyers: int
    orders: int
    total_minor: int
    mean_minor: float


class DifferenceAnswer(Struct, frozen=True, kw_only=True):
    """How much more the group that was sent the campaign has, with the 95 per cent interval."""

    estimate: float
    low: float
    high: float


class PartAnswer(Struct, frozen=True, kw_only=True):
    """What came back through one store, by one clerk, or of one benefit."""

    name: str
    uses: int
    members: int
    discount_minor: int | None


class EffectAnswer(Struct, frozen=True, kw_only=True):
    """What came of a campaign. Amounts are in minor units of `currency`.

    `held_out` says whether the members it is compared with were held out by chance; where they were merely not sent it,
    the difference is not the campaign's effect alone.
    """

    campaign: SentCampaignAnswer
    currency: str
    exposed: GroupAnswer
    control: GroupAnswer
    held_out: bool
    used: Annotated[int, Meta(description="Members who used something of it.")]
    uses: int
    discount_minor: int | None
    revenue_with_minor: Annotated[int, Meta(description="What the exposed bought on days on which they used it.")]
    revenue_without_minor: int
    points: int
    spending: Annotated[DifferenceAnswer | None, Meta(description="Of mean spending per member, in minor units.")]
    buying: Annotated[DifferenceAnswer | None, Meta(description="Of the shares who bought, from -1 to 1.")]
    stores: list[PartAnswer]
    clerks: list[PartAnswer]
    benefits: list[PartAnswer]


def _campaign(campaign: SentCampaign) -> SentCampaignAnswer:
    return tell(SentCampaignAnswer, campaign, id=campaign.public_id)


def _group(sample: Sample, orders: int) -> GroupAnswer:
    return tell(GroupAnswer, sample, orders=orders)


def _difference(found: Difference | None) -> DifferenceAnswer | None:
    return tell(DifferenceAnswer, found) if found else None


def _parts(parts: tuple[Part, ...]) -> list[PartAnswer]:
    return [tell(PartAnswer, part) for part in parts]


def effect_answer(effect: Effect) -> EffectAnswer:
    """An effect as it is told."""
    return tell(
        EffectAnswer,
        effect,
        campaign=_campaign(effect.campaign),
        exposed=_group(effect.exposed, effect.exposed_orders),
        control=_group(effect.control, effect.control_orders),
        spending=_difference(effect.spending),
        buying=_difference(effect.buying),
        stores=_parts(effect.stores),
        clerks=_parts(effect.clerks),
        benefits=_parts(effect.benefits),
    )


@get(
    "/effects",
    operation_id="listSentCampaigns",
    summary="List campaigns that were sent",
    guards=[Require("reports:read")],
    responses=problems(),
)
async def list_sent_campaigns(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> SentCampaigns:
    """The campaigns that were sent, the latest first."""
    async with services.transaction() as connection:
        found = await list_campaigns(connection, programme_id=caller.programme_id)
    return SentCampaigns(data=[_campaign(campaign) for campaign in found])


@get(
    "/effects/{campaign_id:str}",
    operation_id="getEffect",
    summary="What came of a campaign",
    guards=[Require("reports:read")],
    responses=problems(404),
)
async def get_effect(
    services: NamedDependency[Services], caller: NamedDependency[Caller], campaign_id: CampaignId
) -> EffectAnswer:
    """Who bought and for how much while it ran, sent it and not, with the interval of the difference."""
    identifier = campaign_uuid(campaign_id)
    async with services.transaction() as connection:
        found = await effect_of(connection, programme_id=caller.programme_id, campaign_id=identifier)
    return effect_answer(found)


router: Final = Router(path="/", tags=["Effects"], route_handlers=[list_sent_campaigns, get_effect])
