"""Moments: xsd:dateTimeStamp in, one spelling for the hash."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from loyalty.items.epcis.moments import hash_moment, is_offset, parse_moment, write_moment

MOMENTS = {
    "2005-04-03T20:33:31.116-06:00": datetime(2005, 4, 4, 2, 33, 31, 116_000, tzinfo=UTC),
    "2005-04-03T20:33:31Z": datetime(2005, 4, 3, 20, 33, 31, tzinfo=UTC),
    "2024-02-29T23:59:59.999999999+14:00": datetime(2024, 2, 29, 9, 59, 59, 999_999, tzinfo=UTC),
    "2020-01-01T00:00:00.1-13:59": datetime(2020, 1, 1, 13, 59, 0, 100_000, tzinfo=UTC),
}


@pytest.mark.parametrize(("text", "moment"), MOMENTS.items(), ids=MOMENTS)
def test_a_moment_is_read_with_its_zone(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


WRONG = {
    "2005-04-03T20:33:31": "time zone",
    "2005-04-03T20:33:31.116": "time zone",
    "2005-04-03": "not a date and time",
    "2005-04-03 20:33:31Z": "not a date and time",
    "2005-04-03T20:33Z": "not a date and time",
    "2005-04-03T20:33:31.Z": "not a date and time",
    "2005-04-03T20:33:31+15:00": "not a date and time",
    "2005-04-03T20:33:31+0800": "not a date and time",
    "2005-02-29T20:33:31Z": "does not exist",
    "2005-04-03T25:33:31Z": "does not exist",
    "0001-01-01T00:00:00+14:00": "does not exist",
    "٢٠٠٥-04-03T20:33:31Z": "not a date and time",
    "": "not a date and time",
}


@pytest.mark.parametrize(("text", "reason"), WRONG.items(), ids=WRONG)
def test_what_is_no_moment_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_moment(text)


HASHED = {
    # CBV 2.0, section 8.9.2, rules 8 and 9
    "2005-04-03T20:33:31.116000-06:00": "2005-04-04T02:33:31.116Z",
    "2005-04-03T20:33:31Z": "2005-04-03T20:33:31.000Z",
    "2005-04-03T20:33:31.1Z": "2005-04-03T20:33:31.100Z",
    "2005-04-03T20:33:31.1164Z": "2005-04-03T20:33:31.116Z",
    "2005-04-03T20:33:31.1165Z": "2005-04-03T20:33:31.117Z",
    "2005-12-31T23:59:59.9995Z": "2006-01-01T00:00:00.000Z",
}


@pytest.mark.parametrize(("text", "written"), HASHED.items(), ids=HASHED)
def test_the_hash_writes_utc_and_milliseconds(text: str, written: str) -> None:
    assert hash_moment(text) == written


def test_answers_are_in_utc() -> None:
    assert write_moment(parse_moment("2005-04-03T20:33:31.116-06:00")) == "2005-04-04T02:33:31.116Z"


def test_offsets_go_from_minus_to_plus_fourteen_hours() -> None:
    assert all(map(is_offset, ("+00:00", "-14:00", "+14:00", "-06:00", "+05:45", "+13:59")))
    assert not any(
        map(is_offset, ("Z", "+14:01", "+15:00", "-14:30", "0800", "+8:00", "+08:60", "08:00", "+٠٨:00", ""))
    )
