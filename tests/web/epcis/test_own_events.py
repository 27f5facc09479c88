"""What the brand does with its own codes answers the same queries as what others tell of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.items.codes import ItemCode
from loyalty.items.epcis.checking import check_event
from loyalty.items.epcis.contexts import read_context
from loyalty.items.epcis.own_events import STEPS
from loyalty.items.epcis.vocabulary import BIZ_STEP, DISPOSITION
from loyalty.items.events import EventKind, record_event
from loyalty.items.importing import import_serials
from loyalty.items.packing.intervals import Interval
from loyalty.items.packing.packing import Packing, pack, unpack
from loyalty.items.packing.sscc import make_sscc
from loyalty.items.products import LocalText, Product
from loyalty.items.ranges import CodeRange, change_range_state, mint_range
from loyalty.kit.db import transaction
from loyalty.settings import Settings
from tests.epcis_examples import CONTEXT, RECEIVED, changed, encoded
from tests.factories import make_product
from tests.web.epcis.conftest import Epcis, escaped

NOON = datetime(2025, 3, 2, 4, 0, tzinfo=UTC)
HANGZHOU = LocalText(zh="杭州工厂", en="Hangzhou works")


class Made:
    """A hundred codes of a product: minted, activated, the first ten shipped."""

    def __init__(self, epcis: Epcis, product: Product, settings: Settings) -> None:
        self.epcis = epcis
        self.product = product
        self.public_url = settings.public_url

    def serial(self, index: int) -> str:
        return self.epcis.item_keys.for_product(self.product.gtin, 1).mint(index)

    def link(self, index: int, domain: str = "https://id.gs1.org") -> str:
        return f"{domain}/01/{self.product.gtin}/21/{self.serial(index)}"

    def urn(self, index: int) -> str:
        """The same as the URN of a brand with a company prefix of seven digits."""
        gtin = self.product.gtin
        return f"urn:epc:id:sgtin:{gtin[1:8]}.{gtin[0]}{gtin[8:13]}.{self.serial(index)}"

    async def steps(self, index: int, **parameters: Any) -> list[str]:
        told = await self.epcis.events(MATCH_anyEPC=self.link(index), orderDirection="ASC", **parameters)
        return [event.get("bizStep", "-") for event in told]

    async def minted(self) -> CodeRange:
        async with transaction(self.epcis.engine) as connection:
            minted = await mint_range(
                connection,
                self.epcis.item_keys,
                programme_id=self.epcis.programme.id,
                gtin=self.product.gtin,
                count=100,
                print_order="spring",
                at=NOON,
            )
            return await change_range_state(
                connection,
                programme_id=self.epcis.programme.id,
                range_id=minted.id,
                state="activated",
                at=NOON + timedelta(days=1),
            )

    async def happened(self, kind: EventKind, *, days: int, lo: int = 0, hi: int = 9, **fields: Any) -> None:
        async with transaction(self.epcis.engine) as connection:
            await record_event(
                connection,
                **{
                    "programme_id": self.epcis.programme.id,
                    "gtin": self.product.gtin,
                    "kid": 1,
                    "lo": lo,
                    "hi": hi,
                    "kind": kind,
                    "at": NOON + timedelta(days=days),
                    **fields,
                },
            )


@pytest.fixture
async def made(epcis: Epcis, engine: AsyncEngine, settings: Settings) -> Made:
    async with transaction(engine) as connection:
        product = await make_product(connection, epcis.programme)
    made = Made(epcis, product, settings)
    await made.minted()
    await made.happened("shipped", days=2, places=HANGZHOU)
    return made


async def test_an_items_code_finds_the_events_of_the_ranges_around_it(made: Made) -> None:
    assert await made.steps(9) == ["reserving", "commissioning", "shipping"]
    assert await made.steps(10) == ["reserving", "commissioning"]
    assert await made.steps(100) == []


async def test_any_spelling_of_a_code_finds_them(made: Made) -> None:
    for spelling in (
        made.link(3),
        made.link(3, "https://brand.example/shop") + "?17=260101",
        made.link(3).replace(made.serial(3), made.serial(3).lower()),
        made.urn(3),
    ):
        told = await made.epcis.events(MATCH_anyEPC=spelling)
        assert [event["bizStep"] for event in told] == ["shipping", "commissioning", "reserving"], spelling
        assert await made.epcis.events(f"/epcs/{escaped(spelling)}/events") == told
        assert await made.epcis.events(MATCH_epc=spelling) == told
        assert await made.epcis.events(MATCH_parentID=spelling) == []


async def test_an_event_names_the_items_that_are_asked_for(made: Made) -> None:
    asked = f"{made.link(4)}|{made.link(50)}|urn:epc:id:sgtin:0614141.107346.2018"
    (event,) = await made.epcis.events(MATCH_epc=asked, EQ_bizStep="commissioning")
    assert event["epcList"] == [
        f"{made.public_url}/01/{made.product.gtin}/21/{made.serial(index)}" for index in (4, 50)
    ]
    assert (event["action"], event["disposition"]) == ("ADD", "active")
    assert (event["eventTime"], event["eventTimeZoneOffset"]) == ("2025-03-03T04:00:00.000Z", "+08:00")
    assert "quantityList" not in event
    (event,) = await made.epcis.events(MATCH_epc=asked, EQ_bizStep="shipping")
    assert event["epcList"] == [f"{made.public_url}/01/{made.product.gtin}/21/{made.serial(4)}"]


async def test_asked_for_otherwise_it_says_how_many_items_of_what_it_is(made: Made) -> None:
    told = await made.epcis.events(orderDirection="ASC")
    assert [event["quantityList"] for event in told] == [
        [{"epcClass": f"{made.public_url}/01/{made.product.gtin}", "quantity": count}] for count in (100, 100, 10)
    ]
    assert told[2]["tallystar:range"] == {"tallystar:kid": 1, "tallystar:first": 0, "tallystar:last": 9}
    assert told[2]["tallystar:place"] == {"tallystar:zh": "杭州工厂", "tallystar:en": "Hangzhou works"}


async def test_each_event_has_an_id_and_is_found_by_it(made: Made) -> None:
    for event in await made.epcis.events():
        assert event["eventID"].startswith("urn:uuid:")
        (again,) = await made.epcis.events(f"/events/{event['eventID']}")
        assert again == event


async def test_the_usual_parameters_are_about_them_too(made: Made) -> None:
    async def count(**parameters: Any) -> int:
        return len(await made.epcis.events(**parameters))

    gtin = made.product.gtin
    assert await count(eventType="ObjectEvent") == 3
    assert await count(eventType="AggregationEvent") == 0
    assert await count(EQ_action="ADD") == 1
    assert await count(EQ_disposition="in_transit|reserved") == 2
    assert await count(GE_eventTime="2025-03-03T12:00:00+08:00") == 2
    assert await count(LT_eventTime="2025-03-03T12:00:00+08:00") == 1
    assert await count(GE_recordTime="2100-01-01T00:00:00Z") == 0
    assert await count(EQ_readPoint="urn:epc:id:sgln:0614141.07346.0") == 0
    assert await count(EXISTS_errorDeclaration="true") == 0
    assert await count(EXISTS_errorDeclaration="false") == 3
    assert await count(MATCH_anyEPCClass=f"https://id.gs1.org/01/{gtin}") == 3
    assert await count(MATCH_anyEPCClass="https://id.gs1.org/01/04012345123456") == 0
    assert await count(MATCH_epc=f"urn:epc:idpat:sgtin:{gtin[1:8]}.{gtin[0]}{gtin[8:13]}.*") == 3
    assert await count(EQ_bizTransaction_po="urn:x:1") == 0
    assert (await made.epcis.get("/events", maxEventCount=2)).status_code == 413


async def test_what_is_planned_has_not_happened(made: Made) -> None:
    await made.happened("received", days=36_500)
    assert await made.steps(1) == ["reserving", "commissioning", "shipping"]
    assert (await made.epcis.get("/bizSteps")).json()["member"] == ["commissioning", "reserving", "shipping"]


async def test_a_recall_lasts_until_it_is_lifted(made: Made) -> None:
    await made.happened("recalled", days=3)
    await made.happened("released", days=4, lo=5)
    assert await made.steps(1) == ["reserving", "commissioning", "shipping", "holding"]
    assert await made.steps(5) == ["reserving", "commissioning", "shipping", "holding", "-"]
    (recalled,) = await made.epcis.events(EQ_persistentDisposition_set="recalled")
    (released,) = await made.epcis.events(EQ_persistentDisposition_unset="recalled")
    assert recalled["persistentDisposition"] == {"set": ["recalled"]}
    assert released["persistentDisposition"] == {"unset": ["recalled"]}
    assert await made.epcis.events(EQ_persistentDisposition_unset="stolen") == []


async def test_own_and_captured_events_are_one_story_in_one_order(made: Made) -> None:
    at_the_shop = changed(RECEIVED, "eventTime", "2025-03-05T10:00:00+08:00") | {"epcList": [made.urn(4)]}
    assert (await made.epcis.capture_one(at_the_shop)).status_code == 201
    assert await made.steps(4) == ["reserving", "commissioning", "shipping", "receiving"]
    assert await made.steps(5) == ["reserving", "commissioning", "shipping"]
    told, address = [], "/events?perPage=1"
    while address:
        page = await made.epcis.get(address)
        told += page.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        address = page.headers.get("link", "").split(">")[0].rpartition("/epcis")[2]
    assert [event["bizStep"] for event in told] == ["receiving", "shipping", "commissioning", "reserving"]


async def test_what_was_packed_is_an_aggregation_found_by_its_unit_and_by_what_lies_in_it(made: Made) -> None:
    first = int(made.product.gtin) % 10**8
    case, other, pallet = (make_sscc("6901234", first + number) for number in range(3))
    gtin = made.product.gtin
    where: dict[str, Any] = {"programme_id": made.epcis.programme.id}
    async with transaction(made.epcis.engine) as connection:
        cases = [
            Packing(sscc=case, items=[Interval(gtin, 1, 0, 23)]),
            Packing(sscc=other, items=[Interval(gtin, 1, 24, 30)]),
        ]
        await pack(connection, packings=cases, at=NOON + timedelta(days=3), **where)
        onto = [Packing(sscc=pallet, units=[case, other])]
        await pack(connection, packings=onto, at=NOON + timedelta(days=4), **where)
        out = [Interval(gtin, 1, 5, 6)]
        await unpack(connection, sscc=case, items=out, at=NOON + timedelta(days=5), **where)

    def unit(sscc: str) -> str:
        return f"{made.public_url}/00/{sscc}"

    assert await made.steps(4) == ["reserving", "commissioning", "shipping", "packing"]
    assert await made.steps(5) == ["reserving", "commissioning", "shipping", "packing", "unpacking"]
    emptied, filled = await made.epcis.events(MATCH_parentID=f"https://id.gs1.org/00/{case}")
    assert (filled["type"], filled["action"], filled["bizStep"]) == ("AggregationEvent", "ADD", "packing")
    assert (filled["parentID"], filled["eventTime"]) == (unit(case), "2025-03-05T04:00:00.000Z")
    assert filled["childQuantityList"] == [{"epcClass": f"{made.public_url}/01/{gtin}", "quantity": 24}]
    assert (emptied["action"], emptied["childQuantityList"][0]["quantity"]) == ("DELETE", 2)
    urn = f"urn:epc:id:sscc:{case[1:8]}.{case[0]}{case[8:17]}"
    told = await made.epcis.events(MATCH_anyEPC=urn, orderDirection="ASC")
    assert [event["parentID"] for event in told] == [unit(case), unit(pallet), unit(case)]
    (onto_pallet,) = await made.epcis.events(MATCH_epc=urn)
    assert onto_pallet["childEPCs"] == [unit(case), unit(other)]
    (about,) = await made.epcis.events(MATCH_epc=made.link(4), eventType="AggregationEvent")
    assert about["childEPCs"] == [f"{made.public_url}/01/{gtin}/21/{made.serial(4)}"]
    assert len(await made.epcis.events(MATCH_anyEPCClass=f"https://id.gs1.org/01/{gtin}", EQ_bizStep="packing")) == 2
    assert [event["eventID"] for event in await made.epcis.events(EQ_eventID=about["eventID"])] == [about["eventID"]]
    assert "AggregationEvent" in (await made.epcis.get("/eventTypes")).json()["member"]
    answered = (await made.epcis.get("/events", perPage=100)).json()
    context, _ = read_context(answered["@context"], "$")
    events = answered["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert [event["type"] for event in events].count("AggregationEvent") == 4
    for event in events:
        assert check_event(encoded(event), context).plain == event


async def test_imported_serials_are_found_as_they_are_written(made: Made) -> None:
    async with transaction(made.epcis.engine) as connection:
        await import_serials(
            connection,
            made.epcis.item_keys,
            programme_id=made.epcis.programme.id,
            gtin=made.product.gtin,
            lines=["serial\n", "Ab-1/2\n", "Ab-3\n"],
            print_order="old",
        )
    name = f"https://id.gs1.org/01/{made.product.gtin}/21/Ab-1%2F2"
    (event,) = await made.epcis.events(MATCH_anyEPC=name)
    assert event["epcList"] == [f"{made.public_url}/01/{made.product.gtin}/21/Ab-1%2F2"]
    assert await made.epcis.events(MATCH_anyEPC=name.replace("Ab", "AB")) == []


async def test_every_event_of_ours_is_one_that_we_would_capture(made: Made) -> None:
    for days, kind in enumerate(get_args(EventKind), start=-30):
        await made.happened(kind, days=days, places=HANGZHOU)
    answered = (await made.epcis.get("/events", MATCH_anyEPC=made.link(1), perPage=100)).json()
    context, faults = read_context(answered["@context"], "$")
    events = answered["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert (faults, len(events)) == ([], 3 + len(get_args(EventKind)))
    for event in events:
        assert check_event(encoded(event), context).plain == event


def test_every_kind_of_event_has_its_words() -> None:
    context, _ = read_context([CONTEXT], "$")
    assert set(STEPS) == set(get_args(EventKind))
    for step in STEPS.values():
        assert step.biz_step is None or BIZ_STEP.canonical(step.biz_step, context)
        assert step.disposition is None or DISPOSITION.canonical(step.disposition, context)


async def test_codes_of_others_find_nothing_of_ours(made: Made) -> None:
    stranger = ItemCode(made.product.gtin, 1, 3)
    serial = made.epcis.item_keys.for_product("04012345123456", 1).mint(stranger.index)
    assert await made.epcis.events(MATCH_anyEPC=f"https://id.gs1.org/01/{made.product.gtin}/21/{serial}") == []
    assert await made.epcis.events(MATCH_anyEPC=f"https://id.gs1.org/01/04012345123456/21/{serial}") == []
