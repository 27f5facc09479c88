"""Lots, single items and a brand's own serials: what is made together, moved by itself, or comes from elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.checking import check_serials
from loyalty.items.codes import ItemCode
from loyalty.items.exceptions import change_item
from loyalty.items.gtin import normalise_gtin
from loyalty.items.importing import import_serials
from loyalty.items.lookup import find_code
from loyalty.items.lots import count_lot, get_lot, list_lots, move_lot, save_lot, set_lot_state
from loyalty.items.products import get_product
from loyalty.items.ranges import RangePolicy
from loyalty.kit.errors import NotFoundError
from loyalty.web.api import codes_schemas as shapes
from loyalty.web.api import items_schemas
from loyalty.web.api.items import GtinPath
from loyalty.web.api.operations import (
    PAGE_SIZE,
    Cursor,
    IdempotencyKey,
    Limit,
    Require,
    body_problems,
    keyed_problems,
    problems,
    read_cursor,
    write_cursor,
)
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

_FILE_BYTES: Final = 25_000_000
LotPath = Annotated[str, PathParameter(min_length=1, max_length=200, description="The lot's code.")]


@get(
    "/lots",
    operation_id="listProductLots",
    summary="List lots of products",
    guards=[Require("items:read")],
    responses=problems(),
)
async def list_all_lots(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.ProductLots:
    """The lots of the programme, by GTIN and code. A lot is known from the first codes that name it."""
    after = read_cursor(cursor, tuple[str, str]) if cursor is not None else ("", "")
    async with services.transaction() as connection:
        found = await list_lots(connection, programme_id=caller.programme_id, after=after, limit=limit)
    return shapes.ProductLots(
        data=[shapes.lot_answer(lot) for lot in found],
        next_cursor=write_cursor(found[-1].gtin, found[-1].code) if len(found) == limit else None,
    )


@put(
    "/products/{gtin:str}/lots/{lot:str}",
    operation_id="saveProductLot",
    summary="Save a lot",
    guards=[Require("items:write")],
    responses=body_problems(404),
)
async def save_one_lot(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    gtin: GtinPath,
    lot: LotPath,
    data: JSONBody[shapes.LotRequest],
) -> shapes.ProductLotAnswer:
    """Say when a lot was made, how long it is good and where it is sold; a range's own word goes before it."""
    async with services.transaction() as connection:
        saved = await save_lot(
            connection,
            programme_id=caller.programme_id,
            gtin=gtin,
            code=lot,
            made_on=data.made_on,
            expires_on=data.expires_on,
            region=data.region,
            note=data.note,
        )
    return shapes.lot_answer(saved)


