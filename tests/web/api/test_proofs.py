"""Proofs over HTTP, checked by the program that auditors carry away."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import posting
from ledger.closing import close_books
from ledger.seal_files import SealFolder, publish
from ledger.seal_keys import FILE_NAME, SigningKeys
from ledger.standalone import verify_proof
from ledger.units import Unit, define_unit
from loyalty.kit.db import transaction
from loyalty.kit.ids import parse_public_id
from loyalty.kit.programme import Programme
from loyalty.settings import Settings
from tests.web.conftest import Api, assert_problem, make_api

PHONE = "+8619900007123"


async def earn(engine: AsyncEngine, programme: Programme, member: str, key: str) -> int:
    async with transaction(engine) as connection:
        await define_unit(connection, Unit(programme_id=programme.id))
        made = await posting.earn(
            connection,
            programme_id=programme.id,
            member_id=parse_public_id("mem", member),
            amount=30,
            key=key,
            source="test",
        )
    return made.sequence


async def seal(engine: AsyncEngine, settings: Settings) -> None:
    await close_books(engine, thorough=True)
    keys = SigningKeys.open(settings.keys / FILE_NAME)
    assert (await publish(engine, keys=keys, folder=SealFolder(settings.seals))).problems == []


@pytest.fixture
async def member(brand_api: Api) -> str:
    return await brand_api.register(PHONE)


async def test_an_entry_is_proved_once_it_is_sealed(
    brand_api: Api, brand: Programme, member: str, engine: AsyncEngine, settings: Settings
) -> None:
    sequence = await earn(engine, brand, member, "one")
    path = f"/members/{member}/points/entries/{sequence}/proof"
    assert_problem(await brand_api.get(path), 409, "not-sealed-yet", "sequence")
    await seal(engine, settings)
    answered = await brand_api.get(path)
    assert answered.status_code == 200
    keys = verify_proof.read_keys([str(path) for path in settings.seals.glob("key-*.pem")])
    (says,) = verify_proof.check_proof(answered.json(), keys)
    assert int(says["leaves"]) >= 1
    entry = answered.json()["entries"][0]
    assert (entry["seq"], entry["amount"], verify_proof.member_name(entry["member_id"])) == (sequence, 30, member)
    await earn(engine, brand, member, "two")
    await seal(engine, settings)
    longer = (await brand_api.get(path, later_seals="true")).json()
    assert (len(answered.json()["later_seals"]), len(longer["later_seals"])) == (0, 1)
    assert len(verify_proof.check_proof(longer, keys)) == 2


async def test_what_is_not_there_has_no_proof(brand_api: Api, member: str) -> None:
    path = f"/members/{member}/points/entries/1/proof"
    assert_problem(await brand_api.get(path), 404, "entry-not-found", "sequence")
    assert_problem(await brand_api.get(path, unit="growth"), 404, "entry-not-found", "sequence")
    assert_problem(await brand_api.get(path.replace("/1/", "/0/")), 400, "invalid-input")
    assert_problem(await brand_api.get(path, unit="Points"), 400, "invalid-input")


async def test_another_programmes_member_has_none_here(
    brand_api: Api, api: Api, brand: Programme, member: str, engine: AsyncEngine, settings: Settings
) -> None:
    sequence = await earn(engine, brand, member, "one")
    await seal(engine, settings)
    path = f"/members/{member}/points/entries/{sequence}/proof"
    assert (await brand_api.get(path)).status_code == 200
    assert_problem(await api.get(path), 404, "not-found")


async def test_a_proof_is_for_keys_that_may_read_points(
    brand_api: Api, brand: Programme, member: str, engine: AsyncEngine
) -> None:
    other = await make_api(brand_api.client, engine, brand, scopes=("orders:write",))
    assert_problem(await other.get(f"/members/{member}/points/entries/1/proof"), 403, "not-permitted")
