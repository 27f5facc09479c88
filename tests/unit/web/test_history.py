"""What a member reads about each kind of entry. The ledger's own tests say which entries there are."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from ledger.reading import Entry
from loyalty.web.i18n import Translator
from loyalty.web.member.history import Line, Occasion, describe

MEMBER, ABSORBED, FRIEND = UUID(int=1), UUID(int=2), UUID(int=3)
MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
OCCASIONS = {
    "redemption:rdm_1": Occasion(place="Huaihai Road", document="R-7", about="Tea tin"),
    "claim:06901234567892:1:0": Occasion(about="Longjing tea"),
}
CHANNELS = {"online": "Online shop", "store-1": "Huaihai Road"}


def entry(
    kind: str, debit: str, credit: str, *, source: str = "order:online/536381", peer_id: UUID | None = None
) -> Entry:
    return Entry(
        member_id=MEMBER,
        unit="points",
        sequence=7,
        posting=7,
        kind=kind,
        amount=50,
        debit=debit,
        credit=credit,
        posted=120,
        pending=0,
        held=0,
        debt=0,
        key="k",
        reverses=None,
        hold_id=None,
        peer_id=peer_id,
        lot_expires_at=MOMENT,
        lot_available_at=MOMENT if credit == "pending" else None,
        source=source,
        reason=None,
        actor=None,
        approved_by=None,
        rule_version=None,
        effective_at=MOMENT,
        recorded_at=MOMENT,
        hash=b"",
    )


def lines(*entries: Entry) -> list[Line]:
    return describe(entries, Translator("en"), channels=CHANNELS, occasions=OCCASIONS, own_ids=[MEMBER, ABSORBED])


@pytest.mark.parametrize(
    ("kind", "debit", "credit", "what", "change", "pending"),
    [
        ("earn", "issued", "member", "Purchase", 50, 0),
        ("earn", "issued", "pending", "Purchase", 0, 50),
        ("earn", "issued", "debt", "50 settled of what was open", 0, 0),
        ("mature", "pending", "member", "Pending points can be spent now", 50, 0),
        ("spend", "member", "redeemed", "Redeemed", -50, 0),
        ("hold", "member", "held", "Redeemed", -50, 0),
        ("release", "held", "member", "Redemption undone", 50, 0),
        ("expire", "member", "expired", "Expired", -50, 0),
        ("expire", "pending", "expired", "Pending points lapsed", 0, 0),
        ("reinstate", "expired", "member", "Expired points given back", 50, 0),
        ("reverse", "member", "issued", "Taken back after a return", -50, 0),
        ("reverse", "redeemed", "member", "Given back after a return", 50, 0),
        ("reverse", "debt", "issued", "50 of a return left open", 0, 0),
        ("claw_back", "member", "issued", "Taken back after a return", -50, 0),
        ("claw_back", "debt", "issued", "50 of a return left open", 0, 0),
        ("adjust", "adjusted", "member", "Corrected by our staff", 50, 0),
        ("adjust", "member", "adjusted", "Corrected by our staff", -50, 0),
        ("transfer", "partner", "member", "Transferred to you", 50, 0),
        ("transfer", "member", "partner", "Transferred by you", -50, 0),
    ],
)
def test_every_kind_of_entry_has_words_of_its_own(
    kind: str, debit: str, credit: str, what: str, change: int, pending: int
) -> None:
    (line,) = lines(entry(kind, debit, credit))

    assert (line.what, line.change, line.pending, line.balance) == (what, change, pending, 120)


def test_points_taken_from_a_hold_were_shown_when_they_were_set_aside() -> None:
    assert lines(entry("capture", "held", "redeemed")) == []


def test_moves_among_a_persons_own_accounts_are_not_shown_and_gifts_are() -> None:
    own = entry("transfer", "partner", "member", peer_id=ABSORBED)
    gift = entry("transfer", "partner", "member", peer_id=FRIEND)

    assert [line.what for line in lines(own, gift)] == ["Transferred to you"]


@pytest.mark.parametrize(
    ("source", "what", "occasion"),
    [
        ("order:online/536381", "Purchase", Occasion(place="Online shop", document="536381")),
        ("order:store-1/R/7", "Purchase", Occasion(place="Huaihai Road", document="R/7")),
        ("order:closed-shop/1", "Purchase", Occasion()),
        ("claim:06901234567892:1:0", "Item collected", OCCASIONS["claim:06901234567892:1:0"]),
        ("claim:06901234567908:1:0", "Item collected", Occasion()),
        ("api:something", "Points received", Occasion()),
        ("import", "Points received", Occasion()),
    ],
)
def test_where_it_happened_is_read_from_the_source(source: str, what: str, occasion: Occasion) -> None:
    (line,) = lines(entry("earn", "issued", "member", source=source))

    assert (line.what, line.occasion) == (what, occasion)


def test_a_redemption_says_where_on_which_receipt_and_for_what() -> None:
    (line,) = lines(entry("hold", "member", "held", source="redemption:rdm_1"))

    assert line.occasion == OCCASIONS["redemption:rdm_1"]


def test_only_points_that_came_say_until_when_they_are_good() -> None:
    came, went = lines(entry("earn", "issued", "member"), entry("spend", "member", "redeemed"))

    assert came.expires_at == MOMENT
    assert went.expires_at is None
