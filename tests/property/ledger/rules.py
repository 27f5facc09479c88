"""The rules of the state machine: every operation of the ledger, on several members and units, merged and parted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ledger import posting, transfers
from ledger.operations import ON_EVENT, UNIT_POLICY, Expiry
from ledger.posting import Posting
from tests.property.ledger.machine import (
    AMOUNTS,
    CODES,
    DAYS,
    EARNED,
    LATE,
    PARTS,
    START,
    WHAT,
    WHICH,
    WHO,
    Bookkeeping,
    Key,
    latest,
)
from tests.property.ledger.model import joining, operations, undoing
from tests.property.ledger.model.accounts import Hold, Lot, RefusedError
from tests.property.ledger.model.joining import Merge
from tests.property.ledger.model.operations import Posted

NEVER_BY_ITSELF: Final = datetime.max.replace(tzinfo=START.tzinfo)
"""When points that wait for an event become available."""


@dataclass
class Done:
    """A posting that can be reversed, and the lot that it opened."""

    key: Key
    sequence: int
    posted: Posted
    lot: Lot | None = None


@dataclass
class Held:
    """A hold that can be captured or released."""

    key: Key
    hold_id: UUID
    hold: Hold


@dataclass
class Joined:
    """A merge that can be undone."""

    absorbed: str
    survivor: str
    source: str
    merges: dict[str, Merge]


class Ledgers(Bookkeeping):
    """Members earn, spend, hold, give and get back; staff adjust, merge and part; time passes and steps back."""

    def __init__(self) -> None:
        super().__init__()
        self.postings: list[Done] = []
        self.holds: list[Held] = []
        self.joined: list[Joined] = []

    def account_of(self, name: str, code: str) -> Key:
        """Whose account it is today: of whom the member was merged into."""
        survivors = {joined.absorbed: joined.survivor for joined in self.joined}
        while name in survivors:
            name = survivors[name]
        return name, code

    def account_with_points(self, which: int) -> Key:
        """An account that has points to spend, where there is one."""
        living = {self.account_of(*key): None for key in self.accounts}
        return latest([key for key in living if self.accounts[key].posted] or list(living), which)

    def _remember(self, key: Key, done: tuple[Posting, Posted] | None) -> None:
        if done is not None:
            answer, posted = done
            lot = self.accounts[key].lots[-1] if posted.root is not None else None
            self.postings.append(Done(key, answer.sequence, posted, lot))

    # Members and tills.

    @rule(
        name=WHO,
        code=WHAT,
        amount=EARNED,
        lasts=st.sampled_from([UNIT_POLICY, UNIT_POLICY, None, 4, 15, 40]),
        waits=st.sampled_from([None, None, None, None, ON_EVENT, 3, 20]),
        priority=st.sampled_from([0, 0, 1]),
        late=LATE,
    )
    def earn(
        self, name: str, code: str, amount: int, lasts: Any, waits: int | str | None, priority: int, late: int | None
    ) -> None:
        expires_at: Expiry = self.clock + timedelta(days=lasts) if isinstance(lasts, int) else lasts
        waits_until = self.clock + timedelta(days=waits) if isinstance(waits, int) else None
        effective_at = self.clock - timedelta(days=late) if late else None
        self._earn(
            self.account_of(name, code),
            amount,
            expires_at=expires_at,
            priority=priority,
            effective_at=effective_at,
            available_at=NEVER_BY_ITSELF if waits == ON_EVENT else waits_until,
        )

    @rule(name=WHO, code=WHAT, amount=EARNED)
    def earn_plainly(self, name: str, code: str, amount: int) -> None:
        self._earn(
            self.account_of(name, code),
            amount,
            expires_at=UNIT_POLICY,
            priority=0,
            effective_at=None,
            available_at=None,
        )

    def _earn(self, key: Key, amount: int, *, available_at: datetime | None, **terms: Any) -> None:
        wait: Any = ON_EVENT if available_at == NEVER_BY_ITSELF else available_at
        done = self.post(
            "earn",
            key,
            lambda: operations.earn(self.accounts[key], self.clock, amount, available_at=available_at, **terms),
            lambda **request: posting.earn(
                self.ledger.connection, **self.in_programme(key, amount=amount, available_at=wait, **terms, **request)
            ),
        )
        self._remember(key, done)

    @precondition(lambda self: self.postings)
    @rule(which=WHICH)
    def confirm(self, which: int) -> None:
        done = latest([each for each in self.postings if each.lot and each.lot.available_at] or self.postings, which)
        self.post(
            "confirm",
            done.key,
            lambda: operations.confirm(self.accounts[done.key], self.clock, done.lot),
            lambda **request: posting.confirm(
                self.ledger.connection, **self.of(done.key, sequence=done.sequence, **request)
            ),
        )

    @rule(which=WHICH, amount=AMOUNTS, late=LATE)
    def spend(self, which: int, amount: int, late: int | None) -> None:
        key = self.account_with_points(which)
        effective_at = self.clock - timedelta(days=late) if late else None
        done = self.post(
            "spend",
            key,
            lambda: operations.spend(self.accounts[key], self.clock, amount, effective_at=effective_at),
            lambda **request: posting.spend(
                self.ledger.connection, **self.in_programme(key, amount=amount, effective_at=effective_at, **request)
            ),
        )
        self._remember(key, done)

    @rule(which=WHICH, amount=AMOUNTS, lasts=DAYS)
    def hold(self, which: int, amount: int, lasts: int) -> None:
        key, hold_id, expires_at = self.account_with_points(which), uuid4(), self.clock + timedelta(days=lasts)
        done = self.post(
            "hold",
            key,
            lambda: operations.hold(self.accounts[key], self.clock, amount, expires_at),
            lambda **request: posting.hold(
                self.ledger.connection,
                **self.in_programme(key, amount=amount, hold_id=hold_id, expires_at=expires_at, **request),
            ),
        )
        if done is not None:
            self.holds.append(Held(key, hold_id, done[1]))

    @precondition(lambda self: self.holds)
    @rule(which=WHICH, amount=PARTS)
    def capture(self, which: int, amount: int | None) -> None:
        held = latest(self.holds, which)
        done = self.post(
            "capture",
            held.key,
            lambda: operations.capture(self.accounts[held.key], self.clock, held.hold, amount),
            lambda **request: posting.capture(
                self.ledger.connection, **self.of(held.key, hold_id=held.hold_id, amount=amount, **request)
            ),
        )
        self._remember(held.key, done)

    @precondition(lambda self: self.holds)
    @rule(which=WHICH, amount=PARTS)
    def release(self, which: int, amount: int | None) -> None:
        held = latest(self.holds, which)
        self.post(
            "release",
            held.key,
            lambda: operations.release(self.accounts[held.key], self.clock, held.hold, amount),
            lambda **request: posting.release(
                self.ledger.connection, **self.of(held.key, hold_id=held.hold_id, amount=amount, **request)
            ),
        )

    # Undoing, by staff and channels.

    @precondition(lambda self: self.postings)
    @rule(which=WHICH, amount=PARTS)
    def reverse(self, which: int, amount: int | None) -> None:
        """Whose posting it was may have been merged away: then the survivor pays or receives."""
        done = latest(self.postings, which)
        key = self.account_of(*done.key)
        self.post(
            "reverse",
            key,
            lambda: undoing.reverse(self.accounts[key], self.clock, done.posted, amount),
            lambda **request: posting.reverse(
                self.ledger.connection,
                **self.of(key, sequence=done.sequence, amount=amount, **request),
                origin_member_id=self.ids[done.key[0]],
                accounts=list(self.ids.values()),
            ),
        )

    @rule(name=WHO, code=WHAT, amount=AMOUNTS)
    def claw_back(self, name: str, code: str, amount: int) -> None:
        key = self.account_of(name, code)
        self.post(
            "claw_back",
            key,
            lambda: operations.claw_back(self.accounts[key], self.clock, amount),
            lambda **request: posting.claw_back(
                self.ledger.connection, **self.in_programme(key, amount=amount, **request)
            ),
        )

    @rule(name=WHO, code=WHAT, amount=AMOUNTS, takes=st.booleans(), second=st.sampled_from([None, "stf_1", "stf_2"]))
    def adjust(self, name: str, code: str, amount: int, takes: bool, second: str | None) -> None:
        key, change = self.account_of(name, code), -amount if takes else amount
        by_hand = {"reason": "a mistake", "actor": "stf_1", "approved_by": second}
        done = self.post(
            "adjust",
            key,
            lambda: operations.adjust(self.accounts[key], self.clock, change, approved=second == "stf_2"),
            lambda **request: posting.adjust(
                self.ledger.connection, **self.in_programme(key, amount=change, **by_hand, **request)
            ),
        )
        self._remember(key, done)

    @precondition(lambda self: any(self.expirations.values()))
    @rule(which=WHICH, amount=PARTS, lasts=st.none() | st.integers(-1, 40))
    def reinstate(self, which: int, amount: int | None, lasts: int | None) -> None:
        expired = [
            (key, sequence, self.accounts[key].expirations[place])
            for key, sequences in self.expirations.items()
            for place, sequence in enumerate(sequences)
            if key == self.account_of(*key)
        ]
        if not expired:
            return
        key, sequence, expiration = latest(expired, which)
        expires_at = None if lasts is None else self.clock + timedelta(days=lasts)
        self.post(
            "reinstate",
            key,
            lambda: undoing.reinstate(self.accounts[key], self.clock, expiration, amount, expires_at),
            lambda **request: posting.reinstate(
                self.ledger.connection,
                **self.of(key, sequence=sequence, amount=amount, expires_at=expires_at, **request),
            ),
        )

    # Two members.

    @rule(which=WHICH, to=WHO, amount=AMOUNTS)
    def transfer(self, which: int, to: str, amount: int) -> None:
        key = self.account_with_points(which)
        code, other = key[1], self.account_of(to, key[1])
        arguments: dict[str, Any] = {
            "programme_id": self.programme_id,
            "from_member_id": self.ids[key[0]],
            "to_member_id": self.ids[other[0]],
            "unit": code,
            "amount": amount,
        }
        self.post_between(
            "transfer",
            [key, other],
            lambda: joining.transfer(self.accounts[key], self.accounts[other], self.clock, amount),
            lambda **request: transfers.transfer(self.ledger.connection, **arguments, **request),
        )

    @rule(name=WHO, into=WHO)
    def merge(self, name: str, into: str) -> None:
        """Two members were one person all the time."""
        absorbed, survivor = self.account_of(name, "")[0], self.account_of(into, "")[0]
        if absorbed == survivor:
            return
        codes = [code for code in CODES if (absorbed, code) in self.state]
        source = f"merge:{self.new_key()}"

        def model() -> dict[str, Merge]:
            for code in codes:
                for side in (absorbed, survivor):
                    self.accounts[side, code].begin(max(self.clock, *self._last(absorbed, survivor, code)))
                if self.accounts[absorbed, code].held:
                    raise RefusedError("OpenHoldsError")
            return {
                code: joining.merge(self.accounts[absorbed, code], self.accounts[survivor, code], self.clock)
                for code in codes
            }

        done = self.both_whole(
            "merge",
            [(name, code) for code in codes for name in (absorbed, survivor)],
            model,
            lambda: transfers.move_all(
                self.ledger.connection,
                programme_id=self.programme_id,
                from_member_id=self.ids[absorbed],
                to_member_id=self.ids[survivor],
                key=source,
                source=source,
            ),
        )
        if done is not None:
            self.joined.append(Joined(absorbed, survivor, source, done[1]))

    def _last(self, absorbed: str, survivor: str, code: str) -> list[datetime]:
        return [self.accounts[name, code].last_at or self.clock for name in (absorbed, survivor)]

    @precondition(lambda self: self.joined)
    @rule(which=WHICH)
    def unmerge(self, which: int) -> None:
        """It was a mistake. While the survivor is merged away itself, the earlier merge waits."""
        merged = {joined.absorbed for joined in self.joined}
        joined = latest([each for each in self.joined if each.survivor not in merged], which)
        absorbed, survivor = joined.absorbed, joined.survivor
        codes = [code for code in CODES if (absorbed, code) in self.state]
        key = self.new_key()

        def model() -> bool:
            for code in codes:
                done = joined.merges.get(code, Merge())
                joining.unmerge(self.accounts[absorbed, code], self.accounts[survivor, code], self.clock, done)
            return True

        self.both_whole(
            "unmerge",
            [(name, code) for code in codes for name in (absorbed, survivor)],
            model,
            lambda: transfers.move_back(
                self.ledger.connection,
                programme_id=self.programme_id,
                survivor_id=self.ids[survivor],
                absorbed_id=self.ids[absorbed],
                moved_by=joined.source,
                key=key,
                source=key,
            ),
        )
        self.joined.remove(joined)
