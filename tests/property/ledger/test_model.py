"""The ledger and its model do the same, whatever is asked of them and whenever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger import audit, posting, reading
from ledger.posting import Posting
from ledger.units import Unit, define_unit
from loyalty.kit.db import create_engine
from loyalty.kit.errors import DomainError
from tests.property.ledger.model import Account, Hold, Posted, RefusedError

START = datetime(2026, 1, 1, tzinfo=UTC)
AMOUNTS = st.integers(1, 60)
PARTS = st.none() | st.integers(1, 60)
DAYS = st.integers(1, 40)

NAMES = ("ann", "ben", "cyd")


class Ledgers(RuleBasedStateMachine):
    """The same postings to the database and to the model; after each step they hold the same."""

    runner: ClassVar[asyncio.Runner]
    engine: ClassVar[AsyncEngine]

    earns = Bundle("earns")
    spends = Bundle("spends")
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.programme_id = uuid4()
        self.now = START
        self.keys = 0
        self.ids = {name: uuid4() for name in NAMES}
        self.accounts: dict[str, Account] = {}
        self.connection: AsyncConnection = self.run(self.engine.connect().__aenter__())

    def run(self, awaitable: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.runner.run(wait())

    def teardown(self) -> None:
        verified = self.run(audit.verify(self.connection))
        self.run(self.connection.rollback())
        self.run(self.connection.close())
        assert verified.findings == []

    @initialize(grace_days=st.none() | st.just(5))
    def begin(self, grace_days: int | None) -> None:
        clock = (
            "CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
            "$$SELECT current_setting('test.now')::timestamptz$$"
        )
        self.run(self.connection.execute(text(clock)))
        unit = Unit(programme_id=self.programme_id, expired_return_days=grace_days)
        self.run(define_unit(self.connection, unit))
        self.accounts = {name: Account(grace_days=grace_days) for name in NAMES}
        self._set_clock()

    def _set_clock(self) -> None:
        moment = {"now": self.now.isoformat()}
        self.run(self.connection.execute(text("SELECT set_config('test.now', :now, false)"), moment))

    @rule(hours=st.integers(1, 24 * 20))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self._set_clock()

    def both(self, name: str, model: Callable[[Account], Any], post: Callable[..., Awaitable[Posting]]) -> Any:
        """Do it to both; answers the posting and the model's result, or None where both refuse in the same way."""
        account = self.accounts[name]
        self.keys += 1
        arguments = {"key": f"key-{self.keys}", "source": "test"}

        async def in_savepoint() -> Posting:
            async with self.connection.begin_nested():
                return await post(**arguments)

        try:
            posted, refused = self.run(in_savepoint()), None
        except DomainError as error:
            posted, refused = None, type(error).__name__
        if refused is None:
            again = self.run(in_savepoint())
            assert again.replayed
            assert (again.sequence, again.posted, again.debt) == (posted.sequence, posted.posted, posted.debt)
        account.settle(self.now)
        try:
            result, expected = model(account), None
        except RefusedError as error:
            result, expected = None, str(error)
        assert refused == expected
        return None if refused else (posted, result)

    def _to(self, name: str, **arguments: Any) -> dict[str, Any]:
        return {"programme_id": self.programme_id, "member_id": self.ids[name], **arguments}

    @rule(
        target=earns,
        name=st.sampled_from(NAMES),
        amount=AMOUNTS,
        lasts=st.none() | DAYS,
        waits=st.none() | DAYS,
        priority=st.integers(0, 1),
    )
    def earn(self, name: str, amount: int, lasts: int | None, waits: int | None, priority: int) -> Any:
        expires_at = self.now + timedelta(days=lasts) if lasts else None
        available_at = self.now + timedelta(days=waits) if waits else None
        terms: dict[str, Any] = {"expires_at": expires_at, "available_at": available_at, "priority": priority}
        number = self.keys
        posted, _ = self.both(
            name,
            lambda account: account.grant(amount, self.now, grant=number, **terms),
            lambda **key: posting.earn(self.connection, **self._to(name, amount=amount), **terms, **key),
        )
        return name, posted.sequence, Posted(total=amount, grant=number)

    @rule(target=spends, name=st.sampled_from(NAMES), amount=AMOUNTS)
    def spend(self, name: str, amount: int) -> Any:
        done = self.both(
            name,
            lambda account: account.spend(amount),
            lambda **key: posting.spend(self.connection, **self._to(name, amount=amount), **key),
        )
        return multiple() if done is None else (name, done[0].sequence, Posted(total=amount, taken=done[1]))

    @rule(target=holds, name=st.sampled_from(NAMES), amount=AMOUNTS, lasts=DAYS)
    def hold(self, name: str, amount: int, lasts: int) -> Any:
        hold_id, expires_at = uuid4(), self.now + timedelta(days=lasts)
        done = self.both(
            name,
            lambda account: account.spend(amount),
            lambda **key: posting.hold(
                self.connection, **self._to(name, amount=amount), hold_id=hold_id, expires_at=expires_at, **key
            ),
        )
        if done is None:
            return multiple()
        made = Hold(taken=done[1], expires_at=expires_at)
        self.accounts[name].holds.append(made)
        return name, hold_id, made

    @rule(target=spends, held=holds, amount=PARTS)
    def capture(self, held: tuple[str, UUID, Hold], amount: int | None) -> Any:
        name, hold_id, hold = held
        done = self._end(held, amount, capture=True)
        if done is None:
            return multiple()
        assert hold_id
        total, taken = done[1]
        assert hold.captured >= total
        return name, done[0].sequence, Posted(total=total, taken=taken)

    @rule(held=holds, amount=PARTS)
    def release(self, held: tuple[str, UUID, Hold], amount: int | None) -> None:
        self._end(held, amount, capture=False)

    def _end(self, held: tuple[str, UUID, Hold], amount: int | None, *, capture: bool) -> Any:
        name, hold_id, hold = held
        post = posting.capture if capture else posting.release
        return self.both(
            name,
            lambda account: account.end_hold(hold, amount, self.now, capture=capture),
            lambda **key: post(self.connection, member_id=self.ids[name], hold_id=hold_id, amount=amount, **key),
        )

    @rule(earned=earns, amount=PARTS)
    def reverse_earn(self, earned: tuple[str, int, Posted], amount: int | None) -> None:
        self._reverse(earned, amount)

    @rule(spent=spends, amount=PARTS)
    def reverse_spend(self, spent: tuple[str, int, Posted], amount: int | None) -> None:
        self._reverse(spent, amount)

    def _reverse(self, done: tuple[str, int, Posted], amount: int | None) -> None:
        name, sequence, posted = done
        self.both(
            name,
            lambda account: account.reverse(posted, amount, self.now),
            lambda **key: posting.reverse(
                self.connection, member_id=self.ids[name], sequence=sequence, amount=amount, **key
            ),
        )

    @rule(name=st.sampled_from(NAMES), amount=AMOUNTS)
    def claw_back(self, name: str, amount: int) -> None:
        self.both(
            name,
            lambda account: account.owe(amount),
            lambda **key: posting.claw_back(self.connection, **self._to(name, amount=amount), **key),
        )

    @rule(earned=consumes(earns))
    def forget(self, earned: tuple[str, int, Posted]) -> None:
        """Let later steps choose among fewer earns, so that the same one is reversed more than once."""
        assert earned[1] > 0

    @invariant()
    def they_hold_the_same(self) -> None:
        for name, account in self.accounts.items():
            account.settle(self.now)
            member_id = self.ids[name]
            balance = self.run(reading.balance(self.connection, member_id=member_id))
            assert (balance.spendable, balance.pending, balance.held, balance.debt) == (
                account.posted,
                account.pending,
                account.held,
                account.debt,
            )
            self.run(posting.settle(self.connection, member_id=member_id))
            lots = self.run(reading.lots(self.connection, member_id=member_id))
            assert [(lot.remaining, lot.expires_at) for lot in lots] == account.open_lots


@pytest.fixture
def machine(module_database_url: str) -> Iterator[type[Ledgers]]:
    with asyncio.Runner() as runner:
        Ledgers.runner = runner
        Ledgers.engine = create_engine(module_database_url, pool_size=1)
        yield Ledgers
        runner.run(Ledgers.engine.dispose())


def follow(machine: type[Ledgers], *, examples: int, steps: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks, print_blob=True
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_the_ledger_does_what_its_model_does(machine: type[Ledgers]) -> None:
    follow(machine, examples=40, steps=50)


@pytest.mark.long
def test_the_ledger_does_what_its_model_does_for_long(machine: type[Ledgers]) -> None:
    follow(machine, examples=2000, steps=60)
