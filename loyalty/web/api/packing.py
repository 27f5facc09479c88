"""Packing: items into cases, cases onto pallets, where an item lies, and moving all that lies in a unit."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.checking import check_serials
from loyalty.items.codes import ItemCode
from loyalty.items.keys import MasterKeys
from loyalty.items.lookup import find_code
from loyalty.items.packing.files import pack_file
from loyalty.items.packing.intervals import Interval, intervals_of
from loyalty.items.packing.moving import move_unit
from loyalty.items.packing.packing import Packing, pack, unpack
from loyalty.items.packing.reading import contents, whereabouts
from loyalty.items.precedence import NextState
from loyalty.items.products import get_product
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.web.api.items import GtinPath
from loyalty.web.api.items_schemas import Gtin, LocalTextRequest, Serial, read_text
from loyalty.web.api.operations import IdempotencyKey, Moment, Person, Require, keyed_problems, problems, tell
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

_UNITS: Final = 100
_PRODUCTS: Final = 20
_SERIALS: Final = 500
_FILE_BYTES: Final = 20_000_000
Sscc = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{18}$",
        description="The number of a case or pallet: 18 digits with their check digit.",
        examples=["069012340000000009"],
    ),
]
SsccPath = Annotated[str, PathParameter(pattern=r"^[0-9]{18}$", description="The SSCC of a case or pallet.")]
SerialPath = Annotated[str, PathParameter(min_length=1, max_length=64, description="The serial, in any spelling.")]


class ItemsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Items of one product by their serials, in any order."""

    gtin: Gtin
    serials: Annotated[list[Serial], Meta(min_length=1, max_length=_SERIALS)]


class LogisticUnitRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes into a unit: items, or units that were packed before."""

    sscc: Sscc
    items: Annotated[list[ItemsRequest], Meta(max_length=_PRODUCTS)] = []
    units: Annotated[list[Sscc], Meta(max_length=_UNITS)] = []


class PackRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pack units, all or none. With `repack`, what lies elsewhere is taken out of there."""

    units: Annotated[list[LogisticUnitRequest], Meta(min_length=1, max_length=_UNITS)]
    repack: bool = False
    at: Moment | None = None
    actor: Person | None = None


class UnpackRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take items out of a unit; without `items`, all that is in it, units too."""

    sscc: Sscc
    items: Annotated[list[ItemsRequest], Meta(min_length=1, max_length=_PRODUCTS)] | None = None
    at: Moment | None = None
    actor: Person | None = None


class PackFileRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a line scanned: CSV whose first line names `sscc`, `code` and, where codes are serials alone, `gtin`."""

    file: Annotated[str, Meta(min_length=1, description="The file's text.")]
    gtin: Gtin | None = None
    repack: bool = False
    at: Moment | None = None
    actor: Person | None = None


class UnitStateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Move all that lies in a unit to a state."""

    state: NextState
    exempt: bool = False
    at: Moment | None = None
    place: LocalTextRequest | None = None
    public: bool | None = None
    actor: Person | None = None


class PackedFileAnswer(Struct, frozen=True, kw_only=True):
    """How many lines were read, and how many items they name in how many units."""

    lines: int
    items: int
    units: int


class MovedUnitAnswer(Struct, frozen=True, kw_only=True):
    """How many items of a unit are in the state now."""

    sscc: str
    state: NextState
    items: int


class PackedAnswer(Struct, frozen=True, kw_only=True):
    """How many items were packed or unpacked."""

    items: int


class IntervalAnswer(Struct, frozen=True, kw_only=True):
    """Consecutive items of a product: the key that proves them, their first and last index, and how many they are."""

    gtin: str
    kid: int
    first_index: int
    last_index: int
    items: int


class LogisticUnitAnswer(Struct, frozen=True, kw_only=True):
    """A case or pallet: what lies directly in it, what it lies in (innermost first), and all items in it."""

    sscc: str
    parents: list[str]
    packed_at: datetime
    intervals: list[IntervalAnswer]
    units: list[str]
    items: int


class WhereaboutsAnswer(Struct, frozen=True, kw_only=True):
    """The units that an item lies in, the innermost first; none where it is not packed."""

    gtin: str
    serial: str
    units: list[str]


@post(
    "/packing",
    operation_id="packUnits",
    summary="Pack cases and pallets",
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def pack_units(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[PackRequest],
) -> Response[PackedAnswer]:
    """Put items into cases and cases onto pallets. An item lies in one unit at a time."""

    async def work(connection: AsyncConnection) -> PackedAnswer:
        packings = [
            Packing(
                sscc=unit.sscc,
                items=await _read_items(
                    connection, services.item_keys, caller, unit.items, field=f"units[{place}].items"
                ),
                units=unit.units,
            )
            for place, unit in enumerate(data.units)
        ]
        packed = await pack(
            connection,
            programme_id=caller.programme_id,
            packings=packings,
            repack=data.repack,
            at=data.at,
            actor=data.actor or f"api:{caller.key.prefix}",
        )
        return PackedAnswer(items=packed)

    return await once(services, caller, idempotency_key, operation="packUnits", request=data, status=201, work=work)


@post(
    "/packing/unpack",
    operation_id="unpackUnit",
    summary="Unpack a case or pallet",
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def unpack_unit(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[UnpackRequest],
) -> Response[PackedAnswer]:
    """Take items out of a unit, or all that is in it. What was packed stays in its history."""

    async def work(connection: AsyncConnection) -> PackedAnswer:
        out = None
        if data.items is not None:
            out = await _read_items(connection, services.item_keys, caller, data.items, field="items")
        unpacked = await unpack(
            connection,
            programme_id=caller.programme_id,
            sscc=data.sscc,
            items=out,
            at=data.at,
            actor=data.actor or f"api:{caller.key.prefix}",
        )
        return PackedAnswer(items=unpacked)

    return await once(services, caller, idempotency_key, operation="unpackUnit", request=data, status=201, work=work)


@post(
    "/packing/files",
    operation_id="packFile",
    summary="Pack a line's scan file",
    request_max_body_size=_FILE_BYTES,
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def pack_scan_file(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[PackFileRequest],
) -> Response[PackedFileAnswer]:
    """Pack what was scanned into each case or onto each pallet: all of the file or nothing, each bad line is told.

    For files above twenty megabytes use the command line, which reads them as a stream.
    """

    async def work(connection: AsyncConnection) -> PackedFileAnswer:
        packed = await pack_file(
            connection,
            services.item_keys,
            programme_id=caller.programme_id,
            lines=io.StringIO(data.file, newline=""),
            gtin=data.gtin,
            repack=data.repack,
            at=data.at,
            actor=data.actor or f"api:{caller.key.prefix}",
        )
        return tell(PackedFileAnswer, packed)

    return await once(services, caller, idempotency_key, operation="packFile", request=data, status=201, work=work)


@post(
    "/packing/{sscc:str}/state",
    operation_id="changeUnitState",
    summary="Activate, ship, recall … all in a case or pallet",
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def change_unit_state(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    sscc: SsccPath,
    idempotency_key: IdempotencyKey,
    data: JSONBody[UnitStateRequest],
) -> Response[MovedUnitAnswer]:
    """Move all items that lie in a unit now, and in the units in it: all of them or none."""

    async def work(connection: AsyncConnection) -> MovedUnitAnswer:
        moved = await move_unit(
            connection,
            programme_id=caller.programme_id,
            sscc=sscc,
            state=data.state,
            exempt=data.exempt,
            at=data.at,
            places=read_text(data.place),
            public=data.public,
            actor=data.actor or f"api:{caller.key.prefix}",
        )
        return MovedUnitAnswer(sscc=moved.sscc, state=moved.state, items=moved.count)

    request = {"unit": sscc, "change": data}
    return await once(
        services, caller, idempotency_key, operation="changeUnitState", request=request, status=201, work=work
    )


@get(
    "/packing/{sscc:str}",
    operation_id="getUnit",
    summary="A case or pallet",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_unit(
    services: NamedDependency[Services], caller: NamedDependency[Caller], sscc: SsccPath
) -> LogisticUnitAnswer:
    """What lies in a case or pallet, and what it lies in."""
    async with services.transaction() as connection:
        found = await contents(connection, programme_id=caller.programme_id, sscc=sscc)
    return LogisticUnitAnswer(
        sscc=found.sscc,
        parents=found.parents,
        packed_at=found.packed_at,
        intervals=[
            IntervalAnswer(gtin=each.gtin, kid=each.kid, first_index=each.lo, last_index=each.hi, items=each.count)
            for each in found.items
        ],
        units=found.units,
        items=found.count,
    )


@get(
    "/products/{gtin:str}/items/{serial:str}/packing",
    operation_id="getItemPacking",
    summary="Where an item is packed",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_item_packing(
    services: NamedDependency[Services], caller: NamedDependency[Caller], gtin: GtinPath, serial: SerialPath
) -> WhereaboutsAnswer:
    """The case that an item lies in, the pallet that the case lies on, and so on outwards."""
    async with services.transaction() as connection:
        product = await get_product(connection, programme_id=caller.programme_id, gtin=gtin)
        code = await find_code(connection, services.item_keys, gtin=product.gtin, serial=serial)
        if not isinstance(code, ItemCode):
            raise NotFoundError("this is not a code of ours", field="serial")
        units = await whereabouts(connection, programme_id=caller.programme_id, code=code)
    return WhereaboutsAnswer(gtin=product.gtin, serial=serial, units=units)


async def _read_items(
    connection: AsyncConnection, keys: MasterKeys, caller: Caller, asked: Sequence[ItemsRequest], *, field: str
) -> list[Interval]:
    """The items that serials name, as intervals. Raises InvalidInputError naming the first that is none of ours."""
    codes: list[ItemCode] = []
    for place, each in enumerate(asked):
        checks = await check_serials(
            connection, keys, programme_id=caller.programme_id, gtin=each.gtin, serials=each.serials
        )
        for number, check in enumerate(checks):
            if check.code is None or not check.genuine:
                message = f"{check.serial} is not a code of ours"
                raise InvalidInputError(message, field=f"{field}[{place}].serials[{number}]")
            codes.append(check.code)
    return intervals_of(codes)


router: Final = Router(
    path="/",
    tags=["Items"],
    route_handlers=[pack_units, pack_scan_file, unpack_unit, change_unit_state, get_unit, get_item_packing],
)
