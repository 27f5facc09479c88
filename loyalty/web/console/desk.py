"""What every page of the console has in common: who reads it, in which words, and how it is drawn."""

from __future__ import annotations

from typing import Any, Literal

from litestar import Request, Response

from loyalty.kit.ids import new_id
from loyalty.web.i18n import Formats, Translator
from loyalty.web.rendering import language_of, page
from loyalty.web.staff.person import Desk

Section = Literal["overview", "members", "ledger", "codes", "rules", "tiers", "catalogue"]


def form_key() -> str:
    """A key for one form, so that sending the form twice does its work once."""
    return f"console:{new_id()}"


def words(request: Request[Any, Any, Any], desk: Desk) -> tuple[Translator, Formats]:
    """The words and formats of the reader."""
    language = language_of(request, default=desk.programme.locale)
    return Translator(language), Formats(language, desk.programme.zone)


def console_page(
    request: Request[Any, Any, Any],
    template: str,
    desk: Desk,
    *,
    section: Section,
    status_code: int = 200,
    here: str | None = None,
    **context: Any,
) -> Response[bytes]:
    """A page of the console. Never stored: it shows members' data."""
    return page(
        request,
        template,
        programme=desk.programme,
        status_code=status_code,
        private=True,
        here=here,
        desk=desk,
        section=section,
        new_key=form_key,
        **context,
    )
