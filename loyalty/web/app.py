"""The web application: every audience's routes around one engine.

Each audience is a package with one `router`: `api` answers programs under /v1; the pages answer people. They share
what this module sets up (services, problem answers, limits, security headers) and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from litestar import Litestar, get
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.types import ControllerRouterHandler
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.settings import Settings
from loyalty.web import api, console, draw_proofs, epcis, files, member, pos, resolver, staff
from loyalty.web.api.side_door import SideDoor
from loyalty.web.member.item_door import ItemDoor
from loyalty.web.middleware import AccessLog, RequestLimits, SecurityHeaders, methods_by_path
from loyalty.web.problems import EXCEPTION_HANDLERS
from loyalty.web.rendering import Pages
from loyalty.web.requests import MAX_BODY_BYTES, StrictRequest
from loyalty.web.resolver.front_door import FrontDoor
from loyalty.web.state import Services, open_services, provide_services

ROUTERS: Final[list[ControllerRouterHandler]] = [
    api.router,
    resolver.router,
    member.router,
    staff.router,
    pos.router,
    console.router,
    epcis.router,
    files.router,
]
"""Every audience. A new one is added here."""


@get("/healthz", include_in_schema=False)
async def healthz(services: NamedDependency[Services]) -> dict[str, str]:
    """Answers 200 once the database answers; a load balancer asks here."""
    async with services.transaction() as connection:
        await connection.execute(text("SELECT 1"))
    return {"status": "ok"}


def create_app(settings: Settings, engine: AsyncEngine | None = None) -> Litestar:
    """Build the application. Its lifespan opens the database and the keys, and closes what it opened.

    With an `engine` given (a test's, a demo's) that one is used and left open.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_services(settings, engine) as services:
            app.state["services"] = services
            yield

    https = settings.public_url.startswith("https://")
    app = Litestar(
        route_handlers=[healthz, *ROUTERS],
        lifespan=[lifespan],
        state=State({"https": https}),
        dependencies={"services": Provide(provide_services)},
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[AccessLog(), RequestLimits()],
        openapi_config=api.OPENAPI,
        plugins=[Pages(theme=settings.home / "theme.css")],
        csrf_config=CSRFConfig(
            secret=settings.session_secret().hex(),
            # Programs send no cookies, so nobody can make them send one; what a code leads to is anybody's to keep.
            exclude=[
                r"^/(v1|epcis)(/|$)",
                f"^{resolver.ROUTE}$",
                rf"^{re.escape(resolver.DESCRIPTION)}$",
                draw_proofs.PATH,
            ],
            cookie_secure=https,
            cookie_httponly=True,
        ),
        logging_config=None,
        debug=False,
    )
    app.state["methods"] = methods_by_path(app)
    front = FrontDoor(app.asgi_handler, public_url=settings.public_url)
    scans = ItemDoor(SecurityHeaders(front), public_url=settings.public_url, https=https)
    app.asgi_handler = SideDoor(scans, https=https)
    return app
