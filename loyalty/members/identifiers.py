"""What a person is known by: a phone, an e-mail address, or what one channel calls them."""

from __future__ import annotations

import unicodedata
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import FieldError, InvalidInputError
from loyalty.members.emails import email_key, normalise_email
from loyalty.members.phones import DEFAULT_REGION, normalise_phone

IdentityKind = Literal["phone", "email", "customer", "card", "ouid", "wallet"]
CHANNEL_KINDS: Final = ("customer", "card", "ouid", "wallet")
"""Kinds that a channel gives out: equal texts of two channels are two people, unless the scope is the programme."""

PROGRAMME_WIDE: Final = ""
"""The scope of what means the same person in every channel: phones, e-mail, and a brand's own cards."""

_LONGEST_TEXT: Final = 200


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One normalised way to name a person. Make it with the functions below, which refuse what cannot be one.

    `verified`: its holder has proved it is theirs (a one-time code, a signed-in wallet), not merely typed it.
    """

    kind: IdentityKind
    value: str
    scope: str = PROGRAMME_WIDE
    verified: bool = False


class IdentityKey(NamedTuple):
    """How an identity is found without knowing it: its blind index. The programme is known from where it is used."""

    kind: IdentityKind
    scope: str
    digest: bytes


def phone_identity(text: str, *, region: str | None = DEFAULT_REGION, verified: bool = False) -> Identity:
    """A phone in any spelling. Raises InvalidInputError (phone)."""
    return Identity(kind="phone", value=normalise_phone(text, region), verified=verified)


def email_identity(text: str, *, verified: bool = False) -> Identity:
    """An e-mail address. Raises InvalidInputError (email)."""
    return Identity(kind="email", value=normalise_email(text), verified=verified)


def channel_identity(kind: IdentityKind, text: str, *, channel_code: str = PROGRAMME_WIDE) -> Identity:
    """What a channel calls somebody: its customer id, a card number, an ouid, a wallet id.

    Without `channel_code` it names the same person in every channel. Cards are read without spaces and hyphens and in
    upper case; everything else is kept as written, only trimmed. Raises InvalidInputError naming the kind.
    """
    if kind not in CHANNEL_KINDS:
        message = f"{kind!r} is not what a channel calls somebody: {', '.join(CHANNEL_KINDS)}"
        raise InvalidInputError(message, field="kind")
    value = normalise_card(text) if kind == "card" else unicodedata.normalize("NFC", text).strip()
    if not value:
        raise InvalidInputError("is empty", field=kind)
    if len(value) > _LONGEST_TEXT or not value.isprintable():
        message = f"{text[:40]!r} is longer than {_LONGEST_TEXT} characters or holds characters that cannot be printed"
        raise InvalidInputError(message, field=kind)
    return Identity(kind=kind, value=value, scope=channel_code)


def normalise_card(text: str) -> str:
    """A card number as it is compared: half-width, upper case, no spaces or hyphens."""
    return "".join(unicodedata.normalize("NFKC", text).split()).replace("-", "").upper()


def read_record(
    *,
    channel_code: str,
    phone: str | None = None,
    email: str | None = None,
    customer: str | None = None,
    card: str | None = None,
    region: str | None = DEFAULT_REGION,
) -> tuple[list[Identity], list[FieldError]]:
    """A channel's own record of a person, as an importer meets it: the usable identities, and why others are not.

    An empty text is no identity and no fault. A bad phone does not cost a customer the membership: the record is then
    a member of its channel alone, and the reason is there to be reported.
    """
    identities: list[Identity] = []
    refused: list[FieldError] = []
    for field, text in (("phone", phone), ("customer", customer), ("card", card), ("email", email)):
        if text is None or not text.strip():
            continue
        try:
            if field == "phone":
                identities.append(phone_identity(text, region=region))
            elif field == "email":
                identities.append(email_identity(text))
            else:
                identities.append(
                    channel_identity("customer" if field == "customer" else "card", text, channel_code=channel_code)
                )
        except InvalidInputError as error:
            refused.extend(error.errors)
    return identities, refused


def identity_key(keyring: Keyring, programme_id: UUID, identity: Identity) -> IdentityKey:
    """The blind index of an identity in a programme. The scope stays outside it, so that a till can look in all."""
    value = email_key(identity.value) if identity.kind == "email" else identity.value
    digest = keyring.blind_index(programme_id.hex, identity.kind, value=value)
    return IdentityKey(identity.kind, identity.scope, digest)


def sealed_field(kind: str, scope: str) -> str:
    """The field that an identity's ciphertext is bound to."""
    return f"identity:{kind}:{scope}"
