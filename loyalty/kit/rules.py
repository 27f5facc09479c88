"""Rule trees: what forms fill in, Python evaluates and PostgreSQL runs in bulk.

A rule is a tree of tagged structs (`AllOf`, `AnyOf`, `Not`, `Compare`, `OneOf`, `StartsWith`, `Present`), and is the
same thing as a JSON document: `{"rule": "compare", "field": "total_minor", "op": "ge", "value": 10000}`. Whoever uses
rules says with a `Vocabulary` which fields there are and of which type; `check` holds a tree against it.

**Missing values.** Logic has two values here, not SQL's three. A test of a field whose value is missing (None, or
absent) does not match, whatever the test; `Not` matches exactly where its inner rule does not. So neither
`city = X` nor `city <> X` matches a member without a city, while `Not(city = X)` does. `Present` asks for a value.
The SQL form agrees: it is TRUE for the rows that match, and FALSE or NULL (which a WHERE clause treats alike) for the
others, and every `Not` is compiled to `IS NOT TRUE`, so that no NULL ever passes through a negation.

**Text** compares for equality and by prefix only, letter case included: an order of text would depend on collations,
which Python and PostgreSQL do not share.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, literal, or_, true

from loyalty.kit.errors import InvalidInputError

MAXIMUM_DEPTH: Final = 8
MAXIMUM_SIZE: Final = 200
"""Nodes of a tree. The values of a `OneOf` are counted apart."""
MAXIMUM_VALUES: Final = 1_000
"""Values of all `OneOf` of a tree."""
MAXIMUM_TEXT_LENGTH: Final = 200
_INT64: Final = range(-(2**63), 2**63)

FieldType: TypeAlias = Literal["text", "integer", "boolean", "date", "moment"]
Operator: TypeAlias = Literal["eq", "ne", "lt", "le", "gt", "ge"]
Scalar: TypeAlias = bool | int | str
"""A value as JSON writes it; dates and moments are ISO 8601 text, moments with their offset."""
Value: TypeAlias = bool | int | str | date | datetime
"""A value as Python and SQL compare it."""


class Node(msgspec.Struct, frozen=True, tag_field="rule", forbid_unknown_fields=True):
    """Base of all rules."""


class AllOf(Node, frozen=True, tag="all"):
    """Matches where each inner rule does."""

    rules: tuple[Rule, ...]


class AnyOf(Node, frozen=True, tag="any"):
    """Matches where at least one inner rule does."""

    rules: tuple[Rule, ...]


class Not(Node, frozen=True, tag="not"):
    """Matches exactly where the inner rule does not, missing values included."""

    inner: Rule


class Compare(Node, frozen=True, tag="compare"):
    """Compares a field with a value. A missing field does not match, not even with `ne`."""

    field: str
    op: Operator
    value: Scalar


class OneOf(Node, frozen=True, tag="one_of"):
    """Matches where the field's value is among the values."""

    field: str
    values: tuple[Scalar, ...]


class StartsWith(Node, frozen=True, tag="starts_with"):
    """Matches text that begins with a prefix, letter case included."""

    field: str
    prefix: str


class Present(Node, frozen=True, tag="present"):
    """Matches where the field has a value."""

    field: str


Rule: TypeAlias = AllOf | AnyOf | Not | Compare | OneOf | StartsWith | Present

