"""Labels for small runs: single QR codes as PNG or SVG, and PDF sheets of labels to stick on.

Error correction M, and the smallest version that holds the address, with version and mask fixed: a scanner reads every
mask, and searching for the prettiest is most of the work. Symbols keep the quiet zone of four modules (ISO/IEC 18004).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Annotated, Final

import msgspec
import numpy as np
import qrcode
from numpy.typing import NDArray
from PIL import Image
from qrcode.constants import ERROR_CORRECT_M
from reportlab.lib.colors import HexColor
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from loyalty.items.codes import group_serial
from loyalty.kit.errors import InvalidInputError

QUIET_MODULES: Final = 4
LABELS_LIMIT: Final = 10_000
"""The most labels of one PDF. Larger runs are for a press, which takes the CSV."""

_BYTES_BY_VERSION: Final = (14, 26, 42, 62, 84, 106, 122, 152, 180, 213)
"""How many bytes versions 1 to 10 hold at error correction M (ISO/IEC 18004, table 7)."""
_MASK: Final = 2
_PIXELS_LIMIT: Final = 64
_FONT: Final = "Helvetica"
_FONT_SIZE: Final = 7.0
_SMALLEST_FONT_SIZE: Final = 3.0
_PADDING_MM: Final = 1.5
_LINE_HEIGHT: Final = 1.25
_MARK_MM: Final = 3.0
_MARK_WIDTH: Final = 0.25
_BLEED_LIMIT_MM: Final = 10
_COLOUR: Final = re.compile("#[0-9a-fA-F]{6}")
_Millimetres = Annotated[float, msgspec.Meta(ge=0, le=2000)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=100)]


class LabelSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A page of equal labels, measured in millimetres from its upper left corner; gaps lie between labels."""

    page_width_mm: _Millimetres
    page_height_mm: _Millimetres
    columns: _Count
    rows: _Count
    label_width_mm: _Millimetres
    label_height_mm: _Millimetres
    left_mm: _Millimetres = 0
    top_mm: _Millimetres = 0
    gap_x_mm: _Millimetres = 0
    gap_y_mm: _Millimetres = 0
    bleed_mm: Annotated[float, msgspec.Meta(ge=0, le=_BLEED_LIMIT_MM)] = 0
    """How far a coloured ground goes beyond the cut, so that a cut a little beside its place shows no white."""

    def check(self) -> None:
        """Raise InvalidInputError where the labels do not fit the page, or are too small for a symbol."""
        width = self.left_mm + self.columns * self.label_width_mm + (self.columns - 1) * self.gap_x_mm
        height = self.top_mm + self.rows * self.label_height_mm + (self.rows - 1) * self.gap_y_mm
        if width > self.page_width_mm + 0.01 or height > self.page_height_mm + 0.01:
            raise InvalidInputError("the labels do not fit the page", field="sheet")
        if min(self.label_width_mm, self.label_height_mm) < 4 * _PADDING_MM:
            raise InvalidInputError(f"a label has at least {4 * _PADDING_MM} mm each way", field="sheet")
        margins = (self.left_mm, self.top_mm, self.page_width_mm - width, self.page_height_mm - height)
        gaps = [self.gap_x_mm / 2] * (self.columns > 1) + [self.gap_y_mm / 2] * (self.rows > 1)
        if self.bleed_mm > min([*margins, *gaps]) + 0.01:
            raise InvalidInputError("the bleed of a label would lie on its neighbour, or off the page", field="sheet")


SHEETS: Final[dict[str, LabelSheet]] = {
    "a4-24": LabelSheet(
        page_width_mm=210, page_height_mm=297, columns=3, rows=8, label_width_mm=70, label_height_mm=37, top_mm=0.5
    ),
    "a4-65": LabelSheet(
        page_width_mm=210,
        page_height_mm=297,
        columns=5,
        rows=13,
        label_width_mm=38.1,
        label_height_mm=21.2,
        left_mm=4.75,
        top_mm=10.7,
        gap_x_mm=2.5,
    ),
    "letter-30": LabelSheet(
        page_width_mm=215.9,
        page_height_mm=279.4,
        columns=3,
        rows=10,
        label_width_mm=66.7,
        label_height_mm=25.4,
        left_mm=4.8,
        top_mm=12.7,
        gap_x_mm=3.1,
    ),
}
"""Sheets that stationers sell, by paper and number of labels."""


def roll(*, width_mm: float, height_mm: float, bleed_mm: float = 0) -> LabelSheet:
    """One label a page, for a roll of them. The page is as large as the label with its bleed."""
    return LabelSheet(
        page_width_mm=width_mm + 2 * bleed_mm,
        page_height_mm=height_mm + 2 * bleed_mm,
        columns=1,
        rows=1,
        label_width_mm=width_mm,
        label_height_mm=height_mm,
        left_mm=bleed_mm,
        top_mm=bleed_mm,
        bleed_mm=bleed_mm,
    )


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """One label: the address in its symbol, and the GTIN and serial a person can read."""

    url: str
    gtin: str
    serial: str


