"""The page behind an item's code: what the scan says, the item's way so far, and what it brings.

The address is a GS1 Digital Link (URI syntax 1.6): GTIN, then variant (22) and lot (10) if the brand prints them, then
the serial (21). Case does not matter in the serial, and only GTIN and serial are asked: the code proves itself.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import balance
from loyalty.items.claims import AlreadyClaimedError, ClaimCapError, NotClaimableError, RefusedTry, claim
from loyalty.items.lookup import find_item
from loyalty.items.scans import scan
from loyalty.items.timeline import TimelineStep, read_timeline
from loyalty.items.verdicts import Item, Verdict
from loyalty.kit.errors import InvalidInputError
from loyalty.members.member import person_ids
from loyalty.web.forms import network_address, read_form, see_other
from loyalty.web.i18n import Formats
from loyalty.web.member.verdict_view import view_verdict
from loyalty.web.member.visitor import Visitor, read_visitor, remember_device
from loyalty.web.rendering import language_of, page
from loyalty.web.state import Services

_QUALIFIERS: Final = ("", "/10/{lot:str}", "/22/{variant:str}", "/22/{variant:str}/10/{lot:str}")
ITEM_PATHS: Final = [f"/01/{{gtin:str}}{qualifiers}/21/{{serial:str}}" for qualifiers in _QUALIFIERS]
_CLAIM_PATH: Final = "/01/{gtin:str}/21/{serial:str}/claim"
_CLAIMED_PATH: Final = "/01/{gtin:str}/21/{serial:str}/claimed"
_NOT_OURS_STATUS: Final = 404
_BAD_CODE_STATUS: Final = 400
_REFUSED_STATUS: Final = 409


def item_address(gtin: str, serial: str) -> str:
    """The path of an item's page."""
    return f"/01/{quote(gtin, safe='')}/21/{quote(serial, safe='')}"


@get(ITEM_PATHS, include_in_schema=False)
async def show_item(
    request: Request[Any, Any, Any], services: NamedDependency[Services], gtin: FromPath[str], serial: FromPath[str]
) -> Response[bytes]:
    """Scan an item and say what the scan says.

    Only coming from outside is a scan: moving within our own pages (after joining, or to the other language) and a
    browser that fetches ahead look at the item without counting.
    """
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
        savepoint = await connection.begin_nested()
        verdict = await scan(
            connection,
            services.item_keys,
            programme_id=visitor.programme.id,
            gtin=gtin,
            serial=serial,
            device=visitor.device,
            member_id=visitor.member.id if visitor.member else None,
            address=network_address(request),
        )
        await (savepoint.commit() if _is_scan(request) else savepoint.rollback())
        steps = await _steps(connection, verdict)
    return _item_page(request, visitor, verdict, steps)


def _is_scan(request: Request[Any, Any, Any]) -> bool:
    """Fetch Metadata tells where a navigation began; a browser too old to say is taken at its word, as a scan."""
    if "prefetch" in request.headers.get("sec-purpose", ""):
        return False
    return request.headers.get("sec-fetch-site") != "same-origin"


async def _steps(connection: AsyncConnection, verdict: Verdict) -> list[TimelineStep]:
    if verdict.item is None:
        return []
    code = verdict.item.code
    return await read_timeline(connection, gtin=code.gtin, kid=code.kid, index=code.index)


def _item_page(
    request: Request[Any, Any, Any], visitor: Visitor, verdict: Verdict, steps: list[TimelineStep]
) -> Response[bytes]:
    programme = visitor.programme
    formats = Formats(language_of(request, default=programme.locale), programme.zone)
    status_code = 200
    if verdict.kind == "unknown":
        status_code = _BAD_CODE_STATUS if verdict.reason == "bad_gtin" else _NOT_OURS_STATUS
    response = page(
        request,
        "member/item.html",
        programme=programme,
        status_code=status_code,
        private=visitor.member is not None,
        signed_in=visitor.member is not None,
        verdict=verdict,
        view=view_verdict(verdict, formats),
        steps=steps,
        address=item_address(verdict.gtin, verdict.serial),
        claimed=formats.day(verdict.claimed_at) if verdict.claimed_at else "",
        pin_tries_left=_number(request.query_params.get("tries_left")),
        pin_missing="pin_missing" in request.query_params,
    )
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
        return see_other(address if answer.tries_left is None else f"{address}?tries_left={answer.tries_left}")
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
