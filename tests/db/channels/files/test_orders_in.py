from __future__ import annotations

import psycopg
import pytest

from loyalty.channels.files.assembling import WINDOW_ORDERS
from loyalty.channels.files.orders_in import BATCH_DOCUMENTS
from loyalty.channels.files.tally import Tally
from loyalty.kit.errors import InvalidInputError
from tests.db.channels.files.conftest import Shop

HEADER = "order,time,customer,amount"


async def test_orders_earn_what_the_policy_says_of_the_whole_order(shop: Shop) -> None:
    tally = await shop.orders(
        HEADER, "1,2024-01-01,9,0.60", "1,2024-01-01,9,0.60", "2,2024-01-02,9,5.99", "3,2024-01-03,8,0"
    )
    assert (tally.rows, tally.orders_posted, tally.members_created) == (4, 3, 2)
    assert tally.earned == {"points": 6}
    assert await shop.points() == [6]


async def test_orders_imported_again_post_nothing(shop: Shop) -> None:
    lines = [HEADER, "1,2024-01-01,9,10", "2,2024-01-02,8,20", "C3,2024-01-03,8,-30"]
    first = await shop.orders(*lines, cancellations="prefix")
    assert (first.orders_posted, first.cancellations_posted) == (2, 1)
    assert (first.earned, first.taken_back) == ({"points": 30}, {"points": 30})
    assert await shop.points() == [-10, 10], "more came back than there was: a debt"
    entries = await shop.count("ledger.entry")
    again = await shop.orders(*lines, cancellations="prefix")
    assert (again.orders_posted, again.orders_unchanged, again.cancellations_unchanged) == (0, 2, 1)
    assert (again.earned, again.taken_back, again.members_created) == ({}, {}, 0)
    assert await shop.count("ledger.entry") == entries


async def test_a_number_that_comes_again_with_other_lines_is_refused(shop: Shop) -> None:
    await shop.orders(HEADER, "1,2024-01-01,9,10")
    tally = await shop.orders(HEADER, "1,2024-01-01,9,10", "1,2024-01-01,9,5")
    assert (tally.orders_posted, tally.orders_refused, tally.lines_refused) == (0, 1, 2)
    assert "came before with another content" in shop.refused[0]
    assert shop.refused[1].endswith("belongs to a refused order; see line 2")
    assert await shop.points() == [10]


async def test_lines_too_far_apart_are_refused_and_not_posted_twice(shop: Shop) -> None:
    others = [f"x{number},2024-01-01,,1" for number in range(WINDOW_ORDERS)]
    tally = await shop.orders(HEADER, "1,2024-01-01,9,10", *others, "1,2024-01-01,9,5")
    assert (tally.orders_posted, tally.orders_refused, tally.orders_guest) == (1, 1, WINDOW_ORDERS)
    assert await shop.points() == [10]


async def test_a_cancellation_follows_its_customers_orders_of_the_file(shop: Shop) -> None:
    lines = ["a,2024-01-01,9,10", "Cb,2024-01-02,9,-10", "c,2024-01-03,9,5", "Cd,2024-01-04,9,-9"]
    await shop.orders(HEADER, *lines, cancellations="prefix")
    assert await shop.points() == [-4]


async def test_a_cancellation_that_names_its_order_waits_for_it(shop: Shop) -> None:
    header = "order,time,customer,amount,original"
    early = await shop.orders(header, "r1,2024-01-05,,-4,1", cancellations="sign")
    assert early.cancellations_waiting == 1
    late = await shop.orders(header, "1,2024-01-01,9,10,", cancellations="sign")
    assert (late.earned, late.taken_back) == ({"points": 10}, {"points": 4})
    assert await shop.points() == [6]


@pytest.mark.parametrize(
    ("choice", "posted", "guests", "refused", "members"),
    [("create", 2, 1, 0, 2), ("refuse", 1, 1, 1, 1), ("guest", 1, 2, 0, 1)],
)
async def test_orders_of_somebody_unknown(
    shop: Shop, choice: str, posted: int, guests: int, refused: int, members: int
) -> None:
    await shop.members("customer", "9")
    lines = ["1,2024-01-01,9,10", "2,2024-01-01,8,10", "3,2024-01-01,,10"]
    tally = await shop.orders(HEADER, *lines, unknown_customer=choice)  # type: ignore[arg-type]
    assert (tally.orders_posted, tally.orders_guest, tally.orders_refused) == (posted, guests, refused)
    assert await shop.count("member") == members
    if refused:
        assert shop.refused[0].split(",")[1:3] == ["3", "customer"]


async def test_a_refused_order_leaves_the_others_alone(shop: Shop) -> None:
    tally = await shop.orders(HEADER, "1,2024-01-01,9,10", "2,1969-07-20,9,10", "3,2024-01-01,9,10")
    assert (tally.orders_posted, tally.orders_refused) == (2, 1)
    assert shop.refused[0].split(",")[1:3] == ["3", "time"]


async def test_a_currency_that_is_not_the_channels_is_refused_at_once(shop: Shop) -> None:
    with pytest.raises(InvalidInputError, match="sells in CNY, the mapping says USD") as refused:
        await shop.orders(HEADER, "1,2024-01-01,9,10", currency="USD")
    assert refused.value.field == "currency"
    assert await shop.count("member") == 0


async def test_a_file_cut_short_posts_no_order_that_may_lack_lines(shop: Shop) -> None:
    lines = [HEADER, *(f"{number},2024-01-01,9,1" for number in range(WINDOW_ORDERS + BATCH_DOCUMENTS + 10))]
    cut = await shop.orders(*lines, cut_short=True)
    assert cut.problem is not None
    assert "cut short" in cut.problem
    assert 0 < cut.orders_posted <= len(lines) - 1 - WINDOW_ORDERS
    whole = await shop.orders(*lines)
    assert whole.orders_posted == len(lines) - 1 - cut.orders_posted
    assert await shop.points() == [len(lines) - 1]


async def test_a_stopped_import_goes_on_when_it_is_run_again(shop: Shop) -> None:
    lines = [HEADER, *(f"{number},2024-01-01,9,1" for number in range(3 * BATCH_DOCUMENTS))]
    shop.stop_when = lambda _tally: True
    stopped = await shop.orders(*lines)
    assert (stopped.stopped, stopped.orders_posted) == (True, BATCH_DOCUMENTS)
    shop.stop_when = lambda _tally: False
    again = await shop.orders(*lines)
    assert (again.orders_unchanged, again.orders_posted) == (BATCH_DOCUMENTS, 2 * BATCH_DOCUMENTS)
    assert await shop.points() == [3 * BATCH_DOCUMENTS]


async def test_an_import_outlives_the_loss_of_its_connections(shop: Shop) -> None:
    losses = []

    def lose_connections(_tally: Tally) -> bool:
        with psycopg.connect(shop.engine.url.set(drivername="postgresql").render_as_string(False)) as other:
            query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            losses.append(other.execute(f"{query} AND pid <> pg_backend_pid()").fetchone())
        return False

    shop.stop_when = lose_connections
    lines = [HEADER, *(f"{number},2024-01-01,9,1" for number in range(3 * BATCH_DOCUMENTS))]
    tally = await shop.orders(*lines)
    assert len(losses) > 2
    assert (tally.orders_posted, tally.orders_unchanged) == (3 * BATCH_DOCUMENTS, 0)
    await shop.engine.dispose()  # the last batch lost its connection as well
    assert await shop.points() == [3 * BATCH_DOCUMENTS]
