from __future__ import annotations

import pytest

from loyalty.items.products import LocalText, find_owner, get_product, list_products, save_product
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError
from tests.db.items.conftest import GTIN, Brand
from tests.factories import make_programme


async def test_a_product_is_found_by_its_gtin_in_any_length(brand: Brand) -> None:
    found = await get_product(brand.connection, programme_id=brand.programme.id, gtin="6901234567892")
    assert found == brand.product
    assert await find_owner(brand.connection, GTIN) == brand.programme.id
    assert await find_owner(brand.connection, "00000096385074") is None


async def test_saving_again_changes_it(brand: Brand) -> None:
    changed = await save_product(
        brand.connection,
        programme_id=brand.programme.id,
        gtin=GTIN,
        names=LocalText(en=" Summer tea "),
        descriptions=LocalText(zh="好茶"),
        points_on_claim=7,
    )
    assert changed.names == LocalText(en="Summer tea")
    assert await list_products(brand.connection, programme_id=brand.programme.id) == [changed]


async def test_a_gtin_belongs_to_one_programme(brand: Brand) -> None:
    other = await make_programme(brand.connection)
    with pytest.raises(ConflictError, match="belongs to another programme"):
        await save_product(brand.connection, programme_id=other.id, gtin=GTIN, names=LocalText(en="Copy"))
    with pytest.raises(NotFoundError):
        await get_product(brand.connection, programme_id=other.id, gtin=GTIN)
    assert await get_product(brand.connection, programme_id=brand.programme.id, gtin=GTIN) == brand.product


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"gtin": "06901234567893"}, "gtin"),
        ({"names": LocalText(zh="  ")}, "names"),
        ({"names": LocalText(en="x" * 201)}, "names"),
        ({"points_on_claim": -1}, "points_on_claim"),
        ({"points_on_claim": 10**12}, "points_on_claim"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field(brand: Brand, fields: dict[str, object], field: str) -> None:
    good: dict[str, object] = {"gtin": GTIN, "names": LocalText(en="Tea")}
    with pytest.raises(InvalidInputError) as refused:
        await save_product(brand.connection, programme_id=brand.programme.id, **good | fields)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_words_stand_in_for_each_other() -> None:
    assert LocalText(zh="茶", en="Tea").within("zh-CN") == "茶"
    assert LocalText(zh="茶", en="Tea").within("en-GB") == "Tea"
    assert LocalText(zh="茶").within("en") == "茶"
    assert LocalText(en="Tea").within("zh") == "Tea"
