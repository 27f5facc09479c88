"""The page of one benefit: what it says, how many there are, trying it, giving it, its issues and its history."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments.segment import list_segments
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import DomainError
from loyalty.kit.ids import public_id
from loyalty.kit.programme import list_channels
from loyalty.web.api.benefits_schemas import ISSUE_PREFIX
from loyalty.web.benefit_words import read_names
from loyalty.web.console.benefits.shown import REFUSED, history_lines, read_shown, refusal
from loyalty.web.console.benefits.writing import fits
from loyalty.web.console.desk import console_page, words
from loyalty.web.pos.amounts import write_amount
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.benefits.bulk import list_issues
from redemption.benefits.stock import count_codes
from redemption.benefits.templates import get_template, history
from redemption.catalogue import find_price

DONE = ("published", "undone", "retired", "figures", "given", "issuing", "steered", "taken_back")
"""What a page can say was done."""


@get("/benefits/{code:str}")
async def show_benefit(
    request: Request[Any, Any, Any], services: NamedDependency[Services], code: FromPath[str]
) -> Response[Any]:
    """One benefit, and all that can be done with it."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await benefit_page(request, connection, desk, code)


async def benefit_page(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    code: str,
    *,
    error: DomainError | str | None = None,
    **told: Any,
) -> Response[Any]:
    """The page, with what was just refused, tried or imported (`told`)."""
    t, formats = words(request, desk)
    programme_id, currency = desk.programme.id, desk.programme.currency
    template = await get_template(connection, programme_id=programme_id, code=code)
    names = await read_names(connection, desk.programme, t, utc_now())
    segments = await list_segments(connection, programme_id=programme_id)
    changes = await history(connection, template_id=template.id)
    shown = await read_shown(connection, template, t, formats, names)
    most_off = shown.figures.get("amount_minor")
    done = request.query_params.get("done")
    return console_page(
        request,
        "console/benefit.html",
        desk,
        section="benefits",
        status_code=REFUSED if error else 200,
        here=f"/console/benefits/{code}",
        shown=shown,
        most_off=write_amount(most_off.total, currency) if most_off else "",
        editable=fits(template.draft or template.definition, currency),
        codes=await count_codes(connection, template.id) if template.stock == "codes" else None,
        price=await find_price(connection, programme_id=programme_id, template_code=code),
        issues=await list_issues(connection, template_id=template.id),
        issue_id=issue_id,
        history=history_lines(changes, t, formats, names, currency),
        names=names,
        segments=[segment for segment in segments if segment.version],
        channels=await list_channels(connection, programme_id),
        currency=t("benefits.currency_cny") if currency == "CNY" else currency,
        error=refusal(error, t) if isinstance(error, DomainError) else error,
        done=done if done in DONE else None,
        **{"trial": None, "typed": defaultdict(str), "imported": None, "refused_lines": (), **told},
    )


def issue_id(identifier: UUID) -> str:
    """An issue's id as addresses have it."""
    return public_id(ISSUE_PREFIX, identifier)