@get(
    "/products/{gtin:str}/lots/{lot:str}",
    operation_id="getProductLot",
    summary="A lot",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_one_lot(
    services: NamedDependency[Services], caller: NamedDependency[Caller], gtin: GtinPath, lot: LotPath
) -> shapes.ProductLotDetails:
    """One lot, and how many of its codes are in which state."""
    digits = normalise_gtin(gtin)
    async with services.transaction() as connection:
        found = await get_lot(connection, programme_id=caller.programme_id, gtin=digits, code=lot)
        counts = await count_lot(connection, gtin=digits, code=found.code)
    return shapes.ProductLotDetails(lot=shapes.lot_answer(found), codes=counts)


@post(
    "/products/{gtin:str}/lots/{lot:str}/state",
    operation_id="changeProductLotState",
    summary="Move or recall a lot",
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def change_lot_state(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    gtin: GtinPath,
    lot: LotPath,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.LotStateRequest],
) -> Response[shapes.ProductLotDetails]:
    """Recall a lot, lift its recall (`released`), or move its ranges along their road.

    A recall is one word about the lot: it holds from the next scan on, and no item is written.
    """
    digits = normalise_gtin(gtin)

    async def work(connection: AsyncConnection) -> shapes.ProductLotDetails:
        how: dict[str, Any] = {
            "programme_id": caller.programme_id,
            "gtin": digits,
            "code": lot,
            "at": data.at,
            "places": items_schemas.read_text(data.place),
            "public": data.public,
            "actor": data.actor or f"api:{caller.key.prefix}",
        }
        match data.state:
            case "recalled" | "retired":
                await set_lot_state(connection, state=data.state, **how)
            case "released":
                await set_lot_state(connection, state=None, **how)
            case _:
                await move_lot(connection, state=data.state, **how)
        found = await get_lot(connection, programme_id=caller.programme_id, gtin=digits, code=lot)
        return shapes.ProductLotDetails(
            lot=shapes.lot_answer(found), codes=await count_lot(connection, gtin=digits, code=lot)
        )

    request = {"gtin": digits, "lot": lot, "change": data}
    return await once(
        services, caller, idempotency_key, operation="changeProductLotState", request=request, status=201, work=work
    )


@post(
    "/items/state",
    operation_id="changeItemState",
    summary="Move one item",
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def change_item_state(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ItemStateRequest],
) -> Response[shapes.ItemStateAnswer]:
    """Sell, recall or retire one item by itself, or say that it is good though its lot was recalled."""

    async def work(connection: AsyncConnection) -> shapes.ItemStateAnswer:
        product = await get_product(connection, programme_id=caller.programme_id, gtin=data.gtin)
        code = await find_code(connection, services.item_keys, gtin=product.gtin, serial=data.serial)
        if not isinstance(code, ItemCode):
            raise NotFoundError("this is not a code of ours", field="serial")
        item = await change_item(
            connection,
            programme_id=caller.programme_id,
            code=code,
            state=data.state,
            exempt=data.exempt,
            at=data.at,
            places=items_schemas.read_text(data.place),
            public=data.public,
            actor=data.actor or f"api:{caller.key.prefix}",
        )
        return shapes.ItemStateAnswer(gtin=code.gtin, serial=data.serial, state=item.state)

    return await once(
        services, caller, idempotency_key, operation="changeItemState", request=data, status=201, work=work
    )


@post(
    "/items/check",
    operation_id="checkSerials",
    summary="Check many serials",
    status_code=200,
    guards=[Require("items:read")],
    responses=body_problems(404),
)
async def check_many_serials(
    services: NamedDependency[Services], caller: NamedDependency[Caller], data: JSONBody[shapes.CheckRequest]
) -> shapes.Checks:
    """What each serial of a product is, for your own eyes: nothing is counted or logged, honey is called honey."""
    async with services.transaction() as connection:
        checks = await check_serials(
            connection,
            services.item_keys,
            programme_id=caller.programme_id,
            gtin=data.gtin,
            serials=data.serials,
        )
    return shapes.Checks(data=[shapes.check_answer(check) for check in checks])


@post(
    "/ranges/imports",
    operation_id="importSerials",
    summary="Import serials",
    request_max_body_size=_FILE_BYTES,
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def import_own_serials(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ImportRequest],
) -> Response[items_schemas.RangeAnswer]:
    """Take serials that you printed before: all of the file or nothing, and each line at fault is told.

    For files above twenty megabytes use the command line, which reads them as a stream.
    """

    async def work(connection: AsyncConnection) -> items_schemas.RangeAnswer:
        imported = await import_serials(
            connection,
            services.item_keys,
            programme_id=caller.programme_id,
            gtin=data.gtin,
            lines=data.file.splitlines(keepends=True),
            print_order=data.print_order,
            lot=data.lot,
            region=data.region,
            expires_on=data.expires_on,
            policy=RangePolicy(pin_required=data.pin_required, points_on_claim=data.points_on_claim),
            actor=f"api:{caller.key.prefix}",
        )
        return items_schemas.range_answer(imported)

    return await once(services, caller, idempotency_key, operation="importSerials", request=data, status=201, work=work)


router: Final = Router(
    path="/",
    tags=["Items"],
    route_handlers=[
        list_all_lots,
        save_one_lot,
        get_one_lot,
        change_lot_state,
        change_item_state,
        check_many_serials,
        import_own_serials,
    ],
)
