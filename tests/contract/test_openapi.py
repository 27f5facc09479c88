"""The API keeps what its OpenAPI document says, whatever is sent: no 500, no undeclared status, type or shape."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import positive_data_acceptance

from ledger import posting
from ledger.units import Unit, define_unit
from loyalty.items.products import LocalText, save_product
from loyalty.kit.clock import utc_now
from loyalty.kit.db import create_engine, transaction
from loyalty.members.identity import phone_identity, register
from loyalty.runtime import open_keyring
from loyalty.settings import Settings
from loyalty.web.api.document import openapi_document
from loyalty.web.app import create_app
from loyalty.web.security.api_keys import SCOPES, create_api_key
from tests.factories import make_programme

GTIN = "06901234567892"
EXAMPLES = 8
PATTERNS = {"member_id": re.compile("mem_[0-9A-Za-z]{26}"), "gtin": re.compile("[0-9]{8,14}")}


async def _populate(settings: Settings) -> dict[str, str]:
    """A programme with something in it, so that requests get past the first look-up."""
    assert settings.database_url is not None
    engine = create_engine(settings.database_url)
    async with transaction(engine) as connection:
        programme = await make_programme(connection)
        made = await create_api_key(connection, programme_id=programme.id, name="fuzzer", scopes=SCOPES)
        await define_unit(connection, Unit(programme_id=programme.id))
        registration = await register(
            connection,
            open_keyring(settings),
            programme_id=programme.id,
            channel_code="online",
            identities=[phone_identity("19900000001")],
            joined_at=utc_now(),
        )
        member = registration.member
        await posting.earn(
            connection, programme_id=programme.id, member_id=member.id, amount=10**9, key="first", source="test"
        )
        await save_product(connection, programme_id=programme.id, gtin=GTIN, names=LocalText(en="Cream"))
    await engine.dispose()
    return {"token": made.token, "member_id": member.public_id, "gtin": GTIN}


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


@schema.hook  # type: ignore[untyped-decorator]
def map_path_parameters(_context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Ask for what is there, so that requests get past the first look-up; what is wrong on purpose stays wrong."""
    return parameters and {
        name: KNOWN[name] if name in KNOWN and PATTERNS[name].fullmatch(str(value)) else value
        for name, value in parameters.items()
    }


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_one_that_the_document_declares(case: Any, headers: dict[str, str]) -> None:
    # What fits the document may still be refused with 400: a wrong check digit, a time to come, no channel named.
    case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])
