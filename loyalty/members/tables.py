"""The tables of members.

`member_identity` is a look-up table: it is found by what somebody knows (a phone, a card), so its key is that, and on
a distributed database it is spread by `digest`. All other tables that one member owns start with `member_id`;
`member_merge` names two members and is small enough to be everywhere.

Nothing here holds personal data in the clear (but the month of a birthday): `digest` is the keyring's blind index,
`sealed` its ciphertext.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from loyalty.kit.db import metadata

member_table: Final = Table(
    "member",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'active'")),
    Column("merged_into", Uuid),
    Column("joined_at", DateTime(timezone=True), nullable=False),
    Column("joined_channel", Text, nullable=False),
    Column("locale", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("state IN ('active', 'merged', 'erased')", name="state"),
    CheckConstraint("(state = 'merged') = (merged_into IS NOT NULL)", name="merged_into"),
    Index("member_programme_id_joined_at_id_idx", "programme_id", "joined_at", "id"),
    Index("member_merged_into_idx", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
)

member_identity_table: Final = Table(
    "member_identity",
    metadata,
    Column("programme_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scope", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("channel", Text, nullable=False),
    Column("verified_at", DateTime(timezone=True)),
    Column("added_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("programme_id", "kind", "digest", "scope"),
    CheckConstraint("kind IN ('phone', 'email', 'customer', 'card', 'ouid', 'wallet')", name="kind"),
    Index("member_identity_member_id_idx", "member_id"),
)

member_profile_table: Final = Table(
    "member_profile",
    metadata,
    Column("member_id", Uuid, nullable=False),
    Column("field", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("source", Text, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("month", SmallInteger),
    PrimaryKeyConstraint("member_id", "field"),
)
"""`month` is a birthday's, 1 to 12, and the one thing of a profile in the clear, so that segments can ask for it."""

member_consent_table: Final = Table(
    "member_consent",
    metadata,
    Column("member_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("text_version", Text, nullable=False),
    Column("given_at", DateTime(timezone=True), nullable=False),
    Column("source", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("member_id", "id"),
    UniqueConstraint(
        "member_id",
        "purpose",
        "given_at",
        "source",
        "granted",
        "text_version",
        name="member_consent_said_once_key",
    ),
)

member_merge_table: Final = Table(
    "member_merge",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("survivor_id", Uuid, nullable=False),
    Column("absorbed_id", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("identity_ids", ARRAY(Uuid), nullable=False),
    Column("merged_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("merged_by", Text, nullable=False),
    Column("merged_because", Text, nullable=False),
    Column("undone_at", DateTime(timezone=True)),
    Column("undone_by", Text),
    Column("undone_because", Text),
    UniqueConstraint("programme_id", "key"),
    CheckConstraint("survivor_id <> absorbed_id", name="two_members"),
    Index("member_merge_survivor_id_idx", "survivor_id"),
    Index("member_merge_absorbed_id_idx", "absorbed_id"),
    Index(
        "member_merge_standing_key",
        "absorbed_id",
        unique=True,
        postgresql_where=text("undone_at IS NULL"),
    ),
)

member_erasure_table: Final = Table(
    "member_erasure",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("programme_id", Uuid, nullable=False),
    Column("erased_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("erased_by", Text, nullable=False),
    Column("erased_because", Text, nullable=False),
)
