"""Labels are read back from what is handed out: the PNG, the SVG's path, and the PDF as it is printed at 300 dpi."""

from __future__ import annotations

import io
import math
import re

import msgspec
import numpy as np
import pypdfium2
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image
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
    roll,
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
    """The page as PDFium prints it at 300 dots an inch, in grey."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        rendered = document[page_number].render(scale=DOTS_A_POINT, grayscale=True)
        return np.array(rendered.to_numpy().squeeze())
    finally:
        document.close()


def read_by_zbar(page: NDArray[np.uint8]) -> set[str]:
    """What zbar reads. Its Python part is there with every install, its library only where Debian's libzbar0 is."""
    zbar = pytest.importorskip("pyzbar.pyzbar", reason="libzbar0 is not installed", exc_type=ImportError)
    return {symbol.data.decode() for symbol in zbar.decode(Image.fromarray(page), symbols=[zbar.ZBarSymbol.QRCODE])}


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


@pytest.mark.parametrize("name", sorted(SHEETS))
def test_zbar_reads_every_label_of_a_sheet_cut_out_of_it(name: str) -> None:
    sheet = SHEETS[name]
    labels = make_labels(sheet.columns * sheet.rows)
    page = drawn_page(label_sheet(labels, sheet=sheet))
    for number, label in enumerate(labels):
        row, column = divmod(number, sheet.columns)
        left = sheet.left_mm + column * (sheet.label_width_mm + sheet.gap_x_mm)
        top = sheet.top_mm + row * (sheet.label_height_mm + sheet.gap_y_mm)
        edges = (top, top + sheet.label_height_mm, left, left + sheet.label_width_mm)
        upper, lower, first, last = (round(edge / 25.4 * 300) for edge in edges)
        assert read_by_zbar(page[upper:lower, first:last]) == {label.url}


@pytest.mark.parametrize(("width", "height"), [(20, 20), (25, 15), (50, 30), (15, 40)])
def test_the_smallest_labels_of_a_roll_read_back_on_a_coloured_ground(width: float, height: float) -> None:
    label = make_labels(1)
    sheet = roll(width_mm=width, height_mm=height, bleed_mm=2)
    page = drawn_page(label_sheet(label, sheet=sheet, ground="#1f6f5c", crop_marks=True))
    assert page.shape == (math.ceil((height + 4) / 25.4 * 300), math.ceil((width + 4) / 25.4 * 300))
    assert read(page) == {label[0].url}
    assert read_by_zbar(page) == {label[0].url}


def test_the_ground_reaches_the_end_of_the_bleed_and_leaves_a_white_field() -> None:
    page = drawn_page(label_sheet(make_labels(1), sheet=roll(width_mm=50, height_mm=30, bleed_mm=2), ground="#1f6f5c"))
    assert (page[:24, :] < 200).all()
    assert (page[:, :24] < 200).all()
    assert (page[40:45, 60:][:, :300] > 250).all()


def test_a_label_of_a_roll_tells_the_press_where_it_is_cut() -> None:
    pdf = label_sheet(make_labels(1), sheet=roll(width_mm=50, height_mm=30, bleed_mm=2))
    page = PdfReader(io.BytesIO(pdf)).pages[0]
    sizes = [[round(float(side) / 72 * 25.4, 1) for side in box] for box in (page.trimbox, page.bleedbox)]
    assert sizes == [[2, 2, 52, 32], [0, 0, 54, 34]]


def test_crop_marks_stand_in_the_margins_in_line_with_the_labels() -> None:
    sheet = SHEETS["a4-65"]
    plain, marked = (drawn_page(label_sheet(make_labels(1), sheet=sheet, crop_marks=marks)) for marks in (False, True))
    added = (marked < 200) & (plain >= 200)
    rows, columns = np.nonzero(added)
    left, top = sheet.left_mm / 25.4 * 300, sheet.top_mm / 25.4 * 300
    assert added.any()
    inside = (columns > left + 1) & (columns < 2480 - left - 1) & (rows > top + 1) & (rows < 3508 - top - 1)
    assert not inside.any()
    assert abs(columns[rows < top - 10].min() - left) < 2


@pytest.mark.parametrize("ground", ["green", "#fff", "1f6f5c", "#12345g"])
def test_a_colour_that_is_none_is_refused(ground: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        label_sheet(make_labels(1), ground=ground)
    assert refused.value.field == "ground"


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
    symbol_end = 5 + 40  # millimetres from above: the margin, and a symbol as wide as the label
    assert symbol_end < dark_rows.max() / 300 * 25.4 < symbol_end + 10


def test_the_same_labels_make_the_same_bytes() -> None:
    assert label_sheet(make_labels(3)) == label_sheet(make_labels(3))


@pytest.mark.parametrize(
    "change",
    [{"columns": 4}, {"rows": 9}, {"label_height_mm": 5.0}, {"gap_x_mm": 1.0}, {"bleed_mm": 1.0}],
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
