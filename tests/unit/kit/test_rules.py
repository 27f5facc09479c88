"""Rule trees: what they match, and which trees are refused, where and why."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from loyalty.kit.errors import InvalidInputError
from loyalty.kit.rules import (
    AllOf,
    AnyOf,
    Compare,
    Not,
    OneOf,
    Present,
    Rule,
    StartsWith,
    Vocabulary,
    check,
    fields_of,
    matcher,
    parse,
)

WORDS = Vocabulary({"city": "text", "total": "integer", "member": "boolean", "day": "date", "at": "moment"})


def matches(rule: Rule, **row: object) -> bool:
    check(rule, WORDS, path="when")
    return matcher(rule, WORDS)(row)


def nested(levels: int) -> Rule:
    rule: Rule = Present("city")
    for _ in range(levels - 1):
        rule = Not(rule)
    return rule


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [("eq", 5, True), ("ne", 5, False), ("lt", 6, True), ("le", 5, True), ("gt", 5, False), ("ge", 5, True)],
)
def test_a_number_is_compared(op: Any, value: int, expected: bool) -> None:
    assert matches(Compare("total", op, value), total=5) is expected


def test_dates_and_moments_are_written_as_text_and_compared_as_what_they_are() -> None:
    assert matches(Compare("day", "ge", "2026-03-01"), day=date(2026, 3, 1))
    assert not matches(Compare("day", "ge", "2026-03-01"), day=date(2026, 2, 28))
    assert matches(Compare("at", "eq", "2026-03-01T08:00:00+08:00"), at=datetime(2026, 3, 1, tzinfo=UTC))
    assert matches(OneOf("day", ("2026-11-11", "2026-12-12")), day=date(2026, 12, 12))


def test_text_is_compared_with_letter_case() -> None:
    assert matches(StartsWith("city", "Shang"), city="Shanghai")
    assert not matches(StartsWith("city", "shang"), city="Shanghai")
    assert not matches(Compare("city", "eq", "shanghai"), city="Shanghai")


def test_all_any_and_not_combine() -> None:
    big, ours = Compare("total", "ge", 100), OneOf("city", ("Wuhan", "Xi'an"))

    assert matches(AllOf((big, ours)), total=100, city="Wuhan")
    assert not matches(AllOf((big, ours)), total=99, city="Wuhan")
    assert matches(AnyOf((big, ours)), total=99, city="Wuhan")
    assert matches(Not(AnyOf((big, ours))), total=99, city="Harbin")


@pytest.mark.parametrize(
    "test",
    [
        Compare("city", "eq", "Wuhan"),
        Compare("city", "ne", "Wuhan"),
        OneOf("city", ("Wuhan",)),
        StartsWith("city", ""),
        Present("city"),
    ],
)
def test_a_missing_value_matches_no_test_and_every_negation_of_one(test: Rule) -> None:
    for row in ({}, {"city": None}):
        assert not matches(test, **row)
        assert matches(Not(test), **row)


@pytest.mark.parametrize(
    ("rule", "field", "reason"),
    [
        (Compare("town", "eq", "Wuhan"), "when.field", "there is no field 'town'"),
        (Compare("total", "eq", "5"), "when.value", "must be integer"),
        (Compare("total", "eq", True), "when.value", "must be integer"),
        (Compare("member", "eq", 1), "when.value", "must be boolean"),
        (Compare("total", "eq", 2**63), "when.value", "beyond 64 bits"),
        (Compare("city", "lt", "Wuhan"), "when.op", "eq and ne only"),
        (Compare("city", "eq", "a\0b"), "when.value", "without NUL"),
        (Compare("city", "eq", "x" * 201), "when.value", "at most 200 characters"),
        (Compare("day", "eq", "11 Nov"), "when.value", "a day, such as"),
        (Compare("at", "eq", "2026-03-01T08:00:00"), "when.value", "with its offset"),
        (StartsWith("total", "1"), "when.field", "only text"),
        (AllOf(()), "when.rules", "at least one rule"),
        (OneOf("city", ()), "when.values", "at least one value"),
        (OneOf("total", (1, "2")), "when.values[1]", "must be integer"),
        (AnyOf((Present("city"), Not(Present("x")))), "when.rules[1].inner.field", "there is no field 'x'"),
        (nested(9), "when" + ".inner" * 8, "at most 8 levels"),
        (AllOf((Present("city"),) * 200), "when", "at most 200 rules"),
        (OneOf("total", tuple(range(1001))), "when", "at most 1,000 values"),
    ],
)
def test_a_faulty_tree_is_refused_with_path_and_reason(rule: Rule, field: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason.replace("'", ".")) as refused:
        check(rule, WORDS, path="when")
    assert refused.value.field == field


def test_trees_at_the_limits_are_taken() -> None:
    check(nested(8), WORDS, path="when")
    check(AllOf((Present("city"),) * 199), WORDS, path="when")
    check(OneOf("total", tuple(range(1000))), WORDS, path="when")


def test_a_tree_is_the_same_as_json() -> None:
    rule = AllOf((Compare("total", "ge", 100), Not(OneOf("city", ("Wuhan",))), StartsWith("city", "X")))
    assert parse(msgspec.to_builtins(rule), WORDS, path="when") == rule


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (5, "when"),
        ({"rule": "maybe"}, "when.rule"),
        ({"field": "city"}, "when"),
        ({"rule": "all", "rules": [{"rule": "present", "field": "city", "also": 1}]}, "when.rules[0]"),
        ({"rule": "compare", "field": "total", "op": "about", "value": 1}, "when.op"),
        ({"rule": "compare", "field": "total", "op": "eq", "value": 1.5}, "when.value"),
    ],
)
def test_json_that_is_no_tree_is_refused_with_its_path(document: object, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse(document, WORDS, path="when")
    assert refused.value.field == field


def test_json_nested_without_end_is_refused_and_not_crashed_on() -> None:
    document: dict[str, object] = {"rule": "present", "field": "city"}
    for _ in range(20_000):
        document = {"rule": "not", "inner": document}
    with pytest.raises(InvalidInputError, match="at most 8 levels"):
        parse(document, WORDS, path="when")


def test_a_tree_says_which_fields_it_looks_at() -> None:
    assert fields_of(AllOf((Present("city"), Not(Compare("total", "eq", 1))))) == {"city", "total"}
