"""The programme that a key belongs to, and its catalogue."""

from __future__ import annotations

from typing import Final, Literal

from litestar import Router, get
from litestar.di import NamedDependency
from msgspec import Struct

from ledger.units import list_units
from loyalty.kit.programme import list_channels
from loyalty.web.api.operations import Require, problems, tell
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services


class ChannelAnswer(Struct, frozen=True, kw_only=True):
    """An online shop or a store. `time_zone` is an IANA name, `currency` ISO 4217."""

    code: str
    name: str
    kind: Literal["online", "store"]
    currency: str
    time_zone: str


class UnitAnswer(Struct, frozen=True, kw_only=True):
    """What is counted. Only spendable units can be spent; the others count towards tiers."""

    code: str
    spendable: bool
    expiry_kind: str


class KeyAnswer(Struct, frozen=True, kw_only=True):
    """The API key that asks: what it may do, and the channel it acts for (null: the whole programme)."""

    name: str
    scopes: list[str]
    channel: str | None


class ProgrammeAnswer(Struct, frozen=True, kw_only=True):
    """A brand's loyalty programme."""

    code: str
    name: str
    time_zone: str
    currency: str
    locale: str
    channels: list[ChannelAnswer]
    units: list[UnitAnswer]
    key: KeyAnswer


@get(
    "/programme",
    operation_id="getProgramme",
    summary="The programme",
    guards=[Require(None)],
    responses=problems(),
)
async def get_programme(services: NamedDependency[Services], caller: NamedDependency[Caller]) -> ProgrammeAnswer:
    """The programme of the API key, its channels and units, and what the key may do. Any key may ask."""
    async with services.transaction() as connection:
        channels = await list_channels(connection, caller.programme_id)
        units = await list_units(connection, programme_id=caller.programme_id)
    return tell(
        ProgrammeAnswer,
        caller.programme,
        channels=[tell(ChannelAnswer, channel) for channel in channels],
        units=[tell(UnitAnswer, unit) for unit in units],
        key=KeyAnswer(
            name=caller.key.name,
            scopes=sorted(caller.key.scopes),
            channel=caller.channel.code if caller.channel else None,
        ),
    )


router: Final = Router(path="/", tags=["Programme"], route_handlers=[get_programme])
