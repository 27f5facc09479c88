"""Stored files: pictures and documents of products, by the hash of what is in them."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from loyalty.items.media import read_file
from loyalty.web.state import Services

_NAME: Final = re.compile(r"([0-9a-f]{64})\.(webp|pdf)")
FOR_EVER: Final = "public, max-age=31536000, immutable"
_HARMLESS: Final = "default-src 'none'; sandbox"
"""Whatever a file turns out to be, a browser that opens it by itself runs nothing of it."""


@get("/files/{name:str}", include_in_schema=False)
async def show_file(services: NamedDependency[Services], name: FromPath[str]) -> Response[Any]:
    """Serve a file under its hash. The same address is the same file for ever."""
    wanted = _NAME.fullmatch(name)
    if wanted is None:
        raise NotFoundException
    async with services.transaction() as connection:
        file = await read_file(connection, bytes.fromhex(wanted[1]))
    if file is None or not file.media_type.endswith(wanted[2]):
        raise NotFoundException
    shown = "inline" if file.media_type.startswith("image/") else "attachment"
    return Response(
        file.content,
        media_type=file.media_type,
        headers={
            "Cache-Control": FOR_EVER,
            "Content-Disposition": f'{shown}; filename="{name[:12]}.{wanted[2]}"',
            "Content-Security-Policy": _HARMLESS,
        },
    )


router: Final = Router(path="/", route_handlers=[show_file])
