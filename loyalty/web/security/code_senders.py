"""How a one-time code reaches a phone: on the screen of a demo, or through the brand's own SMS gateway."""

from __future__ import annotations

import json
import time
from typing import Final, Protocol
from uuid import UUID

import httpx

from loyalty.kit.errors import UnavailableError
from loyalty.kit.ids import public_id
from loyalty.settings import Settings
from loyalty.webhooks.signing import sign_webhook, webhook_key

GATEWAY_TIMEOUT_SECONDS: Final = 8
_SECRET_SETTING: Final = "TALLYSTAR_SMS_WEBHOOK_SECRET"  # noqa: S105  (the name of a setting, not its value)


class CodeSender(Protocol):
    """Delivers one-time codes."""

    @property
    def shows_on_screen(self) -> bool:
        """Whether the page is to show the code, and to say that it does so only because this is a demo."""

    async def send(self, *, code_id: UUID, phone: str, code: str, locale: str) -> None:
        """Deliver a code to an E.164 phone number. Raises UnavailableError where the gateway did not take it."""


class ScreenSender:
    """Sends nothing: the page shows the code. For demos alone."""

    shows_on_screen: Final = True

    async def send(self, *, code_id: UUID, phone: str, code: str, locale: str) -> None:
        """Leave the code to the page."""


class NoSender:
    """No gateway is set up, so nobody can sign in with a code; says so instead of pretending."""

    shows_on_screen: Final = False

    async def send(self, *, code_id: UUID, phone: str, code: str, locale: str) -> None:  # noqa: ARG002
        """Raises UnavailableError always."""
        raise UnavailableError("this server has no SMS gateway: set TALLYSTAR_SMS_WEBHOOK_URL and its secret")


class WebhookSender:
    """Posts `{"type": "one_time_code.send", "timestamp": …, "data": {phone, code, locale}}` to the SMS gateway.

    Signed as Standard Webhooks 1.0.0 says, so that the gateway knows who asks: HMAC-SHA256 over
    `id.timestamp.body` with the shared secret. The id stays the same when the code is sent again, so that a gateway
    that saw it does not send twice.
    """

    shows_on_screen: Final = False

    def __init__(self, url: str, secret: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._key = webhook_key(secret, field=_SECRET_SETTING)
        self._transport = transport

    async def send(self, *, code_id: UUID, phone: str, code: str, locale: str) -> None:
        """Post the code. Raises UnavailableError unless the gateway answers 2xx within eight seconds."""
        moment = int(time.time())
        message = {
            "type": "one_time_code.send",
            "timestamp": moment,
            "data": {"phone": phone, "code": code, "locale": locale},
        }
        body = json.dumps(message, separators=(",", ":")).encode()
        identifier = public_id("otc", code_id)
        headers = {
            "content-type": "application/json",
            "webhook-id": identifier,
            "webhook-timestamp": str(moment),
            "webhook-signature": sign_webhook(self._key, identifier, moment, body),
        }
        try:
            async with httpx.AsyncClient(timeout=GATEWAY_TIMEOUT_SECONDS, transport=self._transport) as client:
                response = await client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            # The error's own text may hold the address with its query, and that may hold a key.
            message_for_caller = f"the SMS gateway cannot be reached ({type(error).__name__})"
            raise UnavailableError(message_for_caller) from error
        if not response.is_success:
            message_for_caller = f"the SMS gateway refused the message with status {response.status_code}"
            raise UnavailableError(message_for_caller)


def code_sender(settings: Settings) -> CodeSender:
    """The sender that the settings ask for. Raises InvalidInputError where the gateway's secret is missing or wrong."""
    if settings.demo:
        return ScreenSender()
    if settings.sms_webhook_url is None:
        return NoSender()
    return WebhookSender(settings.sms_webhook_url, settings.sms_webhook_secret or "")
