"""One box that takes anything: what a scanner, a label, a delivery note or a colleague's message has in it.

Digital Links of any domain and form, element strings as scanners give them (brackets, or FNC1 as the character GS),
`GTIN serial` in two words, EPC URNs, SSCCs, GTINs, bare serials, lots, print orders.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.application_identifiers import IDENTIFIERS, fits
from loyalty.items.code_tables import imported_code_table, lot_table
from loyalty.items.codes import ItemCode
from loyalty.items.digital_link import DigitalLinkError, parse_link
from loyalty.items.epcis.epcs import parse_epc
from loyalty.items.gtin import normalise_gtin
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import find_code, read_code
from loyalty.items.packing.sscc import normalise_sscc
from loyalty.items.products import find_owner
from loyalty.items.tables import code_range_table, product_table
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import parse_public_id, public_id

FindingKind = Literal["item", "unit", "lot", "order", "product"]
MOST_FOUND: Final = 20
QUERY_LIMIT: Final = 500

_GS: Final = "\x1d"
_BRACKETED: Final = re.compile(r"\((\d{2,4})\)([^(]+)")
_FIXED: Final = {"00": 18, "01": 14, "02": 14, "11": 6, "12": 6, "13": 6, "15": 6, "16": 6, "17": 6, "20": 2}
"""Identifiers whose values end without a separator in an element string (General Specifications, figure 7.8.5-2)."""
_SYMBOLOGY: Final = re.compile(r"^\](?:C1|d2|Q3|J1|e0)")
_WORDS: Final = re.compile(r"[\s,;]+")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a text names: an item (GTIN and serial, whether or not it is ours), a unit, a lot, an order, a product."""

    kind: FindingKind
    gtin: str = ""
    serial: str = ""
    sscc: str = ""
    lot: str = ""
    range_id: str = ""
    name: str = ""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What a text says by itself, before anything is looked up."""

    gtin: str = ""
    serial: str = ""
    lot: str = ""
    sscc: str = ""
    word: str = ""


def read_text(typed: str) -> Named:
    """Take a text apart. What is in no form that GS1 knows is a `word`: a serial, a lot or a print order."""
    cleaned = _SYMBOLOGY.sub("", typed.strip())[:QUERY_LIMIT]
    for reading in (_link, _urn, _bracketed, _element_string, _sscc, _pair):
        named = reading(cleaned)
        if named is not None:
            return named
    return Named(word=cleaned)


async def find_anything(
    connection: AsyncConnection, keys: MasterKeys, *, programme_id: UUID, typed: str
) -> list[Finding]:
    """What a text may mean in a programme, the likeliest first; one finding of a code or an SSCC is certain.

    An item is a finding even where its code is not ours: its page says why.
    """
    named = read_text(typed)
    if named.sscc:
        return [Finding(kind="unit", sscc=named.sscc)]
    if named.gtin and named.serial:
        code = await find_code(connection, keys, gtin=named.gtin, serial=named.serial)
        lots = [] if isinstance(code, ItemCode) else await _lots(connection, programme_id, named.serial)
        own = [lot for lot in lots if lot.gtin == named.gtin]
        return own or [Finding(kind="item", gtin=named.gtin, serial=named.serial)]
    if named.gtin and named.lot:
        return [Finding(kind="lot", gtin=named.gtin, lot=named.lot)]
    if named.gtin and await find_owner(connection, named.gtin) == programme_id:
        return [Finding(kind="product", gtin=named.gtin)]
    word = named.word or typed.strip()[:QUERY_LIMIT]
    if not word or "\0" in word:
        return []
    return [
        *await _range_by_id(connection, programme_id, word),
        *await _bare_serial(connection, keys, programme_id, word),
        *await _lots(connection, programme_id, word),
        *await _orders(connection, programme_id, word),
    ][:MOST_FOUND]


def _link(typed: str) -> Named | None:
    text_ = typed if "://" in typed or typed.startswith("/") else f"https://{typed}" if "/01/" in typed else ""
    if not text_ and "/00/" in typed:
        text_ = f"https://{typed}"
    if not text_:
        return None
    try:
        link = parse_link(text_)
    except DigitalLinkError:
        return _loose_link(text_)
    if link.key == "00":
        return Named(sscc=link.value)
    return Named(gtin=link.gtin or "", serial=link.serial or "", lot=link.lot or "") if link.gtin else None


_LOOSE: Final = re.compile(r"/01/(\d{8,14})(?:/22/[^/?#]+)?(?:/10/([^/?#]+))?(?:/21/([^/?#]+))?")


def _loose_link(typed: str) -> Named | None:
    """A link as our own pages take it: a GTIN of any length, and what comes after the serial is nobody's business."""
    found = _LOOSE.search(typed)
    if found is None:
        return None
    try:
        return Named(gtin=normalise_gtin(found[1]), lot=found[2] or "", serial=found[3] or "")
    except InvalidInputError:
        return None


