"""Earn policies as sentences a manager checks against what was agreed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Final

import msgspec

from loyalty.campaigns.earning import ONE_BP, EarnRule, Fixed, PerAmount, PerItem
from loyalty.kit.rules import AllOf, AnyOf, Compare, Not, OneOf, Present, Rule, Scalar, StartsWith
from loyalty.web.i18n import Formats, Translator

_MONEY: Final = ("total_minor", "amount_minor")
_KNOWN_UNITS: Final = ("points", "growth")


class RuleWords(msgspec.Struct, frozen=True, kw_only=True):
    """One earn rule: what it gives, and under which conditions, each a sentence of its own."""

    code: str
    gives: str
    conditions: list[str]


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What codes are called: channels and tiers by code."""

    channels: Mapping[str, str]
    tiers: Mapping[str, str]


def unit_name(unit: str, t: Translator) -> str:
    """A unit in words; one that a brand made up is called by its code."""
    return t(f"console.unit.{unit}") if unit in _KNOWN_UNITS else unit


def rule_words(rule: EarnRule, t: Translator, formats: Formats, names: Names, *, currency: str) -> RuleWords:
    """A rule in words. `currency` is that of amounts in a rule whose own rate names none."""
    money = rule.rate.currency if isinstance(rule.rate, PerAmount) else currency
    teller = _Teller(t, formats, names, money)
    conditions: list[str] = []
    if rule.when is not None:
        conditions.append(t("console.earn.when", what=teller.tell(rule.when)))
    if rule.items is not None:
        conditions.append(t("console.earn.items", what=teller.tell(rule.items)))
    if rule.minimum_minor:
        conditions.append(t("console.earn.minimum", amount=formats.money(rule.minimum_minor, money)))
    if rule.multiplier_bp != ONE_BP:
        conditions.append(t("console.earn.multiplier", factor=_factor(rule.multiplier_bp)))
    conditions += [
        t("console.earn.tier_bonus", tier=names.tiers.get(tier, tier), rate=formats.percent(bonus_bp))
        for tier, bonus_bp in rule.tier_bonus_bp.items()
    ]
    if rule.cap is not None:
        conditions.append(t("console.earn.cap", n=rule.cap))
    conditions.append(t(f"console.earn.rounding_{rule.rounding}") + t(f"console.earn.per_{rule.rounded_per}"))
    return RuleWords(code=rule.code, gives=_gives(rule, t, formats), conditions=conditions)


def _gives(rule: EarnRule, t: Translator, formats: Formats) -> str:
    unit = unit_name(rule.unit, t)
    rate = rule.rate
    if isinstance(rate, PerAmount):
        amount = formats.money(rate.per_minor, rate.currency)
        return t("console.earn.per_amount", points=rate.points, unit=unit, amount=amount)
    if isinstance(rate, PerItem):
        return t("console.earn.per_item", points=rate.points, unit=unit)
    assert isinstance(rate, Fixed)  # noqa: S101  (the union has three members)
    return t("console.earn.fixed", points=rate.points, unit=unit)


def _factor(factor_bp: int) -> str:
    """20,000 basis points as `2`, 15,000 as `1.5`."""
    return f"{factor_bp / ONE_BP:g}"


class _Teller:
    """Tells a rule tree. Brackets stand around what is inside another, so that `and` and `or` never run together."""

    def __init__(self, t: Translator, formats: Formats, names: Names, currency: str) -> None:
        self._t = t
        self._formats = formats
        self._names = names
        self._currency = currency

    def tell(self, rule: Rule, *, inside: bool = False) -> str:
        """The words for a rule."""
        t = self._t
        if isinstance(rule, OneOf) and len(rule.values) == 1:
            rule = Compare(field=rule.field, op="eq", value=rule.values[0])
        match rule:
            case AllOf(rules=rules) | AnyOf(rules=rules):
                word = "and" if isinstance(rule, AllOf) else "or"
                told = self._join(word, [self.tell(each, inside=True) for each in rules])
                return t("console.rule.brackets", what=told) if inside and len(rules) > 1 else told
            case Not(inner=inner):
                return t("console.rule.not", what=self.tell(inner, inside=True))
            case Compare(field=field, op=op, value=value):
                return t(f"console.rule.{op}", field=self._field(field), value=self._value(field, value))
            case OneOf(field=field, values=values):
                listed = self._join("comma", [self._value(field, value) for value in values])
                return t("console.rule.one_of", field=self._field(field), values=listed)
            case StartsWith(field=field, prefix=prefix):
                return t("console.rule.starts_with", field=self._field(field), value=prefix)
            case Present(field=field):
                return t("console.rule.present", field=self._field(field))

    def _join(self, word: str, parts: list[str]) -> str:
        t = self._t
        return reduce(lambda left, right: t(f"console.rule.{word}", left=left, right=right), parts)

    def _field(self, field: str) -> str:
        t = self._t
        return t(f"console.field.{field}")

    def _value(self, field: str, value: Scalar) -> str:
        t = self._t
        if field in _MONEY and isinstance(value, int):
            return self._formats.money(value, self._currency)
        if field == "weekday":
            return t(f"console.weekday.d{value}")
        if field == "channel_kind":
            return t(f"console.channel_kind.{value}")
        named = {"channel": self._names.channels, "tier": self._names.tiers}.get(field, {})
        return named.get(str(value), self._formats.number(value) if isinstance(value, int) else value)
