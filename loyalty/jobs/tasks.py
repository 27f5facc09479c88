"""The work that happens by itself, and when (in UTC).

Every task may be stopped, repeated and run twice at once: what is done is found done. None holds a long transaction,
but for the first closing of books that were long kept without one.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from procrastinate import App, JobContext
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.closing import close_books
from ledger.sweep import Swept, sweep
from loyalty.campaigns.draws.resealing import reseal_seeds
from loyalty.campaigns.draws.settling import draw_what_is_due
from loyalty.campaigns.giving import find_audience, give_on_birthdays, give_on_tier_entry
from loyalty.items.epcis.capturing import CAPTURE_TASK, unfinished_captures, work_on_capture
from loyalty.items.keys import MasterKeys
from loyalty.items.scan_log import keep_scan_log
from loyalty.items.trace.alerts import watch
from loyalty.items.trace.scan_days import count_scans
from loyalty.jobs.housekeeping import forget_what_is_over
from loyalty.jobs.sealing import seal_when_due
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.db import transaction
from loyalty.kit.programme import list_programmes
from loyalty.members.resealing import reseal
from loyalty.settings import Settings
from redemption.benefits.bulk import ISSUE_TASK, unfinished_issues, work_on_issue
from redemption.benefits.using import expire_due
from redemption.checkout.finishing import close_stale
from redemption.stale import sweep_all
from tiers.tending import tend_tiers

logger = logging.getLogger(__name__)
PARTS: Final = "parts"
PROGRESS_SECONDS: Final = 10.0
"""How often work that takes long says how far it is."""


@dataclass(frozen=True)
class Parts:
    """What tasks work with; the worker puts it into their context."""

    engine: AsyncEngine
    keyring: Keyring
    item_keys: MasterKeys
    settings: Settings


def _parts(context: JobContext) -> Parts:
    parts = context.additional_context[PARTS]
    assert isinstance(parts, Parts)  # noqa: S101  (the worker of this package put it there)
    return parts


async def settle(context: JobContext, timestamp: int) -> None:  # noqa: ARG001  (the scheduler's)
    """Each minute: expire points, free holds, make pending points spendable, close redemptions nobody finished."""
    engine = _parts(context).engine
    said_at = time.monotonic()

    def progress(swept: Swept) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= PROGRESS_SECONDS:
            said_at = time.monotonic()
            logger.info("settled %d accounts by %d entries so far", swept.accounts, swept.entries)

    swept = await sweep(engine, progress=progress)
    closed = await sweep_all(engine) + await close_stale(engine)
    await expire_due(engine)
    if swept.entries or closed:
        logger.info("settled %d accounts by %d entries, closed %d redemptions", swept.accounts, swept.entries, closed)


async def close_ledger(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Every two minutes: add up what has moved, so that reports read sums and few entries."""
    await close_books(_parts(context).engine)


