"""Stock of a template: unlimited, counted, or codes that were imported and are each handed out once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import ConflictError
from loyalty.kit.quotas import Key, QuotaSpentError, give, take
from redemption.benefits.budgets import UNITS, Unit, figures_of, get_budget, set_figures
from redemption.benefits.definition import Definition
from redemption.benefits.errors import OutOfBenefitsError
from redemption.benefits.tables import template_table
from redemption.benefits.templates import StockKind, Template, lock_template, note

MAX_CODE: Final = 200
LINES_AT_ONCE: Final = 5_000
REPORTED: Final = 100
"""Refused lines that are told one by one; the others are counted."""


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """How many codes were imported, and how many are still to be had."""

    imported: int
    free: int


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a file of codes that was not taken, and why: `duplicate`, `too_long` or `unprintable`."""

    line: int
    reason: str


class ImportedCodes(msgspec.Struct, kw_only=True):
    """What came of a file of codes."""

    lines: int = 0
    added: int = 0
    refused: int = 0
    examples: list[Refused] = []

    def refuse(self, line: int, reason: str) -> None:
        """Count a line out."""
        self.refused += 1
        if len(self.examples) < REPORTED:
            self.examples.append(Refused(line=line, reason=reason))


async def set_stock(
    connection: AsyncConnection, *, programme_id: UUID, code: str, kind: StockKind, total: int | None, actor: str
) -> None:
    """Say whether a template's stock is counted, and how many there may be in all, those given before included.

    Raises UnknownTemplateError, InvalidInputError, ConflictError where more was given already, or where it has codes.
    """
    template = await lock_template(connection, programme_id=programme_id, code=code)
    before = await figures_of(connection, template.id)
    if template.stock == "codes" and kind != "codes" and (await count_codes(connection, template.id)).imported:
        raise ConflictError("codes were imported: they are its stock", field="stock", reason="has_codes")
    figures: dict[Unit, int | None] = {"stock": total if kind == "counted" else None}
    await set_figures(connection, owner_id=template.id, programme_id=programme_id, figures=figures)
    await connection.execute(update(template_table).where(template_table.c.id == template.id).values(stock=kind))
    told = {"stock": template.stock, "total": before["stock"].total if "stock" in before else None}
    await note(connection, template.id, "stock", actor, before=told, after={"stock": kind, "total": total})


async def set_budget(
    connection: AsyncConnection,
    *,
    programme_id: UUID,
    code: str,
    actor: str,
    uses: int | None = None,
    amount_minor: int | None = None,
) -> None:
    """Say how often a template's may be used and how much they may take off, in all; None leaves it as it is.

    Raises UnknownTemplateError, InvalidInputError, ConflictError where more is used already.
    """
    template = await lock_template(connection, programme_id=programme_id, code=code)
    before = await figures_of(connection, template.id)
    figures: dict[Unit, int | None] = {"uses": uses, "amount_minor": amount_minor}
    await set_figures(connection, owner_id=template.id, programme_id=programme_id, figures=figures)
    told = {unit: before[unit].total for unit in UNITS if unit in before and unit != "stock"}
    after = {unit: total for unit, total in figures.items() if total is not None}
    await note(connection, template.id, "budget", actor, before=told, after=after)


async def take_from_stock(
    connection: AsyncConnection, template: Template, *, member_id: UUID, at: datetime
) -> str | None:
    """Count one off; answers the code that was imported for it, None where our own is to be made.

    Raises OutOfBenefitsError.
    """
    if template.stock == "unlimited":
        return None
    if template.stock == "counted":
        try:
            await take(connection, {Key(template.id, "stock"): 1})
        except QuotaSpentError as error:
            raise out_of(template.code, "stock") from error
        return None
    for statement in (_TAKE_FREE_CODE, _TAKE_ANY_CODE):
        row = (await connection.execute(statement, {"template": template.id, "member": member_id, "at": at})).first()
        if row is not None:
            return str(row.code)
    raise out_of(template.code, "codes")


def out_of(template_code: str, unit: str) -> OutOfBenefitsError:
    """The refusal where nothing is left."""
    return OutOfBenefitsError(f"none is left of {template_code!r}", field="template", unit=unit)


async def return_to_stock(connection: AsyncConnection, *, template_id: UUID) -> None:
    """Count one back on, where stock is counted. A code that was handed out is never handed out again."""
    await give(connection, {Key(template_id, "stock"): 1})


