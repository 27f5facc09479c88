"""Consent is evidence: appended, never changed, and the last word counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError
from loyalty.members.consent import Consent, agrees, consent_history, current_consents, record_consent
from tests.db.members.conftest import ANN, NEW_YEAR, Join, phone
from tests.roles import as_owner

YES = Consent(purpose="marketing_sms", granted=True, text_version="2026-01", given_at=NEW_YEAR, source="item-page")


async def test_a_change_of_mind_is_a_new_record_and_the_last_word_counts(
    connection: AsyncConnection, join: Join
) -> None:
    ann = (await join(phone(ANN))).member
    no = msgspec.structs.replace(YES, granted=False, given_at=NEW_YEAR + timedelta(hours=1))
    terms = msgspec.structs.replace(YES, purpose="terms")

    for consent in (no, YES, terms):  # in whatever order they arrive
        await record_consent(connection, member_id=ann.id, consent=consent)

    current = await current_consents(connection, member_id=ann.id)
    assert current == {"marketing_sms": no, "terms": terms}
    assert not agrees(current, "marketing_sms")
    assert agrees(current, "terms")
    assert not agrees(current, "marketing_email"), "silence is no"
    assert len(await consent_history(connection, member_id=ann.id)) == 3


async def test_the_same_words_are_recorded_once(connection: AsyncConnection, join: Join) -> None:
    ann = (await join(phone(ANN))).member

    for _ in range(2):
        await record_consent(connection, member_id=ann.id, consent=YES)

    assert await consent_history(connection, member_id=ann.id) == [YES]


@pytest.mark.parametrize(
    "change",
    ["UPDATE member_consent SET granted = FALSE", "DELETE FROM member_consent", "TRUNCATE member_consent"],
)
async def test_what_was_said_cannot_be_changed(connection: AsyncConnection, join: Join, change: str) -> None:
    await join(phone(ANN), consents=[YES])

    with pytest.raises(DBAPIError, match="append-only"):
        async with as_owner(connection):
            await connection.execute(text(change))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"purpose": "Marketing SMS"}, "consents.purpose"),
        ({"text_version": " "}, "consents.text_version"),
        ({"source": ""}, "consents.source"),
        ({"given_at": NEW_YEAR.replace(tzinfo=None)}, "consents.given_at"),
    ],
)
async def test_what_would_be_no_evidence_is_refused(
    connection: AsyncConnection, join: Join, change: dict[str, Any], field: str
) -> None:
    ann = (await join(phone(ANN))).member

    with pytest.raises(InvalidInputError) as refusal:
        await record_consent(connection, member_id=ann.id, consent=msgspec.structs.replace(YES, **change))

    assert refusal.value.field == field
