"""Benefits as their pages show them: sentences, figures, history, and refusals in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError, NotFoundError
from loyalty.kit.quotas import Level
from loyalty.web.benefit_words import Names, conditions, gives, rules_of_giving, validity
from loyalty.web.console.benefits.form import FIELDS, FIGURES, fault_of, field_of
from loyalty.web.i18n import Formats, Translator, catalogue
from redemption.benefits.budgets import figures_of
from redemption.benefits.definition import Definition, read_definition
from redemption.benefits.templates import Change, Template

REFUSALS: Final = (ConflictError, InvalidInputError, NotFoundError)
"""What a page says in words instead of showing an error page."""
REFUSED: Final = 422


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A template in words, its draft where it has one, with how far it is used up, and its benefits by state."""

    template: Template
    gives: str
    told: list[str]
    rules: list[str]
    figures: dict[str, Level]
    states: dict[str, int]


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done: what, by whom, and the sentences that came and went by it."""

    change: Change
    detail: str
    come: list[str]
    gone: list[str]


_STATES: Final = text("SELECT state, count(*) FROM benefit WHERE template_id = :template GROUP BY state")


async def read_shown(
    connection: AsyncConnection, template: Template, t: Translator, formats: Formats, names: Names
) -> Shown:
    """Read what a page shows of a template."""
    of = template.draft or template.definition
    states = await connection.execute(_STATES, {"template": template.id})
    return Shown(
        template=template,
        gives=gives(of, t, formats),
        told=[*conditions(of, t, formats, names), validity(of.validity, t, formats)],
        rules=rules_of_giving(of, t, names),
        figures=await figures_of(connection, template.id),
        states={str(row[0]): int(row[1]) for row in states},
    )


def sentences(definition: Definition, t: Translator, formats: Formats, names: Names) -> list[str]:
    """All that a definition says."""
    return [
        definition.name[t.language],
        gives(definition, t, formats),
        *conditions(definition, t, formats, names),
        validity(definition.validity, t, formats),
        *rules_of_giving(definition, t, names),
    ]


def history_lines(
    changes: Sequence[Change], t: Translator, formats: Formats, names: Names, currency: str
) -> list[HistoryLine]:
    """What was done, newest first as it comes, each saving with what it changed of what stood before."""
    lines, before = [], list[str]()
    for change in reversed(changes):
        after = before
        if change.action in ("saved", "undone", "published") and change.after is not None:
            after = sentences(read_definition(change.after), t, formats, names)
        lines.append(
            HistoryLine(
                change=change,
                detail=_detail(change, t, formats, currency),
                come=[each for each in after if each not in before] if before else [],
                gone=[each for each in before if each not in after],
            )
        )
        before = after
    return lines[::-1]


def _detail(  # noqa: PLR0911  (one case an action)
    change: Change, t: Translator, formats: Formats, currency: str
) -> str:
    after: dict[str, Any] = change.after or {}
    match change.action:
        case "stock" if after.get("total") is not None:
            return t("benefits.detail.stock", n=after["total"])
        case "stock":
            return t("benefits.detail.no_stock")
        case "budget":
            told = [t("benefits.detail.uses", n=after["uses"])] if "uses" in after else []
            if "amount_minor" in after:
                told.append(t("benefits.detail.amount", amount=formats.money(after["amount_minor"], currency)))
            return " · ".join(told)
        case "codes":
            return t("benefits.detail.codes", n=after["added"])
        case "price":
            points = after.get("points")
            return t("common.points.count", n=points) if points else t("benefits.detail.no_price")
        case "issued" | "stopped" | "resumed" | "revoked":
            return str(after.get("name", ""))
        case _:
            return ""


def refusal(error: DomainError, t: Translator) -> str:
    """Why something cannot be, and at which field."""
    if isinstance(error, InvalidInputError):
        field = field_of(error.field)
        if field in (*FIELDS, *FIGURES) and field != "seen":
            return t("benefits.fix", field=t(f"benefits.label.{field}"), fault=t(f"benefits.fault.{fault_of(field)}"))
    for name in (str(error.members.get("reason", "")), error.type.replace("-", "_"), error.field or ""):
        if name and f"benefits.refused.{name}" in catalogue(t.language):
            figures = {key: value for key, value in error.members.items() if isinstance(value, int)}
            return t(f"benefits.refused.{name}", **figures)
    return t("benefits.refused.other", field=error.field or "–")
