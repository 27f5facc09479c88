"""The till's first page: one field for whoever stands there, one for a receipt, and what was redeemed today."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.missions.progress import note_visit
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.members.card_token import looks_like_token, read_token
from loyalty.members.identity import find
from loyalty.members.member import Member, get_member
from loyalty.members.profile import read_profiles
from loyalty.web.forms import read_form, see_other
from loyalty.web.pos.desk import checkout_address, done_today, redemption_address, till_page, with_names, words
from loyalty.web.staff.person import TillDesk, read_clerk
from loyalty.web.state import Services
from redemption.benefits.errors import UnknownBenefitError
from redemption.benefits.wallet import find_benefit
from redemption.reading import find_by_receipt

_NOT_FOUND: Final = 404
_REFUSED: Final = 422
_LONGEST_CODE: Final = 320
_SEVERAL: Final = 2


def member_address(member: Member) -> str:
    """The till's page of a member."""
    return f"/till/members/{member.public_id}"


@get("/")
async def show_till(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Wait for the next customer."""
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        return await _show(request, services, connection, desk)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: TillDesk,
    *,
    text: str = "",
    error: str | None = None,
    receipt: str = "",
    receipt_error: str | None = None,
    status_code: int = 200,
) -> Response[Any]:
    return till_page(
        request,
        "pos/find.html",
        desk,
        status_code=status_code,
        here="/till",
        today=await done_today(connection, services, desk),
        text=text,
        error=error,
        receipt=receipt,
        receipt_error=receipt_error,
    )


@post("/find", status_code=303)
async def find_customer(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Whoever a scanned or typed text names: a member code, phone, card, e-mail, customer id, or one of their coupons.

    The text comes in a form and not in an address, because addresses with phone numbers end in histories and logs.
    """
    text = (await read_form(request, "who", limit=_LONGEST_CODE))["who"]
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        t, _ = words(request, desk)
        try:
            found = await _named(connection, services, desk, text)
        except InvalidInputError as refused:
            message = t(f"pos.find.{refused.members['reason']}")
            return await _show(request, services, connection, desk, text=text, error=message, status_code=_REFUSED)
        if len(found) >= _SEVERAL:
            profiles = await read_profiles(connection, services.keyring, {member.id for member in found})
            return till_page(
                request,
                "pos/choose.html",
                desk,
                here="/till",
                people=[(member, profiles[member.id], member_address(member)) for member in found],
            )
        if not found:
            message = t("pos.find.unknown")
            return await _show(request, services, connection, desk, text=text, error=message, status_code=_NOT_FOUND)
        if looks_like_token(text):
            # Who shows the card on their phone is here.
            await note_visit(
                connection, programme=desk.programme, member_id=found[0].id, at=utc_now(), cause=desk.channel.code
            )
    return see_other(member_address(found[0]))


async def _named(connection: AsyncConnection, services: Services, desk: TillDesk, text: str) -> list[Member]:
    """The members a text names. Raises InvalidInputError (`reason` is a text of `pos.find`)."""
    programme_id = desk.programme.id
    if not text:
        raise InvalidInputError("nothing was typed", field="who", reason="empty")
    if text.lower().startswith(("http://", "https://")):
        raise InvalidInputError("this is an item's code", field="who", reason="item_code")
    if looks_like_token(text):
        try:
            member_id = read_token(services.session_secret, text, utc_now())
            shown = [await get_member(connection, programme_id=programme_id, member_id=member_id)]
        except (InvalidInputError, NotFoundError) as error:
            raise InvalidInputError("the member code is too old", field="who", reason="old_code") from error
    else:
        shown = await find(connection, services.keyring, programme_id=programme_id, text=text)
    found = [member for member in shown if member.state == "active"]
    if not found:
        try:
            coupon = await find_benefit(connection, programme_id=programme_id, code=text)
        except UnknownBenefitError:
            return []
        found = [await get_member(connection, programme_id=programme_id, member_id=coupon.member_id)]
    return found


@post("/receipts", status_code=303)
async def find_receipt(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """What was redeemed on a receipt of this till, to be looked at, voided or refunded."""
    number = (await read_form(request, "receipt", limit=100))["receipt"]
    async with services.transaction() as connection:
        desk = await read_clerk(request, services, connection)
        t, _ = words(request, desk)
        every = await find_by_receipt(connection, channel_id=desk.channel.id, receipt_number=number) if number else []
        # A checkout has one page, whatever it is made of.
        found = list({each.checkout_id or each.id: each for each in every}.values())
        if len(found) >= _SEVERAL:
            return till_page(
                request,
                "pos/receipts.html",
                desk,
                here="/till",
                number=number,
                found=await with_names(connection, services, found),
            )
        if not found:
            message = t("pos.find.receipt_unknown", number=number) if number else t("pos.find.receipt_empty")
            return await _show(
                request,
                services,
                connection,
                desk,
                receipt=number,
                receipt_error=message,
                status_code=_NOT_FOUND if number else _REFUSED,
            )
    (only,) = found
    address = checkout_address(only.checkout_id) if only.checkout_id else redemption_address(only.id)
    return see_other(address)
