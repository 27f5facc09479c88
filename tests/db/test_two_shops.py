"""The main job on two real shops: their records become one membership, and the books balance.

The records are read from `../shared/data` beside the checkout and are not part of the project.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.reading import balances, lots
from loyalty.channels.orders.reading import purchase_history
from loyalty.effects.measuring import effect_of
from loyalty.effects.subjects import list_subjects
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import create_engine
from loyalty.kit.programme import Programme, get_programme
from loyalty.members.directory import find_holders
from loyalty.members.identifiers import identity_key
from loyalty.members.identity import channel_identity
from loyalty.members.merge import merge, unmerge
from loyalty.runtime import KEYRING_FILE
from tests.conftest import _clone
from tests.db.plain_books import Books, Customer
from tests.db.plain_effects import Campaigns, newcombe, welch

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
MAPPINGS = ROOT / "docs" / "examples"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the two shops' records are not at {DATA}")

MEMBERS = 3_590


class Installation:
    """A database and a home, used through the command alone."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": str(home.parent / "compiled"),  # compiled once, not at each of twenty starts
            "DATABASE_URL": url,
            "TALLYSTAR_HOME": str(home),
        }

    def arguments(self, *words: str) -> list[str]:
        return [sys.executable, "-c", "from loyalty.cli import main; main()", *words]

    def run(self, *words: str) -> dict[str, Any]:
        """What the command answers as JSON; it must answer 0."""
        done = subprocess.run(
            self.arguments(*words, "--json"), env=self.environment, cwd=self.home, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def set_up(self) -> None:
        self.run("init", "--programme", "brand", "--name", "Brand", "--time-zone", "Europe/London", "--currency", "GBP")
        self.run("channel", "add", "online", "--name", "Online shop", "--kind", "online")
        self.run("channel", "add", "store", "--name", "Grocer", "--kind", "store", "--currency", "USD")

    def import_file(self, what: str, file: str, channel: str, mapping: str) -> dict[str, Any]:
        return self.run(*self.import_words(what, file, channel, mapping))

    def import_words(self, what: str, file: str, channel: str, mapping: str) -> list[str]:
        return ["import", what, str(DATA / file), "--channel", channel, "--mapping", str(MAPPINGS / mapping)]

    def import_members(self) -> list[dict[str, Any]]:
        return [
            self.import_file("members", "online_contacts.csv.gz", "online", "online-shop.toml"),
            self.import_file("members", "store_contacts.csv.gz", "store", "grocer.toml"),
        ]

    def import_orders(self) -> list[dict[str, Any]]:
        return [
            self.import_file("orders", "online_orders.csv.gz", "online", "online-shop.toml"),
            self.import_file("orders", "store_baskets.csv.gz", "store", "grocer.toml"),
        ]

    def import_campaigns(self) -> tuple[int, dict[str, Any]]:
        """Campaigns, who was sent them, what came back; the exit code, and the answer."""
        files = ("store_campaigns.csv.gz", "store_campaign_households.csv.gz", "store_coupon_redemptions.csv.gz")
        words = ["import", "campaigns", *(str(DATA / file) for file in files), "--channel", "store"]
        words += ["--mapping", str(MAPPINGS / "grocer.toml"), "--json"]
        done = subprocess.run(
            self.arguments(*words), env=self.environment, cwd=self.home, capture_output=True, check=False
        )
        return done.returncode, json.loads(done.stdout)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql).fetchall()

    def counts(self) -> dict[str, int]:
        tables = ("member", "member_identity", "purchase_order", "order_line", "refund", "tier_change", "ledger.entry")
        return {table: self.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables}

    def points(self) -> dict[UUID, int]:
        """What each account is worth: a debt is less than nothing."""
        return dict(self.query("SELECT member_id, posted - debt FROM ledger.account WHERE unit = 'points'"))


@pytest.fixture(scope="module")
def books() -> Books:
    return Books(DATA)


@contextmanager
def installation(server_url: str, template: str, home: Path) -> Iterator[Installation]:
    with _clone(server_url, template) as url:
        made = Installation(url, home)
        made.set_up()
        yield made


