"""What the fields of a tier policy are called, and what is wrong with one, in the reader's language."""

from __future__ import annotations

import re
from typing import Final

from loyalty.kit.errors import DomainError
from loyalty.web.i18n import Translator
from tiers.policies import MAX_GRACE_DAYS, MAX_TIERS, MAX_WARNING_DAYS, TierPolicy

_EDIT: Final = {
    "code": "code",
    "zh": "zh",
    "en": "en",
    "metric": "what",
    "what": "what",
    "currency": "what",
    "window": "over",
    "at_least": "least",
    "least": "least",
    "months": "months",
    "keep_months": "months",
    "keep": "keep_label",
    "benefit_cost_minor": "cost",
    "cost": "cost",
    "earn_rate_bp": "earn",
    "earn": "earn",
    "grace_days": "grace_days",
    "warning_days": "warning_days",
    "soft_landing_bp": "soft",
    "soft": "soft",
    "upgrade": "upgrade",
    "downgrade": "downgrade",
    "requalification": "requalification",
    "refunds": "refunds",
    "at_start": "at_start",
    "title": "title",
    "qualify": "asks",
    "rules": "asks",
    "rule": "asks",
}
"""The last word of a path, of the policy or of its form, and the label that the form has for it."""
_OTHERS: Final = {"rank": "rank", "tiers": "tiers", "name": "name", "day": "day", "effective_at": "day"}
_TIER: Final = re.compile(r"(?:^|\.)tiers\[([^\]]+)\]|^t(\d+)_")
_CONDITION: Final = re.compile(r"rules\[(\d+)\]|_c(\d+)_")


class Labels:
    """The names of a policy's fields, by the paths that refusals and comparisons have for them."""

    def __init__(self, t: Translator, policy: TierPolicy, *, currency: str) -> None:
        self._t, self._policy, self._currency = t, policy, currency

    def of(self, path: str) -> str:
        """A path such as `tiers[gold].qualify.rules[0].at_least` or `t2_c0_least` in words."""
        t, leaf = self._t, _leaf(path)
        if leaf == "type":
            leaf = _leaf(path.removesuffix(".type"))
        if leaf in _EDIT:
            label = t(f"tier_policies.edit.{_EDIT[leaf]}", currency=self._currency)
        elif leaf in _OTHERS:
            label = t(f"tier_policies.field.{_OTHERS[leaf]}")
        else:
            label = path
        if condition := _CONDITION.findall(path):
            number = int(next(filter(None, condition[-1]))) + 1
            label = t("tier_policies.field.condition", n=number, field=label)
        if tier := _TIER.search(path):
            label = t("tier_policies.field.tier", tier=self._tier(tier[1] or tier[2]), field=label)
        return label

    def told(self, error: DomainError) -> str:
        """A refusal in a sentence that names the field."""
        t = self._t
        if error.type == "stale-revision":
            return t("tier_policies.edit.stale")
        if not error.field or error.field == "version":
            return t("tier_policies.refused.state")
        leaf = _leaf(error.field)
        word = _OTHERS.get(leaf) or _EDIT.get(leaf, "")
        if word not in _REFUSED:
            return t("tier_policies.field.said", field=self.of(error.field), what=error.detail)
        limits = {"grace": MAX_GRACE_DAYS, "warning": MAX_WARNING_DAYS, "tiers": MAX_TIERS}
        return t(
            "tier_policies.field.said", field=self.of(error.field), what=t(f"tier_policies.refused.{word}", **limits)
        )

    def _tier(self, text: str) -> str:
        tiers = self._policy.tiers
        found = next((tier for tier in tiers if tier.code == text), None)
        if found is None and text.isdecimal():
            return self._t("tier_policies.field.nth", n=int(text) + 1)
        return found.name.get(self._t.language, found.code) if found else text


_REFUSED: Final = frozenset(
    {
        *("code", "name", "zh", "en", "rank", "asks", "tiers", "title", "day"),
        *("least", "what", "over", "months", "cost", "earn", "grace_days", "warning_days", "soft"),
    }
)


def _leaf(path: str) -> str:
    form = re.fullmatch(r"t\d+_(?:c\d+_)?(\w+)", path)
    if form:
        return form[1]
    last = re.split(r"\.", path)[-1]
    return re.sub(r"\[[^\]]*\]$", "", last)
