"""From a scanned text to the item: the serial proves itself, then one query brings all that is known."""

from __future__ import annotations

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode, fold_serial, serial_kid
from loyalty.items.gtin import normalise_gtin
from loyalty.items.imported import IMPORTED_KID, find_imported, imported_serial, verify_imported_pin
from loyalty.items.keys import MasterKeys
from loyalty.items.loading import Wanted, load_many
from loyalty.items.verdicts import Item, UnknownReason
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError
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
    return check_listed(keys, await load_item(connection, programme_id=programme_id, code=code), serial)


def check_listed(keys: MasterKeys, item: Item | UnknownReason, serial: str) -> Item | UnknownReason:
    """The item, where nothing says that its serial has to stand in a list; else whether it does.

    Raises UnavailableError where a leaked key's list of codes cannot be read.
    """
    if isinstance(item, Item) and item.listed_in and not keys.manifests.list_any(item.listed_in, serial):
        return "not_handed_out"
    return item


async def load_item(connection: AsyncConnection, *, programme_id: UUID, code: ItemCode) -> Item | UnknownReason:
    """Read everything known of a proven code in one query; or why it is not an item of this programme."""
    (loaded,) = await load_many(connection, [Wanted(programme_id=programme_id, code=code, at=utc_now())])
    return loaded.item


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
