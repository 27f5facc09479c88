"""The picture of a share preview: what friends see of an item's page that was sent to them.

It is about the product alone. Messengers fetch it, often for everybody who opens a chat, so it is a public file with
nothing in it that a scan said. They want PNG or JPEG, while pictures are stored as WebP: it is drawn anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from functools import lru_cache
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from PIL import Image, ImageDraw, ImageOps

from loyalty.items.loading import Picture
from loyalty.items.media import list_media, read_file
from loyalty.items.products import Product, get_product
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.web.ornament import wave_points
from loyalty.web.state import Services

SIDE_PIXELS: Final = 600
"""Square: messengers in China crop previews to one, and others show it whole."""
_OVERSAMPLED: Final = 2
_ENDING: Final = ".png"
_A_DAY: Final = "public, max-age=86400"
_GROUND, _LINE = (18, 70, 58), (217, 191, 138)
"""The brand colour and the foil of `css/tokens.css`."""
_BANDS: Final = ((84, 13, 22, 5), (58, 16, 12, 6), (30, 11, 7, 5))
"""Each band's radius, swing, petals and strands, as in `ornament`."""


def share_version(product: Product, pictures: tuple[Picture, ...]) -> str:
    """What changes with the preview's picture, for its address: messengers keep what they have once fetched."""
    first = pictures[0].address if pictures else ""
    return hashlib.sha256(f"{product.gtin}|{first}".encode()).hexdigest()[:8]


@get("/share/{name:str}", include_in_schema=False)
async def show_share_picture(services: NamedDependency[Services], name: FromPath[str]) -> Response[bytes]:
    """The product's first picture as a square PNG, or an ornament of its own where there is none."""
    programme = await services.shown_programme()
    async with services.transaction() as connection:
        try:
            product = await get_product(connection, programme_id=programme.id, gtin=name.removesuffix(_ENDING))
        except (InvalidInputError, NotFoundError) as error:
            raise NotFoundException from error
        media = await list_media(connection, gtins=[product.gtin], kind="picture")
        digest = next((each.sha256 for each in media if each.sha256 is not None), None)
        file = None if digest is None else await read_file(connection, digest)
    content = await asyncio.to_thread(_draw_ornament if file is None else _crop, b"" if file is None else file.content)
    return Response(content, media_type="image/png", headers={"Cache-Control": _A_DAY})


@lru_cache(maxsize=64)
def _crop(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as opened:
        square = ImageOps.fit(opened.convert("RGBA"), (SIDE_PIXELS, SIDE_PIXELS))
    ground = Image.new("RGBA", square.size, (255, 255, 255, 255))
    return _png(Image.alpha_composite(ground, square).convert("RGB"))


@lru_cache(maxsize=1)
def _draw_ornament(_content: bytes) -> bytes:
    side = SIDE_PIXELS * _OVERSAMPLED
    picture = Image.new("RGB", (side, side), _GROUND)
    pen = ImageDraw.Draw(picture)
    for radius, swing, petals, strands in _BANDS:
        for strand in range(strands):
            points = wave_points(petals, radius, swing, turn=strand / strands / petals)
            line = [(x * side / 230 + side * 15 / 230, y * side / 230 + side * 15 / 230) for x, y in points]
            pen.line([*line, line[0]], fill=_LINE, width=2 * _OVERSAMPLED, joint="curve")
    return _png(picture.resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.LANCZOS))


def _png(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, format="PNG", optimize=True)
    return written.getvalue()
