"""What every page of the till has in common: who works there, in which words, and how a page is drawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import local_date, start_of_local_day, utc_now
from loyalty.kit.errors import DomainError
from loyalty.kit.ids import new_id, parse_public_id, public_id
from loyalty.members.profile import read_profiles
from loyalty.web.api.redemptions_schemas import REDEMPTION_PREFIX
from loyalty.web.i18n import Formats, Translator
from loyalty.web.pos.words import refusal
from loyalty.web.rendering import language_of, page
from loyalty.web.staff.person import TillDesk
from loyalty.web.state import Services
from redemption.checkout.errors import UnknownCheckoutError
from redemption.checkout.record import PREFIX as CHECKOUT_PREFIX
from redemption.checkout.record import Checkout, get_checkout
from redemption.errors import UnknownRedemptionError
from redemption.reading import get_redemption, redemptions_of_channel
from redemption.till import Redemption

TODAY_SHOWN: Final = 30
"""Redemptions of today that the first page lists."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A redemption and whose it is, for a list."""

    redemption: Redemption
    name: str

    @property
    def address(self) -> str:
        """Its page."""
        if self.redemption.checkout_id is not None:
            return checkout_address(self.redemption.checkout_id)
        return redemption_address(self.redemption.id)


def checkout_address(checkout_id: UUID) -> str:
    """The page of a checkout."""
    return f"/till/checkouts/{public_id(CHECKOUT_PREFIX, checkout_id)}"


def redemption_address(redemption_id: UUID) -> str:
    """The page of a redemption."""
    return f"/till/redemptions/{public_id(REDEMPTION_PREFIX, redemption_id)}"


def form_key() -> str:
    """A key for one form, so that sending the form twice does its work once."""
    return f"till:{new_id()}"


def words(request: Request[Any, Any, Any], desk: TillDesk) -> tuple[Translator, Formats]:
    """The words and formats of whoever stands at the till."""
    language = language_of(request, default=desk.programme.locale)
    return Translator(language), Formats(language, desk.programme.zone)


def say(request: Request[Any, Any, Any], desk: TillDesk, error: DomainError) -> str:
    """A refusal in the clerk's language. Raises it again where there is nothing to say about it at a till."""
    t, formats = words(request, desk)
    return refusal(error, t, formats, currency=desk.channel.currency)


def till_page(
    request: Request[Any, Any, Any], template: str, desk: TillDesk, *, status_code: int = 200, **context: Any
) -> Response[bytes]:
    """A page of the till. Never stored: it shows a customer's data at a shared machine."""
    return page(
        request,
        template,
        programme=desk.programme,
        status_code=status_code,
        private=True,
        desk=desk,
        new_key=form_key,
        **context,
    )


async def own_redemption(connection: AsyncConnection, desk: TillDesk, reference: str) -> Redemption:
    """A redemption of this till by its public id. Raises UnknownRedemptionError, also for another till's."""
    found = await get_redemption(
        connection,
        programme_id=desk.programme.id,
        redemption_id=parse_public_id(REDEMPTION_PREFIX, reference, field="redemption"),
    )
    if found.channel_id != desk.channel.id:
        raise UnknownRedemptionError("there is no such redemption at this till", field="redemption")
    return found


async def own_checkout(connection: AsyncConnection, desk: TillDesk, reference: str) -> Checkout:
    """A checkout of this till by its public id. Raises UnknownCheckoutError, also for another till's."""
    identifier = parse_public_id(CHECKOUT_PREFIX, reference, field="checkout")
    found = await get_checkout(connection, programme_id=desk.programme.id, checkout_id=identifier)
    if found.channel_id != desk.channel.id:
        raise UnknownCheckoutError("there is no such checkout at this till", field="checkout")
    return found


async def done_today(connection: AsyncConnection, services: Services, desk: TillDesk) -> list[Done]:
    """What was redeemed here since the store's midnight, newest first."""
    found = await redemptions_of_channel(connection, channel_id=desk.channel.id, since=_midnight(desk, utc_now()))
    return await with_names(connection, services, found[:TODAY_SHOWN])


async def with_names(connection: AsyncConnection, services: Services, found: list[Redemption]) -> list[Done]:
    """Redemptions with what to call their members."""
    profiles = await read_profiles(connection, services.keyring, {each.member_id for each in found})
    return [Done(redemption=each, name=profiles[each.member_id].display_name) for each in found]


def _midnight(desk: TillDesk, now: datetime) -> datetime:
    zone = desk.channel.time_zone
    return start_of_local_day(local_date(now, zone), zone)
