"""Style sheets and modules, served from memory under an address that changes when their content does.

Everything in `static/` is read once. Its digest is part of every address (`/static/{digest}/shopper.css`), so browsers
keep a file for a year and never ask again, and modules can import each other by relative paths. Style sheets are
written in parts and joined here: a page loads one.

A brand themes its pages with a `theme.css` in `TALLYSTAR_HOME`: it is joined after our own, so setting the custom
properties of `css/tokens.css` (such as `--brand`) on `:root` is enough.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from litestar import Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

_FOLDER: Final = Path(__file__).parent / "static"
_CSS_COMMENT: Final = re.compile(rb"/\*.*?\*/\s*", re.DOTALL)
_SHARED_STYLE: Final = ("css/tokens.css", "css/base.css", "css/components.css")
BUNDLES: Final[Mapping[str, tuple[str, ...]]] = {
    "shopper.css": (*_SHARED_STYLE, "css/shopper.css"),
    "staff.css": (
        *_SHARED_STYLE,
        "css/charts.css",
        "css/staff.css",
        "css/camera.css",
        "css/till.css",
        "css/console.css",
        "css/trace.css",
        "css/campaigns.css",
        "css/segments.css",
        "css/tiers.css",
        "css/benefits.css",
        "css/effects.css",
    ),
    "api.css": (*_SHARED_STYLE, "css/api.css"),
}
"""The one style sheet of each audience, and the parts that it is joined from."""

_A_YEAR: Final = "public, max-age=31536000, immutable"
_REVALIDATE: Final = "public, no-cache"


class Assets:
    """The files a page may load: their content by name, and the digest of it all."""

    def __init__(self, *, theme: Path | None = None) -> None:
        self._contents: dict[str, bytes] = {
            path.relative_to(_FOLDER).as_posix(): path.read_bytes()
            for path in sorted(_FOLDER.rglob("*"))
            if path.is_file() and path.suffix != ".css"
        }
        brand = theme.read_bytes() if theme is not None and theme.is_file() else b""
        for name, parts in BUNDLES.items():
            joined = b"\n".join(
                [(_FOLDER / part).read_bytes() for part in parts if (_FOLDER / part).is_file()] + [brand]
            )
            self._contents[name] = _CSS_COMMENT.sub(b"", joined)
        digest = hashlib.sha256()
        for name, content in sorted(self._contents.items()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
        self.digest = digest.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Where a file is served. Raises KeyError for a file that is not there: a mistake in a template."""
        self._contents[name]
        return f"/static/{self.digest}/{name}"

    def content(self, name: str) -> bytes | None:
        """A file's bytes, or None where there is no such file."""
        return self._contents.get(name)


@get("/static/{digest:str}/{name:path}", include_in_schema=False, sync_to_thread=False)
def serve_asset(state: State, digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """Serve one file of `static/`.

    An address with an older digest, from a page that was open during an upgrade, gets today's file, not to be kept.
    """
    assets: Assets = state.assets
    content = assets.content(name.removeprefix("/"))
    if content is None:
        raise NotFoundException
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Response(
        content,
        media_type="text/javascript" if name.endswith(".js") else kind,
        headers={"Cache-Control": _A_YEAR if digest == assets.digest else _REVALIDATE},
    )
