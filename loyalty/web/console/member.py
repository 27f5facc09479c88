"""The page of one member, and what staff may do there: look at personal data, correct points, part a merge."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting
from ledger.errors import ApprovalNeededError, InsufficientBalanceError
from ledger.reading import read_place
from loyalty.channels.orders.reading import ORDER_PREFIX, get_order, purchase_history
from loyalty.kit.errors import (
    AuthenticationError,
    ConflictError,
    DomainError,
    InvalidInputError,
    NotFoundError,
    TooManyAttemptsError,
)
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.members.member import MEMBER_PREFIX, Member, get_member, keep_unmerged, person_ids
from loyalty.members.merge import MERGE_PREFIX, unmerge
from loyalty.members.profile import read_profiles
from loyalty.web.console import dossier
from loyalty.web.console.desk import console_page, read_places, words
from loyalty.web.console.members import member_address
from loyalty.web.forms import network_address, read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.security.staff import Staff, authenticate_staff
from loyalty.web.security.staff_actions import record_action
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.reading import redemptions_of_member

_REFUSED: Final = 422
_MOST_DIGITS: Final = 12
_EMPTY_FORM: Final = {"amount": "", "unit": "points", "reason": "", "approver": ""}


@get("/members/{member_id:str}")
async def show_member(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """All about a member, personal data masked. A merged one leads to the member they are now."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
        if member.public_id != member_id:
            return see_other(member_address(member))
        return await _show(request, services, connection, desk, member)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    member: Member,
    *,
    revealed: bool = False,
    form: dict[str, str] | None = None,
    error: str | None = None,
    needs_approval: bool = False,
    status_code: int = 200,
) -> Response[Any]:
    t, formats = words(request, desk)
    read = await dossier.read_dossier(connection, services, desk, member, t, formats, revealed=revealed)
    return console_page(
        request,
        "console/member.html",
        desk,
        section="members",
        status_code=status_code,
        here=member_address(member),
        dossier=read,
        address=member_address(member),
        revealed=revealed,
        form=form or _EMPTY_FORM,
        error=error,
        needs_approval=needs_approval,
        saved=request.query_params.get("saved"),
        tag_refused=request.query_params.get("tag") == "refused",
        merge_reference=lambda trail: public_id(MERGE_PREFIX, trail.id),
        member_reference=lambda identifier: public_id(MEMBER_PREFIX, identifier),
    )


