"""The JSON API under /v1, for shops, tills and a brand's own programs."""

from __future__ import annotations

from typing import Final

from litestar import Router, get
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from loyalty.web.api import earning, holds, items, members, orders, points, programme, redemptions, reports, tiers
from loyalty.web.api.operations import provide_caller


@get("/ping", include_in_schema=False, sync_to_thread=False)
def ping() -> dict[str, str]:
    """Answer nothing: the baseline that benchmarks measure a request against."""
    return {}


OPENAPI: Final = OpenAPIConfig(title="Tallystar", version="1", path="/v1/reference", use_handler_docstrings=True)

router: Final = Router(
    path="/v1",
    route_handlers=[
        ping,
        programme.router,
        members.router,
        points.router,
        earning.router,
        holds.router,
        orders.router,
        tiers.router,
        redemptions.router,
        items.router,
        reports.router,
    ],
    dependencies={"caller": Provide(provide_caller)},
    security=[{"apiKey": []}],
)
