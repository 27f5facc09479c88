"""Pictures are read for people at work alone, and only pictures."""

from __future__ import annotations

import io

import pytest
import qrcode
from PIL import Image

from loyalty.kit.errors import InvalidInputError
from loyalty.web.staff.camera import MOST_PIXELS, read_codes


def picture(image: Image.Image, kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    image.save(written, kind)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_code_in_a_picture_is_read(kind: str) -> None:
    symbol = qrcode.make("https://example.com/01/06901234567892/21/10Y7DJPF72MHRCYR").get_image().convert("RGB")
    assert read_codes(picture(symbol, kind)) == ["https://example.com/01/06901234567892/21/10Y7DJPF72MHRCYR"]
    assert read_codes(picture(Image.new("RGB", (64, 48)), kind)) == []


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"no picture",
        picture(Image.new("RGB", (8, 8)))[:40],
        picture(Image.new("RGB", (8, 8)), "GIF"),
        picture(Image.new("1", (MOST_PIXELS // 1000, 1001))),
    ],
)
def test_what_is_no_frame_of_a_camera_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidInputError):
        read_codes(sent)
