"""One-time codes: five tries, once, five minutes, only the newest, only for the phone they were sent to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.errors import DomainError, InvalidInputError, TooManyAttemptsError, UnavailableError
from loyalty.kit.ids import new_id
from loyalty.settings import Settings
from loyalty.web.security.code_senders import (
    NoSender,
    ScreenSender,
    WebhookSender,
    code_sender,
)
from loyalty.web.security.one_time_codes import PHONE_LIMIT, TRIES, SentCode, send_code, verify_code
from loyalty.web.security.tables import one_time_code_table
from loyalty.webhooks.signing import sign_webhook, webhook_key

SECRET = b"s" * 32
KEYRING = Keyring.generate()
PHONE = "+8619900000001"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def programme_id() -> UUID:
    return new_id()


async def _send(engine: AsyncEngine, programme_id: UUID, *, phone: str = PHONE, sender: Any = None) -> SentCode:
    return await send_code(
        engine,
        sender or ScreenSender(),
        keyring=KEYRING,
        secret=SECRET,
        programme_id=programme_id,
        purpose="sign-in",
        phone=phone,
        locale="zh",
        address=f"10.0.0.{programme_id.int % 250}",
    )


async def _verify(engine: AsyncEngine, programme_id: UUID, code: str | None, *, phone: str = PHONE) -> None:
    assert code is not None
    await verify_code(
        engine,
        keyring=KEYRING,
        secret=SECRET,
        programme_id=programme_id,
        purpose="sign-in",
        phone=phone,
        code=code,
    )


def _other(code: str | None) -> str:
    assert code is not None
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_the_code_that_was_sent_proves_the_phone_once(engine: AsyncEngine, programme_id: UUID) -> None:
    sent = await _send(engine, programme_id)
    assert sent.shown_code is not None
    await _verify(engine, programme_id, f" {sent.shown_code[:3]} {sent.shown_code[3:]}")
    with pytest.raises(InvalidInputError):
        await _verify(engine, programme_id, sent.shown_code)


async def test_a_code_is_over_after_five_wrong_tries_although_the_right_one_follows(
    engine: AsyncEngine, programme_id: UUID
) -> None:
    sent = await _send(engine, programme_id)
    for number in range(TRIES):
        with pytest.raises(InvalidInputError) as refused:
            await _verify(engine, programme_id, _other(sent.shown_code))
        assert refused.value.members["tries_left"] == TRIES - number - 1
    with pytest.raises(TooManyAttemptsError):
        await _verify(engine, programme_id, sent.shown_code)


async def test_guesses_at_once_are_counted_each(engine: AsyncEngine, programme_id: UUID) -> None:
    sent = await _send(engine, programme_id)

    guesses = (_verify(engine, programme_id, _other(sent.shown_code)) for _ in range(12))
    refusals = await asyncio.gather(*guesses, return_exceptions=True)
    looked_at = [refusal for refusal in refusals if "not the code" in str(refusal)]
    assert (len(looked_at), refusals.count(None)) == (TRIES, 0)
    with pytest.raises(DomainError):
        await _verify(engine, programme_id, sent.shown_code)


async def test_one_code_used_at_once_lets_one_in(engine: AsyncEngine, programme_id: UUID) -> None:
    sent = await _send(engine, programme_id)
    outcomes = await asyncio.gather(
        *(_verify(engine, programme_id, sent.shown_code) for _ in range(4)), return_exceptions=True
    )
    assert outcomes.count(None) == 1


async def test_only_the_newest_code_works_and_only_for_its_phone(engine: AsyncEngine, programme_id: UUID) -> None:
    first = await _send(engine, programme_id)
    second = await _send(engine, programme_id)
    other = await _send(engine, programme_id, phone="+8619900000002")
    if first.shown_code != second.shown_code:
        with pytest.raises(InvalidInputError):
            await _verify(engine, programme_id, first.shown_code)
    if other.shown_code != second.shown_code:
        with pytest.raises(InvalidInputError):
            await _verify(engine, programme_id, other.shown_code)
    await _verify(engine, programme_id, second.shown_code)


async def test_a_code_that_is_too_old_is_over(engine: AsyncEngine, programme_id: UUID) -> None:
    sent = await _send(engine, programme_id)
    async with transaction(engine) as connection:
        table = one_time_code_table
        await connection.execute(update(table).where(table.c.id == sent.id).values(expires_at=func.now()))
    with pytest.raises(InvalidInputError, match="over"):
        await _verify(engine, programme_id, sent.shown_code)


async def test_a_phone_is_not_flooded_with_codes(engine: AsyncEngine, programme_id: UUID) -> None:
    for _ in range(PHONE_LIMIT.attempts):
        await _send(engine, programme_id)
    with pytest.raises(TooManyAttemptsError):
        await _send(engine, programme_id)


async def test_neither_the_phone_nor_the_code_is_in_the_database(engine: AsyncEngine, programme_id: UUID) -> None:
    sent = await _send(engine, programme_id)
    assert sent.shown_code is not None
    async with transaction(engine) as connection:
        row = (await connection.execute(select(one_time_code_table).where(one_time_code_table.c.id == sent.id))).one()
    kept = b"".join(bytes(value) for value in row if isinstance(value, bytes | memoryview))
    assert sent.shown_code.encode() not in kept
    assert PHONE.encode() not in kept
    assert hashlib.sha256(sent.shown_code.encode()).digest() not in kept


def test_webhooks_are_signed_as_the_standards_own_example_says() -> None:
    signature = sign_webhook(
        webhook_key(WEBHOOK_SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_gateway_gets_the_code_in_a_signed_post(engine: AsyncEngine, programme_id: UUID) -> None:
    posted: list[httpx.Request] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        posted.append(request)
        return httpx.Response(204)

    sender = WebhookSender("https://sms.example.com/send", WEBHOOK_SECRET, transport=httpx.MockTransport(gateway))
    sent = await _send(engine, programme_id, sender=sender)
    assert sent.shown_code is None
    (request,) = posted
    message = json.loads(request.content)
    assert (message["type"], message["data"]["phone"]) == ("one_time_code.send", PHONE)
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.content
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    await _verify(engine, programme_id, message["data"]["code"])


@pytest.mark.parametrize("failure", ["refused", "unreachable"])
async def test_a_gateway_that_fails_is_said_so_without_its_address(
    engine: AsyncEngine, programme_id: UUID, failure: str
) -> None:
    def gateway(request: httpx.Request) -> httpx.Response:
        if failure == "unreachable":
            message = "no route to sms.example.com"
            raise httpx.ConnectError(message, request=request)
        return httpx.Response(500, text="secret internals")

    sender = WebhookSender("https://sms.example.com/send?key=k", WEBHOOK_SECRET, transport=httpx.MockTransport(gateway))
    with pytest.raises(UnavailableError) as refused:
        await _send(engine, programme_id, sender=sender)
    assert "example.com" not in refused.value.detail
    assert "secret" not in refused.value.detail


async def test_a_server_without_a_gateway_sends_nothing_and_says_so(
    engine: AsyncEngine, programme_id: UUID, settings: Settings
) -> None:
    assert isinstance(code_sender(settings), ScreenSender)
    real = Settings(home=settings.home)
    assert isinstance(code_sender(real), NoSender)
    with pytest.raises(UnavailableError, match="TALLYSTAR_SMS_WEBHOOK_URL"):
        await _send(engine, programme_id, sender=code_sender(real))
    gateway = Settings(home=settings.home, sms_webhook_url="https://sms.example.com", sms_webhook_secret="short")
    with pytest.raises(InvalidInputError) as refused:
        code_sender(gateway)
    assert refused.value.field == "TALLYSTAR_SMS_WEBHOOK_SECRET"
