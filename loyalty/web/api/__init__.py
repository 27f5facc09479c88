"""The JSON API under /v1, for shops, tills and a brand's own programs."""

from __future__ import annotations

from typing import Final

from litestar import Router, get
from litestar.di import Provide

from loyalty.web.api import (
    batches,
    benefits,
    campaigns,
    checkouts,
    draws,
    earning,
    effects,
    exports,
    holds,
    items,
    links,
    lots,
    members,
    missions,
    orders,
    packing,
    points,
    products,
    programme,
    redemptions,
    reports,
    segments,
    thresholds,
    tier_policies,
    tiers,
    trace,
    wallets,
)
from loyalty.web.api.operations import provide_caller
from loyalty.web.api.reference import OPENAPI, openapi_json, problem_type

__all__ = ["OPENAPI", "router"]


@get("/v1/ping", include_in_schema=False, sync_to_thread=False)
def ping() -> dict[str, str]:
    """Answer nothing: the baseline that benchmarks measure a request against."""
    return {}


_operations: Final = Router(
    path="/v1",
    route_handlers=[
        programme.router,
        members.router,
        points.router,
        earning.router,
        batches.router,
        holds.router,
        orders.router,
        tier_policies.router,
        tiers.router,
        redemptions.router,
        benefits.router,
        wallets.router,
        checkouts.router,
        items.router,
        lots.router,
        exports.router,
        packing.router,
        trace.router,
        thresholds.router,
        products.router,
        links.router,
        reports.router,
        effects.router,
        segments.router,
        campaigns.router,
        missions.router,
        draws.router,
    ],
    dependencies={"caller": Provide(provide_caller)},
    security=[{"apiKey": []}],
)

router: Final = Router(path="/", route_handlers=[_operations, ping, openapi_json, problem_type])
