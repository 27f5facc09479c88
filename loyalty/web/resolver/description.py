"""What this resolver is, for programs: GS1-Conformant Resolver 1.2, section 3, at the place it names."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, route
from litestar.di import NamedDependency

from loyalty.items.links.link_types import PREFIX, VOCABULARY
from loyalty.items.links.linkset import CONTEXT_ADDRESS
from loyalty.web.resolver.front_door import CORS
from loyalty.web.state import Services

PATH: Final = "/.well-known/gs1resolver"
_COUNTRIES: Final = {
    "nameOfList": "ISO 3166: countries (CN) and their regions (CN-31)",
    "url": "https://www.iso.org/iso-3166-country-codes.html",
}


@route(PATH, http_method=["GET", "HEAD", "OPTIONS"])
async def describe_resolver(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The resolver description document."""
    if request.method == "OPTIONS":
        return Response(b"", status_code=204, headers={**CORS, "Allow": "GET, HEAD, OPTIONS"})
    async with services.transaction() as connection:
        programme = await services.programme(connection)
    document = {
        "name": programme.name,
        "resolverRoot": services.settings.public_url,
        "supportedPrimaryKeys": ["all"],
        "supportedLinkType": [{"namespace": VOCABULARY, "prefix": PREFIX}],
        "linkTypeDefaultCanBeLinkset": False,
        "supportedContextValuesExternal": [_COUNTRIES],
        "contact": {"fn": programme.name},
        "jsonLdContextLocation": CONTEXT_ADDRESS,
    }
    content = document if request.method == "GET" else b""
    headers = {**CORS, "Cache-Control": "public, max-age=300"}
    return Response(content, media_type="application/json", headers=headers)
