"""What a member told about themselves: kept sealed, changed field by field, shown masked."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.crypto import Keyring, KeyringError
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Programme
from loyalty.members.identity import register, resolve
from loyalty.members.profile import ProfileFields, read_profile, read_profiles, update_profile
from loyalty.members.resealing import reseal
from tests.db.members.conftest import ANN, BEN, NEW_YEAR, Join, email, phone


async def _tell(connection: AsyncConnection, keyring: Keyring, member_id: Any, **fields: Any) -> None:
    await update_profile(connection, keyring, member_id=member_id, fields=ProfileFields(**fields), source="member-page")


async def test_a_field_is_changed_removed_or_left_alone(
    connection: AsyncConnection, keyring: Keyring, join: Join
) -> None:
    ann = (await join(phone(ANN), profile=ProfileFields(name="Ann", email="ann@example.com"))).member

    await _tell(connection, keyring, ann.id, birthday=date(1990, 2, 28), email=None)

    profile = await read_profile(connection, keyring, member_id=ann.id)
    assert (profile.name, profile.birthday, profile.email) == ("Ann", date(1990, 2, 28), None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x07b"}, "name"),
        ({"birthday": date(1899, 12, 31)}, "birthday"),
        ({"birthday": date(9999, 1, 1)}, "birthday"),
        ({"email": "nobody"}, "email"),
    ],
)
async def test_a_bad_field_is_refused_and_nothing_is_written(
    connection: AsyncConnection, keyring: Keyring, join: Join, fields: dict[str, Any], field: str
) -> None:
    ann = (await join(phone(ANN), profile=ProfileFields(name="Ann"))).member

    with pytest.raises(InvalidInputError) as refusal:
        await _tell(connection, keyring, ann.id, **{"birthday": date(1990, 1, 1), **fields})

    assert refusal.value.field == field
    profile = await read_profile(connection, keyring, member_id=ann.id)
    assert (profile.name, profile.birthday) == ("Ann", None)


async def test_a_page_calls_a_member_by_the_best_that_is_known(
    connection: AsyncConnection, keyring: Keyring, join: Join
) -> None:
    members = [
        (await join(phone(ANN), profile=ProfileFields(name="  Ann   Example "))).member,
        (await join(phone(BEN), email("ben@example.com"))).member,
        (await join(email("carl@example.com"))).member,
    ]

    profiles = await read_profiles(connection, keyring, [member.id for member in members])

    shown = [profiles[member.id].display_name for member in members]
    assert shown == ["Ann Example", "199****1002", "c****@example.com"]
    assert profiles[members[1].id].masked_email == "b****@example.com"


async def test_after_a_rotation_everything_is_sealed_anew_and_the_old_key_can_go(
    connection: AsyncConnection, programme: Programme, tmp_path: Path
) -> None:
    path = tmp_path / "personal-data.json"
    old = Keyring.open(path)
    await connection.execute(text("DELETE FROM member_identity"))
    await connection.execute(text("DELETE FROM member_profile"))
    ann = (
        await register(
            connection,
            old,
            programme_id=programme.id,
            channel_code="online",
            identities=[phone(ANN), email("ann@example.com")],
            joined_at=NEW_YEAR,
            profile=ProfileFields(name="Ann"),
        )
    ).member

    new = Keyring.rotate(path)
    resealed = [await reseal(connection, new, limit=1) for _ in range(4)]

    assert resealed == [2, 1, 0, 0]
    profile = await read_profile(connection, new, member_id=ann.id)
    assert (profile.name, profile.phone, profile.email) == ("Ann", f"+86{ANN}", "ann@example.com")
    with pytest.raises(KeyringError, match="key 2"):
        await read_profile(connection, old, member_id=ann.id)
    assert await resolve(connection, new, programme_id=programme.id, identities=[phone(ANN)]) == ann


async def test_a_ciphertext_copied_into_another_members_row_does_not_open(
    connection: AsyncConnection, keyring: Keyring, join: Join
) -> None:
    ann = (await join(phone(ANN), profile=ProfileFields(name="Ann"))).member
    ben = (await join(phone(BEN), profile=ProfileFields(name="Ben"))).member
    await connection.execute(
        text(
            "UPDATE member_profile SET sealed = (SELECT sealed FROM member_profile WHERE member_id = :ann) "
            "WHERE member_id = :ben"
        ),
        {"ann": ann.id, "ben": ben.id},
    )

    with pytest.raises(KeyringError, match="another member"):
        await read_profile(connection, keyring, member_id=ben.id)