@pytest.fixture(scope="module")
def shops(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Both shops' members and orders, imported once."""
    with installation(server_url, template, tmp_path_factory.mktemp("home")) as made:
        made.import_members()
        made.import_orders()
        yield made


@pytest.fixture
async def connection(shops: Installation) -> Any:
    """A look at the imported shops that leaves nothing behind."""
    engine: AsyncEngine = create_engine(shops.url)
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


@pytest.fixture
async def programme(connection: AsyncConnection) -> Programme:
    return await get_programme(connection, "brand")


@pytest.fixture
def keyring(shops: Installation) -> Keyring:
    return Keyring.open(shops.home / "keys" / KEYRING_FILE)


async def members_of(
    connection: AsyncConnection, keyring: Keyring, programme: Programme, customers: list[Customer]
) -> dict[Customer, UUID]:
    """The member that each customer of a channel is."""
    keys = {
        (channel, number): identity_key(
            keyring, programme.id, channel_identity("customer", number, channel_code=channel)
        )
        for channel, number in customers
    }
    holders = await find_holders(connection, programme_id=programme.id, keys=keys.values())
    return {customer: holders[key].member_id for customer, key in keys.items()}


def test_both_shops_people_are_one_membership(shops: Installation, books: Books) -> None:
    assert len(books.people) == MEMBERS
    assert shops.query("SELECT count(*) FROM member WHERE state = 'active'") == [(MEMBERS,)]


async def test_each_persons_points_are_what_the_files_say(
    shops: Installation, books: Books, connection: AsyncConnection, keyring: Keyring, programme: Programme
) -> None:
    member_of = await members_of(connection, keyring, programme, list(books.parents))
    points = shops.points()
    seen = set()
    for customers in books.people.values():
        (member_id,) = {member_of[customer] for customer in customers}
        seen.add(member_id)
        assert points.get(member_id, 0) == books.points_of(customers), customers
    assert len(seen) == MEMBERS
    assert points.keys() <= seen
    assert any(value < 0 for value in points.values()), "a cancellation without its order leads into debt"


def test_every_document_is_kept_once(shops: Installation, books: Books) -> None:
    assert shops.query("SELECT count(*) FROM purchase_order") == [(books.posted,)]
    assert shops.query("SELECT count(*) FROM refund") == [(books.cancelled,)]


def test_the_ledger_verifies(shops: Installation) -> None:
    verified = shops.run("ledger", "verify")
    assert verified["passed"] is True
    assert verified["findings"] == []
    assert verified["entries"] > 30_000


def test_importing_everything_again_posts_nothing(shops: Installation, books: Books) -> None:
    before = shops.counts()
    for people in shops.import_members():
        assert people["members_created"] == people["members_joined"] == people["members_merged"] == 0
    online, store = shops.import_orders()
    for orders in (online, store):
        assert orders["orders_posted"] == orders["cancellations_posted"] == orders["orders_refused"] == 0
        assert orders["earned"] == orders["taken_back"] == {}
    assert online["orders_unchanged"] + store["orders_unchanged"] == books.posted
    assert online["cancellations_unchanged"] == books.cancelled
    assert shops.counts() == before


async def test_a_customer_of_both_shops_is_one_member_with_both_histories(
    books: Books, connection: AsyncConnection, keyring: Keyring, programme: Programme
) -> None:
    both = [
        customers for customers in books.people.values() if {channel for channel, _ in customers} == {"online", "store"}
    ]
    # Of the 582 households that shop online as well, 29 have no phone on record: nobody can tell.
    assert len({number for customers in both for channel, number in customers if channel == "store"}) == 553
    customers = next(customers for customers in both if all(books.documents[customer] for customer in customers))
    (member_id,) = set((await members_of(connection, keyring, programme, customers)).values())
    history = await purchase_history(connection, member_id=member_id, limit=200)
    bought = {(purchase.channel, purchase.external_id) for purchase in history}
    assert bought == {(customer[0], document) for customer in customers for document in books.documents[customer]}


async def test_merging_and_parting_two_members_conserves_points_and_lots(
    books: Books, connection: AsyncConnection, keyring: Keyring, programme: Programme
) -> None:
    richest = sorted(books.people.values(), key=books.points_of)[-2:]
    one, other = [
        (await members_of(connection, keyring, programme, customers[:1]))[customers[0]] for customers in richest
    ]

    async def owned(member_id: UUID) -> list[tuple[int, object, object]]:
        found = await lots(connection, member_id=member_id)
        return sorted((lot.remaining, str(lot.expires_at), lot.source) for lot in found)

    before = [await owned(one), await owned(other)]
    names: dict[str, Any] = {"programme_id": programme.id, "reason": "a test", "actor": "stf_1"}
    trail = await merge(connection, keyring, survivor_id=one, absorbed_id=other, key="test", **names)
    assert [part[0] for part in await owned(one)] == sorted(part[0] for lot in before for part in lot)
    assert await owned(other) == []
    (merged,) = await balances(connection, member_id=one)
    assert merged.spendable == books.points_of(richest[0]) + books.points_of(richest[1])
    await unmerge(connection, keyring, merge_id=trail.id, **names)
    assert [[part[0] for part in await owned(one)], [part[0] for part in await owned(other)]] == [
        [part[0] for part in lot] for lot in before
    ]


async def test_the_grocers_campaigns_show_what_plain_python_makes_of_the_files(
    shops: Installation, books: Books, connection: AsyncConnection, programme: Programme
) -> None:
    plain = Campaigns(DATA, books)
    code, told = shops.import_campaigns()
    assert (code == 0) == (plain.unknown == 0)
    assert told["lines_refused"] == plain.unknown
    assert told["campaigns_added"] == len(plain.days) == 27
    assert told["sends_added"] == sum(len(people) for people in plain.sent.values())
    assert told["uses_added"] == sum(len(uses) for uses in plain.uses.values())
    again = shops.import_campaigns()[1]
    assert again["campaigns_added"] == again["sends_added"] == again["uses_added"] == 0

    certain = 0
    for campaign in await list_subjects(connection, programme_id=programme.id):
        effect = await effect_of(connection, programme_id=programme.id, campaign_id=campaign.public_id)
        exposed, control = (plain.group(campaign.code, exposed=each) for each in (True, False))
        for sample, orders, group in (
            (effect.exposed, effect.exposed_orders, exposed),
            (effect.control, effect.control_orders, control),
        ):
            assert (sample.members, sample.buyers, orders) == (len(group.spent), group.buyers, sum(group.orders))
            assert sample.total_minor == sum(group.spent)
            assert sample.squares == sum(value * value for value in group.spent)
        assert effect.uses == len(plain.uses[campaign.code])
        assert effect.used == len({person for person, _ in plain.uses[campaign.code]})
        assert effect.revenue_with_minor == plain.revenue_with(campaign.code)
        assert not effect.held_out
        for found, (middle, low, high) in (
            (effect.spending, welch(exposed, control)),
            (effect.buying, newcombe(exposed, control)),
        ):
            assert found is not None
            assert found.estimate == pytest.approx(middle, rel=1e-9, abs=1e-9)
            assert found.low == pytest.approx(low, rel=1e-6)
            assert found.high == pytest.approx(high, rel=1e-6)
        certain += effect.spending is not None and effect.spending.certain
    assert certain > 0


def test_an_import_killed_half_way_and_run_again_ends_in_the_same_books(
    shops: Installation, server_url: str, template: str, tmp_path: Path
) -> None:
    with installation(server_url, template, tmp_path) as killed:
        killed.import_members()
        words = killed.import_words("orders", "online_orders.csv.gz", "online", "online-shop.toml")
        victim = subprocess.Popen(killed.arguments(*words), env=killed.environment, cwd=tmp_path)
        deadline = time.monotonic() + 60
        while killed.query("SELECT count(*) FROM purchase_order")[0][0] < 1_500:
            assert victim.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        victim.send_signal(signal.SIGKILL)
        assert victim.wait(10) == -signal.SIGKILL
        again = killed.import_file("orders", "online_orders.csv.gz", "online", "online-shop.toml")
        assert again["orders_unchanged"] >= 1_500
        assert again["orders_posted"] > 0
        assert killed.run("ledger", "verify")["passed"] is True
        assert online_books(killed) == online_books(shops)


def online_books(installation: Installation) -> list[tuple[Any, ...]]:
    """Every posting that the online shop caused: what it was for, and what it moved."""
    return installation.query("""
        SELECT source, kind, debit, credit, sum(amount), effective_at FROM ledger.entry
        WHERE source LIKE 'order:online/%' OR source LIKE 'cancellation:online/%'
        GROUP BY source, kind, debit, credit, effective_at ORDER BY source, kind, debit, credit
    """)
