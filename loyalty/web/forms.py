"""What every page with a form needs: its fields, who sends it, and where to look afterwards."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.response import Redirect


def see_other(address: str) -> Redirect:
    """After a form: look at this address now (RFC 9110, 303), so that reloading sends nothing twice."""
    return Redirect(address, status_code=303, headers={"Cache-Control": "no-store"})


def network_address(request: Request[Any, Any, Any]) -> str:
    """The client's address as the server sees it; a proxy in front has uvicorn set it (`--proxy-headers`)."""
    return request.client.host if request.client else ""


async def read_form(request: Request[Any, Any, Any], *names: str, limit: int = 200) -> dict[str, str]:
    """The named texts of a form, trimmed, each at most `limit` characters; missing ones and files are empty."""
    form = await request.form()
    return {name: _text(form.get(name), limit) for name in names}


def _text(value: object, limit: int) -> str:
    return value.replace("\0", "").strip()[:limit] if isinstance(value, str) else ""
