"""What the till says when something is refused: what happened, and what to do next."""

from __future__ import annotations

from typing import Any

from loyalty.kit.errors import DomainError, InvalidInputError
from loyalty.web.i18n import Formats, Translator, catalogue


def refusal(error: DomainError, t: Translator, formats: Formats, *, currency: str) -> str:
    """The sentence for a refusal of the domain. One that a clerk can do nothing about is raised again.

    Members of the error that end in `_minor` are written as money of its own currency, or of the till's.
    """
    name = error.type.replace("-", "_")
    if isinstance(error, InvalidInputError):
        name = f"{error.field}_{error.members.get('reason', 'invalid')}"
    if f"pos.refused.{name}" not in catalogue(t.language):
        raise error
    return t(f"pos.refused.{name}", **_figures(error.members, t, formats, currency=currency))


def _figures(members: dict[str, Any], t: Translator, formats: Formats, *, currency: str) -> dict[str, str | int]:
    money = str(members.get("currency", currency))
    figures: dict[str, str | int] = {}
    for name, value in members.items():
        if name.endswith("_minor"):
            figures[name.removesuffix("_minor")] = formats.money(int(value), money)
        elif name == "state":
            figures[name] = t(f"pos.coupon_state.{value}")
        elif isinstance(value, int | str):
            figures[name] = value
    return figures
