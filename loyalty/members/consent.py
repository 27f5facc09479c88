"""Consent: what a member agreed to or withdrew, in which words, when, and where it was said.

Append-only, and evidence: a change of mind is a new record, and erasure leaves the records, which name nobody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import new_id
from loyalty.members.holding import persons_ids
from loyalty.members.member import person_ids

TERMS: Final = "terms"
MARKETING_SMS: Final = "marketing_sms"
MARKETING_EMAIL: Final = "marketing_email"

_PURPOSE: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_TEXT: Final = 200


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing said about one purpose: `terms`, `marketing_sms`, `marketing_email`, or a brand's own.

    `text_version` names the words that were shown, `source` where: `item-page`, `import:online`, `till:store-1`.
    `given_at` is aware.
    """

    purpose: str
    granted: bool
    text_version: str
    given_at: datetime
    source: str


class MemberConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent and whose it is."""

    member_id: UUID
    consent: Consent


_RECORD: Final = text("""
    INSERT INTO member_consent (member_id, id, purpose, granted, text_version, given_at, source)
    SELECT * FROM unnest(
        CAST(:members AS uuid[]), CAST(:ids AS uuid[]), CAST(:purposes AS text[]), CAST(:granted AS boolean[]),
        CAST(:texts AS text[]), CAST(:given AS timestamptz[]), CAST(:sources AS text[])
    )
    ON CONFLICT ON CONSTRAINT member_consent_said_once_key DO NOTHING
""")

_HISTORY: Final = text("""
    SELECT purpose, granted, text_version, given_at, source FROM member_consent
    WHERE member_id = ANY (:members) ORDER BY given_at DESC, id DESC
""")

_HISTORIES: Final = text("""
    SELECT member_id, purpose, granted, text_version, given_at, source FROM member_consent
    WHERE member_id = ANY (:members) ORDER BY given_at DESC, id DESC
""")


def check_consent(consent: Consent) -> None:
    """Refuse a consent that could not be shown as evidence. Raises InvalidInputError naming the field."""
    if not _PURPOSE.fullmatch(consent.purpose):
        message = f"{consent.purpose[:60]!r} is not a purpose: lower-case letters, digits and _, at most 40"
        raise InvalidInputError(message, field="consents.purpose")
    for field, value in (("text_version", consent.text_version), ("source", consent.source)):
        if not value.strip() or len(value) > _MOST_TEXT:
            message = f"from 1 to {_MOST_TEXT} characters, to be evidence"
            raise InvalidInputError(message, field=f"consents.{field}")
    if consent.given_at.tzinfo is None:
        raise InvalidInputError("needs a time zone", field="consents.given_at")


async def record_consents(connection: AsyncConnection, consents: Sequence[MemberConsent]) -> None:
    """Append consents. One that was recorded before, word for word, is not recorded again. Raises as check_consent."""
    for given in consents:
        check_consent(given.consent)
    if consents:
        await connection.execute(
            _RECORD,
            {
                "members": [given.member_id for given in consents],
                "ids": [new_id() for _ in consents],
                "purposes": [given.consent.purpose for given in consents],
                "granted": [given.consent.granted for given in consents],
                "texts": [given.consent.text_version for given in consents],
                "given": [given.consent.given_at for given in consents],
                "sources": [given.consent.source for given in consents],
            },
        )


async def record_consent(connection: AsyncConnection, *, member_id: UUID, consent: Consent) -> None:
    """Append one consent of one member. Raises as check_consent."""
    await record_consents(connection, [MemberConsent(member_id=member_id, consent=consent)])


async def consent_history(connection: AsyncConnection, *, member_id: UUID) -> list[Consent]:
    """Everything one person said, under every id they were a member as, newest first."""
    members = await person_ids(connection, member_id=member_id)
    rows = await connection.execute(_HISTORY, {"members": members})
    return [Consent(**row._mapping) for row in rows]  # noqa: SLF001  (SQLAlchemy's documented name)


async def current_consents(connection: AsyncConnection, *, member_id: UUID) -> dict[str, Consent]:
    """What holds now: for each purpose the last thing this person said. A purpose not there was never agreed to."""
    newest: dict[str, Consent] = {}
    for consent in await consent_history(connection, member_id=member_id):
        newest.setdefault(consent.purpose, consent)
    return newest


async def consents_of(connection: AsyncConnection, *, member_ids: Collection[UUID]) -> dict[UUID, dict[str, Consent]]:
    """`current_consents` of many members at once."""
    persons = await persons_ids(connection, member_ids=member_ids)
    whose = {identifier: member_id for member_id, identifiers in persons.items() for identifier in identifiers}
    newest: dict[UUID, dict[str, Consent]] = {member_id: {} for member_id in member_ids}
    for row in await connection.execute(_HISTORIES, {"members": list(whose)}):
        said = {name: getattr(row, name) for name in Consent.__struct_fields__}
        newest[whose[row.member_id]].setdefault(row.purpose, Consent(**said))
    return newest


def agrees(consents: Mapping[str, Consent], purpose: str) -> bool:
    """Whether somebody with these current consents agrees to a purpose. Silence is no."""
    return purpose in consents and consents[purpose].granted
