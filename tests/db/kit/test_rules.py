"""A rule means the same in Python and in PostgreSQL, missing values included."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.rules import (
    AllOf,
    AnyOf,
    Compare,
    FieldType,
    Not,
    OneOf,
    Present,
    Rule,
    Scalar,
    StartsWith,
    Vocabulary,
    check,
    matcher,
    to_sql,
)

WORDS = Vocabulary(
    {"city": "text", "total": "integer", "pieces": "integer", "member": "boolean", "day": "date", "at": "moment"}
)
ROWS = Table(
    "rules_rows",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("city", Text),
    Column("total", BigInteger),
    Column("pieces", Integer),  # narrower than the values that a rule may name
    Column("member", Boolean),
    Column("day", Date),
    Column("at", DateTime(timezone=True)),
    prefixes=["TEMPORARY"],
)
COLUMNS: Mapping[str, ColumnElement[object]] = {name: ROWS.c[name] for name in WORDS.fields}


async def make_room(connection: AsyncConnection) -> None:
    """An empty table. The application makes none, not even temporary ones, so its owner does."""
    await connection.execute(text("SET LOCAL ROLE NONE"))
    await connection.run_sync(ROWS.create, checkfirst=True)
    await connection.execute(ROWS.delete())


CITIES = ["", "a", "A", "ab", "a%", "a_b", "a\\", "/a", "武汉", "武"]
NUMBERS = [0, 1, -1, 5, 2**31, -(2**63), 2**63 - 1]
DAYS = [date(2026, 2, 28) + timedelta(days=offset) for offset in range(3)]
MOMENTS = [datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in range(3)]

VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(CITIES),
    "integer": st.sampled_from(NUMBERS),
    "boolean": st.booleans(),
    "date": st.sampled_from(DAYS),
    "moment": st.sampled_from(MOMENTS),
}


def written(value: Any) -> Scalar:
    """A value as a rule writes it."""
    result: Scalar = value.isoformat() if isinstance(value, date) else value
    return result


@st.composite
def leaf_rules(draw: st.DrawFn) -> Rule:
    field = draw(st.sampled_from(sorted(WORDS.fields)))
    kind = WORDS.fields[field]
    value = VALUES[kind].map(written)
    shapes: list[st.SearchStrategy[Rule]] = [
        st.just(Present(field)),
        st.builds(OneOf, st.just(field), st.lists(value, min_size=1, max_size=3).map(tuple)),
        st.builds(
            Compare,
            st.just(field),
            st.sampled_from(["eq", "ne"] if kind in ("text", "boolean") else ["eq", "ne", "lt", "le", "gt", "ge"]),
            value,
        ),
    ]
    if kind == "text":
        shapes.append(st.builds(StartsWith, st.just(field), value))
    return draw(st.one_of(shapes))


def larger(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(AllOf, several), st.builds(AnyOf, several), st.builds(Not, inner))


RULES: st.SearchStrategy[Rule] = st.recursive(leaf_rules(), larger, max_leaves=8)
PIECES = st.sampled_from([number for number in NUMBERS if abs(number) < 2**31])
ROW = st.fixed_dictionaries(
    {name: st.none() | (PIECES if name == "pieces" else VALUES[kind]) for name, kind in WORDS.fields.items()}
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule=RULES, rows=st.lists(ROW, min_size=1, max_size=6))
async def test_python_and_sql_match_the_same_rows(
    connection: AsyncConnection, rule: Rule, rows: list[dict[str, object]]
) -> None:
    check(rule, WORDS, path="when")
    await make_room(connection)
    await connection.execute(ROWS.insert(), [{"number": number, **row} for number, row in enumerate(rows)])

    found = await connection.scalars(select(ROWS.c.number).where(to_sql(rule, WORDS, COLUMNS)).order_by(ROWS.c.number))

    matches = matcher(rule, WORDS)
    assert list(found) == [number for number, row in enumerate(rows) if matches(row)]


async def test_prefixes_with_the_characters_of_patterns_mean_themselves(connection: AsyncConnection) -> None:
    await make_room(connection)
    await connection.execute(ROWS.insert(), [{"number": number, "city": city} for number, city in enumerate(CITIES)])
    for prefix in CITIES:
        found = await connection.scalars(select(ROWS.c.city).where(to_sql(StartsWith("city", prefix), WORDS, COLUMNS)))
        assert sorted(found) == sorted(city for city in CITIES if city.startswith(prefix))
