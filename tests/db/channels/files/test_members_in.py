from __future__ import annotations

import pytest

from loyalty.channels.files.members_in import BATCH_RECORDS
from loyalty.kit.errors import InvalidInputError
from loyalty.members.identity import find
from loyalty.members.profile import read_profile
from tests.db.channels.files.conftest import Shop

HEADER = "customer,phone,email,name,birthday,joined"


async def test_a_list_of_customers_becomes_members(shop: Shop) -> None:
    tally = await shop.members(HEADER, "1,19900000001,a@example.com,Ann,1990-02-28,2020-05-01", "2,,,,,")
    assert (tally.rows, tally.members_created, tally.lines_refused) == (2, 2, 0)
    async with shop.engine.connect() as connection:
        (ann,) = await find(connection, shop.keyring, programme_id=shop.programme.id, text="199-0000-0001")
        profile = await read_profile(connection, shop.keyring, member_id=ann.id)
    assert (profile.name, profile.email, str(profile.birthday)) == ("Ann", "a@example.com", "1990-02-28")
    assert ann.joined_at.isoformat() == "2020-04-30T16:00:00+00:00", "midnight in Shanghai, where the channel is"


async def test_a_list_imported_again_changes_nothing(shop: Shop) -> None:
    lines = ["customer,phone", "1,19900000001", "2,", "3,0086 199 0000 0001"]
    first = await shop.members(*lines)
    assert (first.members_created, first.members_joined, first.members_unchanged) == (2, 1, 0)
    again = await shop.members(*lines)
    assert (again.members_created, again.members_joined, again.members_unchanged) == (0, 0, 3)
    assert await shop.count("member") == 2


async def test_a_phone_that_another_channel_knows_joins_the_two(shop: Shop) -> None:
    await shop.members("customer,phone", "1,19900000001")
    tally = await shop.members("customer,phone", "77,+86 199 0000 0001", channel="store-1")
    assert (tally.members_created, tally.members_joined) == (0, 1)


async def test_a_record_that_shows_two_members_to_be_one_merges_them(shop: Shop) -> None:
    await shop.orders("order,time,customer,amount", "o1,2024-01-01,9,10")
    await shop.members("customer,phone", "1,19900000001")
    tally = await shop.members("customer,phone", "9,19900000001")
    assert (tally.members_created, tally.members_merged) == (0, 1)
    assert await shop.points() == [0, 10], "the absorbed account is empty"


async def test_what_is_wrong_in_a_record_is_left_out_and_told(shop: Shop) -> None:
    tally = await shop.members(HEADER, "1,n/a,nobody,Ann,1890-01-01,soon", "2,,,,30.02.1990,")
    assert (tally.members_created, tally.members_refused, tally.lines_refused) == (2, 0, 0)
    assert tally.details_left_out == 5
    assert [line.split(",")[1:3] for line in shop.refused] == [
        ["2", "phone"],
        ["2", "email"],
        ["2", "joined"],
        ["2", "birthday"],
        ["3", "birthday"],
    ]


async def test_a_record_of_nobody_is_refused(shop: Shop) -> None:
    tally = await shop.members("customer,phone", ",", ",n/a", "1", "2,19900000002")
    assert (tally.members_created, tally.members_refused, tally.lines_refused) == (1, 3, 3)
    assert [line.split(",")[1:3] for line in shop.refused] == [["2", "customer"], ["3", "phone"], ["4", ""]]


async def test_an_unknown_column_is_refused_before_anything_is_written(shop: Shop) -> None:
    with pytest.raises(InvalidInputError, match="its columns are customer, phone"):
        await shop.members("customer,phone", "1,19900000001", columns={"email": "mail"})
    assert await shop.count("member") == 0


async def test_a_stopped_import_goes_on_when_it_is_run_again(shop: Shop) -> None:
    lines = ["customer", *map(str, range(2 * BATCH_RECORDS))]
    shop.stop_when = lambda tally: tally.rows < len(lines) - 1
    stopped = await shop.members(*lines)
    assert (stopped.stopped, stopped.members_created) == (True, BATCH_RECORDS)
    shop.stop_when = lambda _tally: False
    again = await shop.members(*lines)
    assert (again.stopped, again.members_created, again.members_unchanged) == (False, BATCH_RECORDS, BATCH_RECORDS)