_COMPARE: Final[Mapping[Operator, Callable[..., bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_UNORDERED: Final = ("text", "boolean")

Matcher: TypeAlias = Callable[[Mapping[str, object]], bool]


class Vocabulary(msgspec.Struct, frozen=True):
    """The fields that rules of one kind may use, and their types.

    The types say what the values of a row are in Python (str, int, bool, date, aware datetime) and, for SQL, the
    columns (text, an integer type, boolean, date, timestamptz).
    """

    fields: Mapping[str, FieldType]


def parse(document: object, vocabulary: Vocabulary, *, path: str) -> Rule:
    """Read a rule from decoded JSON and check it.

    Raises InvalidInputError whose field is the path of the fault below `path`, such as `when.rules[1].value`.
    """
    try:
        rule: Rule = msgspec.convert(document, Rule)
    except RecursionError:
        raise InvalidInputError(f"at most {MAXIMUM_DEPTH} levels", field=path) from None
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        raise InvalidInputError(reason, field=path + place.rstrip("`")) from None
    check(rule, vocabulary, path=path)
    return rule


def check(rule: Rule, vocabulary: Vocabulary, *, path: str) -> None:
    """Hold a rule against its vocabulary and the limits of depth and size.

    Raises InvalidInputError whose field is the path of the first fault, and says why.
    """
    values = 0
    for size, (node, place, depth) in enumerate(_walk(rule, path), start=1):
        if depth > MAXIMUM_DEPTH:
            raise InvalidInputError(f"at most {MAXIMUM_DEPTH} levels", field=place)
        if size > MAXIMUM_SIZE:
            raise InvalidInputError(f"at most {MAXIMUM_SIZE} rules in one tree", field=path)
        if isinstance(node, OneOf):
            values += len(node.values)
            if values > MAXIMUM_VALUES:
                raise InvalidInputError(f"at most {MAXIMUM_VALUES:,} values in one tree", field=place)
        _check_node(node, vocabulary, place)


def fields_of(rule: Rule) -> set[str]:
    """The names of the fields that a rule looks at."""
    return {node.field for node, _, _ in _walk(rule, "") if isinstance(node, Compare | OneOf | StartsWith | Present)}


def _walk(rule: Rule, path: str) -> Iterator[tuple[Rule, str, int]]:
    """Visit all nodes with path and depth, without recursion: the tree may be deeper than Python's stack."""
    waiting = [(rule, path, 1)]
    while waiting:
        node, place, depth = waiting.pop()
        yield node, place, depth
        if isinstance(node, AllOf | AnyOf):
            inner = [(child, f"{place}.rules[{index}]", depth + 1) for index, child in enumerate(node.rules)]
            waiting.extend(reversed(inner))
        elif isinstance(node, Not):
            waiting.append((node.inner, f"{place}.inner", depth + 1))


def _check_node(node: Rule, vocabulary: Vocabulary, path: str) -> None:
    if isinstance(node, Not):
        return
    if isinstance(node, AllOf | AnyOf):
        if not node.rules:
            raise InvalidInputError("needs at least one rule", field=f"{path}.rules")
        return
    kind = vocabulary.fields.get(node.field)
    if kind is None:
        known = ", ".join(sorted(vocabulary.fields))
        raise InvalidInputError(f"there is no field {node.field[:60]!r}; there are {known}", field=f"{path}.field")
    if not isinstance(node, Present):
        _check_operands(node, kind, path)


def _check_operands(node: Compare | OneOf | StartsWith, kind: FieldType, path: str) -> None:
    if isinstance(node, Compare):
        if kind in _UNORDERED and node.op not in ("eq", "ne"):
            raise InvalidInputError(f"{kind} compares with eq and ne only", field=f"{path}.op")
        _typed(node.value, kind, f"{path}.value")
    elif isinstance(node, OneOf):
        if not node.values:
            raise InvalidInputError("needs at least one value", field=f"{path}.values")
        for index, value in enumerate(node.values):
            _typed(value, kind, f"{path}.values[{index}]")
    else:
        if kind != "text":
            raise InvalidInputError(f"only text has a beginning, and {node.field} is {kind}", field=f"{path}.field")
        _typed(node.prefix, kind, f"{path}.prefix")


def _typed(value: Scalar, kind: FieldType, path: str) -> Value:
    """Turn a value as JSON writes it into what its field's type compares with, or refuse it."""
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
        if value not in _INT64:
            raise InvalidInputError("is beyond 64 bits", field=path)
        return value
    if isinstance(value, str):
        if kind == "text":
            if len(value) > MAXIMUM_TEXT_LENGTH or "\x00" in value:
                message = f"is text of at most {MAXIMUM_TEXT_LENGTH} characters without NUL"
                raise InvalidInputError(message, field=path)
            return value
        if kind in ("date", "moment"):
            try:
                return msgspec.convert(value, date if kind == "date" else _AwareMoment)
            except msgspec.ValidationError:
                wanted = "a day, such as 2026-03-31" if kind == "date" else "a time with its offset"
                raise InvalidInputError(f"must be {wanted}", field=path) from None
    raise InvalidInputError(f"must be {kind}", field=path)


_AwareMoment: Final = Annotated[datetime, msgspec.Meta(tz=True)]


def matcher(rule: Rule, vocabulary: Vocabulary) -> Callable[[Mapping[str, object]], bool]:
    """Make a function that says whether a row (a mapping of field names to values) matches a checked rule."""
    if isinstance(rule, AllOf | AnyOf):
        inner = [matcher(child, vocabulary) for child in rule.rules]
        join = all if isinstance(rule, AllOf) else any
        return lambda row: join(matches(row) for matches in inner)
    if isinstance(rule, Not):
        refuses = matcher(rule.inner, vocabulary)
        return lambda row: not refuses(row)
    field, kind = rule.field, vocabulary.fields[rule.field]
    if isinstance(rule, Present):
        return lambda row: row.get(field) is not None
    if isinstance(rule, StartsWith):
        prefix = rule.prefix
        return lambda row: isinstance(text := row.get(field), str) and text.startswith(prefix)
    if isinstance(rule, OneOf):
        # None is never among the values, so a missing one does not match.
        values = frozenset(_typed(value, kind, field) for value in rule.values)
        return lambda row: row.get(field) in values
    compare, operand = _COMPARE[rule.op], _typed(rule.value, kind, field)
    return lambda row: (value := row.get(field)) is not None and compare(value, operand)


def to_sql(rule: Rule, vocabulary: Vocabulary, columns: Mapping[str, ColumnElement[object]]) -> ColumnElement[bool]:
    """Compile a checked rule to a WHERE condition over columns that are named as the vocabulary's fields.

    True for the rows that `matcher` would match; false or null for all others.
    """
    if isinstance(rule, AllOf | AnyOf):
        join = and_ if isinstance(rule, AllOf) else or_
        return join(*(to_sql(child, vocabulary, columns) for child in rule.rules))
    if isinstance(rule, Not):
        return to_sql(rule.inner, vocabulary, columns).is_not(true())
    column, kind = columns[rule.field], vocabulary.fields[rule.field]
    if isinstance(rule, Present):
        return column.is_not(None)
    if isinstance(rule, StartsWith):
        return column.startswith(rule.prefix, autoescape=True)
    # A bound integer is a bigint whatever the column is: a value beyond the column's range matches nothing, and is no
    # error of the database.
    sql_type = BigInteger() if kind == "integer" else column.type
    if isinstance(rule, OneOf):
        values = [_typed(value, kind, rule.field) for value in rule.values]
        return column.in_(bindparam(None, values, type_=sql_type, expanding=True))
    operand = literal(_typed(rule.value, kind, rule.field), sql_type)
    return _COMPARE[rule.op](column, operand)  # type: ignore[return-value] # a column's operators make expressions
