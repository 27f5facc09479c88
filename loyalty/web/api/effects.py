"""Effects of campaigns, issues and benefits, for programs that report on them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import PathParameter
from msgspec import Meta, Struct

from loyalty.effects.intervals import Difference, Sample
from loyalty.effects.measuring import Effect, Part, Step, effect_of
from loyalty.effects.subjects import ID_PATTERN, Source, Subject, list_subjects
from loyalty.web.api.operations import Require, problems, tell
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from redemption.benefits.events import EventKind

CampaignId = Annotated[
    str, PathParameter(pattern=ID_PATTERN, description="The id of a campaign, an issue or a benefit, as listed.")
]


class MeasuredAnswer(Struct, frozen=True, kw_only=True):
    """What is measured: a campaign that a channel `sent`, an `earn` campaign, an `issue` or a `benefit`.

    Both days belong to it. `name` is by locale, and empty where `code` is all there is.
    """

    id: str
    source: Source
    code: str
    name: dict[str, str]
    kind: Annotated[str, Meta(description="The channel's own word for a campaign that it sent.")]
    first_day: date
    last_day: date


class MeasuredList(Struct, frozen=True, kw_only=True):
    """All that is measured, the latest first."""

    data: list[MeasuredAnswer]


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


class StepAnswer(Struct, frozen=True, kw_only=True):
    """How many benefits, of how many members, have come to a step at least once."""

    step: EventKind
    benefits: int
    members: int


class EffectAnswer(Struct, frozen=True, kw_only=True):
    """What came of a campaign. Amounts are in minor units of `currency`.

    `held_out` says whether the members it is compared with were held out by chance; where they were merely not sent it,
    the difference is not the campaign's effect alone. `steps` are those of our own benefits: issued, seen, locked, used
    and returned.
    """

    campaign: MeasuredAnswer
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
    steps: list[StepAnswer]


def _subject(subject: Subject) -> MeasuredAnswer:
    return tell(MeasuredAnswer, subject, id=subject.public_id)


def _group(sample: Sample, orders: int) -> GroupAnswer:
    return tell(GroupAnswer, sample, orders=orders)


def _difference(found: Difference | None) -> DifferenceAnswer | None:
    return tell(DifferenceAnswer, found) if found else None


def _parts(parts: tuple[Part, ...]) -> list[PartAnswer]:
    return [tell(PartAnswer, part) for part in parts]


def _steps(steps: tuple[Step, ...]) -> list[StepAnswer]:
    return [tell(StepAnswer, step) for step in steps]


def effect_answer(effect: Effect) -> EffectAnswer:
    """An effect as it is told."""
    return tell(
        EffectAnswer,
        effect,
        campaign=_subject(effect.campaign),
        exposed=_group(effect.exposed, effect.exposed_orders),
        control=_group(effect.control, effect.control_orders),
        spending=_difference(effect.spending),
        buying=_difference(effect.buying),
        stores=_parts(effect.stores),
        clerks=_parts(effect.clerks),
        benefits=_parts(effect.benefits),
        steps=_steps(effect.steps),
    )


@get(
    "/effects",
    operation_id="listEffects",
    summary="List what is measured",
    guards=[Require("reports:read")],
    responses=problems(),
)
async def list_effects(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> MeasuredList:
    """Campaigns that channels sent, earn campaigns, issues and benefits, the latest first."""
    async with services.transaction() as connection:
        found = await list_subjects(connection, programme_id=caller.programme_id)
    return MeasuredList(data=[_subject(subject) for subject in found])


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
    async with services.transaction() as connection:
        found = await effect_of(connection, programme_id=caller.programme_id, campaign_id=campaign_id)
    return effect_answer(found)


router: Final = Router(path="/", tags=["Effects"], route_handlers=[list_effects, get_effect])