def qr_modules(text: str) -> NDArray[np.bool_]:
    """The dark modules of a QR code, row by row, without a quiet zone.

    Raises InvalidInputError where the text is longer than a label should carry.
    """
    size = len(text.encode())
    version = next((v for v, capacity in enumerate(_BYTES_BY_VERSION, 1) if size <= capacity), None)
    if version is None:
        message = f"an address on a label has at most {_BYTES_BY_VERSION[-1]} bytes, not {size}"
        raise InvalidInputError(message, field="url")
    symbol = qrcode.QRCode(version=version, error_correction=ERROR_CORRECT_M, border=0, mask_pattern=_MASK)
    symbol.add_data(text.encode(), optimize=0)
    symbol.make(fit=False)
    return np.array(symbol.modules, dtype=np.bool_)


def qr_png(text: str, *, module_pixels: int = 8) -> bytes:
    """A QR code as a black and white PNG with its quiet zone. Raises InvalidInputError as qr_modules does."""
    if not 1 <= module_pixels <= _PIXELS_LIMIT:
        raise InvalidInputError(f"a module has 1 to {_PIXELS_LIMIT} pixels", field="module_pixels")
    light = np.pad(~qr_modules(text), QUIET_MODULES, constant_values=True)
    pixels = light.repeat(module_pixels, axis=0).repeat(module_pixels, axis=1)
    side = len(pixels)
    image = Image.frombytes("1", (side, side), np.packbits(pixels, axis=1).tobytes())
    png = io.BytesIO()
    image.save(png, format="PNG")
    return png.getvalue()


def qr_svg(text: str, *, title: str = "") -> str:
    """A QR code as an SVG document with its quiet zone, one unit a module. Raises as qr_modules does."""
    modules = qr_modules(text)
    side = len(modules) + 2 * QUIET_MODULES
    path = "".join(
        f"M{column + QUIET_MODULES} {row + QUIET_MODULES}h{length}v1h-{length}z"
        for row, column, length in _runs(modules)
    )
    label = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges">{label}'
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{path}"/></svg>'
    )


def label_sheet(
    labels: Sequence[Label],
    *,
    sheet: LabelSheet = SHEETS["a4-24"],
    title: str = "",
    ground: str | None = None,
    crop_marks: bool = False,
) -> bytes:
    """Labels as a PDF, row by row over as many pages as they need; symbols are vectors, sharp at any resolution.

    `ground` colours the labels, bleed included, around a white field (`#1f6f5c`); `crop_marks` say in the margins where
    to cut. One label a page is also described by the page's trim and bleed boxes, as presses expect.

    Raises InvalidInputError where there are no labels or too many, or they do not fit the sheet.
    """
    if not 0 < len(labels) <= LABELS_LIMIT:
        raise InvalidInputError(f"a sheet of labels has 1 to {LABELS_LIMIT} of them, not {len(labels)}", field="labels")
    if ground is not None and not _COLOUR.fullmatch(ground):
        raise InvalidInputError("a colour is written like #1f6f5c", field="ground")
    sheet.check()
    document = io.BytesIO()
    canvas = Canvas(document, pagesize=(sheet.page_width_mm * mm, sheet.page_height_mm * mm), invariant=True)
    canvas.setTitle(title or "Item codes")
    a_page = sheet.columns * sheet.rows
    for number, label in enumerate(labels):
        place = number % a_page
        if not place:
            if number:
                canvas.showPage()
            _prepare_page(canvas, sheet, crop_marks=crop_marks)
        row, column = divmod(place, sheet.columns)
        left = sheet.left_mm + column * (sheet.label_width_mm + sheet.gap_x_mm)
        top = sheet.top_mm + row * (sheet.label_height_mm + sheet.gap_y_mm)
        bottom = sheet.page_height_mm - top - sheet.label_height_mm
        if ground is not None:
            _draw_ground(canvas, sheet, ground, left_mm=left, bottom_mm=bottom)
        _draw(canvas, label, sheet, left_mm=left, bottom_mm=bottom)
    canvas.save()
    return document.getvalue()


