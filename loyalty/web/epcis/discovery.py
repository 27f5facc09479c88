"""What is here: the top-level resources, and by OPTIONS what each address speaks."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from litestar import HttpMethod, Request, Response, get, route
from litestar.di import NamedDependency

from loyalty.items.epcis.answers import collection
from loyalty.web.epcis.capture import limits
from loyalty.web.epcis.headers import CBV_VERSION, EPCIS_VERSION, VENDOR_VERSION, Admit, json_answer
from loyalty.web.state import Services

RESOURCES: Final = (
    "capture",
    "events",
    "eventTypes",
    "epcs",
    "bizSteps",
    "bizLocations",
    "readPoints",
    "dispositions",
)
_BELOW: Final = [f"/{resource}/{{rest:path}}" for resource in RESOURCES if resource != "capture"]


@get("/", guards=[Admit("epcis:read")])
async def top_level(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The top-level resources."""
    return json_answer(collection(RESOURCES), request)


@route(
    ["/", *(f"/{resource}" for resource in RESOURCES), "/capture/{capture_id:str}", *_BELOW],
    http_method=[HttpMethod.OPTIONS],
)
async def options(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
    """What an address speaks. It needs no key, because it tells nothing of anybody."""
    headers = {
        "GS1-EPCIS-Version": EPCIS_VERSION,
        "GS1-EPCIS-Min": EPCIS_VERSION,
        "GS1-EPCIS-Max": EPCIS_VERSION,
        "GS1-CBV-Version": CBV_VERSION,
        "GS1-CBV-Min": CBV_VERSION,
        "GS1-CBV-Max": CBV_VERSION,
        "GS1-EPC-Format": "Never_Translates",
        "GS1-Vendor-Version": VENDOR_VERSION,
        "Allow": "GET, OPTIONS",  # made exact for each path by the middleware
    }
    if request.url.path.rstrip("/").endswith("/capture"):
        headers |= {**limits(services), "GS1-Capture-Error-Behaviour": "rollback"}
    return Response(b"", status_code=HTTPStatus.NO_CONTENT, headers=headers)


HANDLERS: Final = [options, top_level]
"""In this order: Litestar answers OPTIONS itself for a path of which another handler comes first."""
