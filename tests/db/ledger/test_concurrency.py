"""Many at once: entries follow each other in time, nobody spends what another has spent, nobody waits in a circle."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from ledger import posting, transfers
from ledger.batch import post_many
from ledger.errors import InsufficientBalanceError
from ledger.operations import Adjust, ClawBack, Earn, Operation, Spend
from ledger.posting import Posting, earn, spend
from ledger.reading import balance
from loyalty.kit.db import transaction
from loyalty.kit.errors import IdempotencyMismatchError, UnavailableError
from tests.db.ledger.racing import CLIENTS, Race, race_on

TURNS: Final = 30
KINDS: Final = (Earn, Spend, ClawBack)


async def test_postings_that_race_for_one_account_leave_books_that_verify(fresh_database_url: str) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(1, points=100)
        (member,) = race.members

        async def client() -> int:
            spent = 0
            for _ in range(TURNS):
                await race.earn(member, 1)
                try:
                    await race.spend(member, 3)
                    spent += 3
                except InsufficientBalanceError:
                    continue
            return spent

        spent = sum(await asyncio.gather(*(client() for _ in range(CLIENTS))))

        await race.check()
        async with transaction(race.engine) as connection:
            left = await balance(connection, member_id=member)
        assert left.spendable == 100 + CLIENTS * TURNS - spent


@pytest.mark.parametrize("kind", ["earn", "spend", "claw_back", "hold"])
async def test_one_key_sent_a_hundred_times_at_once_has_one_effect(fresh_database_url: str, kind: str) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(1, points=100)
        (member,) = race.members
        request: dict[str, Any] = {"programme_id": race.programme_id, "member_id": member, "amount": 10, "source": "x"}

        async def send() -> Posting:
            if kind == "hold":
                request["hold_id"], request["expires_at"] = uuid4(), (await _tomorrow(race))
            async with transaction(race.engine) as connection:
                answer: Posting = await getattr(posting, kind)(connection, key="the same", **request)
                return answer

        answers = await asyncio.gather(*(send() for _ in range(100)))

        assert Counter(answer.replayed for answer in answers) == {False: 1, True: 99}
        assert len({(answer.sequence, answer.posted, answer.held, answer.hold_id) for answer in answers}) == 1
        changes = await race.rows("SELECT count(*) FROM ledger.entry WHERE member_id = :member", member=member)
        assert changes == [(2,)]
        await race.check()


async def _tomorrow(race: Race) -> Any:
    return (await race.rows("SELECT ledger.clock() + interval '1 day'"))[0][0]


async def test_of_two_requests_under_one_key_at_once_one_is_refused(fresh_database_url: str) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(1)
        to: dict[str, Any] = {"programme_id": race.programme_id, "member_id": race.members[0], "source": "x"}

        async def send(amount: int) -> bool:
            try:
                async with transaction(race.engine) as connection:
                    await earn(connection, amount=amount, key="the same", **to)
            except IdempotencyMismatchError:
                return False
            return True

        done = await asyncio.gather(*(send(1 + number % 2) for number in range(40)))
        assert Counter(done) == {True: 20, False: 20}
        await race.check()


def some(chance: random.Random, members: list[UUID]) -> list[Operation]:
    """A batch in no order at all, over members of whom some have no account yet."""
    made: list[Operation] = []
    for member in chance.sample(members, 12):
        common: dict[str, Any] = {"member_id": member, "key": uuid4().hex, "source": "race", "amount": 1}
        if chance.random() < 0.2:
            made.append(Adjust(**common, reason="race", actor="stf_1"))
        else:
            made.append(chance.choice(KINDS)(**common))
    return made


async def test_batches_over_the_same_members_never_wait_in_a_circle(fresh_database_url: str) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(150)

        async def client(number: int) -> list[str]:
            chance = random.Random(number)  # noqa: S311  (a load, not a secret)
            failed: list[str] = []
            for _ in range(TURNS):
                try:
                    async with transaction(race.engine) as connection:
                        await post_many(connection, programme_id=race.programme_id, postings=some(chance, race.members))
                except UnavailableError as error:
                    failed.append(error.detail)
            return failed

        failed = await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        assert failed == [[]] * CLIENTS
        await race.check()


async def test_a_storm_of_transfers_mergers_and_batches_ends_without_a_deadlock(fresh_database_url: str) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(4, points=1000)
        pairs = [(a, b) for a in race.members for b in race.members if a != b]

        async def to_and_fro(giver: UUID, receiver: UUID) -> None:
            for _ in range(TURNS):
                await race.transfer(giver, receiver, 1)

        async def merge_and_part() -> None:
            for number in range(TURNS // 3):
                a, b = race.members[number % 2 : number % 2 + 2]
                async with transaction(race.engine) as connection:
                    await transfers.move_all(
                        connection,
                        programme_id=race.programme_id,
                        from_member_id=a,
                        to_member_id=b,
                        key=f"merge:{number}",
                        source=f"merge:{number}",
                    )
                async with transaction(race.engine) as connection:
                    await transfers.move_back(
                        connection,
                        programme_id=race.programme_id,
                        survivor_id=b,
                        absorbed_id=a,
                        moved_by=f"merge:{number}",
                        key=f"part:{number}",
                        source=f"part:{number}",
                    )

        async def batches() -> None:
            for _ in range(TURNS):
                async with transaction(race.engine) as connection:
                    earns = [
                        Earn(member_id=each, amount=1, key=uuid4().hex, source="race")
                        for each in reversed(race.members)
                    ]
                    await post_many(connection, programme_id=race.programme_id, postings=earns)

        results = await asyncio.gather(
            *(to_and_fro(*pair) for pair in pairs), merge_and_part(), batches(), batches(), return_exceptions=True
        )
        # A member who was just merged away has nothing to give: that is an answer. A deadlock is none.
        assert [each for each in results if each is not None and not isinstance(each, InsufficientBalanceError)] == []
        total = await race.rows("SELECT sum(posted) FROM ledger.account")
        assert total == [(4 * 1000 + 2 * TURNS * 4,)]
        await race.check()


async def test_who_spends_at_once_in_one_go_and_in_batches_never_spends_twice(fresh_database_url: str) -> None:
    async with race_on(fresh_database_url) as race:
        await race.begin(1, points=100)
        (member,) = race.members

        async def alone() -> int:
            try:
                async with transaction(race.engine) as connection:
                    await spend(
                        connection,
                        programme_id=race.programme_id,
                        member_id=member,
                        amount=7,
                        key=uuid4().hex,
                        source="x",
                    )
            except InsufficientBalanceError:
                return 0
            return 7

        async def together() -> int:
            spends = [Spend(member_id=member, amount=7, key=uuid4().hex, source="x") for _ in range(3)]
            async with transaction(race.engine) as connection:
                answers = await post_many(connection, programme_id=race.programme_id, postings=spends)
            return 7 * sum(isinstance(answer, Posting) for answer in answers)

        spent = sum(await asyncio.gather(*(alone() for _ in range(10)), *(together() for _ in range(6))))
        assert spent == 98
        await race.check()
