"""A segment while somebody works on it: groups of sentences, each with what was typed, whole or not.

A draft is what a form shows and sends; a rule is what is saved. Every rule can be shown as a draft, and a draft whose
sentences are all whole is a rule again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import msgspec

from loyalty.campaigns.segments.fields import KINDS, check_rule, read_field, write_field
from loyalty.kit.currency import minor_digits
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.rules import (
    MAXIMUM_DEPTH,
    AllOf,
    AnyOf,
    Compare,
    FieldType,
    Not,
    OneOf,
    Operator,
    Present,
    Rule,
    Scalar,
    StartsWith,
)

MOST_SENTENCES: Final = 60
Test = Literal["eq", "ne", "lt", "le", "gt", "ge", "one_of", "starts_with", "present", "yes", "no"]

TESTS: Final[Mapping[FieldType, tuple[Test, ...]]] = {
    "integer": ("ge", "le", "eq", "gt", "lt", "ne", "one_of", "present"),
    "date": ("ge", "le", "eq", "present"),
    "text": ("eq", "ne", "one_of", "starts_with", "present"),
    "boolean": ("yes", "no"),
}
"""What a sentence may say of a field of each type, the likeliest first."""


class Sentence(msgspec.Struct, kw_only=True, tag="sentence"):
    """One condition as it is typed: `value` is text, amounts of money in whole units, several values with commas."""

    field: str
    arguments: dict[str, str] = {}
    test: Test = "ge"
    value: str = ""
    negated: bool = False

    @property
    def type(self) -> FieldType:
        """The type of what it looks at."""
        return KINDS[self.field].type


class Group(msgspec.Struct, kw_only=True, tag="group"):
    """Conditions of which all must hold, or any one."""

    join: Literal["all", "any"] = "all"
    items: list[Sentence | Group] = []
    negated: bool = False


def new_sentence(field: str, *, currency: str) -> Sentence:
    """A sentence that somebody is about to fill in."""
    kind = KINDS[field]
    usual = {
        "currency": currency,
        "purpose": "marketing_sms",
        "days": "90" if field in ("orders", "spent_minor") else "",
    }
    arguments = {name: usual.get(name, "") for name in kind.needs + kind.may}
    return Sentence(field=field, arguments=arguments, test=TESTS[kind.type][0])


def read_draft(document: Any) -> Group:
    """The draft in decoded JSON that was written here."""
    return msgspec.convert(document, Group)


def walk(group: Group, place: str = "r") -> Iterator[tuple[str, Sentence | Group]]:
    """Every group and sentence with its place: `r` is the whole, `r.0` its first part."""
    yield place, group
    for index, item in enumerate(group.items):
        if isinstance(item, Group):
            yield from walk(item, f"{place}.{index}")
        else:
            yield f"{place}.{index}", item


def find(group: Group, place: str) -> tuple[Group, int] | None:
    """The group that holds the part at a place, and its number in it; None for the whole, or where nothing is."""
    _, *numbers = place.split(".")
    here: Sentence | Group = group
    held: tuple[Group, int] | None = None
    for number in numbers:
        if not (isinstance(here, Group) and number.isdecimal() and int(number) < len(here.items)):
            return None
        held = here, int(number)
        here = here.items[int(number)]
    return held


def rule_of(group: Group) -> Rule | None:
    """The rule of a draft, None for one without sentences: everybody.

    Raises InvalidInputError whose field is the place of the first sentence that is not whole, such as `r.0`.
    """
    sentences = [item for _, item in walk(group) if isinstance(item, Sentence)]
    if len(sentences) > MOST_SENTENCES:
        raise InvalidInputError(f"at most {MOST_SENTENCES} conditions", field="r")
    rule = _rule(group, "r")
    if rule is not None:
        check_rule(rule, path="r")
    return rule


def _rule(item: Sentence | Group, place: str) -> Rule | None:
    if isinstance(item, Sentence):
        rule: Rule = _leaf(item, place)
    else:
        parts = [_rule(part, f"{place}.{index}") for index, part in enumerate(item.items)]
        whole = tuple(part for part in parts if part is not None)
        if not whole:
            return None
        rule = AllOf(whole) if item.join == "all" else AnyOf(whole)
    return Not(rule) if item.negated else rule


def _leaf(sentence: Sentence, place: str) -> Rule:
    arguments = {name: value.strip() for name, value in sentence.arguments.items() if value.strip()}
    if "name" in arguments:
        arguments["name"] = arguments["name"].casefold()
    text = write_field(sentence.field, arguments)
    if read_field(text) is None:
        raise InvalidInputError("say of what", field=place)
    if sentence.test == "yes" or sentence.test == "no":  # noqa: PLR1714  (this way the type checker follows)
        return Compare(text, "eq", sentence.test == "yes")
    if sentence.test == "present":
        return Present(text)
    if sentence.test == "starts_with":
        return StartsWith(text, _typed(sentence, sentence.value, place, text_type=str))
    if sentence.test == "one_of":
        parts = sentence.value.replace("，", ",").replace("、", ",").split(",")
        return OneOf(text, tuple(_typed(sentence, part, place) for part in parts if part.strip()) or (_empty(place),))
    operator: Operator = sentence.test
    return Compare(text, operator, _typed(sentence, sentence.value, place))


def _empty(place: str) -> Scalar:
    raise InvalidInputError("a value is missing", field=place)


def _typed(sentence: Sentence, value: str, place: str, *, text_type: type[Any] = object) -> Any:
    value = value.strip()
    if not value:
        _empty(place)
    if sentence.type == "text" or text_type is str:
        return value
    try:
        if sentence.type == "date":
            return date.fromisoformat(value).isoformat()
        digits = minor_digits(sentence.arguments.get("currency", "")) if sentence.field == "spent_minor" else 0
        number = Decimal(value.replace(",", "")).scaleb(digits)
        whole = int(number)
    except (ValueError, InvalidOperation, OverflowError):
        raise InvalidInputError("is not what is asked for", field=place) from None
    if whole != number or abs(whole) >= 2**53:
        raise InvalidInputError("is not what is asked for", field=place)
    return whole


def draft_of(rule: Rule) -> Group:
    """A rule as a draft."""
    item = _draft(rule, 1)
    return item if isinstance(item, Group) else Group(items=[item])


def _draft(rule: Rule, depth: int) -> Sentence | Group:
    if isinstance(rule, Not):
        inner = _draft(rule.inner, depth + 1)
        if inner.negated:
            return Group(items=[inner], negated=True)
        inner.negated = True
        return inner
    if isinstance(rule, AllOf | AnyOf):
        assert depth <= MAXIMUM_DEPTH  # noqa: S101  (the rule was checked)
        items = [_draft(part, depth + 1) for part in rule.rules]
        return Group(join="all" if isinstance(rule, AllOf) else "any", items=items)
    field = read_field(rule.field)
    assert field is not None  # noqa: S101  (the rule was checked)
    arguments = {name: field.arguments.get(name, "") for name in field.kind.needs + field.kind.may}
    sentence = Sentence(field=field.name, arguments=arguments)
    if isinstance(rule, Present):
        sentence.test = "present"
    elif isinstance(rule, StartsWith):
        sentence.test, sentence.value = "starts_with", rule.prefix
    elif isinstance(rule, OneOf):
        sentence.test, sentence.value = "one_of", ", ".join(_written(sentence, value) for value in rule.values)
    elif isinstance(rule.value, bool):
        sentence.test = "yes" if rule.value == (rule.op == "eq") else "no"
    else:
        sentence.test, sentence.value = rule.op, _written(sentence, rule.value)
    return sentence


def _written(sentence: Sentence, value: Scalar) -> str:
    if sentence.field == "spent_minor":
        digits = minor_digits(sentence.arguments["currency"])
        return f"{Decimal(int(value)).scaleb(-digits):f}"
    return str(value)
