"""The rules of the state machine that post many at once: every item has its own answer, as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ledger import posting
from ledger.batch import post_many
from ledger.operations import (
    UNIT_POLICY,
    Adjust,
    Capture,
    ClawBack,
    Confirm,
    Earn,
    Hold,
    Operation,
    Release,
    Reverse,
    Spend,
)
from ledger.posting import Posting
from loyalty.kit.errors import DomainError
from tests.property.ledger.machine import AMOUNTS, LATE, WHAT, WHICH, WHO, Key, Request, latest
from tests.property.ledger.model import operations, undoing
from tests.property.ledger.model.accounts import RefusedError
from tests.property.ledger.model.operations import Posted
from tests.property.ledger.rules import Done, Held, Ledgers

TOMORROW: Final = -1
ON_AN_ACCOUNT: Final = ("spend", "adjust", "claw_back", "hold")
ON_A_HOLD: Final = ("capture", "release")
ON_A_POSTING: Final = ("reverse", "confirm")
ON_ANOTHER_ITEM: Final = ("again", "conflict")
KINDS = st.sampled_from(("earn",) * 8 + ON_AN_ACCOUNT + ON_A_HOLD + ON_A_POSTING + ON_ANOTHER_ITEM)
ITEMS = st.lists(st.tuples(KINDS, WHO, WHAT, WHICH, AMOUNTS, LATE | st.just(TOMORROW)), min_size=2, max_size=14)
"""What, whose, of what, which earlier one, how much, and how many days ago; tomorrow is a mistake."""


@dataclass
class Item:
    """One posting of a batch, for the ledger and for the model, and what to remember of it."""

    key: Key
    operation: Operation
    model: Callable[[], Any]
    remember: Callable[[Posting, Any], None] = lambda _answer, _result: None


class Batches(Ledgers):
    """Imports, campaigns, and the requests that a busy server takes together."""

    @rule(items=ITEMS, only_earns=st.booleans())
    def batch(self, items: list[tuple[str, str, str, int, int, int | None]], only_earns: bool) -> None:
        made: list[Item] = []
        for kind, name, code, which, amount, days in items:
            effective_at = self.clock - timedelta(days=days) if days else None
            key = self.account_of(name, code)
            made += self._items("earn" if only_earns else kind, key, which, amount, effective_at, made)
        self._post_many(made)

    @rule(name=WHO, code=WHAT, count=st.integers(9, 24), amount=st.integers(1, 3))
    def import_many(self, name: str, code: str, count: int, amount: int) -> None:
        """A year of small purchases: more lots than an account's own row holds."""
        key = self.account_of(name, code)
        self._post_many([self._earn_item(key, amount, None) for _ in range(count)])

    def _post_many(self, items: list[Item]) -> None:
        postings = [item.operation for item in items]
        answers = self.ledger.really(
            lambda connection: post_many(connection, programme_id=self.programme_id, postings=postings)
        )
        for item, answer in zip(items, answers, strict=True):
            if isinstance(answer, Posting) and answer.replayed:
                assert answer == msgspec.structs.replace(self.answers[item.operation.key], replayed=True)
                continue
            refused = None if isinstance(answer, Posting) else type(answer).__name__
            expected = result = None
            try:
                result = item.model()
            except RefusedError as error:
                expected = str(error)
            assert refused == expected, f"{item.operation} was refused as {refused}, and should be as {expected}"
            self.steps[f"{item.operation.kind} in a batch {refused or 'done'}"] += 1
            if not isinstance(answer, DomainError):
                self._advance([item.key])
                self._keep(item, answer, result)
        self._settle([key for key in self.accounts if any(item.key == key for item in items)], self.clock)

    def _keep(self, item: Item, answer: Posting, result: Any) -> None:
        account, operation = self.accounts[item.key], item.operation
        assert (answer.posted, answer.pending, answer.held, answer.debt, answer.recorded_at) == (
            account.posted,
            account.pending,
            account.held,
            account.debt,
            account.now,
        )
        self.answered(Request(item.key, operation.key, lambda: self._singly(operation), answer))
        item.remember(answer, result)

    def _singly(self, operation: Operation) -> Coroutine[Any, Any, Posting]:
        """The same request by itself: it has the answer that it had in the batch."""
        fields = msgspec.structs.asdict(operation)
        if operation.kind in ("earn", *ON_AN_ACCOUNT):
            fields["programme_id"] = self.programme_id
        post: Callable[..., Coroutine[Any, Any, Posting]] = getattr(posting, operation.kind)
        return post(self.ledger.connection, **fields)

    def _items(
        self, kind: str, key: Key, which: int, amount: int, effective_at: datetime | None, made: list[Item]
    ) -> list[Item]:
        """One item; none where there is nothing yet that it could be about."""
        if kind == "earn":
            return [self._earn_item(key, amount, effective_at)]
        if kind in ON_AN_ACCOUNT:
            return [self._account_item(kind, key, amount, effective_at)]
        if kind in ON_A_HOLD and self.holds:
            return [self._hold_item(kind, latest(self.holds, which), amount)]
        if kind in ON_A_POSTING and self.postings:
            return [self._posting_item(kind, latest(self.postings, which), amount)]
        if kind in ON_ANOTHER_ITEM and made:
            other = latest(made, which)
            return [other if kind == "again" else self._conflict(other)]
        return []

    def _common(self, key: Key) -> dict[str, Any]:
        return self.of(key, key=self.new_key(), source="batch")

    def _remember_posted(self, key: Key) -> Callable[[Posting, Posted], None]:
        return lambda answer, posted: self._remember(key, (answer, posted))

    def _earn_item(self, key: Key, amount: int, effective_at: datetime | None) -> Item:
        return Item(
            key,
            Earn(**self._common(key), amount=amount, effective_at=effective_at),
            lambda: operations.earn(
                self.accounts[key],
                self.clock,
                amount,
                expires_at=UNIT_POLICY,
                available_at=None,
                priority=0,
                effective_at=effective_at,
            ),
            self._remember_posted(key),
        )

    def _account_item(self, kind: str, key: Key, amount: int, effective_at: datetime | None) -> Item:
        account, common, remember = self.accounts[key], self._common(key), self._remember_posted(key)
        if kind == "spend":
            return Item(
                key,
                Spend(**common, amount=amount, effective_at=effective_at),
                lambda: operations.spend(account, self.clock, amount, effective_at=effective_at),
                remember,
            )
        if kind == "claw_back":
            return Item(
                key, ClawBack(**common, amount=amount), lambda: operations.claw_back(account, self.clock, amount)
            )
        if kind == "adjust":
            change = amount if effective_at is None else -amount
            return Item(
                key,
                Adjust(**common, amount=change, reason="a mistake", actor="stf_1", approved_by="stf_2"),
                lambda: operations.adjust(account, self.clock, change, approved=True),
                remember,
            )
        hold_id, expires_at = uuid4(), self.clock + timedelta(days=3)
        return Item(
            key,
            Hold(**common, amount=amount, hold_id=hold_id, expires_at=expires_at),
            lambda: operations.hold(account, self.clock, amount, expires_at),
            lambda _, hold: self.holds.append(Held(key, hold_id, hold)),
        )

    def _hold_item(self, kind: str, held: Held, amount: int) -> Item:
        account, common = self.accounts[held.key], self._common(held.key)
        if kind == "capture":
            return Item(
                held.key,
                Capture(**common, hold_id=held.hold_id, amount=amount),
                lambda: operations.capture(account, self.clock, held.hold, amount),
                self._remember_posted(held.key),
            )
        return Item(
            held.key,
            Release(**common, hold_id=held.hold_id, amount=amount),
            lambda: operations.release(account, self.clock, held.hold, amount),
        )

    def _posting_item(self, kind: str, done: Done, amount: int) -> Item:
        if kind == "confirm":
            return Item(
                done.key,
                Confirm(**self._common(done.key), sequence=done.sequence),
                lambda: operations.confirm(self.accounts[done.key], self.clock, done.lot),
            )
        key = self.account_of(*done.key)
        return Item(
            key,
            Reverse(
                **self._common(key),
                sequence=done.sequence,
                amount=amount,
                origin_member_id=self.ids[done.key[0]],
                accounts=list(self.ids.values()),
            ),
            lambda: undoing.reverse(self.accounts[key], self.clock, done.posted, amount),
        )

    def _conflict(self, item: Item) -> Item:
        """The key of another item for something else; it is free where that item was refused."""
        impossible = self.of(item.key, key=item.operation.key, source="batch", amount=-1_000_000)

        def refuse() -> None:
            if item.operation.key in self.answers:
                raise RefusedError("IdempotencyMismatchError")
            operations.adjust(self.accounts[item.key], self.clock, -1_000_000, approved=True)

        return Item(item.key, Adjust(**impossible, reason="x", actor="stf_1", approved_by="stf_2"), refuse)
