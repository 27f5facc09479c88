"""The calendar of tiers, as a table. Each row is a sentence that a CRM manager understands; `test_calendar` holds it.

Steps happen in order: `buy` rolls up an order's growth and evaluates, `refund` books it off the order's day and
evaluates, `review` is the nightly review, `give` and `take_back` are done by hand. Times are the programme's, in
Shanghai unless a row says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, NamedTuple

from tiers.policies import KeepUntilYearEnd
from tiers.windows import CalendarYearWindow, LifetimeWindow, MembershipYearWindow, RollingMonthsWindow

YEAR = CalendarYearWindow()
TWELVE = RollingMonthsWindow(months=12)
ONE_MONTH = RollingMonthsWindow(months=1)
MEMBERSHIP = MembershipYearWindow()
LIFETIME = LifetimeWindow()


class Row(NamedTuple):
    sentence: str
    ladder: dict[str, Any]
    steps: list[tuple[Any, ...]]
    tier: str
    holds_through: date | None
    grace_through: date | None = None
    zone: str = "Asia/Shanghai"
    policy: Mapping[str, Any] = MappingProxyType({})
    joined_on: date | None = None


ROWS = [
    # Month ends and leap years
    Row(
        "Silver reached on 29 February holds through 28 February of the next year",
        {"window": TWELVE},
        [("buy", "2024-02-29", 500)],
        "silver",
        date(2025, 2, 28),
    ),
    Row(
        "Silver reached on 28 February of a year before a leap year holds through the 28th, not the 29th",
        {"window": TWELVE},
        [("buy", "2023-02-28", 500)],
        "silver",
        date(2024, 2, 28),
    ),
    Row(
        "With a one-month window, silver reached on 31 January holds through the last of February",
        {"window": ONE_MONTH},
        [("buy", "2025-01-31", 500)],
        "silver",
        date(2025, 2, 28),
    ),
    Row(
        "In a leap year that last day is the 29th",
        {"window": ONE_MONTH},
        [("buy", "2024-01-31", 500)],
        "silver",
        date(2024, 2, 29),
    ),
    Row(
        "On 31 March a one-month window reaches back to 1 March: what was bought on 28 February no longer counts",
        {"window": ONE_MONTH},
        [("buy", "2025-02-28", 499), ("buy", "2025-03-31", 1)],
        "member",
        None,
    ),
    Row(
        "On 27 March it still counts",
        {"window": ONE_MONTH},
        [("buy", "2025-02-28", 499), ("buy", "2025-03-27", 1)],
        "silver",
        date(2025, 4, 27),
    ),
    Row(
        "Twelve months back from 29 February is 1 March: a purchase of the day before does not count",
        {"window": TWELVE},
        [("buy", "2023-02-28", 499), ("buy", "2024-02-29", 1)],
        "member",
        None,
    ),
    Row(
        "Twelve months back from 28 February reaches 29 February of a leap year",
        {"window": TWELVE},
        [("buy", "2024-02-29", 499), ("buy", "2025-02-28", 1)],
        "silver",
        date(2026, 2, 28),
    ),
    # Calendar years
    Row(
        "In a calendar-year ladder, silver reached in May holds to the end of the next year",
        {"window": YEAR},
        [("buy", "2025-05-10", 500)],
        "silver",
        date(2026, 12, 31),
    ),
    Row(
        "What was bought on 31 December does not count on 1 January",
        {"window": YEAR},
        [("buy", "2025-12-31", 499), ("buy", "2026-01-01", 1)],
        "member",
        None,
    ),
    Row(
        "The review on 1 January asks for the year that has just ended: who bought enough keeps silver a year more",
        {"window": YEAR},
        [("buy", "2025-05-10", 500), ("buy", "2026-08-01", 500), ("review", "2027-01-01")],
        "silver",
        date(2027, 12, 31),
    ),
    Row(
        "Who did not is a member again",
        {"window": YEAR},
        [("buy", "2025-05-10", 500), ("buy", "2026-08-01", 499), ("review", "2027-01-01")],
        "member",
        None,
    ),
    Row(
        "Before the year is over, nobody is reviewed",
        {"window": YEAR},
        [("buy", "2025-05-10", 500), ("review", "2026-12-31 23:59")],
        "silver",
        date(2026, 12, 31),
    ),
    # Time zones
    Row(
        "An order at 07:30 on 1 January in Shanghai belongs to the new year, though in London the old one lasts",
        {"window": YEAR},
        [("buy", "2026-01-01 07:30", 500)],
        "silver",
        date(2027, 12, 31),
    ),
    Row(
        "An order at 23:30 on 31 December in New York belongs to the old year, though in London the new one has begun",
        {"window": YEAR},
        [("buy", "2025-12-31 23:30", 500)],
        "silver",
        date(2026, 12, 31),
        zone="America/New_York",
    ),
    Row(
        "Where clocks go back that night, silver still holds through the whole local day",
        {"window": ONE_MONTH},
        [("buy", "2025-10-02 12:00", 500), ("review", "2025-11-02 23:30")],
        "silver",
        date(2025, 11, 2),
        zone="America/New_York",
    ),
    # Upgrades
    Row(
        "Two upgrades in one window: silver, then gold, and gold's time starts on its own day",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2025-03-15", 500)],
        "gold",
        date(2026, 3, 15),
    ),
    Row(
        "A purchase that reaches no new tier does not move the date",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2025-03-15", 100)],
        "silver",
        date(2026, 1, 10),
    ),
    # Refunds
    Row(
        "A refund after the upgrade leaves the tier until its review",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("refund", "2025-01-10", 500, "2025-01-20")],
        "silver",
        date(2026, 1, 10),
    ),
    Row(
        "At that review it is gone",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("refund", "2025-01-10", 500, "2025-01-20"), ("review", "2026-01-11")],
        "member",
        None,
    ),
    Row(
        "On a lifetime ladder a refund that undoes silver takes it away at once, because no review would",
        {"window": LIFETIME},
        [("buy", "2025-01-10", 500), ("refund", "2025-01-10", 100, "2025-01-20")],
        "member",
        None,
    ),
    Row(
        "Buying the same again that day gives it back",
        {"window": LIFETIME},
        [("buy", "2025-01-10", 500), ("refund", "2025-01-10", 100, "2025-01-20"), ("buy", "2025-01-20", 100)],
        "silver",
        None,
    ),
    Row(
        "On a lifetime ladder without refunds a tier has no end",
        {"window": LIFETIME},
        [("buy", "2015-01-10", 500), ("review", "2025-01-01")],
        "silver",
        None,
    ),
    # Downgrades
    Row(
        "One step at a time: gold with nothing bought since is silver, for the next twelve months",
        {"window": TWELVE, "downgrade": "one_step"},
        [("buy", "2025-01-10", 1_000), ("review", "2026-01-11")],
        "silver",
        date(2027, 1, 10),
    ),
    Row(
        "To the matching tier: the same member falls to the bottom",
        {"window": TWELVE, "downgrade": "to_matching"},
        [("buy", "2025-01-10", 1_000), ("review", "2026-01-11")],
        "member",
        None,
    ),
    Row(
        "Never: gold stays gold, without an end",
        {"window": TWELVE, "downgrade": "never"},
        [("buy", "2025-01-10", 1_000), ("review", "2036-01-11")],
        "gold",
        None,
    ),
    Row(
        "A member whose review fails keeps the tier for 30 days of grace, to the end of the last day",
        {"window": TWELVE, "grace_days": 30},
        [("buy", "2025-01-10", 500), ("review", "2026-01-11")],
        "silver",
        date(2026, 1, 10),
        date(2026, 2, 9),
    ),
    Row(
        "The last day of grace counts whole",
        {"window": TWELVE, "grace_days": 30},
        [("buy", "2025-01-10", 500), ("review", "2026-01-11"), ("review", "2026-02-09 23:59")],
        "silver",
        date(2026, 1, 10),
        date(2026, 2, 9),
    ),
    Row(
        "After it the tier is lost",
        {"window": TWELVE, "grace_days": 30},
        [("buy", "2025-01-10", 500), ("review", "2026-01-11"), ("review", "2026-02-10 00:00")],
        "member",
        None,
    ),
    Row(
        "What is bought in the grace makes up for what was missing, and the next period follows without a gap",
        {"window": TWELVE, "grace_days": 30},
        [
            ("buy", "2025-01-10", 500),
            ("buy", "2025-06-01", 400),
            ("review", "2026-01-11"),
            ("buy", "2026-02-09", 100),
            ("review", "2026-02-10"),
        ],
        "silver",
        date(2027, 1, 10),
    ),
    Row(
        "In a calendar-year ladder, what is bought in January's grace still counts for the old year",
        {"window": YEAR, "grace_days": 31},
        [
            ("buy", "2025-05-01", 500),
            ("buy", "2026-05-01", 300),
            ("review", "2027-01-01"),
            ("buy", "2027-01-31", 200),
            ("review", "2027-02-01"),
        ],
        "silver",
        date(2027, 12, 31),
    ),
    Row(
        "A higher tier reached in the grace ends it",
        {"window": TWELVE, "grace_days": 30},
        [("buy", "2025-01-10", 500), ("review", "2026-01-11"), ("buy", "2026-01-20", 1_000)],
        "gold",
        date(2027, 1, 20),
    ),
    Row(
        "A review a year late ends where two in time would have: gold, silver, member",
        {"window": TWELVE},
        [("buy", "2025-01-10", 1_000), ("review", "2027-01-11")],
        "member",
        None,
    ),
    Row(
        "Nobody is lowered who would be moved up again at once",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2026-01-20", 500), ("review", "2026-01-25")],
        "silver",
        date(2027, 1, 10),
    ),
    # Membership years
    Row(
        "Who joined on 29 February begins a new membership year on the 28th: what was bought the day before is over",
        {"window": MEMBERSHIP},
        [("buy", "2025-02-27", 499), ("buy", "2025-02-28", 1)],
        "member",
        None,
        joined_on=date(2024, 2, 29),
    ),
    Row(
        "In a leap year they begin it on the 29th: on the 28th the old one counts, and silver holds a year",
        {"window": MEMBERSHIP},
        [("buy", "2027-03-01", 499), ("buy", "2028-02-28", 1)],
        "silver",
        date(2029, 2, 28),
        joined_on=date(2024, 2, 29),
    ),
    Row(
        "On that 29th the old membership year no longer counts",
        {"window": MEMBERSHIP},
        [("buy", "2028-02-28", 499), ("buy", "2028-02-29", 1)],
        "member",
        None,
        joined_on=date(2024, 2, 29),
    ),
    # Clocks that change
    Row(
        "On the day on which clocks go forward, a tier still holds to the end of the local day",
        {"window": ONE_MONTH},
        [("buy", "2025-02-09", 500), ("review", "2025-03-09 23:59")],
        "silver",
        date(2025, 3, 9),
        zone="America/New_York",
    ),
    Row(
        "With the first minute of the next day it is over",
        {"window": ONE_MONTH},
        [("buy", "2025-02-09", 500), ("review", "2025-03-10 00:00")],
        "member",
        None,
        zone="America/New_York",
    ),
    Row(
        "Where clocks jump over midnight, the day begins at one: a minute before, silver still holds",
        {"window": ONE_MONTH},
        [("buy", "2025-03-24", 500), ("review", "2025-04-24 23:59")],
        "silver",
        date(2025, 4, 24),
        zone="Africa/Cairo",
    ),
    Row(
        "And at one it is over",
        {"window": ONE_MONTH},
        [("buy", "2025-03-24", 500), ("review", "2025-04-25 01:00")],
        "member",
        None,
        zone="Africa/Cairo",
    ),
    # Tiers that are given at the start of a month or a year
    Row(
        "Given at the start of the month: silver reached on 31 January is there on 1 February, and holds twelve months",
        {"window": TWELVE},
        [("buy", "2025-01-31", 500), ("review", "2025-02-01 00:00")],
        "silver",
        date(2026, 2, 1),
        policy={"upgrade": "at_month_start"},
    ),
    Row(
        "Who sends back enough in the meantime does not get it",
        {"window": TWELVE},
        [("buy", "2025-01-20", 500), ("refund", "2025-01-20", 1, "2025-01-25"), ("review", "2025-02-01 00:00")],
        "member",
        None,
        policy={"upgrade": "at_month_start"},
    ),
    Row(
        "Given at the start of the year: what was bought in the year that ended makes silver on 1 January",
        {"window": YEAR},
        [("buy", "2025-05-10", 500), ("review", "2026-01-01 00:00")],
        "silver",
        date(2027, 12, 31),
        policy={"upgrade": "at_year_start"},
    ),
    Row(
        "Also when the review comes some days late",
        {"window": YEAR},
        [("buy", "2025-05-10", 500), ("review", "2026-01-04")],
        "silver",
        date(2027, 12, 31),
        policy={"upgrade": "at_year_start"},
    ),
    # How long a tier is kept
    Row(
        "Kept to the end of the year: silver reached on 31 December is kept for the new one by what the old came to",
        {"window": YEAR},
        [("buy", "2025-12-31", 500), ("review", "2026-01-01")],
        "silver",
        date(2026, 12, 31),
        policy={"keep": KeepUntilYearEnd()},
    ),
    Row(
        "Who buys nothing in the new year is a member at its end",
        {"window": YEAR},
        [("buy", "2025-12-31", 500), ("review", "2026-01-01"), ("review", "2027-01-01")],
        "member",
        None,
        policy={"keep": KeepUntilYearEnd()},
    ),
    Row(
        "With a soft landing from 80 %, who reached 400 of the 500 keeps silver for another year",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2025-06-01", 400), ("review", "2026-01-11")],
        "silver",
        date(2027, 1, 10),
        policy={"soft_landing_bp": 8_000},
    ),
    Row(
        "Who reached 399 does not",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2025-06-01", 399), ("review", "2026-01-11")],
        "member",
        None,
        policy={"soft_landing_bp": 8_000},
    ),
    # Whether what made one tier counts towards the next
    Row(
        "Where counting goes on, the 500 that made silver count towards gold as well",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2025-03-15", 500)],
        "gold",
        date(2026, 3, 15),
        policy={"requalification": "keeps_window"},
    ),
    Row(
        "Where counting begins anew with each tier, they do not: gold takes 1,000 more",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2025-03-15", 999)],
        "silver",
        date(2026, 1, 10),
        policy={"requalification": "resets_window"},
    ),
    Row(
        "With 1,000 more it is gold",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2025-03-15", 1000)],
        "gold",
        date(2026, 3, 15),
        policy={"requalification": "resets_window"},
    ),
    # Refunds that are looked at when they happen
    Row(
        "Where refunds are looked at at once, one that undoes silver takes it away the same day",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("refund", "2025-01-10", 1, "2025-01-20")],
        "member",
        None,
        policy={"refunds": "recheck_at_once"},
    ),
    Row(
        "Where enough was bought since, silver and its date stay",
        {"window": TWELVE},
        [("buy", "2025-01-10", 500), ("buy", "2025-01-15", 100), ("refund", "2025-01-10", 100, "2025-01-20")],
        "silver",
        date(2026, 1, 10),
        policy={"refunds": "recheck_at_once"},
    ),
    # Tiers given by hand
    Row(
        "Gold given by hand until the end of September is gold to the last minute of it",
        {"window": TWELVE},
        [("give", "2025-04-01", "gold", "2025-10-01 00:00"), ("review", "2025-09-30 23:59")],
        "gold",
        date(2025, 9, 30),
    ),
    Row(
        "On 1 October a member who was silver before is silver again, for as long as that was to last",
        {"window": TWELVE},
        [
            ("buy", "2025-03-01", 500),
            ("give", "2025-04-01", "gold", "2025-10-01 00:00"),
            ("review", "2025-10-01 00:00"),
        ],
        "silver",
        date(2026, 3, 1),
    ),
    Row(
        "Who bought enough for gold in the meantime keeps it for twelve months",
        {"window": TWELVE},
        [
            ("give", "2025-04-01", "gold", "2025-10-01 00:00"),
            ("buy", "2025-05-01", 1000),
            ("review", "2025-10-01 00:00"),
        ],
        "gold",
        date(2026, 10, 1),
    ),
    Row(
        "Taken back before its time, it ends the same day",
        {"window": TWELVE},
        [("give", "2025-04-01", "gold", "2025-10-01 00:00"), ("take_back", "2025-05-01")],
        "member",
        None,
    ),
]
