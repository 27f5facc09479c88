"""Items: products, ranges of codes for printers, and what happens to single items."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.claims import claim
from loyalty.items.codes import ItemCode
from loyalty.items.lookup import find_code
from loyalty.items.products import LocalText, get_product, list_products, save_product
from loyalty.items.ranges import (
    RangePolicy,
    change_range_state,
    change_state,
    get_range,
    list_ranges,
    mint_range,
)
from loyalty.items.scans import scan
from loyalty.items.timeline import read_timeline
from loyalty.items.verdicts import Place
from loyalty.kit.errors import InvalidInputError, NotFoundError
from loyalty.kit.ids import parse_public_id
from loyalty.web.api import items_schemas as shapes
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
    tell,
    write_cursor,
)
from loyalty.web.api.people import reading_member, writing_member
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

GtinPath = Annotated[str, PathParameter(pattern="^[0-9]{8,14}$", description="GTIN-8, -12, -13 or -14.")]
RangeId = Annotated[
    str, PathParameter(pattern=f"^{shapes.RANGE_PREFIX}_[0-9A-Za-z]{{26}}$", description="The range's id.")
]


def _range_uuid(range_id: str) -> UUID:
    return parse_public_id(shapes.RANGE_PREFIX, range_id, field="range_id")


@get(
    "/products",
    operation_id="listProducts",
    summary="List products",
    guards=[Require("items:read")],
    responses=problems(),
)
async def list_all_products(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Products:
    """The products of the programme, by GTIN."""
    after = read_cursor(cursor, tuple[str])[0] if cursor is not None else ""
    async with services.transaction() as connection:
        found = await list_products(connection, programme_id=caller.programme_id, after=after, limit=limit)
    return shapes.Products(
        data=[shapes.product_answer(product) for product in found],
        next_cursor=write_cursor(found[-1].gtin) if len(found) == limit else None,
    )


@get(
    "/products/{gtin:str}",
    operation_id="getProduct",
    summary="A product",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_one_product(
    services: NamedDependency[Services], caller: NamedDependency[Caller], gtin: GtinPath
) -> shapes.ProductAnswer:
    """The product of a GTIN."""
    async with services.transaction() as connection:
        product = await get_product(connection, programme_id=caller.programme_id, gtin=gtin)
    return shapes.product_answer(product)


@put(
    "/products/{gtin:str}",
    operation_id="saveProduct",
    summary="Save a product",
    guards=[Require("items:write")],
    responses=body_problems(409),
)
async def save_one_product(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    gtin: GtinPath,
    data: JSONBody[shapes.ProductRequest],
) -> shapes.ProductAnswer:
    """Create the product of a GTIN, or change it."""
    async with services.transaction() as connection:
        product = await save_product(
            connection,
            programme_id=caller.programme_id,
            gtin=gtin,
            names=tell(LocalText, data.names),
            descriptions=shapes.read_text(data.descriptions),
            category=data.category,
            points_on_claim=data.points_on_claim,
        )
    return shapes.product_answer(product)


@post(
    "/ranges",
    operation_id="mintRange",
    summary="Mint codes",
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def mint_codes(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.MintRequest],
) -> Response[shapes.RangeAnswer]:
    """Take the next codes of a product for a print order. They count as genuine once they are activated."""

    async def work(connection: AsyncConnection) -> shapes.RangeAnswer:
        minted = await mint_range(
            connection,
            services.item_keys,
            programme_id=caller.programme_id,
            gtin=data.gtin,
            count=data.count,
            print_order=data.print_order,
            lot=data.lot,
            region=data.region,
            expires_on=data.expires_on,
            policy=RangePolicy(pin_required=data.pin_required, points_on_claim=data.points_on_claim),
            actor=f"api:{caller.key.prefix}",
        )
        return shapes.range_answer(minted)

    return await once(services, caller, idempotency_key, operation="mintRange", request=data, status=201, work=work)


@get(
    "/ranges",
    operation_id="listRanges",
    summary="List ranges",
    guards=[Require("items:read")],
    responses=problems(),
)
async def list_all_ranges(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    gtin: Annotated[str | None, QueryParameter(pattern="^[0-9]{14}$", description="Of one product, 14 digits.")] = None,
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Ranges:
    """Ranges of codes, newest first."""
    before = read_cursor(cursor, tuple[UUID])[0] if cursor is not None else None
    async with services.transaction() as connection:
        found = await list_ranges(connection, programme_id=caller.programme_id, gtin=gtin, before=before, limit=limit)
    return shapes.Ranges(
        data=[shapes.range_answer(each) for each in found],
        next_cursor=write_cursor(found[-1].id) if len(found) == limit else None,
    )


@get(
    "/ranges/{range_id:str}",
    operation_id="getRange",
    summary="A range",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_one_range(
    services: NamedDependency[Services], caller: NamedDependency[Caller], range_id: RangeId
) -> shapes.RangeAnswer:
    """One range and the state of its codes."""
    async with services.transaction() as connection:
        found = await get_range(connection, programme_id=caller.programme_id, range_id=_range_uuid(range_id))
    return shapes.range_answer(found)


@post(
    "/ranges/{range_id:str}/state",
    operation_id="changeRangeState",
    summary="Activate, ship, recall … codes",
    guards=[Require("items:write")],
    responses=keyed_problems(404),
)
async def change_codes_state(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    range_id: RangeId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.RangeStateRequest],
) -> Response[shapes.Ranges]:
    """Move codes along their way: printed, activated, shipped, sold; or recall or retire them.

    With `lo` and `hi`, only those indexes of the range's series; the range is cut where they end. With `exempt`, a
    recall of their lot or key, as far as it was said by now, does not hold for these codes.
    """
    if (data.lo is None) != (data.hi is None):
        raise InvalidInputError("give both lo and hi, or neither", field="hi")

    async def work(connection: AsyncConnection) -> shapes.Ranges:
        identifier = _range_uuid(range_id)
        how: dict[str, Any] = {
            "programme_id": caller.programme_id,
            "state": data.state,
            "exempt": data.exempt,
            "at": data.at,
            "places": shapes.read_text(data.place),
            "public": data.public,
            "actor": data.actor or f"api:{caller.key.prefix}",
        }
        if data.lo is None or data.hi is None:
            changed = [await change_range_state(connection, range_id=identifier, **how)]
        else:
            found = await get_range(connection, programme_id=caller.programme_id, range_id=identifier)
            changed = await change_state(connection, gtin=found.gtin, kid=found.kid, lo=data.lo, hi=data.hi, **how)
        return shapes.Ranges(data=[shapes.range_answer(each) for each in changed], next_cursor=None)

    request = {"range": range_id, "change": data}
    return await once(
        services, caller, idempotency_key, operation="changeRangeState", request=request, status=201, work=work
    )


@post(
    "/items/scan",
    operation_id="scanItem",
    summary="Judge a scan",
    status_code=200,
    guards=[Require("items:read")],
    responses=body_problems(404, 429),
)
async def scan_item(
    services: NamedDependency[Services], caller: NamedDependency[Caller], data: JSONBody[shapes.ScanRequest]
) -> shapes.VerdictAnswer:
    """What the code is to whoever scanned it; every scan is counted. A code that is not ours is a verdict, too."""
    place = None
    if data.city or data.region or data.latitude is not None:
        place = tell(Place, data, source="device")
    async with services.transaction() as connection:
        member_id = None
        if data.member_id is not None:
            member_id = (await reading_member(connection, caller, data.member_id)).id
        verdict = await scan(
            connection,
            services.item_keys,
            programme_id=caller.programme_id,
            gtin=data.gtin,
            serial=data.serial,
            device=data.device,
            member_id=member_id,
            address=data.address,
            place=place,
        )
    return shapes.verdict_answer(verdict)


@post(
    "/items/claim",
    operation_id="claimItem",
    summary="Claim an item",
    guards=[Require("items:write")],
    responses=keyed_problems(404, 429),
)
async def claim_item(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ClaimRequest],
) -> Response[shapes.ClaimAnswer]:
    """Claim an item for a member and give its points, once. A wrong code or PIN is answered, because it is counted."""

    async def work(connection: AsyncConnection) -> shapes.ClaimAnswer:
        member = await writing_member(connection, caller, data.member_id)
        outcome = await claim(
            connection,
            services.item_keys,
            programme_id=caller.programme_id,
            gtin=data.gtin,
            serial=data.serial,
            member_id=member.id,
            device=data.device,
            pin=data.pin,
            address=data.address,
        )
        return shapes.claim_answer(outcome)

    return await once(services, caller, idempotency_key, operation="claimItem", request=data, status=201, work=work)


@get(
    "/items/{gtin:str}/{serial:str}/timeline",
    operation_id="getTimeline",
    summary="An item's way",
    guards=[Require("items:read")],
    responses=problems(404),
)
async def get_timeline(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    gtin: GtinPath,
    serial: Annotated[str, PathParameter(max_length=64, description="The serial of its code.")],
) -> shapes.Timeline:
    """The public steps of an item: made, packed, shipped, received, sold, first scanned."""
    async with services.transaction() as connection:
        product = await get_product(connection, programme_id=caller.programme_id, gtin=gtin)
        code = await find_code(connection, services.item_keys, gtin=product.gtin, serial=serial)
        if not isinstance(code, ItemCode):
            raise NotFoundError("this is not a code of ours", field="serial")
        steps = await read_timeline(connection, gtin=code.gtin, kid=code.kid, index=code.index)
    return shapes.Timeline(data=[tell(shapes.StepAnswer, step) for step in steps])


router: Final = Router(
    path="/",
    tags=["Items"],
    route_handlers=[
        list_all_products,
        get_one_product,
        save_one_product,
        mint_codes,
        list_all_ranges,
        get_one_range,
        change_codes_state,
        scan_item,
        claim_item,
        get_timeline,
    ],
)
