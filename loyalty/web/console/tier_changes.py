"""What changed between two tier policies, as lines that a manager reads: the names of the form, and its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from loyalty.web.console.tier_labels import Labels
from loyalty.web.i18n import Formats, Translator
from loyalty.web.tier_words import factor_text
from tiers.policies import TierPolicy
from tiers.versions import fields_of

_CHOICES: Final = ("upgrade", "downgrade", "requalification", "refunds", "at_start")
_TYPES: Final = {"keep": "edit.keep", "window": "edit.window", "metric": "metric"}
_METRIC: Final = ("type", "currency")
_NOTHING: Final = "–"


def _choice(t: Translator, field: str, value: str) -> str:
    return t(f"tier_policies.{field}.{value}")


class ChangeLines:
    """The words for changes of a policy. `policy` says what a condition counts where its own change does not."""

    def __init__(self, t: Translator, formats: Formats, policy: TierPolicy, *, currency: str) -> None:
        self._t, self._formats, self._currency = t, formats, currency
        self._labels = Labels(t, policy, currency=currency)
        self._fields = fields_of(policy)
        self._write: dict[str, Callable[[Any], str]] = {
            **{name: partial(_choice, t, name) for name in _CHOICES},
            "rule": partial(_choice, t, "edit"),
            "benefit_cost_minor": partial(formats.money, currency=currency),
            "earn_rate_bp": lambda value: f"×{factor_text(value)}",
            "soft_landing_bp": formats.percent,
        }

    def of(self, changes: Mapping[str, Sequence[Any]]) -> list[tuple[str, str, str]]:
        """Each changed field's name with its value before and after, in the order of their paths."""
        told = [
            (self._labels.of(path), self._value(path, changes, 0), self._value(path, changes, 1))
            for path in sorted(changes)
        ]
        return [(name, before, after) for name, before, after in told if before != after]

    def _value(self, path: str, changes: Mapping[str, Sequence[Any]], side: int) -> str:
        value = changes[path][side]
        above, _, leaf = path.rpartition(".")
        if value is None or (leaf, value) == ("rule", "reach"):  # a single condition joins nothing
            return _NOTHING
        if leaf == "type":
            return self._t(f"tier_policies.{_TYPES[above.rpartition('.')[2]]}.{value}")
        if leaf == "at_least":
            return self._least(value, *(self._beside(f"{above}.metric.{name}", changes, side) for name in _METRIC))
        return self._write.get(leaf, str)(value)

    def _least(self, value: int, metric: str, currency: str | None) -> str:
        formats = self._formats
        return formats.money(value, currency or self._currency) if metric == "spend" else formats.number(value)

    def _beside(self, path: str, changes: Mapping[str, Sequence[Any]], side: int) -> Any:
        return changes[path][side] if path in changes else self._fields.get(path)
