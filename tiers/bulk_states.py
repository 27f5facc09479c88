"""What a decision in bulk writes: a member's new state and its reasons, as SQL over the columns of `Bulk.kinds`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from psycopg.sql import quote

from loyalty.kit.clock import end_of_local_day
from tiers.bulk_dates import day_sql, moment_sql
from tiers.deciding import TierState
from tiers.policies import Keep, KeepForever, KeepMonths, KeepUntilNextYearEnd, KeepUntilYearEnd, holds_through
from tiers.rules import Measure, Reach, conditions, metric_name
from tiers.windows import BEGINNING, window_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiers.bulk import Bulk

_NOT_DECIDED: Final = ("member_id", "ladder_code", "programme_id", "joined_on")
STATE: Final = tuple(field for field in TierState.__struct_fields__ if field not in _NOT_DECIDED)
"""The columns of `member_tier` that a decision sets, as its rows have them."""
DECIDED: Final = ("row_id", "member_id", "kind", "from_tier", "reasons", *STATE)
"""The columns of a decision. `row_id` is where the member's row lies, for whoever has locked it."""


def state_sql(bulk: Bulk) -> dict[str, str]:
    """What each decision sets."""
    closed = "j.kind IN ('kept', 'soft_landing', 'downgrade') AND NOT j.granted"
    fresh = "j.kind = 'upgrade' OR j.kind = 'kept' AND j.granted"
    stays = "j.kind IS NULL OR j.kind = 'grace'"
    code = _of_place("j.to_place", [quote(tier.code) for tier in bulk.policy.tiers])
    until = f"""CASE WHEN j.kind = 'grant_ended' AND j.back AND j.former_place > 0 THEN j.former_until
        WHEN j.to_place = 0 THEN NULL
        WHEN {closed} THEN {_ends(bulk, "close_day")}
        ELSE {_ends(bulk, "today")} END"""
    as_of = "CASE j.pick WHEN 'c' THEN j.close_day WHEN 'e' THEN j.el WHEN 't' THEN j.today END"
    qualified = f"""(({fresh}) OR ({closed} AND j.kind = 'kept' AND j.best = j.place))"""
    held = f"CASE WHEN j.dated AND j.valid_until IS NULL THEN {until} ELSE j.valid_until END"
    if bulk.occasion == "due":
        held = "j.valid_until"
    ended = _day_start(bulk, "close_day")
    return {
        "tier_code": f"CASE WHEN {stays} THEN j.tier_code ELSE {code} END",
        "tier_rank": f"CASE WHEN {stays} THEN j.tier_rank ELSE "
        + _of_place("j.to_place", [str(tier.rank) for tier in bulk.policy.tiers])
        + " END",
        "ladder_version": f"CASE WHEN j.kind IS NULL THEN j.ladder_version ELSE {bulk.rules.version.version} END",
        "since": f"CASE WHEN {stays} OR {code} = j.tier_code THEN j.since ELSE j.moment END",
        "changed_at": "CASE WHEN j.kind IS NULL THEN j.changed_at ELSE j.moment END",
        "valid_until": f"CASE WHEN j.kind IS NULL THEN {held} WHEN j.kind = 'grace' THEN {ended} ELSE {until} END",
        "grace_until": "CASE WHEN j.kind IS NULL THEN j.grace_until WHEN j.kind = 'grace' THEN j.grace_end END",
        "review_at": f"CASE WHEN j.kind IS NULL THEN coalesce(j.grace_until, {held}) "
        f"WHEN j.kind = 'grace' THEN j.grace_end ELSE {until} END",
        "change_sequence": "j.change_sequence + CASE WHEN j.kind IS NULL THEN 0 ELSE 1 END",
        "counts_from": f"CASE WHEN {fresh} THEN j.today + 1 WHEN {closed} THEN j.close_day + 1 ELSE j.counts_from END",
        "qualified_on": f"CASE WHEN j.kind IS NULL THEN j.qualified_on WHEN {qualified} THEN {as_of} END",
        "qualified_from": "CASE WHEN j.kind IS NULL THEN j.qualified_from "
        f"WHEN {qualified} AND {as_of} IS NOT NULL THEN j.counts_from END",
        "granted": f"({stays}) AND j.granted",
        "former_tier": f"CASE WHEN {stays} THEN j.former_tier END",
        "former_rank": f"CASE WHEN {stays} THEN j.former_rank END",
        "former_until": f"CASE WHEN {stays} THEN j.former_until END",
    }


def _of_place(place: str, values: Sequence[str]) -> str:
    return f"(ARRAY[{', '.join(values)}])[{place} + 1]"


