"""From a scanned text to the item: the serial proves itself, then one query brings all that is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import BindParameter, ColumnElement, RowMapping, Select, and_, bindparam, case, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import code_export_table, code_key_table, lot_table
from loyalty.items.codes import ItemCode, fold_serial, serial_kid
from loyalty.items.gtin import normalise_gtin
from loyalty.items.imported import IMPORTED_KID, find_imported, imported_serial, verify_imported_pin
from loyalty.items.keys import MasterKeys
from loyalty.items.precedence import Word
from loyalty.items.products import product_from_row
from loyalty.items.ranges import range_from_row
from loyalty.items.tables import code_range_table, item_claim_table, item_table, product_table
from loyalty.items.verdicts import ClaimRecord, Item, ItemRecord, UnknownReason
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import programme_table
from loyalty.members.member import get_member


def read_code(keys: MasterKeys, *, gtin: str, serial: str) -> ItemCode | UnknownReason:
    """Prove a serial without the database: what it says, or why it is not ours."""
    try:
        digits = normalise_gtin(gtin)
    except InvalidInputError:
        return "bad_gtin"
    kid = serial_kid(serial)
    if kid is None:
        return "bad_serial"
    code = keys.verify(digits, serial)
    if code is None:
        return "bad_tag" if kid in keys.masters else "unknown_key"
    return code


async def find_code(
    connection: AsyncConnection, keys: MasterKeys, *, gtin: str, serial: str
) -> ItemCode | UnknownReason:
    """Which code a GTIN and a serial name: one of ours, in any spelling, which proves itself, or an imported one."""
    code = read_code(keys, gtin=gtin, serial=serial)
    if isinstance(code, ItemCode) or code == "bad_gtin":
        return code
    return await find_imported(connection, gtin=normalise_gtin(gtin), serial=serial) or code


async def find_serial(connection: AsyncConnection, keys: MasterKeys, code: ItemCode) -> str:
    """The serial of a code, as it is printed. Raises NotFoundError where there is no such code."""
    if code.kid == IMPORTED_KID:
        return await imported_serial(connection, code)
    return keys.for_product(code.gtin, code.kid).mint(code.index)


async def verify_pin(connection: AsyncConnection, keys: MasterKeys, code: ItemCode, text: str) -> bool:
    """Whether somebody typed an item's PIN, in any case and with or without separators."""
    if code.kid == IMPORTED_KID:
        return await verify_imported_pin(connection, keys, code, text)
    return keys.for_product(code.gtin, code.kid).verify_pin(code.index, text)


async def find_item(
    connection: AsyncConnection, keys: MasterKeys, *, programme_id: UUID, gtin: str, serial: str
) -> Item | UnknownReason:
    """Find the item that a GTIN and a serial name, in any spelling; or why there is none in this programme.

    Raises UnavailableError where a leaked key's list of codes cannot be read.
    """
    code = await find_code(connection, keys, gtin=gtin, serial=serial)
    if not isinstance(code, ItemCode):
        return code
    item = await load_item(connection, programme_id=programme_id, code=code)
    if isinstance(item, Item) and item.listed_in and not keys.manifests.list_any(item.listed_in, serial):
        return "not_handed_out"
    return item


async def load_item(connection: AsyncConnection, *, programme_id: UUID, code: ItemCode) -> Item | UnknownReason:
    """Read everything known of a proven code in one query; or why it is not an item of this programme."""
    parameters = {"programme": programme_id, "gtin": code.gtin, "kid": code.kid, "position": code.index}
    columns = (await connection.execute(_ITEM, parameters)).mappings().first()
    if columns is None:
        return "unknown_product"
    code_range = _part(columns, "range")
    if code_range["id"] is None or code_range["hi"] < code.index:
        return "not_minted"
    record, claim = _part(columns, "item"), _part(columns, "claim")
    if record["state"] == "honey" or code_range["honey_export_id"] is not None:
        return "honey"
    exports: list[UUID | None] | None = columns["exports"]
    if columns["compromised_at"] is not None and exports is None:
        return "not_handed_out"
    lot, key = _part(columns, "lot"), _part(columns, "key")
    for name in ("expires_on", "region"):
        code_range[name] = lot[name] if code_range[name] is None else code_range[name]
    return Item(
        code=code,
        product=product_from_row(_part(columns, "product")),
        time_zone=columns["time_zone"],
        range=range_from_row(code_range),
        record=ItemRecord(**{name: record[name] for name in ItemRecord.__struct_fields__})
        if record["gtin"] is not None
        else ItemRecord(),
        claim=ClaimRecord(**{name: claim[name] for name in ClaimRecord.__struct_fields__})
        if claim["gtin"] is not None
        else None,
        lot=None if lot["state"] is None else Word(lot["state"], lot["state_at"]),
        key=None if key["state"] is None else Word(key["state"], key["state_at"]),
        listed_in=() if exports is None or None in exports else tuple(each for each in exports if each is not None),
    )