def _prepare_page(canvas: Canvas, sheet: LabelSheet, *, crop_marks: bool) -> None:
    if sheet.columns == sheet.rows == 1:
        left, bottom = sheet.left_mm * mm, (sheet.page_height_mm - sheet.top_mm - sheet.label_height_mm) * mm
        right, top = left + sheet.label_width_mm * mm, bottom + sheet.label_height_mm * mm
        bleed = sheet.bleed_mm * mm
        canvas.setTrimBox((left, bottom, right, top))
        canvas.setBleedBox((left - bleed, bottom - bleed, right + bleed, top + bleed))
    if crop_marks:
        canvas.setLineWidth(_MARK_WIDTH)
        canvas.lines([tuple(side * mm for side in line) for line in _crop_marks(sheet)])


def _crop_marks(sheet: LabelSheet) -> Iterator[tuple[float, float, float, float]]:
    """Short lines in the margins, in line with every edge of the labels and as far from them as the bleed goes."""
    step_x, step_y = sheet.label_width_mm + sheet.gap_x_mm, sheet.label_height_mm + sheet.gap_y_mm
    page_top = sheet.page_height_mm - sheet.top_mm
    right = sheet.left_mm + (sheet.columns - 1) * step_x + sheet.label_width_mm
    bottom = page_top - (sheet.rows - 1) * step_y - sheet.label_height_mm
    bleed = sheet.bleed_mm
    for column in range(sheet.columns):
        for x in (sheet.left_mm + column * step_x, sheet.left_mm + column * step_x + sheet.label_width_mm):
            yield x, page_top + bleed, x, min(page_top + bleed + _MARK_MM, sheet.page_height_mm)
            yield x, bottom - bleed, x, max(bottom - bleed - _MARK_MM, 0)
    for row in range(sheet.rows):
        for y in (page_top - row * step_y, page_top - row * step_y - sheet.label_height_mm):
            yield sheet.left_mm - bleed, y, max(sheet.left_mm - bleed - _MARK_MM, 0), y
            yield right + bleed, y, min(right + bleed + _MARK_MM, sheet.page_width_mm), y


def _draw_ground(canvas: Canvas, sheet: LabelSheet, ground: str, *, left_mm: float, bottom_mm: float) -> None:
    """Colour a label as far as its bleed goes, and leave a white field for what has to be read."""
    for colour, outset in ((ground, sheet.bleed_mm), ("#ffffff", -_PADDING_MM / 2)):
        canvas.setFillColor(HexColor(colour))
        canvas.rect(
            (left_mm - outset) * mm,
            (bottom_mm - outset) * mm,
            (sheet.label_width_mm + 2 * outset) * mm,
            (sheet.label_height_mm + 2 * outset) * mm,
            stroke=0,
            fill=1,
        )
    canvas.setFillColor(HexColor("#000000"))


def _draw(canvas: Canvas, label: Label, sheet: LabelSheet, *, left_mm: float, bottom_mm: float) -> None:
    """Draw one label: the symbol, with the text beside it on a wide label and under it on a tall one."""
    width, height = sheet.label_width_mm * mm, sheet.label_height_mm * mm
    left, bottom, padding = left_mm * mm, bottom_mm * mm, _PADDING_MM * mm
    wide = width >= height
    text_height = 0.0 if wide else 3 * _LINE_HEIGHT * _FONT_SIZE
    side = min(width, height - text_height) - 2 * padding
    symbol_left = left + padding if wide else left + (width - side) / 2
    symbol_bottom = bottom + (height - side) / 2 if wide else bottom + height - padding - side
    _draw_symbol(canvas, label.url, symbol_left, symbol_bottom, side)
    lines = (f"(01) {label.gtin}", "(21)", group_serial(label.serial))
    room = width - 3 * padding - side if wide else width - 2 * padding
    widest = max(stringWidth(line, _FONT, 1.0) for line in lines)
    size = max(_SMALLEST_FONT_SIZE, min(_FONT_SIZE, room / widest))
    canvas.setFont(_FONT, size)
    text_left = left + 2 * padding + side if wide else left + padding
    baseline = bottom + height / 2 + size / 2 if wide else symbol_bottom - size
    for line in lines:
        canvas.drawString(text_left, baseline, line)
        baseline -= size * _LINE_HEIGHT


def _draw_symbol(canvas: Canvas, text: str, left: float, bottom: float, side: float) -> None:
    modules = qr_modules(text)
    module = side / (len(modules) + 2 * QUIET_MODULES)
    path = canvas.beginPath()
    for row, column, length in _runs(modules):
        path.rect(
            left + (column + QUIET_MODULES) * module,
            bottom + side - (row + QUIET_MODULES + 1) * module,
            length * module,
            module,
        )
    canvas.drawPath(path, stroke=0, fill=1)


def _runs(modules: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Dark modules that follow each other in a row, as (row, column, length)."""
    edges = np.diff(np.pad(modules, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return [(int(row), int(start), int(end - start)) for row, start, end in zip(rows, starts, ends, strict=True)]
