"""The days that a decision in bulk rests on, where they are the same for all members it is about.

On the first of January everybody's year ends on the same day: then no day has to be worked out for each member, and
what members did can be summed before anything is known of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Self

import msgspec
from psycopg.sql import quote

from loyalty.kit.clock import end_of_local_day
from tiers.deciding import Rules, upgrade_eve
from tiers.windows import BEGINNING, MembershipYearWindow, TierStartWindow, span_on


class SharedDates(msgspec.Struct, frozen=True, kw_only=True):
    """The days of all members whose tier holds until `valid_until`, or for a version that takes force, of everybody.

    They are those of members who are in no grace, and about whom nothing was decided after `moment`: `members` says so.
    """

    moment: datetime
    valid_until: datetime | None
    today: date
    close_day: date
    grace_end: datetime
    eve: date
    first_days_closed: Sequence[date]
    first_days_eve: Sequence[date]
    first_days_today: Sequence[date]

    @classmethod
    def find(cls, rules: Rules, *, moment: datetime, valid_until: datetime | None) -> Self | None:
        """The days, where the policy's windows begin on the same day for everybody; else None."""
        own = (MembershipYearWindow, TierStartWindow)
        if rules.policy.resets or any(isinstance(measure.window, own) for measure in rules.measures):
            return None
        today = rules.day_of(moment)
        close_day = (today if valid_until is None else rules.day_of(valid_until)) - timedelta(days=1)
        return cls(
            moment=moment,
            valid_until=valid_until,
            today=today,
            close_day=close_day,
            grace_end=end_of_local_day(close_day + timedelta(days=rules.policy.grace_days), rules.time_zone),
            eve=(eve := upgrade_eve(rules, moment)),
            first_days_eve=_first_days(rules, eve),
            first_days_closed=_first_days(rules, close_day),
            first_days_today=_first_days(rules, today),
        )

    @property
    def members(self) -> str:
        """Whose days they are, as a condition on `member_tier m`."""
        undisturbed = f"(m.changed_at IS NULL OR m.changed_at <= {moment_sql(self.moment)})"
        if self.valid_until is None:
            return undisturbed
        return f"{undisturbed} AND m.grace_until IS NULL AND m.valid_until = {moment_sql(self.valid_until)}"


def _first_days(rules: Rules, day: date) -> list[date]:
    return [span_on(measure.window, day).first_day or BEGINNING for measure in rules.measures]


def day_sql(day: date) -> str:
    """A day as SQL."""
    return f"CAST({quote(day.isoformat())} AS date)"


def moment_sql(moment: datetime) -> str:
    """A moment as SQL."""
    return f"CAST({quote(moment.isoformat())} AS timestamptz)"