async def close_ledger_thoroughly(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Once a day, comparing every account: a server's clock that was set back hides nothing for longer."""
    closing = await close_books(_parts(context).engine, thorough=True)
    if closing is not None:
        logger.info("closing %d took %d accounts", closing.number, closing.accounts)


async def review_tiers(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Each hour, because midnight comes at another hour in each time zone: let tier policies that took force meet the
    members, review those who are due, and warn those who soon will be.
    """
    engine = _parts(context).engine
    async with transaction(engine) as connection:
        programmes = await list_programmes(connection)
    for programme in programmes:
        for tended in await tend_tiers(engine, programme_id=programme.id, moment=utc_now()):
            logger.info("tiers of %s: %s", programme.code, tended)


async def keep_house(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Each hour: forget what is over, and seal anew what an older key of the keyring sealed."""
    parts = _parts(context)
    forgotten = await forget_what_is_over(parts.engine)
    if any(forgotten.values()):
        logger.info("forgot %s", forgotten)
    while True:
        async with transaction(parts.engine) as connection:
            resealed = await reseal(connection, parts.keyring) + await reseal_seeds(connection, parts.keyring)
        if resealed == 0:
            return


async def keep_scans(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Once a day: make the partitions of the scan log's months to come, and drop the months that are kept no longer."""
    parts = _parts(context)
    async with transaction(parts.engine) as connection:
        done = await keep_scan_log(connection, now=utc_now(), months=parts.settings.scan_log_months or None)
    if done:
        logger.info("the log of scans: %s", ", ".join(done))


async def seal_ledger(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Each five minutes: seal the ledger, if it is time to; what does not fit outside is an error in the log."""
    parts = _parts(context)
    published = await seal_when_due(parts.engine, parts.settings, now=utc_now())
    if published is None:
        return
    for problem in published.problems:
        logger.error("a seal does not fit: %s", problem)
    if published.seal is not None:
        logger.info("seal %d holds the heads of %d accounts", published.seal.number, published.seal.leaves)


async def capture_epcis(context: JobContext, capture_id: str) -> None:
    """Once for each document: check its events and keep them."""
    parts = _parts(context)
    await work_on_capture(parts.engine, UUID(capture_id), item_keys=parts.item_keys)


async def resume_captures(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Each minute: go on with documents whose worker died over them."""
    parts = _parts(context)
    for capture_id in await unfinished_captures(parts.engine):
        if await work_on_capture(parts.engine, capture_id, item_keys=parts.item_keys):
            logger.info("went on with the capture of document %s", capture_id)


async def watch_scans(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Every two minutes: count the scans since the last time by day, and raise what gives reason to look at."""
    parts = _parts(context)
    async with transaction(parts.engine) as connection:
        programmes = await list_programmes(connection)
    for programme in programmes:
        more = True
        while more:
            async with transaction(parts.engine) as connection:
                more = await count_scans(connection, programme)
        async with transaction(parts.engine) as connection:
            raised = await watch(connection, parts.item_keys, programme_id=programme.id)
        if raised:
            logger.info("raised %d alerts of %s", raised, programme.code)


async def issue_benefits(context: JobContext, issue_id: str) -> None:
    """Once for each issue: give its members theirs."""
    await _work_on_issue(_parts(context).engine, UUID(issue_id))


async def _work_on_issue(engine: AsyncEngine, issue_id: UUID) -> None:
    issue = await work_on_issue(engine, issue_id, find_audience=find_audience)
    if issue is not None:
        logger.info("issue %s is %s: %d of %s members", issue.id, issue.state, issue.issued, issue.total)


async def resume_issues(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Each minute: go on with issues whose worker died over them."""
    engine = _parts(context).engine
    async with transaction(engine) as connection:
        unfinished = await unfinished_issues(connection)
    for issue_id in unfinished:
        await _work_on_issue(engine, issue_id)


async def give_benefits(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Each five minutes: give what comes with a tier, and what comes before a birthday."""
    parts = _parts(context)
    given = await give_on_tier_entry(parts.engine)
    given += await give_on_birthdays(parts.engine, parts.keyring, now=utc_now())
    if given:
        logger.info("gave %d benefits for tiers and birthdays", given)


async def draw_prizes(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
    """Each minute: draw what has closed, and give the prizes that wait."""
    parts = _parts(context)
    given = await draw_what_is_due(parts.engine, parts.keyring)
    if given:
        logger.info("gave %d prizes", given)


SCHEDULE: Final = (
    (settle, "* * * * *"),
    (close_ledger, "*/2 * * * *"),
    (close_ledger_thoroughly, "29 3 * * *"),
    (seal_ledger, "*/5 * * * *"),
    (review_tiers, "17 * * * *"),
    (keep_house, "43 * * * *"),
    (keep_scans, "7 2 * * *"),
    (resume_captures, "* * * * *"),
    (resume_issues, "* * * * *"),
    (give_benefits, "*/5 * * * *"),
    (draw_prizes, "* * * * *"),
    (watch_scans, "*/2 * * * *"),
)


def register(app: App) -> None:
    """Give a queue our tasks and their hours. One of each waits at most: a slow one is not queued up behind itself."""
    for function, cron in SCHEDULE:
        name = function.__name__
        app.periodic(cron=cron)(app.task(name=name, queueing_lock=name, pass_context=True)(function))
    app.task(name=CAPTURE_TASK, pass_context=True)(capture_epcis)
    app.task(name=ISSUE_TASK, pass_context=True)(issue_benefits)
