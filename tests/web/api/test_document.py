"""The OpenAPI document: exact, with examples that are true, and readable without anything from elsewhere."""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from loyalty.web.api.examples import ANSWERS, REQUESTS
from loyalty.web.api.reference import problem_types


def _operations(app: Litestar) -> dict[str, HTTPRouteHandler]:
    return {
        str(handler.operation_id): handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.resolve_include_in_schema()
    }


def _reads(handler: HTTPRouteHandler) -> Any:
    """What an operation's JSON body is, if it has one."""
    data = handler.parsed_fn_signature.parameters.get("data")
    return data.annotation if data is not None else handler.opt.get("reads", {}).get("application/json")


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    answered = await client.get("/v1/openapi.json")
    assert answered.status_code == 200
    told: dict[str, Any] = answered.json()
    return told


def test_every_operation_is_named_guarded_and_tagged(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) > 40
    for operation in operations:
        assert operation["summary"]
        assert len(operation["description"]) > 20
        assert operation["tags"]
        assert operation["security"] == [{"apiKey": []}]
        assert {"400", "401", "403", "500", "503"} <= operation["responses"].keys()
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], operation["operationId"]


def test_every_posting_demands_an_idempotency_key(document: dict[str, Any]) -> None:
    # The first answer a question and change nothing for anybody; each item of a batch has a key of its own.
    without = {"findMember", "quoteRedemption", "quoteCheckout", "scanItem", "checkSerials", "postBatch", "countByRule"}
    for item in document["paths"].values():
        if "post" in item and item["post"]["operationId"] not in without:
            keys = [each for each in item["post"]["parameters"] if each["name"] == "Idempotency-Key"]
            assert [each["required"] for each in keys] == [True], item["post"]["operationId"]


def test_every_reference_leads_somewhere_and_every_request_refuses_unknown_fields(document: dict[str, Any]) -> None:
    text = msgspec.json.encode(document).decode()
    schemas = document["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) == schemas.keys()
    for name, schema in schemas.items():
        if name.endswith(("Request", "Item")):
            assert schema["additionalProperties"] is False, name


def test_every_request_has_an_example_and_every_example_is_one(app: Litestar) -> None:
    operations = _operations(app)
    reading = {name: body for name, handler in operations.items() if (body := _reads(handler)) is not None}
    assert reading.keys() == REQUESTS.keys()
    for name, example in REQUESTS.items():
        msgspec.convert(example, reading[name])
    for name, example in ANSWERS.items():
        answer = operations[name].parsed_fn_signature.return_type
        kind = answer.inner_types[0].annotation if answer.inner_types else answer.annotation
        told = msgspec.to_builtins(msgspec.convert(example, kind))
        assert told == example, name


async def test_the_reference_page_and_the_problem_pages_need_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = (await client.get("/v1/reference")).text
    assert 'id="spendPoints"' in page
    for kind in problem_types():
        answered = await client.get(f"/problems/{kind}")
        assert answered.status_code == 200
        page += answered.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert "<script" not in page


async def test_an_unknown_problem_type_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/problems/nonsense")).status_code == 404
