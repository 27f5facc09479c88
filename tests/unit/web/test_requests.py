"""Reading a body: strictly, and saying which field is wrong and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.kit.errors import InvalidInputError
from loyalty.web.idempotency import KEY_LENGTH, read_key
from loyalty.web.requests import decode_body, utc


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    quantity: Annotated[int, msgspec.Meta(ge=1)]
    note: str = ""


class Basket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lines: list[Line]
    at: datetime | None = None
    extra: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ('{"lines": [{"quantity": "1"}]}', "lines[0].quantity", "Expected int, got str"),
        ('{"lines": [{"quantity": 0}]}', "lines[0].quantity", "Expected int >= 1"),
        ('{"lines": [{"quantity": 1}, {}]}', "lines[1].quantity", "is required"),
        ('{"lines": [{"quantity": 1, "sku": 2}]}', "lines[0].sku", "is not a field of this request"),
        ("{}", "lines", "is required"),
        ("[]", "body", "Expected object, got array"),
        ('{"lines": [{"quantity": 1, "note": "a\\u0000"}]}', "lines[0].note", "U+0000"),
        ('{"lines": [], "extra": {"a": [{"b\\u0000": 1}]}}', "extra.a[0]", "U+0000"),
        ('{"lines": [], "at": "0001-01-01T00:00:00+08:00"}', "at", "beyond the years"),
        ('{"lines": [], "at": "2026-01-01T00:00:00"}', "at", "needs an offset"),
        ("{", "body", "is not JSON"),
    ],
)
def test_a_fault_names_its_field_and_the_reason(body: str, field: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        decode_body(body.encode(), Basket)
    (error,) = refused.value.errors
    assert error["field"] == field
    assert reason in error["reason"]


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    read = decode_body(b'{"lines": [{"quantity": 1, "note": "\\\\u0000"}]}', Basket)
    assert read.lines[0].note == "\\u0000"


def test_the_same_moment_with_another_offset_is_the_same_request() -> None:
    bodies = [b'{"lines": [], "at": "2026-01-01T08:00:00+08:00"}', b'{"lines": [], "at": "2026-01-01T00:00:00Z"}']
    one, other = [decode_body(body, Basket) for body in bodies]
    assert one == other
    assert msgspec.json.encode(one) == msgspec.json.encode(other)


@given(st.integers(-(10**10), 10**11), st.integers(-1439, 1439))
def test_a_moment_stays_the_same_moment_in_utc(seconds: int, offset_minutes: int) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    moment = datetime(1970, 1, 2, tzinfo=UTC).astimezone(zone) + timedelta(seconds=seconds)
    assert utc(moment, field="at") == moment
    assert utc(moment, field="at").tzinfo is UTC


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ('"8e03978e-40d5-43e8-bc93-6894a57f9324"', "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (' "a b" ', "a b"),
        (r'"a\"b\\c"', 'a"b\\c'),
        ("R-1001/2", "R-1001/2"),
    ],
)
def test_a_key_is_read_quoted_or_bare(header: str, key: str) -> None:
    assert read_key(header) == key


@pytest.mark.parametrize("header", ["", '""', '"', '"a', 'a b"', '"a";p=1', "ä", '"\x01"', "x" * (KEY_LENGTH + 1)])
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_key(header)
    assert refused.value.field == "Idempotency-Key"
