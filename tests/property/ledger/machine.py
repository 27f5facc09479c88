"""The same requests to the ledger and to its model; after each step they hold the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar
from uuid import UUID, uuid4

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ledger import audit, books, posting, reading
from ledger.posting import Posting
from ledger.sweep import sweep
from ledger.units import Unit, define_unit
from loyalty.kit.errors import DomainError
from tests.property.ledger.driving import AccountState, HoldState, Ledger, LotState
from tests.property.ledger.model.accounts import Account, RefusedError

Item = TypeVar("Item")

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
NAMES: Final = ("ann", "ben", "cyd")
CODES: Final = ("points", "miles")

EARNED = st.integers(20, 99)
"""More than is asked for at once, so that much of what is asked for can be done."""
AMOUNTS = st.integers(1, 30)
PARTS = st.none() | st.integers(1, 20)
DAYS = st.integers(1, 40)
LATE = st.sampled_from([None, None, None, 2, 20])
"""How many days ago it took effect."""
WHO = st.sampled_from(NAMES)
WHAT = st.sampled_from((CODES[0], CODES[0], CODES[1]))
WHICH = st.integers(0, 20)
"""Which of many: 0 is the latest."""

EXPIRY = st.sampled_from(
    [
        {"expiry_kind": "never"},
        {"expiry_kind": "fixed_period", "expiry_days": 12},
        {"expiry_kind": "fixed_period", "expiry_months": 1, "expiry_days": 3},
        {"expiry_kind": "end_of_month", "expiry_months": 0},
        {"expiry_kind": "end_of_month", "expiry_months": 1},
        {"expiry_kind": "yearly", "expiry_month": 2, "expiry_day": 29},
        {"expiry_kind": "yearly", "expiry_month": 3, "expiry_day": 31, "expiry_months": 1},
        {"expiry_kind": "after_activity", "expiry_months": 0},
        {"expiry_kind": "after_activity", "expiry_months": 1},
    ]
)
POLICIES = st.fixed_dictionaries(
    {
        "time_zone": st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"]),
        "shortfall": st.sampled_from(["debt", "forgive"]),
        "expired_return_days": st.sampled_from([None, 5]),
        "reinstate_days": st.sampled_from([10, 90]),
        "adjust_limit": st.just(40),
    }
)

Key = tuple[str, str]
"""Whose account of what."""


@dataclass
class Request:
    """A request that was carried out, to be repeated."""

    key: Key
    idempotency_key: str
    post: Callable[[], Coroutine[Any, Any, Posting]]
    answer: Posting


class Bookkeeping(RuleBasedStateMachine):
    """Two books of the same members: the ledger's, and the model's. Rules are added by `rules.py`."""

    ledger: ClassVar[Ledger]
    steps: ClassVar[Counter[str]] = Counter()
    """How often each operation was carried out, and refused, in all examples."""

    def __init__(self) -> None:
        super().__init__()
        self.programme_id = uuid4()
        self.clock = START
        self.keys = 0
        self.ids: dict[str, UUID] = {name: uuid4() for name in NAMES}
        self.names = {member_id: name for name, member_id in self.ids.items()}
        self.accounts: dict[Key, Account] = {}
        self.state: dict[Key, AccountState] = {}
        self.expirations: dict[Key, list[int]] = {}
        self.requests: list[Request] = []
        self.answers: dict[str, Posting] = {}
        self.ledger.empty()

    @initialize(
        policies=st.tuples(POLICIES, POLICIES),
        expiries=st.tuples(EXPIRY, EXPIRY),
        miles_are_spendable=st.sampled_from([True, True, True, False]),
    )
    def begin(
        self, policies: tuple[dict[str, Any], ...], expiries: tuple[dict[str, Any], ...], miles_are_spendable: bool
    ) -> None:
        for code, policy, expiry in zip(CODES, policies, expiries, strict=True):
            spendable = code == "points" or miles_are_spendable
            unit = Unit(programme_id=self.programme_id, code=code, spendable=spendable, **policy, **expiry)
            self.ledger.run(define_unit(self.ledger.connection, unit))
            self.accounts |= {(name, code): Account(unit) for name in NAMES}
        self.ledger.set_clock(self.clock)

    def teardown(self) -> None:
        if self.accounts:
            self.sweep()
            self.compare()
            self.verify()
            self.ledger.really(audit.rebuild)
            rebuilt = self._look()
            different = {key: (rebuilt.get(key), was) for key, was in self.state.items() if rebuilt.get(key) != was}
            assert not different, f"what was rebuilt is not what was there: {different}"
            self._compare_books()

    def _compare_books(self) -> None:
        for code in CODES:
            expected: Counter[str] = Counter()
            for (_, unit), account in self.accounts.items():
                if unit == code:
                    expected.update(account.classes)
            found = self.ledger.run(
                books.trial_balance(self.ledger.connection, programme_id=self.programme_id, unit=code)
            )
            assert {row.account: row.balance for row in found if row.balance} == {
                name: balance for name, balance in expected.items() if balance
            }
            assert sum(row.balance for row in found) == 0

    # One step.

    def new_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def of(self, whose: Key, /, **arguments: Any) -> dict[str, Any]:
        """The arguments that say whose account."""
        return {"member_id": self.ids[whose[0]], "unit": whose[1], **arguments}

    def in_programme(self, whose: Key, /, **arguments: Any) -> dict[str, Any]:
        return self.of(whose, programme_id=self.programme_id, **arguments)

    def both(
        self,
        name: str,
        keys: Sequence[Key],
        model: Callable[[], Item],
        post: Callable[[], Coroutine[Any, Any, Any]],
    ) -> tuple[Any, Item] | None:
        """Ask both; answers what the ledger and the model said, or None where both refused for the same reason."""
        refused = expected = answer = result = None
        try:
            answer = self.ledger.run(post())
        except DomainError as error:
            refused = type(error).__name__
        try:
            result = model()
        except RefusedError as error:
            expected = str(error)
        assert refused == expected, f"{name} was refused as {refused}, and should be as {expected}"
        self.steps[f"{name} {refused or 'done'}"] += 1
        if refused is not None:
            assert self._look() == self.state, "what was refused has left something behind"
            # The ledger took back what time had brought by then, and the model did not.
            self._settle(keys, self._together(keys))
            return None
        self._advance(keys)
        self.compare()
        assert result is not None or answer is not None
        return answer, result  # type: ignore[return-value]

    def both_whole(
        self,
        name: str,
        keys: Sequence[Key],
        model: Callable[[], Item],
        post: Callable[[], Coroutine[Any, Any, Any]],
    ) -> tuple[Any, Item] | None:
        """The same for what makes several calls: all of them or none."""

        async def whole() -> Any:
            with self.ledger.transaction():
                return await post()

        return self.both(name, keys, model, whole)

    def post(
        self, name: str, key: Key, model: Callable[[], Item], post: Callable[..., Coroutine[Any, Any, Posting]]
    ) -> tuple[Posting, Item] | None:
        """One posting on one account; what it answered is remembered, so that it can be repeated."""
        return self.post_between(name, [key], model, post)

    def post_between(
        self,
        name: str,
        keys: Sequence[Key],
        model: Callable[[], Item],
        post: Callable[..., Coroutine[Any, Any, Posting]],
    ) -> tuple[Posting, Item] | None:
        """One posting on several accounts; the first one's answers."""
        idempotency_key = self.new_key()

        def request() -> Coroutine[Any, Any, Posting]:
            return post(key=idempotency_key, source="test")

        done = self.both(name, keys, model, request)
        if done is not None:
            self._compare_answer(keys[0], done[0])
            self.answered(Request(keys[0], idempotency_key, request, done[0]))
        return done

    def answered(self, request: Request) -> None:
        """Remember a request, so that it can be repeated."""
        self.requests.append(request)
        self.answers[request.idempotency_key] = request.answer

    def _compare_answer(self, key: Key, answer: Posting) -> None:
        state = self.state[key]
        assert (answer.posted, answer.pending, answer.held, answer.debt, answer.last_sequence, answer.recorded_at) == (
            state.posted,
            state.pending,
            state.held,
            state.debt,
            state.sequence,
            state.last_at,
        )
        assert not answer.replayed

    def _settle(self, keys: Sequence[Key], moment: datetime) -> None:
        """Write down what time has brought, on both sides."""
        self.ledger.set_clock(moment)
        for key in keys:
            self.accounts[key].begin(moment)
            self.ledger.run(posting.settle(self.ledger.connection, **self.of(key)))
        self.ledger.set_clock(self.clock)
        self._advance(keys)
        self.compare()

    def _together(self, keys: Sequence[Key]) -> datetime:
        """When something happens that two members do together: no earlier than the last entry of either."""
        return max([self.clock, *(last for key in keys if (last := self.accounts[key].last_at))])

    def _advance(self, keys: Sequence[Key]) -> None:
        """An account's clock moves with its entries, and only with them."""
        for account in (self.accounts[key] for key in keys):
            if account.moves:
                account.last_at = account.now

    def _look(self) -> dict[Key, AccountState]:
        """What the ledger holds, without what is new in it; where nothing is new, this is all."""
        seen = {f"{state.member_id}{state.unit}": state.sequence for state in self.state.values()}
        found = self.ledger.state(seen)
        return {(self.names[member_id], unit): state for (member_id, unit), state in found.items()}

    def compare(self) -> None:
        """Hold the whole ledger against the model, and what has moved in it since the last time."""
        found = self._look()
        for key, account in self.accounts.items():
            moves, account.moves = account.moves, Counter()
            if key not in found:
                assert not account.last_at, f"{key} is missing"
                continue
            state = found[key]
            different = {
                name: {"ledger": held, "model": expected}
                for name, expected in _holdings(account).items()
                if (held := getattr(state, name)) != expected
            }
            assert not different, f"{key}: {different}"
            moved: Counter[Any] = Counter()
            for entry in state.entries:
                moved[entry.kind, entry.debit, entry.credit, entry.effective_at] += entry.amount
            assert moved == moves, f"{key} moved in the ledger: {moved}, in the model: {moves}"
            _check_double_entry(account)
            expired = self.expirations.setdefault(key, [])
            expired += [entry.sequence for entry in state.entries if entry.kind == "expire"]
            assert len(expired) == len(account.expirations)
            found[key] = msgspec.structs.replace(state, entries=[])
        self.state = found

    # Time, and looking on.

    @rule(hours=st.integers(1, 40) | st.integers(1, 24 * 20))
    def time_passes(self, hours: int) -> None:
        self._set_clock(self.clock + timedelta(hours=hours))

    @rule(hours=st.integers(1, 48))
    def the_clock_steps_back(self, hours: int) -> None:
        self._set_clock(self.clock - timedelta(hours=hours))

    def _set_clock(self, moment: datetime) -> None:
        self.clock = moment
        self.ledger.set_clock(moment)

    def _catch_up(self) -> None:
        """Bring the clock to the latest entry: who only looks on does not go by the account's own clock."""
        latest = [account.last_at for account in self.accounts.values() if account.last_at]
        if latest and max(latest) > self.clock:
            self._set_clock(max(latest))

    @rule()
    def sweep(self) -> None:
        """Settle every account; a second sweep finds nothing to do."""
        self._catch_up()
        for account in self.accounts.values():
            account.begin(self.clock)
        self._advance(list(self.accounts))
        self.ledger.run(sweep(self.ledger.engine))
        self.compare()
        assert self.ledger.run(sweep(self.ledger.engine)).entries == 0

    @rule()
    def verify(self) -> None:
        """Everything follows from the entries, at any moment."""
        findings = self.ledger.really(audit.verify).findings
        assert not findings, [finding.problem for finding in findings]

    @rule(name=WHO)
    def look(self, name: str) -> None:
        """A member looks at balances, lots and history: what time has brought is never shown as not yet come."""
        self._catch_up()
        run, connection, member_id = self.ledger.run, self.ledger.connection, self.ids[name]
        for code in CODES:
            self.accounts[name, code].begin(self.clock)
        self._advance([(name, code) for code in CODES])
        shown = {balance.unit: balance for balance in run(reading.balances(connection, member_id=member_id))}
        self.compare()
        for code, balance in shown.items():
            account = self.accounts[name, code]
            assert (balance.spendable, balance.pending, balance.held, balance.debt) == (
                account.posted,
                account.pending,
                account.held,
                account.debt,
            )
            lots = run(reading.lots(connection, member_id=member_id, unit=code))
            assert [(lot.remaining, lot.expires_at) for lot in lots] == [
                (lot.remaining, lot.expires_at) for lot in account.open_lots
            ]
            history = run(reading.history(connection, member_ids=[member_id], unit=code, limit=200))
            assert sum(entry.change for entry in history) == account.posted or len(history) == reading.MOST_ENTRIES

    # Keys.

    @precondition(lambda self: self.requests)
    @rule(which=WHICH)
    def repeat(self, which: int) -> None:
        """A repeated request gets its first answer, whatever has happened since, and changes nothing."""
        request = latest(self.requests, which)
        again = self.ledger.run(request.post())
        assert again == msgspec.structs.replace(request.answer, replayed=True)
        assert self._look() == self.state

    @precondition(lambda self: self.requests)
    @rule(which=WHICH, code=WHAT)
    def use_a_key_for_something_else(self, which: int, code: str) -> None:
        request = latest(self.requests, which)
        key = request.key[0], code
        other = self.in_programme(key, amount=99, key=request.idempotency_key, source="test", rule_version="other")
        try:
            self.ledger.run(posting.claw_back(self.ledger.connection, **other))
        except DomainError as error:
            assert type(error).__name__ == "IdempotencyMismatchError"  # noqa: PT017  (raises in a rule says less)
        else:
            raise AssertionError("a key was taken for two requests")
        assert self._look() == self.state


def latest(items: Sequence[Item], which: int) -> Item:
    """One of a sequence, counted from its end."""
    return items[-1 - which % len(items)]


def _holdings(account: Account) -> dict[str, Any]:
    return {
        "posted": account.posted,
        "pending": account.pending,
        "held": account.held,
        "debt": account.debt,
        "last_at": account.last_at,
        "idle_expires_at": account.idle_expires_at,
        "expired": sum(lot.expired for lot in account.lots),
        "lots": [
            LotState(lot.remaining, lot.expires_at, lot.available_at, lot.priority, lot.pending)
            for lot in account.open_lots
        ],
        "holds": [HoldState(hold.amount, hold.captured, hold.released, hold.state) for hold in account.holds],
    }


def _check_double_entry(account: Account) -> None:
    """In the model, too, what is there is what moved."""
    classes = account.classes
    assert (classes["member"], classes["pending"], classes["held"], -classes["debt"]) == (
        account.posted,
        account.pending,
        account.held,
        account.debt,
    )
