"""Reading a code from a camera's picture, for browsers that cannot do it themselves. No picture is kept."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta
from typing import Any, Final

import zxingcpp
from litestar import Request, post
from litestar.di import NamedDependency
from msgspec import Struct
from PIL import Image, UnidentifiedImageError

from loyalty.kit.errors import InvalidInputError, PermissionDeniedError
from loyalty.web.security.throttle import Limit, count_attempt, throttle_subject
from loyalty.web.staff.person import read_desk
from loyalty.web.state import Services

PICTURE_BYTES: Final = 1_000_000
MOST_PIXELS: Final = 4_000_000
_KINDS: Final = ("JPEG", "PNG")
_PICTURES: Final = Limit(attempts=600, window=timedelta(minutes=2))
"""Five pictures a second: more than a page of ours sends."""
_MOST_CODES: Final = 4


class ReadCodes(Struct, frozen=True):
    """The texts of the codes in a picture; none where there is none."""

    codes: list[str]


@post("/staff/camera", status_code=200, request_max_body_size=PICTURE_BYTES)
async def read_picture(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> ReadCodes:
    """Read the codes in a JPEG or PNG that somebody at a till or in the console took.

    Raises AuthenticationError and PermissionDeniedError for anybody else, TooManyAttemptsError, and InvalidInputError
    for what is no picture, or one larger than a camera's frame.
    """
    async with services.transaction() as connection:
        desk = await read_desk(request, services, connection)
    if desk.channel is None and not desk.staff.may("crm"):
        raise PermissionDeniedError("codes are read at a till or in the console")
    subject = throttle_subject(services.settings.session_secret(), "camera", str(desk.staff.id))
    await count_attempt(services.engine, subject, _PICTURES)
    return ReadCodes(codes=await asyncio.to_thread(read_codes, await request.body()))


def read_codes(picture: bytes) -> list[str]:
    """The texts of the codes in a picture. Raises InvalidInputError where it is none, or too large."""
    try:
        with Image.open(io.BytesIO(picture), formats=_KINDS) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                message = f"{width} by {height} pixels are more than {MOST_PIXELS}"
                raise InvalidInputError(message, field="picture")
            grey = opened.convert("L")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InvalidInputError("this is not a JPEG or PNG", field="picture") from error
    return [code.text for code in zxingcpp.read_barcodes(grey)[:_MOST_CODES] if code.text]
