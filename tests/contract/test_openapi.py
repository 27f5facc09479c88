"""The API keeps what its OpenAPI document says, whatever is sent: no 500, no undeclared status, type or shape."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from ledger import posting
from loyalty.campaigns.bonus.campaign import CAMPAIGN_PREFIX, create_campaign
from loyalty.campaigns.draws.draw import publish_draw
from loyalty.campaigns.missions.mission import MISSION_PREFIX, BuyTimes, MissionTerms, publish_mission
from loyalty.items.exports import create_export
from loyalty.items.keys import FILE_NAME, MasterKeys
from loyalty.items.links.link import Wanted, add_link
from loyalty.items.printers import save_printer
from loyalty.items.ranges import mint_range
from loyalty.kit.clock import utc_now
from loyalty.kit.db import create_engine, transaction
from loyalty.kit.ids import new_id, public_id
from loyalty.kit.programme import get_channel
from loyalty.members.identity import phone_identity, register
from loyalty.runtime import open_keyring
from loyalty.settings import Settings
from loyalty.web.api.document import openapi_document
from loyalty.web.app import create_app
from loyalty.web.security.api_keys import SCOPES, create_api_key
from redemption.till import begin
from tests.factories import make_brand, make_product

EXAMPLES = 5
PATTERNS = {
    "member_id": re.compile("mem_[0-9A-Za-z]{26}"),
    "hold_id": re.compile("hld_[0-9A-Za-z]{26}"),
    "redemption_id": re.compile("rdm_[0-9A-Za-z]{26}"),
    "link_id": re.compile("lnk_[0-9A-Za-z]{26}"),
    "value": re.compile("[0-9]{14}"),
    "range_id": re.compile("rng_[0-9A-Za-z]{26}"),
    "export_id": re.compile("exp_[0-9A-Za-z]{26}"),
    "printer_id": re.compile("prn_[0-9A-Za-z]{26}"),
    "lot": re.compile(".{1,200}"),
    "gtin": re.compile("[0-9]{8,14}"),
    "campaign_id": re.compile("ecp_[0-9A-Za-z]{26}"),
    "draw_id": re.compile("prz_[0-9A-Za-z]{26}"),
    "mission_id": re.compile("msn_[0-9A-Za-z]{26}"),
    "ladder": re.compile("[a-z0-9][a-z0-9-]{0,39}"),
}
"""What names something, in a path or a body, and what it looks like when it is not wrong on purpose."""


async def _populate(settings: Settings) -> dict[str, str]:
    """A brand with something of everything, so that requests get past the first look-up."""
    assert settings.database_url is not None
    engine = create_engine(settings.database_url)
    async with transaction(engine) as connection:
        brand = await make_brand(connection)
        store = await get_channel(connection, brand.id, "store-1")
        made = await create_api_key(connection, programme_id=brand.id, name="fuzzer", scopes=SCOPES)
        product = await make_product(connection, brand)
        keys = MasterKeys.load_or_create(settings.keys / FILE_NAME)
        minted = await mint_range(
            connection, keys, programme_id=brand.id, gtin=product.gtin, count=100, print_order="PO-1", lot="L1"
        )
        printer = await save_printer(connection, programme_id=brand.id, name="Golden Press")
        export = await create_export(
            connection, programme_id=brand.id, range_id=minted.id, base_url="https://t.example", printer_id=printer.id
        )
        link = await add_link(
            connection,
            programme_id=brand.id,
            wanted=Wanted(value=product.gtin, link_type="pip", target="https://a.example/", title="Tea"),
        )
        member, spare = [
            (
                await register(
                    connection,
                    open_keyring(settings),
                    programme_id=brand.id,
                    channel_code="online",
                    identities=[phone_identity(phone)],
                    joined_at=utc_now(),
                )
            ).member
            for phone in ("19900000001", "19900000002")
        ]
        whose: dict[str, Any] = {"programme_id": brand.id, "member_id": member.id}
        await posting.earn(connection, **whose, amount=10**9, key="first", source="test")
        held = await posting.hold(
            connection,
            **whose,
            amount=1000,
            hold_id=new_id(),
            expires_at=utc_now() + timedelta(hours=1),
            key="held",
            source="test",
        )
        redemption = await begin(
            connection, **whose, channel_id=store.id, key="begun", basket_minor=10**6, currency="CNY", points=500
        )
        name = {"zh": "活动", "en": "Campaign"}
        campaign = await create_campaign(
            connection,
            programme_id=brand.id,
            code="double",
            draft={"name": name, "reward": {"kind": "fixed", "points": 10}},
            created_by="ann",
        )
        mission = await publish_mission(
            connection,
            programme_id=brand.id,
            code="buy-one",
            terms=MissionTerms(name=name, task=BuyTimes(times=1), points=10),
            published_by="ann",
        )
        draw = await publish_draw(
            connection,
            open_keyring(settings),
            programme_id=brand.id,
            code="new-year",
            definition={
                "name": name,
                "prizes": [{"code": "points", "name": name, "count": 1, "points": 10}],
                "places": 1_000_000,
                "price_points": 1,
                "per_member": 1_000_000,
            },
            closes_at=utc_now() + timedelta(days=1),
            published_by="ann",
        )
    await engine.dispose()
    assert held.hold_id is not None
    return {
        "token": made.token,
        "link_id": link.public_id,
        "value": product.gtin,
        "member_id": member.public_id,
        "spare_id": spare.public_id,
        "gtin": product.gtin,
        "ladder": "main",
        "hold_id": public_id("hld", held.hold_id),
        "redemption_id": public_id("rdm", redemption.id),
        "range_id": minted.public_id,
        "export_id": export.public_id,
        "printer_id": printer.public_id,
        "lot": "L1",
        "campaign_id": public_id(CAMPAIGN_PREFIX, campaign.id),
        "draw_id": draw.public_id,
        "mission_id": public_id(MISSION_PREFIX, mission.id),
    }


@pytest.fixture(scope="module")
def headers(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a request carries. The application opens its own engine: schemathesis calls it from its own event loop."""
    chosen = Settings(home=tmp_path_factory.mktemp("home"), database_url=module_database_url)
    KNOWN.update(asyncio.run(_populate(chosen)))
    RELAY.application = create_app(chosen)
    yield {"Authorization": f"Bearer {KNOWN['token']}"}
    asgi.shutdown_lifespans()


