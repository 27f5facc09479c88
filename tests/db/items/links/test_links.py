"""Links are kept as the brand says, what cannot be is refused by its field, and what holds now is what answers now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.digital_link import DigitalLink
from loyalty.items.links.choosing import Offer, Wishes
from loyalty.items.links.link import (
    MOST_AT_ONE_LEVEL,
    Link,
    Wanted,
    add_link,
    change_link,
    count_links,
    get_link,
    link_uuid,
    list_links,
    remove_link,
)
from loyalty.items.links.resolving import NoSuchLinkError, Resolution, resolve
from loyalty.items.products import Product
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError, NotFoundError
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from tests.factories import make_product, make_programme

NOW = datetime(2026, 11, 11, 3, 0, tzinfo=UTC)


@pytest.fixture
async def product(connection: AsyncConnection, programme: Programme) -> Product:
    return await make_product(connection, programme)


async def add(connection: AsyncConnection, product: Product, target: str = "https://a.example/", **wanted: Any) -> Link:
    given: dict[str, Any] = {"value": product.gtin, "link_type": "gs1:pip", "title": "Page"} | wanted
    return await add_link(connection, programme_id=product.programme_id, wanted=Wanted(target=target, **given))


def own_pages(thing: DigitalLink, product: Product) -> list[Offer]:
    """A server with a page of its own for a product and one for an item."""
    if "21" in thing.qualifiers:
        page = Offer(link_type="verificationService", target="https://own.example/item", title="Item")
    elif not thing.qualifiers:
        page = Offer(link_type="pip", target=f"https://own.example/{product.gtin}", title="Product")
    else:
        return []
    other = Offer(link_type="recallStatus", target="https://own.example/recalls", title="Recalls", own=True)
    return [Offer(**{**page_fields(page), "is_default": True, "own": True}), other]


def page_fields(offer: Offer) -> dict[str, Any]:
    return {name: getattr(offer, name) for name in offer.__struct_fields__}


async def ask(connection: AsyncConnection, product: Product, *, at: datetime = NOW, **qualifiers: str) -> Resolution:
    identifiers = {"variant": "22", "lot": "10", "serial": "21"}
    link = DigitalLink(value=product.gtin, qualifiers={identifiers[name]: value for name, value in qualifiers.items()})
    return await resolve(connection, link, programme_id=product.programme_id, locale="zh", at=at, own_pages=own_pages)


def targets(resolution: Resolution, link_type: str | None = None, **wishes: Any) -> list[str]:
    return [offer.target for offer in resolution.answer(link_type, Wishes(**wishes))]


async def test_a_link_is_kept_as_it_was_wanted(connection: AsyncConnection, product: Product) -> None:
    added = await add(
        connection,
        product,
        "https://Shop.example/{lot}.pdf",
        qualifiers={"10": None},
        link_type="https://gs1.org/voc/certificationInfo",
        title="  Certificate \n of the lot ",
        languages=["ZH", "en-gb", "zh"],
        contexts=["cn", "GB"],
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
    )

    assert (added.link_type, added.target, added.title) == (
        "certificationInfo",
        "https://shop.example/{lot}.pdf",
        "Certificate of the lot",
    )
    assert (added.languages, added.media_type, added.contexts) == (("zh", "en-GB"), "application/pdf", ("CN", "GB"))
    assert (added.qualifiers, added.valid_from, added.is_default) == ({"10": None}, NOW, False)
    assert await get_link(connection, programme_id=product.programme_id, link_id=added.id) == added
    assert link_uuid(added.public_id) == added.id
    assert await count_links(connection, programme_id=product.programme_id) == {product.gtin: 1}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"value": "06901234567893"}, "value"),
        ({"qualifiers": {"21": "S", "10": "L"}}, "qualifiers"),
        ({"qualifiers": {"10": "a b"}}, "qualifiers[10]"),
        ({"link_type": "gs1:nothing"}, "link_type"),
        ({"link_type": "gs1:defaultLink"}, "link_type"),
        ({"target": "http://a.example/"}, "target"),
        ({"title": "  "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\u200bb"}, "title"),
        ({"languages": ["english"]}, "languages"),
        ({"languages": ["zh-Hant"]}, "languages"),
        ({"media_type": "html"}, "media_type"),
        ({"media_type": "x/html"}, "media_type"),
        ({"contexts": ["China"]}, "contexts"),
        ({"contexts": [f"C{letter}-{number}" for letter in "ABCDEF" for number in range(10)]}, "contexts"),
        ({"qualifiers": {"21": None}, "is_default": True}, "is_default"),
        ({"valid_from": NOW, "valid_until": NOW}, "valid_until"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(
    connection: AsyncConnection, product: Product, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await add(connection, product, **wrong)

    assert refused.value.field == field
    assert await count_links(connection, programme_id=product.programme_id) == {product.gtin: 0}


async def test_a_link_is_of_a_product_of_its_own_programme(connection: AsyncConnection, product: Product) -> None:
    stranger = await make_programme(connection)
    link = await add(connection, product)
    wanted = Wanted(value=product.gtin, link_type="pip", target="https://b.example/", title="x")

    for refused in (
        add_link(connection, programme_id=stranger.id, wanted=wanted),
        change_link(connection, programme_id=stranger.id, link_id=link.id, wanted=wanted),
        remove_link(connection, programme_id=stranger.id, link_id=link.id),
        get_link(connection, programme_id=stranger.id, link_id=link.id),
        remove_link(connection, programme_id=product.programme_id, link_id=new_id()),
    ):
        with pytest.raises(NotFoundError):
            await refused
    assert await list_links(connection, programme_id=stranger.id, key="01", value=product.gtin) == []
    assert await get_link(connection, programme_id=product.programme_id, link_id=link.id) == link


async def test_a_link_is_changed_whole_and_removed(connection: AsyncConnection, product: Product) -> None:
    link = await add(connection, product, languages=["zh"])
    wanted = Wanted(
        value=product.gtin, qualifiers={"10": "L1"}, link_type="faqs", target="https://b.example/", title="Q"
    )

    changed = await change_link(connection, programme_id=product.programme_id, link_id=link.id, wanted=wanted)

    assert (changed.id, changed.qualifiers, changed.link_type, changed.languages) == (link.id, {"10": "L1"}, "faqs", ())
    await remove_link(connection, programme_id=product.programme_id, link_id=link.id)
    assert await count_links(connection, programme_id=product.programme_id) == {product.gtin: 0}


async def test_links_are_listed_page_by_page_and_bounded(connection: AsyncConnection, product: Product) -> None:
    for number in range(MOST_AT_ONE_LEVEL):
        await add(connection, product, f"https://a.example/{number}")
    with pytest.raises(ConflictError):
        await add(connection, product)
    await add(connection, product, "https://a.example/lot", qualifiers={"10": "L1"})

    listed: list[Link] = []
    after: tuple[str, UUID] | None = None
    while page := await list_links(
        connection, programme_id=product.programme_id, key="01", value=product.gtin, after=after, limit=90
    ):
        listed += page
        after = ("/10/L1" if page[-1].qualifiers else "", page[-1].id)
    assert [link.target for link in listed] == [
        *(f"https://a.example/{number}" for number in range(MOST_AT_ONE_LEVEL)),
        "https://a.example/lot",
    ]


async def test_the_nearest_level_with_the_type_answers(connection: AsyncConnection, product: Product) -> None:
    await add(connection, product, "https://a.example/product", is_default=True)
    await add(connection, product, "https://a.example/variant/{variant}", qualifiers={"22": None}, link_type="faqs")
    await add(connection, product, "https://a.example/lots/{lot}", qualifiers={"10": None})
    await add(connection, product, "https://a.example/lot-1", qualifiers={"10": "L1"})
    await add(connection, product, "https://a.example/both", qualifiers={"22": "2A", "10": "L1"}, link_type="dpp")
    await add(connection, product, "https://a.example/items/{serial}", qualifiers={"21": None}, link_type="dpp")

    assert targets(await ask(connection, product), "pip") == ["https://a.example/product"]
    assert targets(await ask(connection, product, lot="L9"), "pip") == ["https://a.example/lots/L9"]
    assert targets(await ask(connection, product, lot="L1"), "pip") == ["https://a.example/lot-1"]
    assert targets(await ask(connection, product, lot="L1", serial="S"), "pip") == ["https://a.example/lot-1"]
    assert targets(await ask(connection, product, serial="S"), "pip") == ["https://a.example/product"]
    assert targets(await ask(connection, product, variant="2A", lot="L1"), "dpp") == ["https://a.example/both"]
    everything = await ask(connection, product, variant="2A", lot="L1", serial="S")
    assert targets(everything, "dpp") == ["https://a.example/items/S"]
    assert targets(everything, "faqs") == ["https://a.example/variant/2A"]
    with pytest.raises(NoSuchLinkError, match="gs1:epil"):
        everything.answer("epil", Wishes())


async def test_there_is_always_one_default(connection: AsyncConnection, product: Product) -> None:
    own = f"https://own.example/{product.gtin}"
    assert targets(await ask(connection, product)) == [own]
    assert targets(await ask(connection, product, lot="L1")) == [own]
    assert targets(await ask(connection, product, serial="S")) == ["https://own.example/item"]

    await add(connection, product, "https://a.example/faqs", link_type="faqs")
    assert targets(await ask(connection, product)) == [own]
    await add(connection, product, "https://a.example/pip")
    assert targets(await ask(connection, product)) == ["https://a.example/pip"]
    await add(connection, product, "https://a.example/home", link_type="homepage", is_default=True)
    assert targets(await ask(connection, product)) == ["https://a.example/home"]
    await add(connection, product, "https://a.example/lot", qualifiers={"10": None}, is_default=True)
    assert targets(await ask(connection, product, lot="L1")) == ["https://a.example/lot"]
    assert targets(await ask(connection, product, variant="V")) == ["https://a.example/home"]
    assert targets(await ask(connection, product, lot="L1", serial="S")) == ["https://own.example/item"]


async def test_of_several_defaults_the_request_chooses_and_else_one_stands(
    connection: AsyncConnection, product: Product
) -> None:
    await add(connection, product, "https://a.example/en", languages=["en"], is_default=True)
    await add(connection, product, "https://a.example/zh", languages=["zh"], is_default=True)

    resolution = await ask(connection, product)
    assert targets(resolution, languages=(("en-gb", 1.0),)) == ["https://a.example/en"]
    assert targets(resolution, languages=(("zh", 1.0),)) == ["https://a.example/zh"]
    # GS1-Conformant Resolver 1.2, section 2.7, examples 5 and 7: no language, or none of them: the default.
    assert targets(resolution) == ["https://a.example/zh"]
    assert targets(resolution, languages=(("vi", 1.0),)) == ["https://a.example/zh"]

    await add(connection, product, "https://a.example/any", is_default=True)
    assert targets(await ask(connection, product), languages=(("vi", 1.0),)) == ["https://a.example/any"]


async def test_a_default_with_an_end_steps_in_front_while_it_holds(
    connection: AsyncConnection, product: Product
) -> None:
    await add(connection, product, "https://a.example/always", is_default=True)
    await add(
        connection,
        product,
        "https://a.example/singles-day",
        is_default=True,
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
    )

    for moment, expected in (
        (NOW - timedelta(seconds=1), "always"),
        (NOW, "singles-day"),
        (NOW + timedelta(hours=23), "singles-day"),
        (NOW + timedelta(days=1), "always"),
    ):
        assert targets(await ask(connection, product, at=moment)) == [f"https://a.example/{expected}"]


async def test_a_target_whose_values_the_code_lacks_is_not_offered(
    connection: AsyncConnection, product: Product
) -> None:
    await add(connection, product, "https://a.example/{lot}", link_type="faqs", is_default=True)

    assert "faqs" not in (await ask(connection, product)).link_types
    assert targets(await ask(connection, product, lot="L/1"), "faqs") == ["https://a.example/L%2F1"]


async def test_what_the_brand_links_to_goes_before_our_own_pages(connection: AsyncConnection, product: Product) -> None:
    await add(connection, product, "https://a.example/recalls", link_type="recallStatus")
    await add(connection, product, "https://a.example/check", link_type="verificationService")

    resolution = await ask(connection, product, serial="S")

    assert targets(resolution, "recallStatus") == ["https://a.example/recalls"]
    assert targets(resolution, "verificationService") == ["https://own.example/item"]
    assert targets(await ask(connection, product), "verificationService") == ["https://a.example/check"]


async def test_what_is_not_held_leads_nowhere(connection: AsyncConnection, product: Product) -> None:
    stranger = await make_product(connection, await make_programme(connection))
    for link in (
        DigitalLink(value=stranger.gtin),
        DigitalLink(value="09506000134352"),
        DigitalLink(key="00", value="106141412345678908"),
    ):
        with pytest.raises(NoSuchLinkError):
            await resolve(connection, link, programme_id=product.programme_id, locale="zh", at=NOW, own_pages=own_pages)


async def test_any_key_may_have_links(connection: AsyncConnection, product: Product) -> None:
    sscc = "106141412345678908"
    await add(connection, product, "https://a.example/pallet/{value}", key="00", value=sscc, link_type="logisticsInfo")
    gln = {"key": "414", "value": "5060917510004"}
    await add(connection, product, "https://a.example/shelf", qualifiers={"254": "A1"}, link_type="locationInfo", **gln)

    async def lead(link: DigitalLink) -> list[str]:
        found = await resolve(
            connection, link, programme_id=product.programme_id, locale="zh", at=NOW, own_pages=own_pages
        )
        return targets(found)

    assert await lead(DigitalLink(key="00", value=sscc)) == [f"https://a.example/pallet/{sscc}"]
    assert await lead(DigitalLink(key="414", value=gln["value"], qualifiers={"254": "A1"})) == [
        "https://a.example/shelf"
    ]
    with pytest.raises(DomainError):
        await lead(DigitalLink(key="414", value=gln["value"], qualifiers={"254": "B2"}))
