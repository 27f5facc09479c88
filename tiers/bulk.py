"""Deciding about many members at once: the rules of `tiers.deciding` as SQL, compiled from the policy's own trees.

What comes out is the text of one query whose rows are decisions. Whoever runs it decides what becomes of them: written
under lock, kept as proposals, or only counted. All values in the text are the policy's (checked codes and integers),
days, moments and ids; it has no parameters, because COPY takes none.

The query is a nest of subqueries and not a chain of WITH: those are read twice, and PostgreSQL would then neither run
them in parallel nor push conditions into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Literal

from psycopg.sql import quote
from sqlalchemy.dialects import postgresql

from tiers.deciding import Rules, TierState
from tiers.policies import Keep, KeepForever, KeepMonths, KeepUntilNextYearEnd, KeepUntilYearEnd
from tiers.rules import FULL_BP, Measure, Reach, VisitsMetric, conditions, holds_sql, metric_name, reached_bp_sql
from tiers.tables import member_tier_table
from tiers.windows import BEGINNING, first_day_sql, window_kind

Occasion = Literal["due", "start", "warn"]
"""`due`: reviews whose time has come. `start`: a version takes force. `warn`: how a review to come would end."""

_FENCE: Final = "OFFSET 0"
"""Ends each subquery. Without it PostgreSQL puts each into the next, and every expression into each of its uses: a row
then costs ten milliseconds. It takes nothing from parallel plans."""

CLOSED, GRACED, TODAY = "c", "g", "t"
"""The readings of `tiers.deciding.review_readings`, in its order: of two that reach the same, the first counts."""

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # (SQLAlchemy gives it no types)
_NOT_DECIDED: Final = ("member_id", "ladder_code", "programme_id", "joined_on")
STATE: Final = tuple(field for field in TierState.__struct_fields__ if field not in _NOT_DECIDED)
"""The columns of `member_tier` that a decision sets, as its rows have them."""
DECIDED: Final = ("member_id", "was_sequence", "kind", "from_tier", "reasons", *STATE)
"""The columns of a decision."""


class Bulk:
    """One policy's decisions at one moment, as SQL.

    `members` is a condition on `member_tier m`; of the ladder it is asked here. `graced` says that some may be in
    their grace, or that the policy gives one. With `points_since` the points earned since that day are in `points`.
    `strangers` says that no policy is in force yet: members are those who did anything, each in the first tier.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        occasion: Occasion,
        moment: datetime,
        members: str = "true",
        graced: bool = True,
        points_since: date | None = None,
        strangers: bool = False,
    ) -> None:
        self.rules = rules
        self.policy = rules.policy
        self.occasion = occasion
        self.zone = quote(rules.time_zone)
        self.moment = f"CAST({quote(moment.isoformat())} AS timestamptz)"
        self.members = members
        self.tiers = range(len(rules.policy.tiers))
        readings = {"due": (CLOSED, *((GRACED,) if graced else ()), TODAY), "start": (TODAY,), "warn": (CLOSED,)}
        self.readings: Sequence[str] = readings[occasion]
        self.points_since = points_since
        self.strangers = strangers

    def decided(self) -> str:
        """The decisions, as a query whose columns are DECIDED; `kind` NULL where only dates are set."""
        columns = {
            "member_id": "j.member_id",
            "was_sequence": "j.change_sequence",
            "kind": "j.kind",
            "from_tier": "j.tier_code",
            "reasons": "CASE WHEN j.kind IS NULL THEN NULL ELSE " + self._reasons() + " END",
            **self._state(),
        }
        listed = ", ".join(f"{columns[name]} AS {name}" for name in DECIDED)
        return f"SELECT {listed} FROM ({self.kinds()}) j WHERE j.kind IS NOT NULL OR j.dated"

    def warned(self) -> str:
        """Rows of `tier_warning` for those who have not reached what keeping their tier asks for."""
        moment = self.moment
        return f"""
            SELECT j.member_id, j.ladder_code, j.valid_until, j.programme_id, j.tier_code, {self._reasons()}, {moment}
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
        code, programme = quote(self.policy.code), quote(str(self.rules.version.programme_id))
        places = " ".join(f"WHEN {quote(tier.code)} THEN {at}" for at, tier in enumerate(self.policy.tiers))
        formers = f"CASE m.former_tier {places} ELSE {self._by_rank('m.former_rank')} END"
        return f"""
            SELECT m.*, CASE m.tier_code {places} ELSE {self._by_rank("m.tier_rank")} END AS place,
                {formers} AS former_place, greatest(m.changed_at, {self.moment}) AS moment
            FROM {self._source()} m
            WHERE m.programme_id = {programme} AND m.ladder_code = {code} AND {self.members}
            {_FENCE}
        """

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
        firsts = {
            CLOSED: [self._first(measure, "e.close_day") for measure in self.rules.measures],
            TODAY: [self._first(measure, "e.today") for measure in self.rules.measures],
        }
        columns = [
            f"{first} AS {letter}f{index}"
            for letter in self.readings
            if letter != GRACED
            for index, first in enumerate(firsts[letter])
        ]
        closes = "least(e.close_day, e.today)" if self.occasion == "warn" else "e.close_day"
        columns += [f"{closes} AS cl", "e.today AS tl", f"CAST(e.grace_end AT TIME ZONE {self.zone} AS date) - 1 AS gl"]
        return f"SELECT e.*, {', '.join(columns)} FROM ({ends}) e {_FENCE}"

    def _first(self, measure: Measure, day: str) -> str:
        return first_day_sql(
            measure.window, day, joined_on="e.joined_on", counts_from="e.counts_from", resets=self.policy.resets
        )

    def _firsts(self, letter: str) -> str:
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
            f"d.{letter}f{index}"
            for letter in self.readings
            if letter != GRACED
            for index in range(len(self.rules.measures))
        ]
        if self.points_since:
            firsts.append(quote(self.points_since.isoformat()))
        earliest = f"a.day >= least({', '.join(firsts)})" if firsts else "true"
        return f"""
            SELECT {", ".join(["a.member_id AS of_member", *aggregates])}
            FROM tier_activity a JOIN ({self._dated()}) d ON d.member_id = a.member_id
            WHERE a.metric IN ({metrics or "''"}) AND {earliest}
            GROUP BY a.member_id
        """

    def _aggregate(self, letter: str, index: int, measure: Measure) -> str:
        within = f"a.day BETWEEN d.{self._firsts(letter)}f{index} AND d.{letter}l"
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
        return endless if self._holds("k.today", confirmed=False) != "NULL" else "false"

    def _state(self) -> dict[str, str]:
        """What each decision sets, over the columns of `kinds`."""
        closed = "j.kind IN ('kept', 'soft_landing', 'downgrade') AND NOT j.granted"
        fresh = "j.kind = 'upgrade' OR j.kind = 'kept' AND j.granted"
        stays = "j.kind IS NULL OR j.kind = 'grace'"
        code = self._of_place("j.to_place", [quote(tier.code) for tier in self.policy.tiers])
        until = f"""CASE WHEN j.kind = 'grant_ended' AND j.back AND j.former_place > 0 THEN j.former_until
            WHEN j.to_place = 0 THEN NULL
            WHEN {closed} THEN {self._ends("j.close_day", confirmed=True)}
            ELSE {self._ends("j.today", confirmed=False)} END"""
        as_of = "CASE j.pick WHEN 'c' THEN j.close_day WHEN 't' THEN j.today END"
        qualified = f"""(({fresh}) OR ({closed} AND j.kind = 'kept' AND j.best = j.place))"""
        held = f"CASE WHEN j.dated AND j.valid_until IS NULL THEN {until} ELSE j.valid_until END"
        if self.occasion == "due":
            held = "j.valid_until"
        ended = f"tier_day_start(j.close_day + 1, {self.zone})"
        return {
            "tier_code": f"CASE WHEN {stays} THEN j.tier_code ELSE {code} END",
            "tier_rank": f"CASE WHEN {stays} THEN j.tier_rank ELSE "
            + self._of_place("j.to_place", [str(tier.rank) for tier in self.policy.tiers])
            + " END",
            "ladder_version": f"CASE WHEN j.kind IS NULL THEN j.ladder_version ELSE {self.rules.version.version} END",
            "since": f"CASE WHEN {stays} OR {code} = j.tier_code THEN j.since ELSE j.moment END",
            "changed_at": "CASE WHEN j.kind IS NULL THEN j.changed_at ELSE j.moment END",
            "valid_until": f"CASE WHEN j.kind IS NULL THEN {held} WHEN j.kind = 'grace' THEN {ended} ELSE {until} END",
            "grace_until": "CASE WHEN j.kind IS NULL THEN j.grace_until WHEN j.kind = 'grace' THEN j.grace_end END",
            "review_at": f"CASE WHEN j.kind IS NULL THEN coalesce(j.grace_until, {held}) "
            f"WHEN j.kind = 'grace' THEN j.grace_end ELSE {until} END",
            "change_sequence": "j.change_sequence + CASE WHEN j.kind IS NULL THEN 0 ELSE 1 END",
            "counts_from": f"CASE WHEN {fresh} THEN j.today + 1 WHEN {closed} THEN j.close_day + 1 "
            "ELSE j.counts_from END",
            "qualified_on": f"CASE WHEN j.kind IS NULL THEN j.qualified_on WHEN {qualified} THEN {as_of} END",
            "qualified_from": "CASE WHEN j.kind IS NULL THEN j.qualified_from "
            f"WHEN {qualified} AND {as_of} IS NOT NULL THEN j.counts_from END",
            "granted": f"({stays}) AND j.granted",
            "former_tier": f"CASE WHEN {stays} THEN j.former_tier END",
            "former_rank": f"CASE WHEN {stays} THEN j.former_rank END",
            "former_until": f"CASE WHEN {stays} THEN j.former_until END",
        }

    def _of_place(self, place: str, values: Sequence[str]) -> str:
        return f"(ARRAY[{', '.join(values)}])[{place} + 1]"

    def _ends(self, day: str, *, confirmed: bool) -> str:
        last_day = self._holds(day, confirmed=confirmed)
        return "NULL" if last_day == "NULL" else f"tier_day_start({last_day} + 1, {self.zone})"

    def _holds(self, day: str, *, confirmed: bool) -> str:
        """`holds_through` in SQL; NULL also where the policy has no way down."""
        return "NULL" if self.policy.downgrade == "never" else _holds_through(self.policy.keep, day, confirmed)

    def _reasons(self) -> str:
        """The conditions of the tier that was asked about, as `tiers.changes.Reason` has them."""
        asked = "CASE WHEN j.kind = 'upgrade' THEN j.to_place ELSE j.place END"
        steps = " ".join(
            f"WHEN {place} THEN jsonb_build_array("
            + ", ".join(
                self._reason(metric_name(each.metric), window_kind(each.window), each.at_least, index)
                for each, index in self._conditions(place)
            )
            + ")"
            for place in self.tiers
            if place
        )
        return f"CASE {asked} {steps} ELSE '[]' END" if steps else "CAST('[]' AS jsonb)"

    def _conditions(self, place: int) -> list[tuple[Reach, int]]:
        rule = self.policy.tiers[place].qualify
        found = conditions(rule) if rule is not None else ()
        return [(each, self.rules.measures.index(Measure(each.metric, each.window))) for each in found]

    def _reason(self, metric: str, window: str, at_least: int, index: int) -> str:
        def picked(column: str) -> str:
            if len(self.readings) == 1:
                return "j." + column.format(self.readings[0], self._firsts(self.readings[0]))
            cases = " ".join(
                f"WHEN '{letter}' THEN j." + column.format(letter, self._firsts(letter)) for letter in self.readings
            )
            return f"CASE j.pick {cases} END"

        first = f"nullif({picked(f'{{1}}f{index}')}, CAST('{BEGINNING.isoformat()}' AS date))"
        return (
            f"jsonb_build_object('metric', {quote(metric)}, 'window', {quote(window)}, 'at_least', {at_least}, "
            f"'value', {picked(f'{{0}}v{index}')}, 'first_day', {first}, 'last_day', {picked('{0}l')})"
        )


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
