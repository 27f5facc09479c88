"""The page behind an item's code: what the scan says, the item's way so far, and what it brings.

The address is a GS1 Digital Link (URI syntax 1.6): GTIN, then variant (22) and lot (10) if the brand prints them, then
the serial (21). Case does not matter in the serial, and only GTIN and serial are asked: the code proves itself.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import balance
from loyalty.items.claims import AlreadyClaimedError, ClaimCapError, NotClaimableError, RefusedTry, claim
from loyalty.items.lookup import find_item
from loyalty.items.scans import Scan
from loyalty.items.verdicts import Item
from loyalty.kit.errors import InvalidInputError
from loyalty.members.member import person_ids
from loyalty.web.forms import network_address, read_form, see_other
from loyalty.web.i18n import Formats
from loyalty.web.member.item_page import ITEM_PATHS, draw_item_page, is_scan
from loyalty.web.member.item_view import item_address
from loyalty.web.member.visitor import Visitor, meet_visitor, read_visitor, remember_device
from loyalty.web.middleware import REFUSAL
from loyalty.web.places import network_place
from loyalty.web.rendering import language_of, page, shaped_page
from loyalty.web.state import Services

_CLAIM_PATH: Final = "/01/{gtin:str}/21/{serial:str}/claim"
_CLAIMED_PATH: Final = "/01/{gtin:str}/21/{serial:str}/claimed"
_REFUSED_STATUS: Final = 409


@get(ITEM_PATHS, include_in_schema=False)
async def show_item(
    request: Request[Any, Any, Any], services: NamedDependency[Services], gtin: FromPath[str], serial: FromPath[str]
) -> Response[bytes]:
    """Scan an item and say what the scan says.

    Only coming from outside is a scan: moving within our own pages (after joining, or to the other language) and a
    browser that fetches ahead look at the item without counting. Plain scans are answered before they come here
    (see `item_door`), and what one failed for comes here to be raised.
    """
    refusal = request.scope["state"].pop(REFUSAL, None)
    if refusal is not None:
        raise refusal
    visitor = await meet_visitor(request, services)
    programme, signed_in = visitor.programme, visitor.member is not None
    asked = Scan(
        programme_id=programme.id,
        gtin=gtin,
        serial=serial,
        device=visitor.device,
        member_id=visitor.member.id if visitor.member else None,
        address=network_address(request),
        place=network_place(request.scope["headers"], services.settings),
        counts=is_scan(
            purpose=request.headers.get("sec-purpose", ""),
            agent=request.headers.get("user-agent", ""),
            site=request.headers.get("sec-fetch-site", ""),
        ),
        for_page=True,
    )
    status_code, shape, values = draw_item_page(
        request.app,
        await services.scan_desk.scan(asked),
        programme=programme,
        language=language_of(request, default=programme.locale),
        signed_in=signed_in,
        pin_tries_left=_number(request.query_params.get("tries_left")),
        pin_missing="pin_missing" in request.query_params,
    )
    response = shaped_page(request, shape, values, status_code=status_code, private=signed_in)
    remember_device(response, visitor, https=request.app.state["https"])
    return response


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 3 else None  # noqa: PLR2004


@post(_CLAIM_PATH, include_in_schema=False, status_code=303)
async def claim_item(
    request: Request[Any, Any, Any], services: NamedDependency[Services], gtin: FromPath[str], serial: FromPath[str]
) -> Response[Any]:
    """Collect an item for the member who is signed in, once. Sent again, it ends on the same page."""
    address = item_address(gtin, serial)
    form = await read_form(request, "pin")
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
    if visitor.member is None:
        return see_other(f"/join?{urlencode({'item': address})}")
    try:
        async with services.transaction() as connection:
            answer = await claim(
                connection,
                services.item_keys,
                programme_id=visitor.programme.id,
                gtin=gtin,
                serial=serial,
                member_id=visitor.member.id,
                device=visitor.device,
                pin=form["pin"] or None,
                address=network_address(request),
            )
    except (AlreadyClaimedError, ClaimCapError) as error:
        return _refusal_page(request, visitor, error, address=address)
    except NotClaimableError:
        return see_other(address)  # the item's page says why
    except InvalidInputError as error:
        if error.field != "pin":
            raise
        return see_other(f"{address}?pin_missing=1")
    if isinstance(answer, RefusedTry):
        return _refused_try(request, visitor, answer, address=address)
    response = see_other(f"{address}/claimed")
    remember_device(response, visitor, https=request.app.state["https"])
    return response


def _refusal_page(
    request: Request[Any, Any, Any], visitor: Visitor, error: AlreadyClaimedError | ClaimCapError, *, address: str
) -> Response[bytes]:
    programme = visitor.programme
    formats = Formats(language_of(request, default=programme.locale), programme.zone)
    claimed_at = error.members.get("claimed_at")
    return page(
        request,
        "member/claim_refused.html",
        programme=programme,
        status_code=_REFUSED_STATUS,
        private=True,
        signed_in=True,
        here=address,
        seed=address,
        capped=isinstance(error, ClaimCapError),
        claimed=formats.day(claimed_at) if claimed_at else "",
    )


def _refused_try(
    request: Request[Any, Any, Any], visitor: Visitor, answer: RefusedTry, *, address: str
) -> Response[Any]:
    """Back to the item's page, which says what was wrong; but a PIN that two people have is a matter of its own."""
    if answer.reason != "pin_used":
        return see_other(address if answer.tries_left is None else f"{address}?tries_left={answer.tries_left}")
    programme = visitor.programme
    formats = Formats(language_of(request, default=programme.locale), programme.zone)
    return page(
        request,
        "member/pin_used.html",
        programme=programme,
        status_code=_REFUSED_STATUS,
        private=True,
        signed_in=True,
        here=address,
        seed=address,
        claimed=formats.day(answer.claimed_at) if answer.claimed_at else "",
    )


@get(_CLAIMED_PATH, include_in_schema=False)
async def show_claimed(
    request: Request[Any, Any, Any], services: NamedDependency[Services], gtin: FromPath[str], serial: FromPath[str]
) -> Response[bytes] | Redirect:
    """What collecting an item brought, and the balance now. Who did not collect it is sent to the item's page."""
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
        found = await find_item(
            connection, services.item_keys, programme_id=visitor.programme.id, gtin=gtin, serial=serial
        )
        claimed = await _is_theirs(connection, found, visitor)
        points = await balance(connection, member_id=visitor.member.id) if visitor.member and claimed else None
    if not claimed or not isinstance(found, Item):
        return see_other(item_address(gtin, serial))
    language = language_of(request, default=visitor.programme.locale)
    return page(
        request,
        "member/claimed.html",
        programme=visitor.programme,
        private=True,
        signed_in=True,
        seed=gtin + serial,
        claim=found.claim,
        product=found.product.names.within(language),
        balance=points,
    )


async def _is_theirs(connection: AsyncConnection, found: Any, visitor: Visitor) -> bool:
    if visitor.member is None or not isinstance(found, Item) or found.claim is None:
        return False
    ids: list[UUID] = await person_ids(connection, member_id=visitor.member.id)
    return found.claim.member_id in ids
