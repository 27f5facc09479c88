"""What a channel's record says, read into identities."""

from __future__ import annotations

from uuid import uuid4

import pytest

from loyalty.kit.crypto import Keyring
from loyalty.kit.errors import InvalidInputError
from loyalty.members.identifiers import PROGRAMME_WIDE, IdentityKind, channel_identity, identity_key, read_record


def test_a_card_is_read_as_it_is_printed_or_typed() -> None:
    printed = channel_identity("card", "6000-0000 0001 ab", channel_code="store-1")

    assert printed == channel_identity("card", "６０００００００0001AB", channel_code="store-1")


def test_a_customer_id_is_kept_as_written() -> None:
    assert channel_identity("customer", " 12347.0 ", channel_code="online").value == "12347.0"


def test_a_brands_own_card_is_the_same_person_in_every_channel() -> None:
    assert channel_identity("card", "1").scope == PROGRAMME_WIDE


@pytest.mark.parametrize("text", ["", "  ", "1\n2", "x" * 201])
@pytest.mark.parametrize("kind", ["customer", "ouid", "wallet"])
def test_what_is_no_id_is_refused_naming_the_kind(kind: IdentityKind, text: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        channel_identity(kind, text)
    assert refusal.value.field == kind


def test_a_phone_is_not_what_a_channel_gives_out() -> None:
    with pytest.raises(InvalidInputError) as refusal:
        channel_identity("phone", "19900001001")
    assert refusal.value.field == "kind"


def test_a_record_gives_what_is_usable_and_says_why_the_rest_is_not() -> None:
    identities, refused = read_record(channel_code="online", phone="0", email="nobody", customer="1", card=" ")

    assert [(identity.kind, identity.scope, identity.value) for identity in identities] == [("customer", "online", "1")]
    assert [fault["field"] for fault in refused] == ["phone", "email"]


def test_the_look_up_key_knows_programme_kind_and_value_but_no_scope() -> None:
    keyring, programme_id = Keyring.generate(), uuid4()
    online = identity_key(keyring, programme_id, channel_identity("customer", "1", channel_code="online"))
    store = identity_key(keyring, programme_id, channel_identity("customer", "1", channel_code="store-1"))
    card = identity_key(keyring, programme_id, channel_identity("card", "1", channel_code="online"))
    elsewhere = identity_key(keyring, uuid4(), channel_identity("customer", "1", channel_code="online"))

    assert online.digest == store.digest
    assert online != store
    assert len({online.digest, card.digest, elsewhere.digest}) == 3