_From = Literal["close_day", "today"]
"""The day that a tier holds from: of the period that closed, which confirms it, or of the review."""


def _ends(bulk: Bulk, day: _From) -> str:
    """When a tier ends that is given or confirmed on a day; NULL where it has no end."""
    confirmed = day == "close_day"
    if not bulk.policy.has_end:
        return "NULL"
    if bulk.dates is None:
        return f"tier_day_start({_holds_through(bulk.policy.keep, f'j.{day}', confirmed)} + 1, {bulk.zone})"
    last_day = holds_through(bulk.policy.keep, getattr(bulk.dates, day), confirmed=confirmed)
    assert last_day is not None  # noqa: S101  (it has an end)
    return moment_sql(end_of_local_day(last_day, bulk.rules.time_zone))


def _day_start(bulk: Bulk, day: _From) -> str:
    """The moment a day is over."""
    if bulk.dates is None:
        return f"tier_day_start(j.{day} + 1, {bulk.zone})"
    return moment_sql(end_of_local_day(getattr(bulk.dates, day), bulk.rules.time_zone))


def _holds_through(keep: Keep, day: str, confirmed: bool) -> str:  # noqa: FBT001  (as `holds_through` has it)
    match keep:
        case KeepMonths(months=months):
            return f"CAST({day} + make_interval(months => {months}) AS date)"
        case KeepUntilYearEnd():
            year = f"CAST(extract(year FROM {day} + {1 if confirmed else 0}) AS integer)"
            return f"make_date({year}, 12, 31)"
        case KeepUntilNextYearEnd():
            return f"make_date(CAST(extract(year FROM {day}) AS integer) + 1, 12, 31)"
        case KeepForever():
            return "NULL"


def reasons_sql(bulk: Bulk) -> str:
    """The conditions of the tier that was asked about, as `tiers.changes.Reason` has them.

    They are put together as text and read once: building them as JSON values costs a review a fifth of its time.
    """
    asked = "CASE WHEN j.kind = 'upgrade' THEN j.to_place ELSE j.place END"
    steps = " ".join(
        f"WHEN {place} THEN '[' || "
        + " || ',' || ".join(_reason(bulk, *each) for each in _conditions(bulk, place))
        + " || ']'"
        for place in bulk.tiers
        if place
    )
    return f"CAST(CASE {asked} {steps} ELSE '[]' END AS jsonb)" if steps else "CAST('[]' AS jsonb)"


def _conditions(bulk: Bulk, place: int) -> list[tuple[Reach, int]]:
    rule = bulk.policy.tiers[place].qualify
    found = conditions(rule) if rule is not None else ()
    return [(each, bulk.rules.measures.index(Measure(each.metric, each.window))) for each in found]


def _reason(bulk: Bulk, condition: Reach, index: int) -> str:
    stated = {
        "metric": metric_name(condition.metric),
        "window": window_kind(condition.window),
        "at_least": condition.at_least,
    }
    value = _picked(bulk, {letter: f"j.{letter}v{index}" for letter in bulk.readings})
    stated_text = quote(msgspec.json.encode(stated).decode().removesuffix("}") + ',"value":')
    return f"{stated_text} || {value} || {_days(bulk, index)}"


def _days(bulk: Bulk, index: int) -> str:
    """The end of a reason. Where all members' days are the same it is a constant for each reading."""
    if bulk.dates is not None:
        alike: dict[str, str] = {}
        for letter in bulk.readings:
            begins = bulk.shared_first_day(letter, index)
            days = {"first_day": None if begins == BEGINNING else begins, "last_day": bulk.shared_last_day(letter)}
            alike[letter] = quote("," + msgspec.json.encode(days).decode().removeprefix("{"))
        return _picked(bulk, alike)
    first = _picked(bulk, {letter: f"j.{bulk.firsts(letter)}f{index}" for letter in bulk.readings})
    last = _picked(bulk, {letter: f"j.{letter}l" for letter in bulk.readings})
    first_day = _day_json(f"nullif({first}, {day_sql(BEGINNING)})")
    return f"""',"first_day":' || {first_day} || ',"last_day":' || {_day_json(last)} || '}}'"""


def _day_json(day: str) -> str:
    return f"coalesce(CAST(to_json({day}) AS text), 'null')"


def _picked(bulk: Bulk, columns: dict[str, str]) -> str:
    """The column of the reading that the decision rests on."""
    if len(bulk.readings) == 1:
        return columns[bulk.readings[0]]
    return "CASE j.pick " + " ".join(f"WHEN '{letter}' THEN {column}" for letter, column in columns.items()) + " END"
