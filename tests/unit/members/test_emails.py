"""E-mail addresses: normalised, or refused with a reason."""

from __future__ import annotations

import pytest

from loyalty.kit.errors import InvalidInputError
from loyalty.members.emails import email_key, mask_email, normalise_email


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Shopper@Example.COM ", "Shopper@example.com"),
        ("a+b.c@mail.example.com", "a+b.c@mail.example.com"),
        ("王@例子.测试", "王@xn--fsqu00a.xn--0zwm56d"),
    ],
)
def test_an_address_is_trimmed_and_its_domain_lowered(text: str, address: str) -> None:
    assert normalise_email(text) == address


def test_two_spellings_of_one_mailbox_are_looked_up_alike() -> None:
    assert email_key(normalise_email("Ann@Example.com")) == email_key(normalise_email("ann@EXAMPLE.com"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "@example.com",
        "nobody@",
        "no body@example.com",
        "a@b@example.com",
        ".a@example.com",
        "a..b@example.com",
        "a@example",
        "a@-example.com",
        "a@example..com",
        "a@10.0.0.1",
        "a\n@example.com",
        "x" * 65 + "@example.com",
        "a@" + "x." * 130 + "com",
    ],
)
def test_what_cannot_be_delivered_to_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        normalise_email(text)
    assert refusal.value.field == "email"


def test_a_masked_address_shows_its_first_letter_and_domain() -> None:
    assert mask_email("shopper@example.com") == "s****@example.com"
