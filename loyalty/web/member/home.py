"""The programme's front page and its terms."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from loyalty.kit.clock import utc_now
from loyalty.web.i18n import Formats, Translator
from loyalty.web.member.consents import TERMS_VERSION
from loyalty.web.member.visitor import read_visitor
from loyalty.web.rendering import language_of, page
from loyalty.web.state import Services
from loyalty.web.tier_words import rule_text
from tiers.versions import policy_at


@get("/", include_in_schema=False)
async def show_home(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """What the programme is and how to join."""
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
        version = await policy_at(connection, programme_id=visitor.programme.id, moment=utc_now())
    t = Translator(language_of(request, default=visitor.programme.locale))
    formats = Formats(t.language, visitor.programme.zone)
    ladder = version.policy if version else None
    return page(
        request,
        "member/home.html",
        programme=visitor.programme,
        signed_in=visitor.member is not None,
        ladder=ladder,
        asks={
            tier.code: rule_text(tier.qualify, t, formats)
            for tier in (ladder.tiers if ladder else ())
            if tier.qualify is not None
        },
    )


@get("/terms", include_in_schema=False)
async def show_terms(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The terms that members agree to, in the version that is recorded with their consent."""
    async with services.transaction() as connection:
        visitor = await read_visitor(request, services, connection)
    return page(
        request,
        "member/terms.html",
        programme=visitor.programme,
        signed_in=visitor.member is not None,
        version=TERMS_VERSION,
    )