@post("/members/{member_id:str}/reveal", status_code=200)
async def reveal_member(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """The same page with personal data in the clear. Who looked, and when, is written down and shown there."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
        await record_action(
            connection,
            programme_id=desk.programme.id,
            staff_id=desk.staff.id,
            action="reveal-member",
            subject_id=member.id,
        )
        return await _show(request, services, connection, desk, member, revealed=True)


@get("/members/{member_id:str}/ledger")
async def show_member_ledger(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """The member's whole ledger of one unit, in pages."""
    unit = request.query_params.get("unit", "points")
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, _ = words(request, desk)
        member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
        ids = await person_ids(connection, member_id=member.id)
        entries, older = await dossier.read_entries(
            connection,
            member,
            ids,
            await read_places(connection, desk, t),
            await redemptions_of_member(connection, member_id=member.id, person_ids=ids, limit=500),
            t,
            limit=dossier.PAGE,
            before=read_place(request.query_params.get("before")),
            unit=unit,
        )
        profiles = await read_profiles(connection, services.keyring, [member.id])
    return console_page(
        request,
        "console/member_ledger.html",
        desk,
        section="members",
        name=profiles[member.id].display_name,
        address=member_address(member),
        unit=unit,
        entries=entries,
        older=older,
        first_page="before" not in request.query_params,
    )


@get("/members/{member_id:str}/orders")
async def show_member_orders(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """All that the member bought and cancelled, in pages."""
    before = _read_place(request.query_params.get("before"))
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
        found = await purchase_history(connection, member_id=member.id, before=before, limit=dossier.PAGE + 1)
        profiles = await read_profiles(connection, services.keyring, [member.id])
    shown = found[: dossier.PAGE]
    return console_page(
        request,
        "console/member_orders.html",
        desk,
        section="members",
        name=profiles[member.id].display_name,
        address=member_address(member),
        purchases=shown,
        older=f"{shown[-1].at.isoformat()}~{shown[-1].id}" if len(found) > dossier.PAGE else None,
        first_page=before is None,
    )


def _read_place(text: str | None) -> tuple[datetime, UUID] | None:
    """Where a page of orders begins. Anything that we did not write begins at the newest."""
    moment, _, identifier = (text or "").partition("~")
    try:
        at, order_id = datetime.fromisoformat(moment), UUID(identifier)
    except ValueError:
        return None
    return (at, order_id) if at.tzinfo else None


@get("/orders/{order_id:str}")
async def show_order(
    request: Request[Any, Any, Any], services: NamedDependency[Services], order_id: FromPath[str]
) -> Response[Any]:
    """One order: its lines, what each earned, and what came back."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        order = await get_order(
            connection,
            programme_id=desk.programme.id,
            order_id=parse_public_id(ORDER_PREFIX, order_id, field="order_id"),
        )
        member = await get_member(connection, programme_id=desk.programme.id, member_id=order.member_id)
        profiles = await read_profiles(connection, services.keyring, [member.id])
    return console_page(
        request,
        "console/order.html",
        desk,
        section="members",
        order=order,
        name=profiles[member.id].display_name,
        address=member_address(member),
    )


@post("/members/{member_id:str}/adjust", status_code=303)
async def adjust_points(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """Give or take points by hand, with a reason; above the unit's limit a second person signs with their password."""
    form = await read_form(request, "key", "amount", "unit", "reason", "approver")
    password = (await request.form()).get("password")
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
    t, _ = words(request, desk)
    try:
        amount, reason = _signed(form["amount"]), _reason(form["reason"])
        second = await _second_person(request, services, desk, form["approver"], password)
        async with services.transaction() as connection:
            member = await keep_unmerged(
                connection,
                programme_id=desk.programme.id,
                member_id=parse_public_id(MEMBER_PREFIX, member_id, field="member_id"),
            )
            await posting.adjust(
                connection,
                programme_id=desk.programme.id,
                member_id=member.id,
                unit=form["unit"],
                amount=amount,
                key=form["key"],
                source=f"console:{desk.staff.username}",
                reason=reason,
                actor=desk.staff.username,
                approved_by=second.username if second else None,
            )
    except (InvalidInputError, ConflictError, AuthenticationError, TooManyAttemptsError) as error:
        async with services.transaction() as connection:
            member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
            return await _show(
                request,
                services,
                connection,
                desk,
                member,
                form=form,
                error=_say(t, error),
                needs_approval=bool(form["approver"]) or isinstance(error, ApprovalNeededError),
                status_code=error.status if isinstance(error, ConflictError | TooManyAttemptsError) else _REFUSED,
            )
    return see_other(f"{member_address(member)}?saved=adjusted#adjust")


def _signed(text: str) -> int:
    """`+500`, `500` or `-500`, a typographic minus as well. Raises InvalidInputError."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "").removeprefix("+")
    digits = plain.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > _MOST_DIGITS or int(digits) == 0:
        raise InvalidInputError("a whole number of points, above or below 0, is needed", field="amount")
    return int(plain)


def _reason(text: str) -> str:
    """The reason, which has to be there. Raises InvalidInputError."""
    if not text:
        raise InvalidInputError("a reason is needed", field="reason")
    return text


async def _second_person(
    request: Request[Any, Any, Any], services: Services, desk: Desk, username: str, password: object
) -> Staff | None:
    """Whoever signs as the second person; None where nobody is named. Raises as authenticate_staff, and
    InvalidInputError where it is the same person, or one who may not.
    """
    if not username:
        return None
    second = await authenticate_staff(
        services.engine,
        secret=services.session_secret,
        programme_id=desk.programme.id,
        username=username,
        password=password if isinstance(password, str) else "",
        address=network_address(request),
    )
    if second.id == desk.staff.id or not second.may("crm"):
        raise InvalidInputError("another person of CRM or administration has to approve", field="approver")
    return second


def _say(t: Translator, error: DomainError) -> str:
    if isinstance(error, ApprovalNeededError):
        return t("console.adjust.needs_approval", n=int(error.members["limit"]))
    if isinstance(error, InsufficientBalanceError):
        return t("console.adjust.too_few", n=int(error.members["available"]))
    if isinstance(error, AuthenticationError | TooManyAttemptsError):
        return t("console.adjust.wrong_approver")
    if isinstance(error, InvalidInputError) and error.field in ("amount", "reason", "approver"):
        return t(f"console.adjust.{error.field}_invalid")
    raise error


@get("/merges/{merge_id:str}/undo")
async def confirm_unmerge(
    request: Request[Any, Any, Any], services: NamedDependency[Services], merge_id: FromPath[str]
) -> Response[Any]:
    """Ask for the reason, and say what parting two members does."""
    return await _ask_unmerge(request, services, merge_id, error=None)


async def _ask_unmerge(
    request: Request[Any, Any, Any], services: Services, merge_id: str, *, error: str | None
) -> Response[Any]:
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
    back = request.query_params.get("member", "")
    return console_page(
        request,
        "console/unmerge.html",
        desk,
        section="members",
        status_code=_REFUSED if error else 200,
        here=f"/console/merges/{merge_id}/undo",
        merge_id=merge_id,
        back=f"/console/members/{back}" if back.startswith(f"{MEMBER_PREFIX}_") else "/console/members",
        error=error,
    )


@post("/merges/{merge_id:str}/undo", status_code=303)
async def undo_merge(
    request: Request[Any, Any, Any], services: NamedDependency[Services], merge_id: FromPath[str]
) -> Response[Any]:
    """Make two members of one again. Sent twice, it happens once."""
    reason = (await read_form(request, "reason"))["reason"]
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            t, _ = words(request, desk)
            if not reason:
                return await _ask_unmerge(request, services, merge_id, error=t("console.unmerge.reason_needed"))
            undone = await unmerge(
                connection,
                services.keyring,
                programme_id=desk.programme.id,
                merge_id=parse_public_id(MERGE_PREFIX, merge_id, field="merge_id"),
                reason=reason,
                actor=desk.staff.username,
            )
    except ConflictError:
        return await _ask_unmerge(request, services, merge_id, error=t("console.unmerge.refused"))
    except NotFoundError:
        return see_other("/console/members")
    return see_other(f"/console/members/{public_id(MEMBER_PREFIX, undone.survivor_id)}?saved=unmerged#merges")