async def settle_claimant(connection: AsyncConnection, item: Item, member_id: UUID | None) -> Item:
    """The item with its claimant as this member knows it: what was claimed before a merge is the survivor's claim."""
    if item.claim is None or member_id is None or item.claim.member_id == member_id:
        return item
    programme_id = item.product.programme_id
    claimant = await get_member(connection, programme_id=programme_id, member_id=item.claim.member_id)
    return msgspec.structs.replace(item, claim=msgspec.structs.replace(item.claim, member_id=claimant.id))


def canonical_serial(serial: str) -> str:
    """A serial as it is printed where it can be one, else what was given, cut short for a log or a page."""
    return fold_serial(serial) or serial[:64]


def _part(columns: RowMapping, prefix: str) -> dict[str, Any]:
    head = f"{prefix}_"
    return {name.removeprefix(head): value for name, value in columns.items() if name.startswith(head)}


def _item_query() -> Select[Any]:
    gtin: BindParameter[str] = bindparam("gtin")
    kid: BindParameter[int] = bindparam("kid")
    index: BindParameter[int] = bindparam("position")
    # Ranges do not overlap: only the one that starts last at or before the index can hold it.
    ranges = (
        select(code_range_table)
        .where(code_range_table.c.gtin == gtin, code_range_table.c.kid == kid, code_range_table.c.lo <= index)
        .order_by(code_range_table.c.lo.desc())
        .limit(1)
        .lateral("nearest_range")
    )
    item, claim, lot, key, export = (
        table.c for table in (item_table, item_claim_table, lot_table, code_key_table, code_export_table)
    )
    parts: dict[str, Iterable[ColumnElement[Any]]] = {
        "product": product_table.c,
        "range": ranges.c,
        "item": item,
        "claim": claim,
        "lot": [lot.state, lot.state_at, lot.expires_on, lot.region],
        "key": [key.state, key.state_at],
    }
    # The files that a code of a leaked key was handed out in before; null for one without a list of its codes.
    exports = (
        select(func.array_agg(case((export.codes_sha256.is_not(None), export.id))))
        .where(export.gtin == gtin, export.kid == kid, export.lo <= index, export.hi >= index)
        .where(export.handed_out_at <= key.compromised_at)
        .correlate(code_key_table)
        .scalar_subquery()
    )
    return (
        select(
            programme_table.c.time_zone,
            key.compromised_at,
            case((key.compromised_at.is_not(None), exports)).label("exports"),
            *(column.label(f"{prefix}_{column.name}") for prefix, columns in parts.items() for column in columns),
        )
        .select_from(product_table)
        .join(programme_table, programme_table.c.id == product_table.c.programme_id)
        .outerjoin(ranges, true())
        .outerjoin(lot_table, and_(lot.gtin == gtin, lot.code == ranges.c.lot))
        .outerjoin(code_key_table, and_(key.programme_id == bindparam("programme"), key.kid == kid))
        .outerjoin(item_table, and_(item.gtin == gtin, item.kid == kid, item.index == index))
        .outerjoin(item_claim_table, and_(claim.gtin == gtin, claim.kid == kid, claim.index == index))
        .where(product_table.c.gtin == gtin, product_table.c.programme_id == bindparam("programme"))
    )


_ITEM: Final = _item_query()
