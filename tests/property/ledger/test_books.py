"""Whatever is posted, and whenever the books are closed: the reports are what a plain addition of all entries gives."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import books, posting, transfers
from ledger.books import Known
from ledger.closing import close_books_on
from ledger.past import as_of
from ledger.record import entry_row
from ledger.replay import AccountReplay
from ledger.streams import moment as as_moment
from ledger.units import Unit, define_unit
from loyalty.kit.db import create_engine
from loyalty.kit.errors import DomainError
from tests.property.ledger.plain_flow import NEVER, NO_LOT, PlainBooks, first_of_month
from tests.roles import as_application, as_owner

START = datetime(2026, 1, 30, 7, tzinfo=UTC)
MEMBERS = 3
ZONES = ("Asia/Shanghai", "America/New_York", "UTC", "Pacific/Apia")
KNOWN: tuple[Known, Known] = ("then", "now")

member = st.integers(0, MEMBERS - 1)
amount = st.integers(1, 60)
days = st.integers(1, 70)
hours = st.integers(0, 24 * 60)
which = st.integers(0, 50)
part = st.none() | amount

step = st.one_of(
    st.tuples(st.just("earn"), member, amount, st.none() | days, st.none() | days, st.none() | hours),
    st.tuples(st.just("earn"), member, amount, st.none() | days, st.none(), st.none()),
    st.tuples(st.just("spend"), member, amount, st.none() | hours),
    st.tuples(st.just("hold"), member, amount, days),
    st.tuples(st.just("capture"), which, part),
    st.tuples(st.just("release"), which, part),
    st.tuples(st.just("reverse"), which, part),
    st.tuples(st.just("claw_back"), member, amount),
    st.tuples(st.just("adjust"), member, st.integers(-60, 60).filter(bool)),
    st.tuples(st.just("transfer"), member, member, amount),
    st.tuples(st.just("merge"), member, member),
    st.tuples(st.just("unmerge"), which),
    st.tuples(st.just("reinstate"), which, part),
    st.tuples(st.just("confirm"), which),
    st.tuples(st.just("pass"), st.integers(1, 24 * 25)),
    st.tuples(st.just("pass"), st.integers(1, 24 * 25)),
    st.tuples(st.just("close"), st.booleans()),
)
"""One thing that happens. A number chooses among what happened before; below zero it counts from the last."""


def refunded_after_spending(who: int, points: int, lasts: int) -> list[tuple[Any, ...]]:
    """Debt is made that belongs to an earlier month."""
    earned = ("earn", who, points, None, None, 24 * lasts)
    return [earned, ("spend", who, points, None), ("pass", 24 * 33), ("reverse", -2, None)]


def reinstated_after_a_merger(who: int, other: int, points: int) -> list[tuple[Any, ...]]:
    """A lot whose points were earned two lots ago, in another month and on another account."""
    earned = ("earn", who, points, 5, None, 24 * 40)
    return [earned, ("merge", who, other), ("pass", 24 * 12), ("settle", other), ("reinstate", -1, None)]


steps = st.one_of(
    *[step.map(lambda each: [each])] * 6,
    st.builds(refunded_after_spending, member, amount, days),
    st.builds(reinstated_after_a_merger, member, member, amount),
)


class Told:
    """A ledger to which steps are told; what it refuses is left out."""

    def __init__(self, connection: AsyncConnection, *, zone: str, unit: str = "points") -> None:
        self.connection = connection
        self.programme_id = uuid4()
        self.unit = unit
        self.zone = zone
        self.now = START
        self.members = [uuid4() for _ in range(MEMBERS)]
        self.postings: list[tuple[UUID, int]] = []
        self.holds: list[tuple[UUID, UUID]] = []
        self.merges: list[tuple[UUID, UUID, str]] = []
        self.keys = 0

    async def begin(self, *, shortfall: str, grace_days: int | None) -> None:
        clock = "SELECT current_setting('test.now')::timestamptz"
        for signature, body in (
            ("ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE", clock),
            ("ledger.checkpoint_spacing() RETURNS integer LANGUAGE sql IMMUTABLE", "SELECT 4"),
            ("ledger.closing_batch() RETURNS integer LANGUAGE sql IMMUTABLE", "SELECT 2"),
        ):
            async with as_owner(self.connection):
                await self.connection.execute(text(f"CREATE OR REPLACE FUNCTION {signature} AS $${body}$$"))
        terms: dict[str, Any] = {"shortfall": shortfall, "expired_return_days": grace_days, "time_zone": self.zone}
        await define_unit(
            self.connection,
            Unit(programme_id=self.programme_id, code=self.unit, expiry_kind="end_of_month", expiry_months=1, **terms),
        )
        await self.set_clock()

    async def set_clock(self) -> None:
        moment = {"now": self.now.isoformat()}
        await self.connection.execute(text("SELECT set_config('test.now', :now, false)"), moment)

    async def follow(self, name: str, *arguments: Any) -> None:
        try:
            async with self.connection.begin_nested():
                await getattr(self, f"do_{name}")(*arguments)
        except DomainError:
            pass

    def _common(self) -> dict[str, Any]:
        self.keys += 1
        return {"unit": self.unit, "key": f"key-{self.keys}", "source": "test"}

    async def _post(self, post: Callable[..., Awaitable[posting.Posting]], who: int, **arguments: Any) -> Any:
        done = await post(
            self.connection,
            programme_id=self.programme_id,
            member_id=self.members[who],
            **arguments,
            **self._common(),
        )
        self.postings.append((done.member_id, done.sequence))
        return done

    async def do_earn(self, who: int, points: int, lasts: int | None, waits: int | None, late: int | None) -> None:
        expires: Any = self.now + timedelta(days=lasts) if lasts else "policy"
        available = self.now + timedelta(days=waits) if waits else None
        effective = self.now - timedelta(hours=late) if late else None
        terms: dict[str, Any] = {"expires_at": expires, "available_at": available, "effective_at": effective}
        await self._post(posting.earn, who, amount=points, **terms)

    async def do_spend(self, who: int, points: int, late: int | None) -> None:
        effective = self.now - timedelta(hours=late) if late else None
        await self._post(posting.spend, who, amount=points, effective_at=effective)

    async def do_hold(self, who: int, points: int, lasts: int) -> None:
        ends = self.now + timedelta(days=lasts)
        made = await self._post(posting.hold, who, amount=points, hold_id=uuid4(), expires_at=ends)
        self.holds.append((made.member_id, made.hold_id))

    async def do_capture(self, number: int, points: int | None) -> None:
        await self._end(posting.capture, number, points)

    async def do_release(self, number: int, points: int | None) -> None:
        await self._end(posting.release, number, points)

    async def _end(self, post: Callable[..., Awaitable[posting.Posting]], number: int, points: int | None) -> None:
        if self.holds:
            owner, hold_id = self.holds[number % len(self.holds)]
            done = await post(self.connection, member_id=owner, hold_id=hold_id, amount=points, **self._common())
            self.postings.append((owner, done.sequence))

    async def do_reverse(self, number: int, points: int | None) -> None:
        if self.postings:
            owner, sequence = self.postings[number % len(self.postings)]
            await posting.reverse(self.connection, member_id=owner, sequence=sequence, amount=points, **self._common())

    async def do_claw_back(self, who: int, points: int) -> None:
        await self._post(posting.claw_back, who, amount=points)

    async def do_adjust(self, who: int, points: int) -> None:
        await self._post(posting.adjust, who, amount=points, reason="test", actor="stf")

    async def do_transfer(self, giver: int, receiver: int, points: int) -> None:
        await transfers.transfer(
            self.connection,
            programme_id=self.programme_id,
            from_member_id=self.members[giver],
            to_member_id=self.members[receiver],
            amount=points,
            **self._common(),
        )

    async def do_merge(self, absorbed: int, survivor: int) -> None:
        self.keys += 1
        name = f"merge-{self.keys}"
        pair = {"from_member_id": self.members[absorbed], "to_member_id": self.members[survivor]}
        await transfers.move_all(self.connection, programme_id=self.programme_id, key=name, source=name, **pair)
        self.merges.append((self.members[absorbed], self.members[survivor], name))

    async def do_unmerge(self, number: int) -> None:
        if self.merges:
            absorbed, survivor, name = self.merges.pop(number % len(self.merges))
            await transfers.move_back(
                self.connection,
                programme_id=self.programme_id,
                survivor_id=survivor,
                absorbed_id=absorbed,
                moved_by=name,
                key=f"un{name}",
                source=f"un{name}",
            )

    async def do_reinstate(self, number: int, points: int | None) -> None:
        expired = "SELECT member_id, seq FROM ledger.entry WHERE kind = 'expire' AND programme_id = :programme"
        rows = (
            await self.connection.execute(
                text(f"{expired} ORDER BY recorded_at, member_id, seq"), {"programme": self.programme_id}
            )
        ).all()
        if rows:
            row = rows[number % len(rows)]
            await posting.reinstate(
                self.connection,
                member_id=row.member_id,
                sequence=row.seq,
                amount=points,
                expires_at=self.now + timedelta(days=9),
                **self._common(),
            )

    async def do_confirm(self, number: int) -> None:
        if self.postings:
            owner, sequence = self.postings[number % len(self.postings)]
            await posting.confirm(self.connection, member_id=owner, sequence=sequence, **self._common())

    async def do_settle(self, who: int) -> None:
        await posting.settle(self.connection, member_id=self.members[who], unit=self.unit)

    async def do_pass(self, length: int) -> None:
        self.now += timedelta(hours=length)
        await self.set_clock()

    async def do_close(self, thorough: bool) -> None:
        await close_books_on(self.connection, thorough=thorough)

    async def entries(self) -> list[dict[str, Any]]:
        query = "SELECT * FROM ledger.entry WHERE programme_id = :programme ORDER BY member_id, unit, seq"
        rows = await self.connection.execute(text(query), {"programme": self.programme_id})
        return [dict(row) for row in rows.mappings()]


async def check_roll_up(told: Told, plain: PlainBooks) -> None:
    heads = await told.connection.execute(
        text(
            "SELECT member_id, unit, max(seq) AS seq, count(*) AS closings, count(DISTINCT seq) AS steps "
            "FROM ledger.closed_head WHERE member_id = ANY(:members) GROUP BY member_id, unit"
        ),
        {"members": told.members},
    )
    closed = {}
    for row in heads:
        assert row.closings == row.steps  # no account is closed twice at the same entry
        closed[row.member_id, row.unit] = row.seq
    rows = await told.connection.execute(
        text(
            "SELECT unit, recorded_day, effective_day, cohort_month, kind, debit, credit, amount, entries, opened, "
            "CASE WHEN isfinite(expiry_month) THEN expiry_month END AS expiry, expiry_month = 'infinity' AS never "
            "FROM ledger.flow WHERE programme_id = :programme"
        ),
        {"programme": told.programme_id},
    )
    kept = {
        (
            *(row.unit, row.recorded_day, row.effective_day, row.cohort_month),
            row.expiry or (NEVER if row.never else NO_LOT),
            *(row.kind, row.debit, row.credit),
        ): (row.amount, row.entries, row.opened)
        for row in rows
    }
    assert kept == plain.flow(closed)


async def check_reports(told: Told, plain: PlainBooks, moment: datetime | None, known: Known) -> None:
    asked: dict[str, Any] = {"programme_id": told.programme_id, "moment": moment, "known": known}
    parts = plain.at(told.unit, moment, known)
    sums = plain.classes(parts)
    trial = await books.trial_balance(told.connection, unit=told.unit, **asked)
    assert {line.account: line.balance for line in trial if line.balance} == {k: v for k, v in sums.items() if v}
    assert sum(line.balance for line in trial) == 0
    owed = await books.liabilities(told.connection, **asked)
    assert [(each.posted, each.pending, each.held, each.debt, each.members) for each in owed] == (
        [(sums["member"], sums["pending"], sums["held"], -sums["debt"], sum(part.opens_account for part in parts))]
        if parts
        else []
    )
    by_month: dict[date | None, int] = {}
    for ends in {part.expiry for part in parts} - {NO_LOT}:
        points = plain.open_points([part for part in parts if part.expiry == ends])
        if points:
            by_month[None if isinstance(ends, str) else ends] = points
    expiring = await books.liability_by_expiry(told.connection, unit=told.unit, **asked)
    assert {each.month: each.amount for each in expiring} == by_month
    assert sum(by_month.values()) == plain.open_points(parts)
    cohorts = await books.cohort_flows(told.connection, unit=told.unit, **asked)
    assert sum(each.left for each in cohorts) == plain.open_points(parts)
    for each in cohorts:
        own = [part for part in parts if part.cohort == each.cohort]
        month = [part for part in own if max(first_of_month(part.effective_day), each.cohort) == each.month]
        net = plain.classes(month)
        assert each.granted == -net["issued"] - net["adjusted"]
        assert each.used == net["redeemed"] + net["debt"] + net["forgiven"]
        assert (each.expired, each.moved) == (net["expired"], -net["transfer"])
    flow = await books.monthly_flow(told.connection, unit=told.unit, months=60, **asked)
    for line in flow:
        own = [part for part in parts if first_of_month(part.effective_day) == line.month]
        assert line.earned == sum(part.amount for part in own if part.debit == "issued")
        assert line.taken_back == sum(part.amount for part in own if part.credit == "issued")
        assert (line.redeemed, line.expired) == (plain.classes(own)["redeemed"], plain.classes(own)["expired"])
        assert line.adjusted == -plain.classes(own)["adjusted"]


async def check_accounts(told: Told, entries: list[dict[str, Any]], moment: datetime) -> None:
    for member_id in told.members:
        own = [row for row in entries if row["member_id"] == member_id]
        then = await as_of(told.connection, member_id=member_id, unit=told.unit, moment=moment, known="then")
        replay = AccountReplay()
        for row in own:
            if row["recorded_at"] <= moment:
                replay.apply(entry_row(row))
        assert replay.problems == []
        assert then.sequence == replay.sequence
        assert {name: getattr(then, name) for name in replay.balances} == replay.balances
        left = {
            lot.seq: (lot.remaining, None if lot.expires_at is None else as_moment(lot.expires_at))
            for lot in replay.lots.values()
            if lot.remaining
        }
        assert {
            lot.sequence: (lot.spendable + lot.pending, lot.expires_at)
            for lot in then.lots
            if lot.spendable + lot.pending
        } == left
        assert sum(lot.held for lot in then.lots) == then.held
        now = await as_of(told.connection, member_id=member_id, unit=told.unit, moment=moment, known="now")
        in_effect = [row for row in own if row["effective_at"] <= moment]
        sums: Counter[str] = Counter()
        lots: dict[int, Counter[str]] = defaultdict(Counter)
        for row in in_effect:
            pieces = zip(row["lots"], row["amounts"], strict=True) if row["lots"] else [(row["seq"], row["amount"])]
            for lot, points in pieces:
                for name, sign in ((row["credit"], 1), (row["debit"], -1)):
                    sums[name] += sign * points
                    lots[lot][name] += sign * points * bool(row["lots"] or row["opens_lot"])
        assert (now.posted, now.pending, now.held, now.debt) == (
            *(sums["member"], sums["pending"], sums["held"]),
            -sums["debt"],
        )
        holding = {lot: (net["member"], net["pending"], net["held"]) for lot, net in lots.items()}
        assert {lot.sequence: (lot.spendable, lot.pending, lot.held) for lot in now.lots} == {
            lot: held for lot, held in holding.items() if any(held)
        }


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as opened:
        yield opened


@pytest.fixture
def lonely_engine(module_database_url: str, runner: asyncio.Runner) -> Iterator[AsyncEngine]:
    engine = create_engine(as_application(module_database_url), pool_size=1)
    yield engine
    runner.run(engine.dispose())


def follow(runner: asyncio.Runner, engine: AsyncEngine, *, examples: int, length: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @settings(max_examples=examples, deadline=None, suppress_health_check=checks, print_blob=True)
    @given(
        story=st.lists(steps, min_size=5, max_size=length).map(lambda parts: [each for part in parts for each in part]),
        moments=st.lists(st.integers(0, 24 * 60 * 200), min_size=3, max_size=3),
        zone=st.sampled_from(ZONES),
        shortfall=st.sampled_from(("debt", "forgive")),
        grace_days=st.none() | st.just(5),
    )
    def hold(story: list[Any], moments: list[int], zone: str, shortfall: str, grace_days: int | None) -> None:
        async def work() -> None:
            async with engine.connect() as connection:
                told = Told(connection, zone=zone)
                await told.begin(shortfall=shortfall, grace_days=grace_days)
                for name, *arguments in story:
                    await told.follow(name, *arguments)
                entries = await told.entries()
                plain = PlainBooks(entries, {told.unit: zone})
                await check_roll_up(told, plain)
                await check_reports(told, plain, None, "now")
                for minutes in moments:
                    moment = START - timedelta(days=40) + timedelta(minutes=minutes)
                    for known in KNOWN:
                        await check_reports(told, plain, moment, known)
                for moment in [START + timedelta(minutes=minutes) for minutes in moments]:
                    await check_accounts(told, entries, moment)
                await connection.rollback()

        runner.run(work())

    hold()


def test_the_books_are_what_a_plain_addition_gives(runner: asyncio.Runner, lonely_engine: AsyncEngine) -> None:
    follow(runner, lonely_engine, examples=80, length=30)


@pytest.mark.long
def test_the_books_are_what_a_plain_addition_gives_for_long(runner: asyncio.Runner, lonely_engine: AsyncEngine) -> None:
    follow(runner, lonely_engine, examples=2500, length=60)
