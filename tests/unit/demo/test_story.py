from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from loyalty.demo.brand import ONLINE
from loyalty.demo.doings import Scan
from loyalty.demo.leads import FIRST_NUMBER
from loyalty.demo.shopping import Return
from loyalty.demo.story import Story, tell_story
from loyalty.kit.clock import local_date
from loyalty.kit.errors import InvalidInputError
from loyalty.members.phones import normalise_phone

TODAY = date(2026, 11, 23)


def told(story: Story) -> bytes:
    return msgspec.json.encode([story.people, story.days])


@pytest.fixture(scope="module")
def story() -> Story:
    return tell_story(members=300, seed=7, today=TODAY)


def test_the_same_seed_and_day_tell_the_same_story(story: Story) -> None:
    assert told(tell_story(members=300, seed=7, today=TODAY)) == told(story)


def test_another_seed_tells_another(story: Story) -> None:
    assert told(tell_story(members=300, seed=8, today=TODAY)) != told(story)


def test_more_members_leave_the_others_as_they_are(story: Story) -> None:
    smaller = tell_story(members=100, seed=7, today=TODAY)
    numbers = range(FIRST_NUMBER, FIRST_NUMBER + 50)
    assert [smaller.people[number] for number in numbers] == [story.people[number] for number in numbers]


def test_it_begins_on_the_first_of_a_month_a_year_ago_and_ends_before_today(story: Story) -> None:
    assert (story.first_day, story.days[0].day, story.days[-1].day) == (
        date(2025, 11, 1),
        date(2025, 11, 1),
        TODAY - timedelta(1),
    )
    for day in story.days:
        for moment in day.moments:
            assert local_date(moment.at, "Asia/Shanghai") == day.day
        for purchase in day.purchases:
            assert purchase.at < story.ends_at
            assert local_date(purchase.at, "Asia/Shanghai") <= day.day


@pytest.mark.parametrize("today", [date(2027, 1, 1), date(2028, 2, 29), date(2027, 3, 31)])
def test_it_can_be_told_on_any_day(today: date) -> None:
    story = tell_story(members=20, seed=1, today=today)
    assert story.days[-1].day == today - timedelta(1)


def test_nobody_buys_or_does_anything_before_they_came(story: Story) -> None:
    came: dict[tuple[int, str | None], object] = {}
    known: set[int] = set()
    for day in story.days:
        for entrance in day.entrances:
            came[entrance.number, entrance.channel] = entrance.at
            known.add(entrance.number)
        assert {moment.number for moment in day.moments if moment.number is not None} <= known
        for purchase in day.purchases:
            assert (purchase.number, purchase.channel) in came


def test_every_document_of_a_channel_has_a_number_of_its_own(story: Story) -> None:
    orders = [purchase.external_id for day in story.days for purchase in day.purchases]
    returns = [returned.external_id for day in story.days for returned in day.returns]
    assert len(orders) == len(set(orders)) > 500
    assert len(returns) == len(set(returns)) > 10


def test_stores_hand_in_their_receipts_twice_a_week(story: Story) -> None:
    weekdays = {
        day.day.weekday() for day in story.days[:-1] for purchase in day.purchases if purchase.channel != ONLINE
    }
    assert weekdays == {2, 6}


def test_some_things_are_called_off_before_we_hear_of_them() -> None:
    large = tell_story(members=1_500, seed=7, today=TODAY)
    heard = {purchase.external_id: day.day for day in large.days for purchase in day.purchases}
    early = [
        returned
        for day in large.days
        for returned in day.returns
        if isinstance(returned, Return) and heard.get(returned.purchase.external_id, day.day) > day.day
    ]
    assert early


def test_each_scanned_piece_is_its_own_unless_a_stranger_scans_it_again(story: Story) -> None:
    scans = [moment for day in story.days for moment in day.moments if isinstance(moment, Scan)]
    own = [(scan.sku, scan.batch, scan.piece) for scan in scans if scan.number is not None]
    assert len(own) == len(set(own)) > 50
    strange = [(scan.sku, scan.batch, scan.piece) for scan in scans if scan.number is None]
    assert strange
    assert all(piece < story.pieces[sku, batch] for sku, batch, piece in own)


def test_nobody_is_a_real_person(story: Story) -> None:
    for person in story.people.values():
        assert person.phone is None or normalise_phone(person.phone).startswith("+861990000")
        assert person.email is None or person.email.endswith("@example.com")
        assert person.phone or person.card


def test_as_many_members_as_asked_for_and_the_twins_who_are_merged(story: Story) -> None:
    assert len([person for person in story.people.values() if person.phone is not None]) + 1 == 300


@pytest.mark.parametrize("members", [0, 9, 9_001])
def test_a_story_of_too_few_or_too_many_is_refused(members: int) -> None:
    with pytest.raises(InvalidInputError) as refused:
        tell_story(members=members, seed=1, today=TODAY)
    assert refused.value.field == "members"
