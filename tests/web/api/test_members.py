"""Members over HTTP: one person however they come, merged and parted, consenting, forgotten."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.clock import utc_now
from loyalty.kit.programme import Channel
from loyalty.members.card_token import issue_token
from loyalty.settings import Settings
from loyalty.web.api.people import member_uuid
from tests.web.conftest import Api, assert_problem, make_api

PHONE = "+8619900000001"


def _record(**changed: Any) -> dict[str, Any]:
    return {"channel": "online", "identities": [{"kind": "phone", "value": PHONE}], **changed}


async def test_a_person_who_comes_twice_is_one_member(brand_api: Api) -> None:
    first = (await brand_api.post("/members", _record())).json()
    spelt = _record(channel="store-1", identities=[{"kind": "phone", "value": "199 0000 0001"}])
    again = (await brand_api.post("/members", spelt)).json()
    assert (first["created"], again["created"]) == (True, False)
    assert first["member"]["id"] == again["member"]["id"]
    assert first["member"]["masked_phone"] == "199****0001"


async def test_a_registration_sent_thirty_times_at_once_is_one_and_answers_the_same(brand_api: Api) -> None:
    key = uuid4().hex
    answers = await asyncio.gather(*(brand_api.post("/members", _record(), key=key) for _ in range(30)))
    assert {answered.status_code for answered in answers} == {201}
    assert len({answered.content for answered in answers}) == 1
    assert [answered.headers.get("idempotent-replayed") for answered in answers].count("true") == 29
    assert len((await brand_api.get("/members")).json()["data"]) == 1


async def test_a_key_of_another_registration_is_refused(brand_api: Api) -> None:
    key = uuid4().hex
    await brand_api.post("/members", _record(), key=key)
    other = _record(identities=[{"kind": "phone", "value": "+8619900000002"}])
    assert_problem(await brand_api.post("/members", other, key=key), 422, "idempotency-key-reused", "Idempotency-Key")
    assert len((await brand_api.get("/members")).json()["data"]) == 1


async def test_a_refused_registration_may_be_mended_and_sent_with_the_same_key(brand_api: Api) -> None:
    key = uuid4().hex
    bad = _record(identities=[{"kind": "phone", "value": "12"}])
    assert_problem(await brand_api.post("/members", bad, key=key), 400, "invalid-input", "phone")
    assert (await brand_api.post("/members", _record(), key=key)).status_code == 201


async def test_a_member_is_found_by_what_a_clerk_types_or_scans(brand_api: Api, settings: Settings) -> None:
    member = await brand_api.register(PHONE)
    token = issue_token(settings.session_secret(), member_uuid(member), utc_now())
    for text in ("19900000001", "+86 199-0000-0001", member, token):
        found = (await brand_api.post("/members/find", {"text": text}, key=None)).json()["data"]
        assert [each["id"] for each in found] == [member], text
    assert (await brand_api.post("/members/find", {"text": "19900000009"}, key=None)).json()["data"] == []
    stale = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert_problem(await brand_api.post("/members/find", {"text": stale}, key=None), 400, "invalid-input", "token")


async def test_a_merge_moves_points_and_unmerging_brings_them_back(brand_api: Api) -> None:
    one, other = await brand_api.register(PHONE), await brand_api.register("+8619900000002")
    for member, amount in ((one, 100), (other, 40)):
        await brand_api.post(f"/members/{member}/points/earn", {"amount": amount, "source": "test"})
    body = {"absorbed_id": other, "reason": "same person", "actor": "li.na"}
    merged = (await brand_api.post(f"/members/{one}/merge", body)).json()
    assert (merged["survivor_id"], merged["absorbed_id"]) == (one, other)
    assert await _spendable(brand_api, one) == await _spendable(brand_api, other) == 140
    assert (await brand_api.get(f"/members/{other}")).json()["id"] == one
    undo = {"reason": "two people", "actor": "li.na"}
    assert (await brand_api.post(f"/merges/{merged['id']}/undo", undo)).json()["undone_by"] == "li.na"
    assert (await _spendable(brand_api, one), await _spendable(brand_api, other)) == (100, 40)


async def test_a_posting_repeated_after_a_merge_still_has_its_first_answer(brand_api: Api) -> None:
    one, other = await brand_api.register(PHONE), await brand_api.register("+8619900000002")
    key, earn = uuid4().hex, {"amount": 40, "source": "review:1"}
    first = await brand_api.post(f"/members/{other}/points/earn", earn, key=key)
    await brand_api.post(f"/members/{one}/merge", {"absorbed_id": other, "reason": "same", "actor": "li.na"})
    again = await brand_api.post(f"/members/{other}/points/earn", earn, key=key)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert await _spendable(brand_api, one) == 40


async def _spendable(api: Api, member: str) -> int:
    return int((await api.get(f"/members/{member}/points")).json()["data"][0]["spendable"])


async def test_an_erased_member_is_nobody_and_gets_no_points(brand_api: Api) -> None:
    member = await brand_api.register(PHONE)
    body = {"reason": "asked for it", "actor": "li.na"}
    assert (await brand_api.post(f"/members/{member}/erase", body)).json()["member_id"] == member
    told = (await brand_api.get(f"/members/{member}")).json()
    assert (told["state"], told["name"], told["masked_phone"]) == ("erased", None, None)
    earned = await brand_api.post(f"/members/{member}/points/earn", {"amount": 1, "source": "x"})
    assert_problem(earned, 409, "member-erased", "member_id")
    assert await brand_api.register(PHONE) != member


async def test_consents_are_kept_as_they_were_given(brand_api: Api) -> None:
    member = await brand_api.register(PHONE)
    consent = {
        "purpose": "marketing_sms",
        "granted": True,
        "text_version": "v1",
        "source": "till:store-1",
        "given_at": "2026-01-02T10:00:00+08:00",
    }
    assert (await brand_api.post(f"/members/{member}/consents", consent)).status_code == 201
    withdrawn = consent | {"granted": False, "given_at": "2026-01-03T10:00:00+08:00"}
    await brand_api.post(f"/members/{member}/consents", withdrawn)
    said = (await brand_api.get(f"/members/{member}/consents")).json()["data"]
    assert [(each["granted"], each["given_at"]) for each in said] == [
        (False, "2026-01-03T02:00:00Z"),
        (True, "2026-01-02T02:00:00Z"),
    ]


async def test_a_profile_is_changed_field_by_field(brand_api: Api) -> None:
    member = await brand_api.register(PHONE)
    path = f"/members/{member}/profile"
    await brand_api.patch(path, {"name": "李娜", "birthday": "1990-05-17"})
    told = (await brand_api.patch(path, {"birthday": None})).json()
    assert (told["name"], told["birthday"], told["phone"]) == ("李娜", None, PHONE)
    assert_problem(await brand_api.patch(path, {"birthday": "2990-05-17"}), 400, "invalid-input", "birthday")


async def test_members_are_listed_in_pages(brand_api: Api) -> None:
    members = [await brand_api.register(f"+861990000001{number}") for number in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await brand_api.get("/members", limit=2, **cursor)).json()
        seen += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == members[::-1]


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/members", {"limit": 0}, "limit"),
        ("/members", {"limit": "ten"}, "limit"),
        ("/members", {"cusor": "x"}, "cusor"),
        ("/members", {"state": "gone"}, "state"),
        ("/members/mem_1", {}, "member_id"),
    ],
    ids=str,
)
async def test_a_bad_parameter_is_refused_by_its_name(
    brand_api: Api, path: str, params: dict[str, Any], field: str
) -> None:
    assert_problem(await brand_api.get(path, **params), 400, "invalid-input", field)


async def test_an_unknown_member_is_not_found(brand_api: Api) -> None:
    answered = await brand_api.get("/members/mem_01KA0B1C2D3E4F5G6H7J8K9M0N")
    assert_problem(answered, 404, "not-found", "member_id")


async def test_a_channels_key_acts_for_its_channel_alone(
    client: httpx.AsyncClient, engine: AsyncEngine, brand_api: Api, brand_store: Channel
) -> None:
    till = await make_api(client, engine, brand_api.programme, channel=brand_store)
    assert (await till.post("/members", _record(channel=None))).json()["member"]["joined_channel"] == "store-1"
    assert_problem(await till.post("/members", _record(channel="online")), 403, "not-permitted", "channel")
    assert_problem(await brand_api.post("/members", _record(channel=None)), 400, "invalid-input", "channel")