_TAKE: Final = """
    UPDATE benefit_code SET free = false, taken_by = :member, taken_at = :at
    WHERE template_id = :template AND code = (
        SELECT code FROM benefit_code WHERE template_id = :template AND free LIMIT 1 FOR UPDATE {skip})
    RETURNING code
"""
_TAKE_FREE_CODE: Final = text(_TAKE.format(skip="SKIP LOCKED"))
_TAKE_ANY_CODE: Final = text(_TAKE.format(skip=""))
"""Waits for those who are about to take the last ones: they may yet put them back."""


async def budget_owners(
    connection: AsyncConnection, *, programme_id: UUID, template_id: UUID, definition: Definition
) -> list[UUID]:
    """Whose quotas a use counts against: the template's own, and those of the budget it shares."""
    if definition.budget is None:
        return [template_id]
    return [template_id, (await get_budget(connection, programme_id=programme_id, code=definition.budget)).id]


def use_of(owner_ids: Iterable[UUID], amount_minor: int) -> dict[Key, int]:
    """What one use takes from the quotas of each owner."""
    return {
        Key(owner_id, unit): figure
        for owner_id in owner_ids
        for unit, figure in (("uses", 1), ("amount_minor", amount_minor))
    }


_COUNT_CODES: Final = text(
    "SELECT count(*) AS imported, count(*) FILTER (WHERE free) AS free FROM benefit_code WHERE template_id = :template"
)


async def count_codes(connection: AsyncConnection, template_id: UUID) -> Codes:
    """How many codes there are."""
    row = (await connection.execute(_COUNT_CODES, {"template": template_id})).one()
    return Codes(imported=row.imported, free=row.free)


async def left_of(connection: AsyncConnection, template: Template) -> int | None:
    """How many more of a template can be given, whatever its stock consists of; None where there is no end to it."""
    if template.stock == "codes":
        return (await count_codes(connection, template.id)).free
    level = (await figures_of(connection, template.id)).get("stock") if template.stock == "counted" else None
    return level.left if level is not None else None


_ADD_CODES: Final = text("""
    INSERT INTO benefit_code (template_id, code, programme_id)
    SELECT :template, code, :programme FROM unnest(CAST(:codes AS text[])) AS code
    ON CONFLICT (template_id, code) DO NOTHING
    RETURNING code
""")


async def import_codes(
    engine: AsyncEngine, *, programme_id: UUID, code: str, lines: AsyncIterator[str], actor: str
) -> ImportedCodes:
    """Import a file of codes, one a line, some thousands at a time; each lot is kept as soon as it is in.

    A code that the template has already, or that comes twice, is refused and the others are taken: a file whose import
    was cut off is imported again as it is. Empty lines are skipped. Raises UnknownTemplateError, ConflictError where
    the template gave something without codes.
    """
    async with transaction(engine) as connection:
        template = await lock_template(connection, programme_id=programme_id, code=code)
        if template.stock == "counted" and (await figures_of(connection, template.id))["stock"].taken:
            raise ConflictError("some were given from a counted stock", field="stock", reason="counted")
        values = update(template_table).where(template_table.c.id == template.id).values(stock="codes")
        await connection.execute(values)
    told = ImportedCodes()
    waiting: dict[str, int] = {}
    async for line in lines:
        told.lines += 1
        text_ = line.strip().lstrip("\ufeff")
        if not text_:
            continue
        if len(text_) > MAX_CODE:
            told.refuse(told.lines, "too_long")
        elif not text_.isprintable():
            told.refuse(told.lines, "unprintable")
        elif text_ in waiting:
            told.refuse(told.lines, "duplicate")
        else:
            waiting[text_] = told.lines
        if len(waiting) >= LINES_AT_ONCE:
            await _add(engine, template, waiting, told)
    await _add(engine, template, waiting, told)
    async with transaction(engine) as connection:
        await lock_template(connection, programme_id=programme_id, code=code)
        await note(connection, template.id, "codes", actor, after={"added": told.added, "refused": told.refused})
    return told


async def _add(engine: AsyncEngine, template: Template, waiting: dict[str, int], told: ImportedCodes) -> None:
    if not waiting:
        return
    parameters = {"template": template.id, "programme": template.programme_id, "codes": list(waiting)}
    async with transaction(engine) as connection:
        added = {row.code for row in await connection.execute(_ADD_CODES, parameters)}
    told.added += len(added)
    for code, line in waiting.items():
        if code not in added:
            told.refuse(line, "duplicate")
    waiting.clear()
