"""What a scan says, rule by rule: never a lie, and nothing that frightens an owner."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from loyalty.items.codes import ItemCode
from loyalty.items.products import LocalText, Product
from loyalty.items.ranges import CodeRange, RangePolicy, RangeState
from loyalty.items.verdicts import (
    ClaimRecord,
    Item,
    ItemRecord,
    ItemSettings,
    Place,
    Sighting,
    Verdict,
    judge,
    looks_copied,
)

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
"""Noon in Shanghai."""
PROGRAMME = uuid4()
GTIN = "06901234567892"
ANN, BEN = uuid4(), uuid4()
SHANGHAI = Place(city="上海", region="CN-31", latitude=31.23, longitude=121.47, source="device")
SUZHOU = Place(city="苏州", region="CN-32", latitude=31.30, longitude=120.58, source="device")
BEIJING = Place(city="北京", region="CN-11", latitude=39.90, longitude=116.41, source="device")


def sighting(
    device: str = "a", *, member: UUID | None = None, minutes_ago: float = 0, place: Place | None = None
) -> Sighting:
    return Sighting(device=device.encode(), member_id=member, at=NOON - timedelta(minutes=minutes_ago), place=place)


def make_item(*earlier: Sighting, state: RangeState = "sold", claim: ClaimRecord | None = None, **changes: Any) -> Item:
    """An item that was scanned as `earlier` says, newest first, and is being scanned once more."""
    first = earlier[-1] if earlier else None
    record = ItemRecord(
        scan_count=len(earlier) + 1,
        first_scanned_at=first.at if first else NOON,
        first_device=first.device if first else b"a",
        first_member_id=first.member_id if first else None,
    )
    range_id = uuid4()
    code_range = CodeRange(
        id=range_id,
        origin_id=range_id,
        programme_id=PROGRAMME,
        gtin=GTIN,
        kid=1,
        lo=0,
        hi=99,
        state=state,
        print_order="spring",
        lot="L1",
        region=changes.pop("region", None),
        expires_on=changes.pop("expires_on", None),
        policy=changes.pop("policy", RangePolicy()),
        created_at=NOON - timedelta(days=90),
    )
    product = Product(
        gtin=GTIN,
        programme_id=PROGRAMME,
        names=LocalText(en="Tea"),
        descriptions=LocalText(),
        category="tea",
        points_on_claim=50,
    )
    return Item(
        code=ItemCode(GTIN, 1, 7),
        product=product,
        time_zone="Asia/Shanghai",
        range=code_range,
        record=msgspec.structs.replace(record, **changes),
        claim=claim,
    )


def judged(now: Sighting, *earlier: Sighting, settings: ItemSettings | None = None, **item: Any) -> Verdict:
    return judge(make_item(*earlier, **item), now, list(earlier), serial="S", settings=settings or ItemSettings())


def claim_by(member: UUID, device: str = "a") -> ClaimRecord:
    return ClaimRecord(member_id=member, device=device.encode(), at=NOON - timedelta(days=1), points=50)


def test_the_first_scan_is_genuine_and_can_be_claimed() -> None:
    verdict = judged(sighting())
    assert (verdict.kind, verdict.claimable, verdict.claim_blocker) == ("first_scan", True, None)
    assert (verdict.scan_count, verdict.points, verdict.yours_since) == (1, 50, None)


def test_the_same_device_again_is_told_when_it_was_here() -> None:
    earlier = sighting(minutes_ago=60)
    verdict = judged(sighting(), earlier)
    assert (verdict.kind, verdict.yours_since, verdict.claimable) == ("seen_by_you", earlier.at, True)


def test_the_same_member_on_another_device_is_the_same_person() -> None:
    assert judged(sighting("b", member=ANN), sighting("a", member=ANN, minutes_ago=60)).kind == "seen_by_you"
    assert judged(sighting("b", member=BEN), sighting("a", member=ANN, minutes_ago=60)).kind == "seen_before"
    assert judged(sighting("b"), sighting("a", minutes_ago=60)).kind == "seen_before"


def test_another_persons_scans_are_told_as_a_count_and_a_time() -> None:
    first, second = sighting("a", minutes_ago=90), sighting("a", minutes_ago=60)
    verdict = judged(sighting("b"), second, first)
    assert (verdict.kind, verdict.scan_count, verdict.first_scanned_at) == ("seen_before", 3, first.at)
    assert verdict.claimable


def test_the_first_scanner_is_known_even_when_the_history_is_cut_short() -> None:
    item = make_item(sighting("b", minutes_ago=5), sighting("a", minutes_ago=9_000))
    verdict = judge(item, sighting("a"), [sighting("b", minutes_ago=5)], serial="S")
    assert verdict.kind == "seen_by_you"
    assert verdict.yours_since == item.record.first_scanned_at


def test_three_devices_in_a_day_are_amber_and_two_are_not() -> None:
    a, b = sighting("a", minutes_ago=60), sighting("b", minutes_ago=30)
    assert judged(sighting("b"), a).kind == "seen_before"
    verdict = judged(sighting("c"), b, a)
    assert (verdict.kind, verdict.recent_devices, verdict.claimable) == ("amber", 3, True)


def test_devices_of_yesterday_do_not_make_today_amber() -> None:
    a, b = sighting("a", minutes_ago=24 * 60), sighting("b", minutes_ago=30)
    assert judged(sighting("c"), b, a).kind == "seen_before"


def test_amber_is_not_said_to_somebody_who_was_here_before() -> None:
    a, b = sighting("a", minutes_ago=60), sighting("b", minutes_ago=30)
    assert judged(sighting("a"), sighting("c", minutes_ago=10), b, a).kind == "seen_by_you"


def test_two_places_too_far_apart_for_the_time_are_a_suspected_copy_and_freeze_claims() -> None:
    # Shanghai to Beijing are 1,070 km: 71 minutes at 900 km/h.
    verdict = judged(sighting("b", place=BEIJING), sighting("a", minutes_ago=60, place=SHANGHAI))
    assert (verdict.kind, verdict.suspected) == ("suspected_copy", True)
    assert (verdict.claimable, verdict.claim_blocker) == (False, "suspected_copy")
    assert judged(sighting("b", place=BEIJING), sighting("a", minutes_ago=90, place=SHANGHAI)).kind == "seen_before"


def test_nearby_places_say_nothing_about_speed() -> None:
    near = msgspec.structs.replace(SHANGHAI, latitude=31.5)
    assert judged(sighting("b", place=near), sighting("a", minutes_ago=0.1, place=SHANGHAI)).kind == "seen_before"


def test_one_device_in_two_places_has_a_false_position_and_makes_no_copy() -> None:
    assert not looks_copied([sighting("a", place=BEIJING), sighting("a", minutes_ago=5, place=SHANGHAI)])


def test_three_cities_in_a_day_are_a_suspected_copy() -> None:
    slow = [sighting("c", place=BEIJING), sighting("b", minutes_ago=600, place=SUZHOU)]
    assert not looks_copied(slow)
    assert looks_copied([*slow, sighting("a", minutes_ago=1_200, place=SHANGHAI)])


def test_a_traveller_with_an_item_makes_no_copy_of_it() -> None:
    journey = [
        sighting("a", place=BEIJING),
        sighting("a", minutes_ago=600, place=SUZHOU),
        sighting("a", minutes_ago=1_200, place=SHANGHAI),
        sighting("b", minutes_ago=1_210, place=SHANGHAI),
    ]
    assert not looks_copied(journey)


def test_a_place_told_by_an_ip_address_is_no_evidence_unless_the_brand_says_so() -> None:
    far = [
        sighting("b", place=msgspec.structs.replace(BEIJING, source="network")),
        sighting("a", minutes_ago=5, place=msgspec.structs.replace(SHANGHAI, source="network")),
    ]
    assert not looks_copied(far)
    assert looks_copied(far, ItemSettings(trust_network_places=True))


def test_whoever_scanned_first_or_claimed_is_not_frightened_by_others_copies() -> None:
    copy, first = sighting("b", minutes_ago=30, place=BEIJING), sighting("a", minutes_ago=60, place=SHANGHAI)
    frozen: dict[str, Any] = {"suspected_at": NOON - timedelta(minutes=30)}
    owner = judged(sighting("a"), copy, first, **frozen)
    assert (owner.kind, owner.claim_blocker) == ("seen_by_you", "suspected_copy")
    claimant = judged(sighting("d", member=ANN), copy, first, claim=claim_by(ANN, "x"), **frozen)
    assert (claimant.kind, claimant.claim_blocker) == ("seen_by_you", "claimed_by_you")
    assert judged(sighting("b"), copy, first, **frozen).kind == "suspected_copy"
    assert judged(sighting("c"), copy, first, **frozen).kind == "suspected_copy"


def test_once_the_brand_has_cleared_an_item_only_later_scans_make_it_suspect() -> None:
    copy, first = sighting("b", minutes_ago=30, place=BEIJING), sighting("a", minutes_ago=60, place=SHANGHAI)
    cleared: dict[str, Any] = {"cleared_at": NOON - timedelta(minutes=20)}
    assert not judged(sighting("c", place=SHANGHAI), copy, first, **cleared).suspected
    later = sighting("b", minutes_ago=10, place=BEIJING)
    assert judged(sighting("c", place=SHANGHAI), later, copy, first, **cleared).suspected


@pytest.mark.parametrize("state", ["issued", "printed"])
def test_what_is_not_activated_is_not_on_sale(state: RangeState) -> None:
    verdict = judged(sighting(), state=state, scan_count=0)
    assert (verdict.kind, verdict.claim_blocker) == ("not_activated", "not_activated")


def test_a_retired_code_is_not_on_sale_either() -> None:
    verdict = judged(sighting(), state="retired", scan_count=0)
    assert (verdict.kind, verdict.claim_blocker) == ("not_activated", "retired")


def test_a_recall_is_said_to_everybody_first_of_all() -> None:
    verdict = judged(sighting("a"), sighting("a", minutes_ago=60), state="recalled", expires_on=date(2020, 1, 1))
    assert (verdict.kind, verdict.claim_blocker) == ("recalled", "recalled")


def test_an_items_own_state_goes_before_its_ranges() -> None:
    item = make_item(state="sold")
    assert judge(item, sighting(), [], serial="S").kind == "first_scan"
    returned = msgspec.structs.replace(item, record=ItemRecord(state="recalled", scan_count=1))
    assert judge(returned, sighting(), [], serial="S").kind == "recalled"


def test_the_last_good_day_lasts_until_local_midnight() -> None:
    assert judged(sighting(), expires_on=date(2026, 3, 2)).kind == "first_scan"
    midnight = Sighting(device=b"a", member_id=None, at=datetime(2026, 3, 2, 16, 0, tzinfo=UTC), place=None)
    assert judged(midnight, expires_on=date(2026, 3, 2)).kind == "expired"


def test_an_expired_item_is_claimed_only_where_the_brand_allows_it() -> None:
    verdict = judged(sighting(), expires_on=date(2026, 3, 1))
    assert (verdict.kind, verdict.claim_blocker) == ("expired", "expired")
    allowed = judged(sighting(), expires_on=date(2026, 3, 1), settings=ItemSettings(claim_expired=True))
    assert (allowed.kind, allowed.claimable) == ("expired", True)


def test_a_claimed_item_says_whose_it_is_and_no_more() -> None:
    mine = judged(sighting("a", member=ANN), sighting("a", minutes_ago=60), claim=claim_by(ANN))
    theirs = judged(sighting("b", member=BEN), sighting("a", minutes_ago=60), claim=claim_by(ANN))
    nobody = judged(sighting("b"), sighting("a", minutes_ago=60), claim=claim_by(ANN))
    assert [v.claim_blocker for v in (mine, theirs, nobody)] == ["claimed_by_you", "claimed", "claimed"]
    assert theirs.claimed_at == NOON - timedelta(days=1)


def test_a_range_may_bring_other_points_than_its_product_and_ask_for_a_pin() -> None:
    verdict = judged(sighting(), policy=RangePolicy(points_on_claim=0, pin_required=True))
    assert (verdict.points, verdict.pin_required, verdict.claimable) == (0, True, True)


def test_five_wrong_pins_lock_the_claim() -> None:
    policy = RangePolicy(pin_required=True)
    assert judged(sighting(), policy=policy, pin_failures=4).claimable
    assert judged(sighting(), policy=policy, pin_failures=5).claim_blocker == "pin_locked"
    assert judged(sighting(), pin_failures=5).claimable


@pytest.mark.parametrize(
    ("region", "place", "diverted"),
    [
        (None, "CN-31", False),
        ("CN-31", None, False),
        ("CN-31", "CN-31", False),
        ("CN", "CN-31", False),
        ("CN-31", "CN", False),
        ("CN-31", "CN-11", True),
        ("CN", "GB", True),
        ("CN-3", "CN-31", True),
    ],
)
def test_a_scan_outside_the_region_of_sale_is_a_signal_and_no_verdict(
    region: str | None, place: str | None, diverted: bool
) -> None:
    verdict = judged(sighting(place=Place(region=place, source="device") if place else None), region=region)
    assert (verdict.kind, verdict.diverted) == ("first_scan", diverted)


@pytest.mark.parametrize(
    ("place", "trusted", "diverted"), [("CN-11", False, False), ("CN-11", True, True), ("GB", False, True)]
)
def test_a_place_told_by_an_ip_address_is_evidence_of_its_country_alone_unless_trusted(
    place: str, trusted: bool, diverted: bool
) -> None:
    seen = sighting(place=Place(region=place, source="network"))
    settings = ItemSettings(trust_network_places=trusted)
    assert judged(seen, region="CN-31", settings=settings).diverted is diverted
