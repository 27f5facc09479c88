"""EPCIS 2.0 under /epcis, as GS1's OpenAPI document for it says; so it is no part of ours.

Paths hold names that hold slashes (`/epcis/epcs/https%3A%2F%2Fid.gs1.org%2F01%2F…/events`). They are cut before they
are decoded, which is why one handler takes all below a resource.
"""

from __future__ import annotations

from typing import Final

from litestar import Router

from loyalty.web.epcis import capture, discovery, query
from loyalty.web.epcis.headers import add_headers
from loyalty.web.epcis.problems import EXCEPTION_HANDLERS

router: Final = Router(
    path="/epcis",
    route_handlers=[*discovery.HANDLERS, *capture.HANDLERS, *query.HANDLERS],
    exception_handlers=EXCEPTION_HANDLERS,
    after_request=add_headers,
    include_in_schema=False,
)
