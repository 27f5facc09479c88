"""Deciding about many members at once: the rules of `tiers.deciding` as SQL, compiled from the policy's own trees.

What comes out is the text of one query whose rows are decisions. Whoever runs it decides what becomes of them: written
under lock, or only counted. All values in the text are the policy's (checked codes and integers),
days, moments and ids; it has no parameters, so that it can be put into any other statement as it is.

The query is a nest of subqueries and not a chain of WITH: those are read twice, and PostgreSQL would then neither run
them in parallel nor push conditions into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal

from psycopg.sql import quote
from sqlalchemy.dialects import postgresql

from tiers.bulk_dates import SharedDates, day_sql, moment_sql
from tiers.bulk_states import DECIDED, reasons_sql, state_sql
from tiers.deciding import Rules
from tiers.rules import FULL_BP, Measure, VisitsMetric, holds_sql, reached_bp_sql
from tiers.tables import member_tier_table
from tiers.windows import first_day_sql

Occasion = Literal["due", "start", "warn"]
"""`due`: reviews whose time has come. `start`: a version takes force. `warn`: how a review to come would end."""

_FENCE: Final = "OFFSET 0"
"""Ends each subquery. Without it PostgreSQL puts each into the next, and every expression into each of its uses: a row
then costs ten milliseconds. It takes nothing from parallel plans."""

CLOSED, GRACED, EVE, TODAY = "c", "g", "e", "t"
"""The readings of `tiers.deciding.review_readings`, in its order: of two that reach the same, the first counts."""

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # (SQLAlchemy gives it no types)


class Bulk:
    """One policy's decisions at one moment, as SQL.

    `members` is a condition on `member_tier m`; of the ladder it is asked here. `listed` is the text of an array of
    members, in place of it, and what makes a batch cheap: all that they did is then found in an index. With
    `points_since` the points earned since that day are in `points`. `strangers` says that no policy is in force yet:
    members are those who did anything, each in the first tier. `dates` are the days of members who all have the same.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        occasion: Occasion,
        moment: datetime,
        members: str = "true",
        listed: str | None = None,
        points_since: date | None = None,
        strangers: bool = False,
        dates: SharedDates | None = None,
    ) -> None:
        self.rules = rules
        self.policy = rules.policy
        self.occasion = occasion
        self.zone = quote(rules.time_zone)
        self.moment = moment_sql(moment)
        self.dates = dates
        self.listed = None if listed is None else f"ANY ({quote(listed)}::uuid[])"
        chosen = members if self.listed is None else f"m.member_id = {self.listed}"
        self.members = f"({chosen})" if dates is None else f"({chosen}) AND {dates.members}"
        self.tiers = range(len(rules.policy.tiers))
        graced = dates is None or dates.valid_until != dates.grace_end <= moment
        waits = rules.policy.upgrade != "at_once"
        due = (CLOSED, *((GRACED,) if graced else ()), *((EVE,) if waits else ()), TODAY)
        self.readings: Sequence[str] = {"due": due, "start": (TODAY,), "warn": (CLOSED,)}[occasion]
        self.points_since = points_since
        self.strangers = strangers

    def decided(self) -> str:
        """The decisions, as a query whose columns are DECIDED; `kind` NULL where only dates are set."""
        columns = {
            "row_id": "j.row_id",
            "member_id": "j.member_id",
            "kind": "j.kind",
            "from_tier": "j.tier_code",
            "reasons": f"CASE WHEN j.kind IS NULL THEN NULL ELSE {reasons_sql(self)} END",
            **state_sql(self),
        }
        listed = ", ".join(f"{columns[name]} AS {name}" for name in DECIDED)
        return f"SELECT {listed} FROM ({self.kinds()}) j WHERE j.kind IS NOT NULL OR j.dated"

    def warned(self) -> str:
        """Rows of `tier_warning` for those who have not reached what keeping their tier asks for."""
        moment = self.moment
        return f"""
            SELECT j.member_id, j.ladder_code, j.valid_until, j.programme_id, j.tier_code, {reasons_sql(self)}, {moment}
            FROM (SELECT w.*, '{CLOSED}' AS pick, CAST(NULL AS text) AS kind, w.place AS to_place
                FROM ({self.judged()}) w) j
            WHERE j.{CLOSED}_reached < j.place
        """

    def judged(self) -> str:
        """Each member with place, the measures of each reading, and the place that each reading reaches."""
        values = "".join(
            f", {self._value(letter, index)} AS {letter}v{index}"
            for letter in self.readings
            for index in range(len(self.rules.measures))
        )
        points = ", coalesce(s.points, 0) AS points" if self.points_since else ""
        valued = f"""
            SELECT d.*{values}{points} FROM ({self._dated()}) d
            LEFT JOIN ({self._sums()}) s ON s.of_member = d.member_id
            {_FENCE}
        """
        reached = "".join(f", {self._reached(letter)} AS {letter}_reached" for letter in self.readings)
        return f"SELECT v.*{reached} FROM ({valued}) v {_FENCE}"

    def nearness(self, place: int, alias: str) -> str:
        """How much of a tier's rule is reached today, in basis points that may pass 10,000."""
        rule = self.policy.tiers[place].qualify
        return reached_bp_sql(rule, self._columns(TODAY, alias), self.rules.measures) if rule else str(FULL_BP)

    def _people(self) -> str:
        places = " ".join(f"WHEN {quote(tier.code)} THEN {at}" for at, tier in enumerate(self.policy.tiers))
        formers = f"CASE m.former_tier {places} ELSE {self._by_rank('m.former_rank')} END"
        return f"""
            SELECT m.*, {self._row_id()} AS row_id,
                CASE m.tier_code {places} ELSE {self._by_rank("m.tier_rank")} END AS place,
                {formers} AS former_place, greatest(m.changed_at, {self.moment}) AS moment
            FROM {self._source()} m
            WHERE {self._whose()}
            {_FENCE}
        """

    def _row_id(self) -> str:
        return "CAST(NULL AS tid)" if self.strangers else "m.ctid"

    def _whose(self) -> str:
        code, programme = quote(self.policy.code), quote(str(self.rules.version.programme_id))
        return f"m.programme_id = {programme} AND m.ladder_code = {code} AND {self.members}"

    def _source(self) -> str:
        if not self.strangers:
            return "member_tier"
        base, programme = self.policy.base, quote(str(self.rules.version.programme_id))
        known = {
            "member_id": "a.member_id",
            "ladder_code": quote(self.policy.code),
            "programme_id": programme,
            "tier_code": quote(base.code),
            "tier_rank": str(base.rank),
            "ladder_version": "0",
            "change_sequence": "0",
            "joined_on": f"CAST(s.joined_at AT TIME ZONE {self.zone} AS date)",
            "granted": "false",
        }
        columns = ", ".join(
            f"CAST({known.get(column.name, 'NULL')} AS {column.type.compile(_DIALECT)}) AS {column.name}"
            for column in member_tier_table.c
        )
        return f"""(
            SELECT {columns} FROM (SELECT DISTINCT member_id FROM tier_activity WHERE programme_id = {programme}) a
            LEFT JOIN tier_membership s ON s.member_id = a.member_id)
        """

    def _by_rank(self, rank: str) -> str:
        steps = " ".join(
            f"WHEN {rank} >= {tier.rank} THEN {at}" for at, tier in reversed(list(enumerate(self.policy.tiers)))
        )
        return f"CASE {steps} ELSE 0 END"

    def _dated(self) -> str:
        """People with the days that matter: today, the day their period closed, and the first day of each sum."""
        if self.dates is not None:
            return self._dated_alike(self.dates)
        closing = "coalesce(p.grace_until, p.valid_until) <= p.moment"
        dates = f"""
            SELECT p.*, CAST(p.moment AT TIME ZONE {self.zone} AS date) AS today,
                coalesce({closing}, false) AS closing,
                CAST(p.valid_until AT TIME ZONE {self.zone} AS date) - 1 AS valid_day
            FROM ({self._people()}) p
            {_FENCE}
        """
        closed_on = "q.valid_day" if self.occasion != "start" else "q.today - 1"
        ends = f"""
            SELECT q.*, {closed_on} AS close_day, coalesce(
                q.grace_until, tier_day_start({closed_on} + {self.policy.grace_days + 1}, {self.zone})) AS grace_end
            FROM ({dates}) q
            {_FENCE}
        """
        days = {CLOSED: "e.close_day", EVE: self._eve("e.today"), TODAY: "e.today"}
        firsts = {
            letter: [self._first(measure, day) for measure in self.rules.measures] for letter, day in days.items()
        }
        columns = [
            f"{first} AS {letter}f{index}"
            for letter in self.readings
            if letter != GRACED
            for index, first in enumerate(firsts[letter])
        ]
        closes = "least(e.close_day, e.today)" if self.occasion == "warn" else "e.close_day"
        columns += [f"{closes} AS cl", f"{self._eve('e.today')} AS el", "e.today AS tl"]
        columns += [f"CAST(e.grace_end AT TIME ZONE {self.zone} AS date) - 1 AS gl"]
        return f"SELECT e.*, {', '.join(columns)} FROM ({ends}) e {_FENCE}"

    def _eve(self, today: str) -> str:
        """`upgrade_eve` in SQL."""
        period = "year" if self.policy.upgrade == "at_year_start" else "month"
        return f"(CAST(date_trunc('{period}', {today}) AS date) - 1)"

    def _dated_alike(self, dates: SharedDates) -> str:
        grace_end = moment_sql(dates.grace_end)
        columns = {
            "today": day_sql(dates.today),
            "closing": "true",
            "close_day": day_sql(dates.close_day),
            "grace_end": f"coalesce(p.grace_until, {grace_end})" if self.occasion == "start" else grace_end,
            **{
                f"{letter}f{index}": self._first_day(letter, index)
                for letter in self.readings
                if letter != GRACED
                for index in range(len(self.rules.measures))
            },
            **{f"{letter}l": self._last_day(letter) for letter in (CLOSED, GRACED, EVE, TODAY)},
        }
        listed = ", ".join(f"{value} AS {name}" for name, value in columns.items())
        return f"SELECT p.*, {listed} FROM ({self._people()}) p {_FENCE}"

    def shared_first_day(self, letter: str, index: int) -> date:
        """The first day of a sum, where all members' days are the same."""
        dates = self._shared
        days = {EVE: dates.first_days_eve, TODAY: dates.first_days_today}
        return days.get(letter, dates.first_days_closed)[index]

    def shared_last_day(self, letter: str) -> date:
        """The last day of a reading's sums, where all members' days are the same."""
        dates = self._shared
        days = {CLOSED: dates.close_day, EVE: dates.eve, TODAY: dates.today}
        return days[letter] if letter in days else self.rules.day_of(dates.grace_end) - timedelta(days=1)

    @property
    def _shared(self) -> SharedDates:
        assert self.dates is not None  # noqa: S101  (whoever asks has seen it)
        return self.dates

    def _first_day(self, letter: str, index: int) -> str:
        """The first day of a sum, over the columns of people with their days."""
        own = f"d.{self.firsts(letter)}f{index}"
        return own if self.dates is None else day_sql(self.shared_first_day(letter, index))

    def _last_day(self, letter: str) -> str:
        return f"d.{letter}l" if self.dates is None else day_sql(self.shared_last_day(letter))

    def _first(self, measure: Measure, day: str) -> str:
        return first_day_sql(
            measure.window, day, joined_on="e.joined_on", counts_from="e.counts_from", resets=self.policy.resets
        )

    def firsts(self, letter: str) -> str:
        """The reading whose first days one has."""
        return CLOSED if letter == GRACED else letter

    def _sums(self) -> str:
        counted = {*self.rules.metrics, *(("points",) if self.points_since else ())}
        metrics = ", ".join(quote(metric) for metric in sorted(counted))
        aggregates = [
            self._aggregate(letter, index, measure)
            for letter in self.readings
            for index, measure in enumerate(self.rules.measures)
        ]
        if self.points_since:
            since = quote(self.points_since.isoformat())
            aggregates.append(f"sum(a.amount) FILTER (WHERE a.metric = 'points' AND a.day >= {since}) AS points")
        firsts = [
            self._first_day(letter, index)
            for letter in self.readings
            if letter != GRACED
            for index in range(len(self.rules.measures))
        ]
        if self.points_since:
            firsts.append(quote(self.points_since.isoformat()))
        earliest = f"a.day >= least({', '.join(firsts)})" if firsts else "true"
        return f"""
            SELECT {", ".join(["a.member_id AS of_member", *aggregates])}
            FROM tier_activity a {self._doers()} AND a.metric IN ({metrics or "''"}) AND {earliest}
            GROUP BY a.member_id
        """

    def _doers(self) -> str:
        """Whose sums are asked for. Where dates are shared nothing of a member is needed to sum what they did."""
        if self.dates is None:
            return f"JOIN ({self._dated()}) d ON d.member_id = a.member_id WHERE true"
        if self.listed is not None:  # nothing but the index is read where only its columns are asked about
            return f"WHERE a.member_id = {self.listed}"
        return f"WHERE a.programme_id = {quote(str(self.rules.version.programme_id))}"

    def _aggregate(self, letter: str, index: int, measure: Measure) -> str:
        within = f"a.day BETWEEN {self._first_day(letter, index)} AND {self._last_day(letter)}"
        components = list(measure.metric.components())
        if isinstance(measure.metric, VisitsMetric):
            listed = ", ".join(quote(metric) for metric in components)
            days = f"a.metric IN ({listed}) AND a.amount > 0 AND {within}"
            return f"count(DISTINCT a.day) FILTER (WHERE {days}) AS {letter}s{index}_0"
        return ", ".join(
            f"sum(a.amount) FILTER (WHERE a.metric = {quote(metric)} AND {within}) AS {letter}s{index}_{part}"
            for part, metric in enumerate(components)
        )

    def _value(self, letter: str, index: int) -> str:
        metric = self.rules.measures[index].metric
        if isinstance(metric, VisitsMetric):
            return f"coalesce(s.{letter}s{index}_0, 0)"
        parts = [
            f"coalesce(s.{letter}s{index}_{part}, 0)"
            if rate_bp == FULL_BP
            else f"floor(coalesce(s.{letter}s{index}_{part}, 0) * {rate_bp} / {FULL_BP}.0)"
            for part, rate_bp in enumerate(metric.components().values())
        ]
        return f"CAST({' + '.join(parts)} AS bigint)"

    def _columns(self, letter: str, alias: str = "v") -> list[str]:
        return [f"{alias}.{letter}v{index}" for index in range(len(self.rules.measures))]

    def _reached(self, letter: str) -> str:
        steps = " ".join(
            f"WHEN {holds_sql(tier.qualify, self._columns(letter), self.rules.measures)} THEN {place}"
            for place, tier in reversed(list(enumerate(self.policy.tiers)))
            if tier.qualify is not None
        )
        reached = f"CASE {steps} ELSE 0 END" if steps else "0"
        if self.occasion != "due" or letter == TODAY:
            return reached
        if letter == EVE:
            return f"CASE WHEN {reached} > v.place THEN {reached} ELSE -1 END"
        asked = "v.closing AND NOT v.granted"
        if letter == GRACED:
            asked += " AND v.grace_end <= v.moment AND v.grace_end <> v.valid_until"
        return f"CASE WHEN {asked} THEN {reached} ELSE -1 END"

    def _soft(self) -> str:
        """Whether enough of the own tier is reached, by any reading that counts, to keep it for another period."""
        share_bp = self.policy.soft_landing_bp
        steps = " ".join(
            f"WHEN {place} THEN ("
            + " OR ".join(
                f"k.{letter}_reached >= 0 AND "
                + holds_sql(tier.qualify, self._columns(letter, "k"), self.rules.measures, share_bp=share_bp)
                for letter in self.readings
            )
            + ")"
            for place, tier in enumerate(self.policy.tiers)
            if tier.qualify is not None
        )
        return f"CASE k.place {steps} ELSE false END" if share_bp and steps else "false"

    def kinds(self) -> str:
        """Each member with the kind of the decision, the place it leads to, and the reading that it rests on."""
        best = ", ".join(f"b.{letter}_reached" for letter in self.readings)
        picks = " ".join(f"WHEN b.{letter}_reached = b.best THEN '{letter}'" for letter in self.readings)
        picked = f"""
            SELECT b.*, CASE {picks} END AS pick
            FROM (SELECT b.*, greatest({best}) AS best FROM ({self.judged()}) b {_FENCE}) b
            {_FENCE}
        """
        never = "true" if self.policy.downgrade == "never" else "false"
        closes = f"""
            WHEN k.best >= k.place OR {never} THEN 'kept'
            WHEN {self._soft()} THEN 'soft_landing'
            WHEN k.moment < k.grace_end THEN 'grace'
            ELSE 'downgrade'
        """
        kind = self._kind_at_start(closes) if self.occasion == "start" else self._kind_when_due(closes)
        back = "coalesce(k.former_until > k.moment, true) AND k.former_place >= k.best"
        lower = "k.place - 1" if self.policy.downgrade == "one_step" else "k.best"
        return f"""
            SELECT k.*, CASE k.kind WHEN 'upgrade' THEN k.best WHEN 'downgrade' THEN {lower}
                    WHEN 'grant_ended' THEN CASE WHEN {back} THEN k.former_place ELSE k.best END
                    ELSE k.place END AS to_place,
                {back} AS back, {self._dates_only()} AS dated
            FROM (SELECT k.*, {kind} AS kind FROM ({picked}) k {_FENCE}) k
            {_FENCE}
        """

    def _kind_when_due(self, closes: str) -> str:
        return f"""
            CASE WHEN k.best > k.place THEN 'upgrade'
                WHEN NOT k.closing THEN NULL
                WHEN k.granted THEN CASE WHEN k.best = k.place THEN 'kept' ELSE 'grant_ended' END
                {closes}
            END
        """

    def _kind_at_start(self, closes: str) -> str:
        if self.policy.at_start == "raise_only":
            return "CASE WHEN k.best > k.place THEN 'upgrade' END"
        return f"""
            CASE WHEN k.best > k.place THEN 'upgrade'
                WHEN k.place = 0 OR k.granted OR k.best = k.place THEN NULL
                ELSE nullif(nullif(CASE WHEN k.grace_until IS NOT NULL AND k.moment < k.grace_end THEN NULL ELSE
                    CASE {closes} END END, 'kept'), 'soft_landing')
            END
        """

    def _dates_only(self) -> str:
        """Whether, without a decision, a date is to be set: when to look next, or how long an endless tier holds."""
        if self.occasion == "due":
            return "k.kind IS NULL"
        endless = "k.kind IS NULL AND k.place > 0 AND NOT k.granted AND k.valid_until IS NULL"
        return endless if self.policy.has_end else "false"
