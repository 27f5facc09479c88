"""What a member told about themselves, sealed field by field, and how it is shown without giving it away."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import public_id
from loyalty.members.directory import StoredIdentity, read_identities
from loyalty.members.emails import mask_email, normalise_email
from loyalty.members.member import MEMBER_PREFIX
from loyalty.members.phones import mask_phone

_LONGEST_NAME: Final = 100
_EARLIEST_BIRTHDAY: Final = date(1900, 1, 1)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A member in the clear. `phone` is E.164; phone and e-mail are identities, verified ones before typed ones.

    `email` may also be a contact alone: an address that is another member's identity (see `linking`).
    """

    member_id: UUID
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    birthday: date | None = None
    identities: tuple[StoredIdentity, ...] = ()

    @property
    def masked_phone(self) -> str | None:
        """The phone as a page shows it: `199****9452`."""
        return mask_phone(self.phone) if self.phone else None

    @property
    def masked_email(self) -> str | None:
        """The e-mail address as a page shows it: `s****@example.com`."""
        return mask_email(self.email) if self.email else None

    @property
    def display_name(self) -> str:
        """What to call the member on a page: the name, else the masked phone or e-mail, else the id's last part."""
        return self.name or self.masked_phone or self.masked_email or public_id(MEMBER_PREFIX, self.member_id)[-6:]


class ProfileFields(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told: a field left UNSET stays as it is, None removes it."""

    name: str | UnsetType | None = UNSET
    birthday: date | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    """A contact address. One that should also find the member is an identity."""


class FieldValue(msgspec.Struct, frozen=True, kw_only=True):
    """One profile field about to be sealed for a member."""

    member_id: UUID
    field: str
    value: str


_PUT: Final = """
    INSERT INTO member_profile (member_id, field, sealed, month, source)
    SELECT *, :source
    FROM unnest(
        CAST(:members AS uuid[]), CAST(:fields AS text[]), CAST(:sealed AS bytea[]), CAST(:months AS smallint[]))
    ON CONFLICT (member_id, field) DO """
_FILL: Final = text(_PUT + "NOTHING")
_REPLACE: Final = text(
    _PUT
    + """UPDATE SET
        sealed = EXCLUDED.sealed, month = EXCLUDED.month, source = EXCLUDED.source, updated_at = now()"""
)
_REMOVE: Final = text("DELETE FROM member_profile WHERE member_id = :member AND field = ANY (:fields)")
_READ: Final = text("SELECT member_id, field, sealed FROM member_profile WHERE member_id = ANY (:members)")


def texts_of(fields: ProfileFields) -> dict[str, str | None]:
    """The given fields as they are stored. Raises InvalidInputError naming the field."""
    texts: dict[str, str | None] = {}
    if fields.name is not UNSET:
        texts["name"] = None if fields.name is None else _name(fields.name)
    if fields.birthday is not UNSET:
        latest = utc_now().date()
        if fields.birthday is not None and not _EARLIEST_BIRTHDAY <= fields.birthday <= latest:
            message = f"a birthday lies between {_EARLIEST_BIRTHDAY} and today"
            raise InvalidInputError(message, field="birthday")
        texts["birthday"] = None if fields.birthday is None else fields.birthday.isoformat()
    if fields.email is not UNSET:
        texts["email"] = None if fields.email is None else normalise_email(fields.email)
    return texts


def _name(name: str) -> str | None:
    cleaned = " ".join(unicodedata.normalize("NFC", name).split())
    if len(cleaned) > _LONGEST_NAME or not cleaned.isprintable():
        message = f"a name has at most {_LONGEST_NAME} printable characters"
        raise InvalidInputError(message, field="name")
    return cleaned or None


async def update_profile(
    connection: AsyncConnection, keyring: Keyring, *, member_id: UUID, fields: ProfileFields, source: str
) -> None:
    """Write what a member told about themselves; `source` says where. Raises InvalidInputError naming the field."""
    texts = texts_of(fields)
    values = [
        FieldValue(member_id=member_id, field=field, value=value) for field, value in texts.items() if value is not None
    ]
    await _put(connection, keyring, values, source=source, replace=True)
    removed = [field for field, value in texts.items() if value is None]
    if removed:
        await connection.execute(_REMOVE, {"member": member_id, "fields": removed})


async def fill_profiles(
    connection: AsyncConnection, keyring: Keyring, values: Sequence[FieldValue], *, source: str
) -> None:
    """Write fields that are missing; what is there stays, so that two channels do not overwrite each other in turn."""
    await _put(connection, keyring, values, source=source, replace=False)


async def _put(
    connection: AsyncConnection, keyring: Keyring, values: Sequence[FieldValue], *, source: str, replace: bool
) -> None:
    if values:
        await connection.execute(
            _REPLACE if replace else _FILL,
            {
                "source": source,
                "members": [value.member_id for value in values],
                "fields": [value.field for value in values],
                "sealed": [
                    keyring.encrypt(value.value, owner=value.member_id, field=f"profile:{value.field}")
                    for value in values
                ],
                "months": [_month(value) for value in values],
            },
        )


def _month(value: FieldValue) -> int | None:
    """What is kept in the clear: a birthday's month."""
    return date.fromisoformat(value.value).month if value.field == "birthday" else None


async def read_fields(
    connection: AsyncConnection, keyring: Keyring, member_ids: Collection[UUID]
) -> dict[UUID, dict[str, str]]:
    """The stored fields of members in the clear."""
    fields: dict[UUID, dict[str, str]] = {member_id: {} for member_id in member_ids}
    for row in await connection.execute(_READ, {"members": list(member_ids)}):
        fields[row.member_id][row.field] = keyring.decrypt(
            bytes(row.sealed), owner=row.member_id, field=f"profile:{row.field}"
        )
    return fields


async def read_profiles(
    connection: AsyncConnection, keyring: Keyring, member_ids: Collection[UUID]
) -> dict[UUID, Profile]:
    """Members in the clear, by id, in two queries however many. Everybody asked for is there, if only by id."""
    fields = await read_fields(connection, keyring, member_ids)
    identities = await read_identities(connection, keyring, member_ids)
    return {member_id: _profile(member_id, fields[member_id], identities[member_id]) for member_id in member_ids}


async def read_profile(connection: AsyncConnection, keyring: Keyring, *, member_id: UUID) -> Profile:
    """One member in the clear."""
    return (await read_profiles(connection, keyring, [member_id]))[member_id]


def _profile(member_id: UUID, fields: Mapping[str, str], identities: Sequence[StoredIdentity]) -> Profile:
    def first(kind: str) -> str | None:
        return next((identity.value for identity in identities if identity.kind == kind), None)

    birthday = fields.get("birthday")
    return Profile(
        member_id=member_id,
        name=fields.get("name"),
        phone=first("phone"),
        email=first("email") or fields.get("email"),
        birthday=date.fromisoformat(birthday) if birthday else None,
        identities=tuple(identities),
    )
