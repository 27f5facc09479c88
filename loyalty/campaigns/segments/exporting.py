"""A segment's members as rows of a file: ids for everybody, a way to reach them only for those who agree to that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Literal, get_args

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments.audience import Audience
from loyalty.campaigns.segments.fields import write_field
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.kit.rules import AllOf, Compare
from loyalty.members.consent import MARKETING_EMAIL, MARKETING_SMS
from loyalty.members.member import MEMBER_PREFIX
from loyalty.members.profile import read_profiles

Contents = Literal["ids", "phones", "emails"]
CONTENTS: Final[tuple[Contents, ...]] = get_args(Contents)
_AT_ONCE: Final = 1_000
_HEADINGS: Final[dict[Contents, tuple[str, ...]]] = {
    "ids": ("member_id",),
    "phones": ("member_id", "phone"),
    "emails": ("member_id", "email"),
}
_PURPOSES: Final = {"phones": MARKETING_SMS, "emails": MARKETING_EMAIL}

Rows = list[tuple[str, ...]]


def read_contents(text: str) -> Contents:
    """What a file is to hold. Raises InvalidInputError (`contents`)."""
    for contents in CONTENTS:
        if contents == text:
            return contents
    raise InvalidInputError(f"one of {', '.join(CONTENTS)}", field="contents")


async def rows_of(
    connection: AsyncConnection, keyring: Keyring, audience: Audience, contents: Contents
) -> AsyncIterator[Rows]:
    """The rows of the file, the heading first, a thousand at a time, however many there are.

    Phones are those of members who agree to marketing by SMS, e-mail addresses of those who agree to it by e-mail, as
    of when the file is begun; who has none is left out.
    """
    if contents != "ids":
        agrees = Compare(write_field("consent", {"purpose": _PURPOSES[contents]}), "eq", value=True)
        rule = AllOf((agrees, audience.rule)) if audience.rule else agrees
        audience = Audience(frame=audience.frame, rule=rule)
    yield [_HEADINGS[contents]]
    result = await connection.stream_scalars(audience.members())
    async for ids in result.partitions(_AT_ONCE):
        if contents == "ids":
            yield [(public_id(MEMBER_PREFIX, each),) for each in ids]
            continue
        profiles = await read_profiles(connection, keyring, ids)
        found = [(each, profiles[each].phone if contents == "phones" else profiles[each].email) for each in ids]
        yield [(public_id(MEMBER_PREFIX, each), contact) for each, contact in found if contact]
