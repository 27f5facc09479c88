"""Labels are read back from what is handed out: the PNG, the SVG's path, and the PDF's own drawing."""

from __future__ import annotations

import io
import re

import msgspec
import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pypdf import PdfReader

from loyalty.items.labels import (
    LABELS_LIMIT,
    SHEETS,
    Label,
    LabelSheet,
    label_sheet,
    qr_modules,
    qr_png,
    qr_svg,
)
from loyalty.kit.errors import InvalidInputError

URL = "https://t.example.com/01/06901234567892/21/10Y7DJPF72MHRCYR"
DOTS_A_POINT = 300 / 72


def make_labels(count: int) -> list[Label]:
    return [
        Label(url=f"{URL[:-3]}{number:03}", gtin="06901234567892", serial=f"10Y7DJPF72MHR{number:03}")
        for number in range(count)
    ]


def drawn_page(pdf: bytes, page_number: int = 0) -> NDArray[np.uint8]:
    """The page's filled rectangles at 300 dots an inch, as its own content stream draws them."""
    page = PdfReader(io.BytesIO(pdf)).pages[page_number]
    width, height = float(page.mediabox.width), float(page.mediabox.height)
    image = Image.new("L", (round(width * DOTS_A_POINT), round(height * DOTS_A_POINT)), 255)
    draw = ImageDraw.Draw(image)
    contents = page.get_contents()
    assert contents is not None
    for rectangle in re.findall(rb"([-\d.]+) ([-\d.]+) ([-\d.]+) ([-\d.]+) re", contents.get_data()):
        left, bottom, wide, high = (float(number) for number in rectangle)
        box = (left, height - bottom - high, left + wide, height - bottom)
        draw.rectangle([round(side * DOTS_A_POINT) for side in box], fill=0)
    return np.asarray(image)


def read(image: NDArray[np.uint8] | Image.Image) -> set[str]:
    return {barcode.text for barcode in zxingcpp.read_barcodes(image)}


def test_a_png_reads_back_and_an_items_address_fits_version_4() -> None:
    image = Image.open(io.BytesIO(qr_png(URL, module_pixels=4)))
    assert read(image) == {URL}
    assert image.size == ((33 + 8) * 4, (33 + 8) * 4)
    assert np.asarray(image)[:16].all()  # the quiet zone of four modules


def test_error_correction_is_m_and_the_mask_is_fixed() -> None:
    modules = qr_modules(URL)
    # The first five format bits beside the upper left finder, unmasked: 00 is level M, 010 the mask 2.
    bits = [int(bit) ^ mask for bit, mask in zip(modules[8, :5], (1, 0, 1, 0, 1), strict=True)]
    assert bits == [0, 0, 0, 1, 0]


def test_an_svg_draws_the_same_modules() -> None:
    svg = qr_svg(URL, title="A & B")
    modules = np.zeros((41, 41), dtype=bool)
    for column, row, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", svg):
        modules[int(row), int(column) : int(column) + int(length)] = True
    assert (modules[4:-4, 4:-4] == qr_modules(URL)).all()
    assert not modules[:4].any()
    assert "<title>A &amp; B</title>" in svg


@pytest.mark.parametrize("name", sorted(SHEETS))
def test_every_label_of_a_sheet_reads_back_at_its_printed_size(name: str) -> None:
    sheet = SHEETS[name]
    labels = make_labels(sheet.columns * sheet.rows + 1)
    pdf = label_sheet(labels, sheet=sheet)
    assert read(drawn_page(pdf)) == {label.url for label in labels[:-1]}
    assert read(drawn_page(pdf, 1)) == {labels[-1].url}


def test_a_label_tells_a_person_its_gtin_and_serial() -> None:
    pdf = label_sheet(make_labels(2), title="Spring tea")
    reader = PdfReader(io.BytesIO(pdf))
    text = reader.pages[0].extract_text()
    assert "(01) 06901234567892" in text
    assert "10Y7-DJPF-72MH-R001" in text
    assert reader.metadata is not None
    assert reader.metadata.title == "Spring tea"


def test_tall_labels_have_their_text_below() -> None:
    sheet = LabelSheet(
        page_width_mm=50,
        page_height_mm=80,
        columns=1,
        rows=1,
        label_width_mm=40,
        label_height_mm=70,
        left_mm=5,
        top_mm=5,
    )
    pdf = label_sheet(make_labels(1), sheet=sheet)
    page = drawn_page(pdf)
    assert read(page) == {make_labels(1)[0].url}
    dark_rows = np.nonzero((page == 0).any(axis=1))[0]
    assert dark_rows.max() < len(page) * 0.65


def test_the_same_labels_make_the_same_bytes() -> None:
    assert label_sheet(make_labels(3)) == label_sheet(make_labels(3))


@pytest.mark.parametrize(
    "change",
    [{"columns": 4}, {"rows": 9}, {"label_height_mm": 5.0}, {"gap_x_mm": 1.0}],
)
def test_a_sheet_that_cannot_be_printed_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        label_sheet(make_labels(1), sheet=msgspec.structs.replace(SHEETS["a4-24"], **change))
    assert refused.value.field == "sheet"


def test_no_labels_and_too_many_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=f"1 to {LABELS_LIMIT}"):
        label_sheet([])
    with pytest.raises(InvalidInputError):
        label_sheet(make_labels(1) * (LABELS_LIMIT + 1))


def test_an_address_too_long_for_a_label_is_refused() -> None:
    assert len(qr_modules("a" * 213)) == 57
    with pytest.raises(InvalidInputError, match="at most 213 bytes, not 214"):
        qr_modules("a" * 214)


def test_modules_have_a_sensible_size() -> None:
    with pytest.raises(InvalidInputError, match="1 to 64 pixels"):
        qr_png(URL, module_pixels=0)
