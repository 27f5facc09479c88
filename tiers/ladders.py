"""Tier ladders: what counts, over which window, from which threshold, and how a tier is lost again.

A programme publishes a ladder in versions. A published version is never changed, because members were moved under it;
another version takes its place from a stated moment on.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import InvalidInputError, NotFoundError
from tiers.tables import ladder_table, ladder_version_table

DEFAULT_LADDER: Final = "main"
"""The ladder that a programme has unless it names another."""

FULL_RATE_BP: Final = 10_000
"""Basis points of a rate of one to one."""

MAX_TIERS: Final = 50
MAX_GRACE_DAYS: Final = 366
MAX_WINDOW_MONTHS: Final = 120
MAX_OTHER_CURRENCIES: Final = 50
MAX_RATE_BP: Final = 1_000_000_000
MAX_THRESHOLD: Final = 10**15

_CODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")

DowngradePolicy = Literal["one_step", "to_matching", "never"]


class PointsMetric(msgspec.Struct, frozen=True, kw_only=True, tag="points"):
    """Counts points earned, with what refunds took back taken off."""

    def components(self) -> dict[str, int]:
        """The roll-up metrics that add up to this one, each with its rate in basis points."""
        return {"points": FULL_RATE_BP}


class GrowthMetric(msgspec.Struct, frozen=True, kw_only=True, tag="growth"):
    """Counts growth value, a unit that is never spent."""

    def components(self) -> dict[str, int]:
        """The roll-up metrics that add up to this one, each with its rate in basis points."""
        return {"growth": FULL_RATE_BP}


class SpendMetric(msgspec.Struct, frozen=True, kw_only=True, tag="spend"):
    """Counts money spent, in minor units of `currency`.

    Other currencies count at a fixed stated rate or not at all: `other_rates_bp[c]` is how many minor units of
    `currency` 10,000 minor units of `c` are worth. Each currency's window total is converted once and floored.
    """

    currency: str
    other_rates_bp: dict[str, int] = {}

    def components(self) -> dict[str, int]:
        """The roll-up metrics that add up to this one, each with its rate in basis points."""
        own = {f"spend:{self.currency}": FULL_RATE_BP}
        return own | {f"spend:{currency}": rate for currency, rate in sorted(self.other_rates_bp.items())}


Metric = PointsMetric | GrowthMetric | SpendMetric


class LifetimeWindow(msgspec.Struct, frozen=True, kw_only=True, tag="lifetime"):
    """Everything since the member's first day counts."""


class CalendarYearWindow(msgspec.Struct, frozen=True, kw_only=True, tag="calendar_year"):
    """What happened since 1 January counts; a tier holds until the end of the year after the one it was reached in."""


class RollingMonthsWindow(msgspec.Struct, frozen=True, kw_only=True, tag="rolling_months"):
    """The last `months` calendar months count; a tier holds for as many months from the day it was reached."""

    months: int


Window = LifetimeWindow | CalendarYearWindow | RollingMonthsWindow


class TierStep(msgspec.Struct, frozen=True, kw_only=True):
    """One rung: its code, its name by locale (`zh` and `en`), its rank (higher is better) and its threshold."""

    code: str
    name: dict[str, str]
    rank: int
    threshold: int


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """A whole ladder as a brand defines it. `tiers` rise in rank and threshold; the first one's threshold is 0."""

    code: str = DEFAULT_LADDER
    metric: Metric
    window: Window
    tiers: list[TierStep]
    grace_days: int = 0
    downgrade: DowngradePolicy = "one_step"

    @property
    def base(self) -> TierStep:
        """The tier every member starts in."""
        return self.tiers[0]

    def matching(self, value: int) -> TierStep:
        """The highest tier whose threshold `value` reaches; the base tier below all thresholds."""
        return next((tier for tier in reversed(self.tiers) if value >= tier.threshold), self.base)

    def above(self, tier: TierStep) -> TierStep | None:
        """The next tier up, or None at the top."""
        return next((other for other in self.tiers if other.rank > tier.rank), None)

    def below(self, tier: TierStep) -> TierStep:
        """The next tier down; the base tier stays."""
        return next((other for other in reversed(self.tiers) if other.rank < tier.rank), self.base)

    def tier(self, code: str, rank: int) -> TierStep:
        """The tier of a member placed by another version: by code, else the highest that does not exceed the rank."""
        by_code = next((tier for tier in self.tiers if tier.code == code), None)
        return by_code or next((tier for tier in reversed(self.tiers) if tier.rank <= rank), self.base)


class LadderVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A published ladder: its number, and the moment from which it is in force."""

    programme_id: UUID
    version: int
    ladder: Ladder
    effective_at: datetime
    published_at: datetime


def check_ladder(ladder: Ladder) -> None:
    """Refuse a ladder that makes no sense. Raises InvalidInputError naming the field."""
    if not _CODE.fullmatch(ladder.code):
        raise InvalidInputError("a code is lower-case letters, digits and hyphens, at most 40", field="code")
    if not 0 <= ladder.grace_days <= MAX_GRACE_DAYS:
        raise InvalidInputError(f"grace is 0 to {MAX_GRACE_DAYS} days", field="grace_days")
    if isinstance(ladder.window, RollingMonthsWindow) and not 1 <= ladder.window.months <= MAX_WINDOW_MONTHS:
        raise InvalidInputError(f"a window is 1 to {MAX_WINDOW_MONTHS} months", field="window.months")
    if isinstance(ladder.metric, SpendMetric):
        _check_spend(ladder.metric)
    _check_tiers(ladder.tiers)


def _check_spend(metric: SpendMetric) -> None:
    if not _CURRENCY.fullmatch(metric.currency):
        message = f"{metric.currency!r} is not an ISO 4217 currency code, such as CNY"
        raise InvalidInputError(message, field="metric.currency")
    if len(metric.other_rates_bp) > MAX_OTHER_CURRENCIES:
        raise InvalidInputError(f"at most {MAX_OTHER_CURRENCIES} other currencies", field="metric.other_rates_bp")
    for currency, rate_bp in metric.other_rates_bp.items():
        field = f"metric.other_rates_bp.{currency}"
        if not _CURRENCY.fullmatch(currency) or currency == metric.currency:
            raise InvalidInputError("another ISO 4217 currency code than the ladder's own is needed", field=field)
        if not 1 <= rate_bp <= MAX_RATE_BP:
            raise InvalidInputError(f"a rate is 1 to {MAX_RATE_BP} basis points", field=field)


def _check_tiers(tiers: list[TierStep]) -> None:
    if not 1 <= len(tiers) <= MAX_TIERS:
        raise InvalidInputError(f"a ladder has 1 to {MAX_TIERS} tiers", field="tiers")
    if tiers[0].threshold != 0:
        raise InvalidInputError("the first tier is everybody's: its threshold is 0", field="tiers[0].threshold")
    if len({tier.code for tier in tiers}) != len(tiers):
        raise InvalidInputError("two tiers have the same code", field="tiers")
    for index, tier in enumerate(tiers):
        _check_tier(tier, field=f"tiers[{index}]")
        if index and tier.rank <= tiers[index - 1].rank:
            raise InvalidInputError("ranks rise from tier to tier", field=f"tiers[{index}].rank")
        if index and tier.threshold <= tiers[index - 1].threshold:
            raise InvalidInputError("thresholds rise from tier to tier", field=f"tiers[{index}].threshold")


def _check_tier(tier: TierStep, *, field: str) -> None:
    if not _CODE.fullmatch(tier.code):
        raise InvalidInputError("a code is lower-case letters, digits and hyphens, at most 40", field=f"{field}.code")
    for locale in ("zh", "en"):
        if not tier.name.get(locale, "").strip():
            raise InvalidInputError("a name in Chinese and in English is needed", field=f"{field}.name.{locale}")
    if tier.threshold > MAX_THRESHOLD:
        raise InvalidInputError(f"a threshold is at most {MAX_THRESHOLD}", field=f"{field}.threshold")


async def publish_ladder(
    connection: AsyncConnection, *, programme_id: UUID, ladder: Ladder, effective_at: datetime | None = None
) -> LadderVersion:
    """Publish the next version of a ladder, in force from `effective_at` (now, unless given).

    A ladder equal to the newest version is that version: nothing is published twice. Raises InvalidInputError for a
    ladder that makes no sense, or one that would take force before the version it follows.
    """
    check_ladder(ladder)
    key = {"programme_id": programme_id, "code": ladder.code}
    await connection.execute(insert(ladder_table).values(key).on_conflict_do_nothing())
    lock = select(func.now()).select_from(ladder_table).filter_by(**key).with_for_update()
    now = (await connection.execute(lock)).scalar_one()
    newest = await _newest(connection, programme_id, ladder.code)
    if newest is not None and newest.ladder == ladder and effective_at is None:
        return newest
    start = effective_at or now
    if newest is not None and start <= newest.effective_at:
        message = (
            f"version {newest.version} is in force from {newest.effective_at.isoformat()}; this one must follow it"
        )
        raise InvalidInputError(message, field="effective_at")
    row = await connection.execute(
        insert(ladder_version_table)
        .values(
            programme_id=programme_id,
            ladder_code=ladder.code,
            version=newest.version + 1 if newest else 1,
            definition=ladder,
            effective_at=start,
        )
        .returning(ladder_version_table)
    )
    return read_version(row.one())


async def _newest(connection: AsyncConnection, programme_id: UUID, ladder_code: str) -> LadderVersion | None:
    query = (
        select(ladder_version_table)
        .filter_by(programme_id=programme_id, ladder_code=ladder_code)
        .order_by(ladder_version_table.c.version.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return read_version(row) if row else None


def read_version(row: Row[Any]) -> LadderVersion:
    """Read a row of `ladder_version`."""
    return LadderVersion(
        programme_id=row.programme_id,
        version=row.version,
        ladder=msgspec.convert(row.definition, Ladder),
        effective_at=row.effective_at,
        published_at=row.published_at,
    )


async def ladder_at(
    connection: AsyncConnection, *, programme_id: UUID, moment: datetime, ladder_code: str = DEFAULT_LADDER
) -> LadderVersion | None:
    """The version in force at a moment, or None where the programme has no such ladder.

    The first version also governs the time before it, so that a brand's older orders count as they are imported.
    """
    in_force = ladder_version_table.c.effective_at <= moment
    query = (
        select(ladder_version_table)
        .filter_by(programme_id=programme_id, ladder_code=ladder_code)
        .order_by(in_force.desc(), func.abs(func.extract("epoch", ladder_version_table.c.effective_at - moment)))
        .limit(1)
    )
    row = (await connection.execute(query)).first()
    return read_version(row) if row else None


async def get_ladder_version(
    connection: AsyncConnection, *, programme_id: UUID, version: int, ladder_code: str = DEFAULT_LADDER
) -> LadderVersion:
    """A version by its number, such as the one a tier change is pinned to. Raises NotFoundError."""
    query = select(ladder_version_table).filter_by(programme_id=programme_id, ladder_code=ladder_code, version=version)
    row = (await connection.execute(query)).first()
    if row is None:
        message = f"ladder {ladder_code!r} has no version {version}"
        raise NotFoundError(message, field="version")
    return read_version(row)


async def list_ladder_versions(
    connection: AsyncConnection, *, programme_id: UUID, ladder_code: str = DEFAULT_LADDER
) -> list[LadderVersion]:
    """All versions of a ladder, newest first."""
    query = (
        select(ladder_version_table)
        .filter_by(programme_id=programme_id, ladder_code=ladder_code)
        .order_by(ladder_version_table.c.version.desc())
    )
    return [read_version(row) for row in await connection.execute(query)]