class _Relay:
    """Stands for the application while tests are collected, when there is no database yet."""

    application: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.application(scope, receive, send)


def _read_schema() -> Any:
    with TemporaryDirectory() as home:
        application = create_app(Settings(home=Path(home), database_url="postgresql://nowhere/nothing"))
    read = schemathesis.openapi.from_dict(openapi_document(application))
    read.app = RELAY
    return read


KNOWN: dict[str, str] = {}
RELAY = _Relay()
schema = _read_schema()


@schemathesis.serializer("application/x-ndjson")
def send_lines(_context: Any, value: Any) -> bytes:
    """Lines of JSON are a text, to the document and here."""
    return (value if isinstance(value, str) else json.dumps(value)).encode()


@schema.hook  # type: ignore[untyped-decorator]
def map_path_parameters(context: Any, parameters: Any) -> Any:
    """Ask for what is there, so that requests get past the first look-up; what is wrong on purpose stays wrong."""
    known = _known(parameters)
    if context.operation.path.endswith("/erase") and known.get("member_id") == KNOWN.get("member_id"):
        known["member_id"] = KNOWN.get("spare_id", "")  # the others still need theirs
    return known


@schema.hook  # type: ignore[untyped-decorator]
def map_body(_context: Any, body: Any) -> Any:
    """The same in bodies."""
    return _known(body)


def _known(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {
        name: KNOWN.get(name, value) if name in PATTERNS and PATTERNS[name].fullmatch(str(value)) else value
        for name, value in values.items()
    }


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_one_that_the_document_declares(case: Any, headers: dict[str, str]) -> None:
    # What fits the document may still be refused with 400: a wrong check digit, a time to come, no channel named.
    excluded = [positive_data_acceptance]
    if case.operation.path == "/v1/ledger/batch":
        excluded.append(negative_data_rejection)  # a bad item is refused in its own result, and the answer is 200
    case.call_and_validate(headers=headers, excluded_checks=excluded)
