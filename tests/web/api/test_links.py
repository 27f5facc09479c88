"""Links of a product's code over the API: added once, changed whole, listed, removed, and answered by the resolver."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.products import Product
from loyalty.kit.db import transaction
from loyalty.kit.programme import Programme
from tests.factories import make_product
from tests.web.conftest import Api, assert_problem, make_api

LOT_LINK: dict[str, Any] = {
    "qualifiers": {"10": None},
    "link_type": "gs1:certificationInfo",
    "target": "https://shop.example/certificates/{lot}.pdf",
    "title": "检测报告",
    "languages": ["ZH", "en-gb"],
    "contexts": ["CN"],
    "valid_from": "2026-11-01T00:00:00+08:00",
    "valid_until": "2027-11-01T00:00:00+08:00",
}


@pytest.fixture
async def product(engine: AsyncEngine, brand: Programme) -> Product:
    async with transaction(engine) as connection:
        return await make_product(connection, brand)


async def remove(api: Api, link_id: str) -> httpx.Response:
    return await api.client.delete(f"/v1/links/{link_id}", headers={"Authorization": f"Bearer {api.token}"})


async def test_a_link_is_added_read_changed_and_removed(brand_api: Api, product: Product) -> None:
    added = await brand_api.post("/links", {**LOT_LINK, "value": product.gtin})
    assert added.status_code == 201
    link = added.json()
    assert {name: link[name] for name in link if name not in ("id", "created_at")} == {
        "key": "01",
        "value": product.gtin,
        "qualifiers": {"10": None},
        "link_type": "gs1:certificationInfo",
        "target": "https://shop.example/certificates/{lot}.pdf",
        "title": "检测报告",
        "languages": ["zh", "en-GB"],
        "media_type": "application/pdf",
        "contexts": ["CN"],
        "default": False,
        "valid_from": "2026-10-31T16:00:00Z",
        "valid_until": "2027-10-31T16:00:00Z",
    }
    path = f"/links/{link['id']}"
    assert (await brand_api.get(path)).json() == link

    body = {"value": product.gtin, "link_type": "gs1:pip", "target": "https://a.example/", "title": "Tea"}
    for _ in range(2):
        changed = (await brand_api.put(path, {**body, "default": True})).json()
        assert (changed["id"], changed["qualifiers"], changed["default"]) == (link["id"], {}, True)
        assert (changed["languages"], changed["valid_from"], changed["media_type"]) == ([], None, "text/html")

    assert (await remove(brand_api, link["id"])).status_code == 204
    for answer in (await brand_api.get(path), await brand_api.put(path, body), await remove(brand_api, link["id"])):
        assert_problem(answer, 404, "not-found", "link_id")


async def test_adding_twice_with_one_key_adds_once(brand_api: Api, product: Product) -> None:
    body = {**LOT_LINK, "value": product.gtin}
    first, again = [await brand_api.post("/links", body, key="the-same") for _ in range(2)]
    assert first.json() == again.json()
    assert_problem(
        await brand_api.post("/links", {**body, "title": "x"}, key="the-same"), 422, "idempotency-key-reused"
    )
    assert len((await brand_api.get("/links", value=product.gtin)).json()["data"]) == 1


async def test_links_are_listed_page_by_page_those_of_the_product_first(brand_api: Api, product: Product) -> None:
    for qualifiers in ({"21": "S"}, {"10": "L1"}, {}, {"10": None}, {"22": "V", "10": "L1"}):
        body = {**LOT_LINK, "value": product.gtin, "qualifiers": qualifiers, "target": "https://a.example/"}
        assert (await brand_api.post("/links", body)).status_code == 201
    seen: list[dict[str, str | None]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = (await brand_api.get("/links", value=product.gtin, limit=2, **cursor)).json()
        seen += [link["qualifiers"] for link in answer["data"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert seen == [{}, {"10": None}, {"10": "L1"}, {"21": "S"}, {"22": "V", "10": "L1"}]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": "http://a.example/"}, "target"),
        ({"target": "javascript:alert(1)"}, "target"),
        ({"target": "//a.example/"}, "target"),
        ({"target": "https://{lot}.example/"}, "target"),
        ({"target": "https://a@b.example/"}, "target"),
        ({"target": "https://a.example/{sku}"}, "target"),
        ({"link_type": "gs1:nothing"}, "link_type"),
        ({"link_type": "pip"}, "link_type"),
        ({"title": " "}, "title"),
        ({"languages": ["chinese"]}, "languages[0]"),
        ({"contexts": ["China"]}, "contexts[0]"),
        ({"media_type": "pdf"}, "media_type"),
        ({"qualifiers": {"17": "271231"}}, "qualifiers"),
        ({"qualifiers": {"10": "茶"}}, "qualifiers[10]"),
        ({"qualifiers": {"10": "L1", "21": "S1"}}, "qualifiers"),
        ({"qualifiers": {"21": None}, "default": True}, "is_default"),
        ({"valid_until": "2026-10-01T00:00:00Z"}, "valid_until"),
        ({"value": "06901234567890"}, "value"),
        ({"key": "8200", "value": "x"}, "key"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_cannot_be_a_link_is_refused_by_its_field(
    brand_api: Api, product: Product, change: dict[str, Any], field: str
) -> None:
    answer = await brand_api.post("/links", {**LOT_LINK, "value": product.gtin, **change})
    assert_problem(answer, 400, "invalid-input", field)
    assert (await brand_api.get("/links", value=product.gtin)).json()["data"] == []


async def test_a_product_of_another_programme_has_no_links_here(api: Api, brand_api: Api, product: Product) -> None:
    link = (await brand_api.post("/links", {**LOT_LINK, "value": product.gtin})).json()
    assert_problem(await api.post("/links", {**LOT_LINK, "value": product.gtin}), 404, "not-found", "gtin")
    assert (await api.get("/links", value=product.gtin)).json()["data"] == []
    for answer in (await api.get(f"/links/{link['id']}"), await remove(api, link["id"])):
        assert_problem(answer, 404, "not-found", "link_id")
    assert (await brand_api.get(f"/links/{link['id']}")).status_code == 200


async def test_reading_and_writing_need_their_scopes(
    client: httpx.AsyncClient, engine: AsyncEngine, brand: Programme, product: Product
) -> None:
    reader = await make_api(client, engine, brand, scopes=("items:read",))
    body = {**LOT_LINK, "value": product.gtin}
    assert (await reader.get("/links", value=product.gtin)).status_code == 200
    assert_problem(await reader.post("/links", body), 403, "not-permitted")
    stranger = await make_api(client, engine, brand, scopes=("members:read",))
    assert_problem(await stranger.get("/links", value=product.gtin), 403, "not-permitted")