def _urn(typed: str) -> Named | None:
    if not typed.lower().startswith("urn:epc:"):
        return None
    try:
        epc = parse_epc(typed)
    except ValueError:
        return None
    if epc.canonical.startswith("00/"):
        return Named(sscc=epc.canonical.removeprefix("00/"))
    lot = epc.canonical.partition("/10/")[2].partition("/")[0]
    return Named(gtin=epc.gtin, serial=epc.serial or "", lot=lot) if epc.gtin else None


def _bracketed(typed: str) -> Named | None:
    pairs = _BRACKETED.findall(typed)
    if not pairs or not typed.startswith("("):
        return None
    return _named({identifier: value.strip() for identifier, value in pairs})


def _element_string(typed: str) -> Named | None:
    """A GS1 element string without brackets. Without separators a value of open length goes to the end."""
    rest, values = typed, dict[str, str]()
    if not re.match(r"(01\d{14}|00\d{18}$)", rest):
        return None
    while rest:
        rest = rest.lstrip(_GS)
        identifier = next((rest[:n] for n in (2, 3, 4) if rest[:n] in IDENTIFIERS), None)
        if identifier is None:
            break
        rest = rest[len(identifier) :]
        length = _FIXED.get(identifier)
        value = rest[:length] if length is not None else rest.partition(_GS)[0]
        rest = rest[len(value) :]
        values[identifier] = value
    return _named(values)


def _named(values: dict[str, str]) -> Named | None:
    if "00" in values and fits("00", values["00"]):
        return Named(sscc=values["00"])
    try:
        gtin = normalise_gtin(values.get("01", ""))
    except InvalidInputError:
        return None
    return Named(gtin=gtin, serial=values.get("21", ""), lot=values.get("10", ""))


def _sscc(typed: str) -> Named | None:
    try:
        return Named(sscc=normalise_sscc(typed.replace(" ", "")))
    except InvalidInputError:
        return None


def _pair(typed: str) -> Named | None:
    """A GTIN alone, or a GTIN and a serial or lot in two words. Which it is, the second word's look-up says."""
    words = [word for word in _WORDS.split(typed) if word]
    if not 1 <= len(words) <= 2:  # noqa: PLR2004  (two words)
        return None
    try:
        gtin = normalise_gtin(words[0])
    except InvalidInputError:
        return None
    return Named(gtin=gtin, serial=words[1] if len(words) > 1 else "")


async def _range_by_id(connection: AsyncConnection, programme_id: UUID, word: str) -> list[Finding]:
    try:
        identifier = parse_public_id("rng", word, field="range")
    except NotFoundError:
        return []
    ranged = code_range_table.c
    query = select(ranged.gtin, ranged.print_order).where(ranged.id == identifier, ranged.programme_id == programme_id)
    return [
        Finding(kind="order", gtin=row.gtin, range_id=word, name=row.print_order)
        for row in await connection.execute(query)
    ]


async def _bare_serial(connection: AsyncConnection, keys: MasterKeys, programme_id: UUID, word: str) -> list[Finding]:
    """A serial without its GTIN: of all products, the one whose keys made it; or an imported one, as it is written."""
    imported, product = imported_code_table.c, product_table.c
    gtins = (await connection.execute(select(product.gtin).where(product.programme_id == programme_id))).scalars().all()
    proved = [gtin for gtin in gtins if isinstance(read_code(keys, gtin=gtin, serial=word), ItemCode)]
    query = select(imported.gtin).where(imported.gtin.in_(gtins), imported.serial == word).limit(MOST_FOUND)
    rows = (await connection.execute(query)).scalars()
    return [Finding(kind="item", gtin=gtin, serial=word) for gtin in [*proved, *rows]]


_ORDERS: Final = text("""
    SELECT DISTINCT ON (origin_id) id, gtin, print_order FROM code_range
    WHERE programme_id = :programme AND honey_export_id IS NULL AND lower(print_order) = lower(:word)
    ORDER BY origin_id DESC, lo LIMIT :most
""")


async def _lots(connection: AsyncConnection, programme_id: UUID, word: str) -> list[Finding]:
    lot = lot_table.c
    query = select(lot.gtin, lot.code).where(lot.programme_id == programme_id, lot.code == word).limit(MOST_FOUND)
    return [Finding(kind="lot", gtin=row.gtin, lot=row.code) for row in await connection.execute(query)]


async def _orders(connection: AsyncConnection, programme_id: UUID, word: str) -> list[Finding]:
    rows = await connection.execute(_ORDERS, {"programme": programme_id, "word": word, "most": MOST_FOUND})
    return [
        Finding(kind="order", gtin=row.gtin, range_id=public_id("rng", row.id), name=row.print_order) for row in rows
    ]
