"""A segment's rule means the same in Python and in SQL, for all members at once and for some of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments import audience as audiences
from loyalty.campaigns.segments.audience import audience, count, facts_of, fields_in, matching
from loyalty.campaigns.segments.fields import VOCABULARY, check_rule
from loyalty.kit.errors import InvalidInputError
from loyalty.kit.programme import Programme
from loyalty.kit.rules import AllOf, AnyOf, Compare, Not, OneOf, Present, Rule, Scalar, StartsWith, matcher
from tests.db.campaigns.segments.people import CITIES, GTINS, TODAY, Person, invent, settle
from tests.factories import make_brand

FIELDS = [
    "joined_on",
    "joined_days",
    "joined_channel",
    "language",
    "birth_month",
    "months_to_birthday",
    "tier",
    "tier_rank",
    "tier_days",
    "tier_days_left",
    "points",
    "points_pending",
    "orders",
    "orders:days=30",
    "orders:channel=online",
    "orders:days=90:channel=store-1",
    "orders:channel=nowhere",
    "spent_minor:currency=CNY",
    "spent_minor:currency=USD:days=1",
    "spent_minor:currency=CNY:days=30:channel=online",
    "days_since_order",
    "days_since_order:channel=online",
    "days_since_first_order",
    "scans",
    "scans:days=30",
    f"scans:days=30:gtin={GTINS[0]}",
    "days_since_scan",
    "scan_city",
    "claims",
    f"claims:gtin={GTINS[1]}",
    "tag:name=vip",
    "tag:name=老客户",
    "consent:purpose=marketing_sms",
    "consent:purpose=terms",
]
TEXTS = ["online", "store-1", "zh", "silver", "gold", *CITIES, "", "上"]
NUMBERS = [-1, 0, 1, 2, 3, 11, 29, 30, 31, 89, 100, 500, 1_000, 2**40]


@st.composite
def leaves(draw: st.DrawFn) -> Rule:
    field = draw(st.sampled_from(FIELDS))
    kind = VOCABULARY.fields[field]
    values: dict[str, st.SearchStrategy[Scalar]] = {
        "text": st.sampled_from(TEXTS),
        "integer": st.sampled_from(NUMBERS),
        "boolean": st.booleans(),
        "date": st.sampled_from([(TODAY - timedelta(days=days)).isoformat() for days in (0, 1, 30, 31)]),
    }
    operators = ["eq", "ne"] if kind in ("text", "boolean") else ["eq", "ne", "lt", "le", "gt", "ge"]
    shapes: list[st.SearchStrategy[Rule]] = [
        st.just(Present(field)),
        st.builds(OneOf, st.just(field), st.lists(values[kind], min_size=1, max_size=3).map(tuple)),
        st.builds(Compare, st.just(field), st.sampled_from(operators), values[kind]),
    ]
    if kind == "text":
        shapes.append(st.builds(StartsWith, st.just(field), values[kind].map(str)))
    return draw(st.one_of(shapes))


def larger(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(AllOf, several), st.builds(AnyOf, several), st.builds(Not, inner))


RULES: st.SearchStrategy[Rule] = st.recursive(leaves(), larger, max_leaves=10)


@pytest.fixture
async def brand(connection: AsyncConnection) -> Programme:
    return await make_brand(connection)


@pytest.fixture
async def people(connection: AsyncConnection, brand: Programme) -> list[Person]:
    people = sorted(invent(40), key=lambda person: person.ids[0])
    await settle(connection, brand, people)
    return people


async def found(connection: AsyncConnection, query: Any) -> list[UUID]:
    return list(await connection.scalars(query))


async def test_every_field_is_what_members_did(
    connection: AsyncConnection, brand: Programme, people: list[Person]
) -> None:
    """The facts that SQL works out, field by field, against plain Python over what was put in."""
    asked = await audience(
        connection, programme_id=brand.id, rule=AllOf(tuple(Present(f) for f in FIELDS)), today=TODAY
    )
    assert asked.rule is not None
    facts = await facts_of(
        connection, asked.frame, fields=fields_in(asked.rule), member_ids=[person.ids[0] for person in people]
    )
    for person in people:
        assert facts[person.ids[0]] == {text: person.fact(text) for text in FIELDS}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule=RULES)
async def test_python_and_sql_find_the_same_members(
    connection: AsyncConnection, brand: Programme, people: list[Person], rule: Rule
) -> None:
    asked = await audience(connection, programme_id=brand.id, rule=rule, today=TODAY)
    matches = matcher(rule, VOCABULARY)
    texts = [field.text for field in fields_in(rule)]
    expected = [person.ids[0] for person in people if matches({text: person.fact(text) for text in texts})]

    assert await found(connection, asked.members()) == expected
    assert await matching(connection, asked, member_ids=[each for person in people for each in person.ids]) == set(
        expected
    )


async def test_a_count_is_exact_for_few_and_an_estimate_with_a_margin_for_many(
    connection: AsyncConnection, brand: Programme, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = await audience(connection, programme_id=brand.id, rule=Compare("tier", "eq", "gold"), today=TODAY)
    expected = sum(person.fact("tier") == "gold" for person in people)
    exact = await count(connection, gold)
    assert (exact.members, exact.of, exact.about) == (expected, len(people), False)

    monkeypatch.setattr(audiences, "EXACT_UP_TO", 10)
    about = await count(connection, gold)  # so few that the sample is everybody
    assert (about.members, about.of, about.about) == (expected, len(people), True)
    assert about.margin > 0
    assert (await count(connection, gold, exact=True)).about is False


async def test_a_count_that_takes_too_long_is_estimated_and_the_transaction_goes_on(
    connection: AsyncConnection, brand: Programme, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = await audience(connection, programme_id=brand.id, rule=None, today=TODAY)
    tries: list[int | None] = []
    in_time = audiences._in_time

    async def slow_at_first(connection: AsyncConnection, query: Any, timeout_ms: int | None) -> Any:
        tries.append(timeout_ms)
        if len(tries) == 1:
            sleeping = select(func.count(), func.pg_sleep(60))
            return await in_time(connection, sleeping, 50)
        return await in_time(connection, query, timeout_ms)

    monkeypatch.setattr(audiences, "_in_time", slow_at_first)
    assert (await count(connection, everybody)).about
    assert len(tries) == 2
    assert await found(connection, everybody.members()) == [person.ids[0] for person in people]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Compare("orders:days=0", "ge", 1), "rule.field"),
        (Compare("orders:days=9999", "ge", 1), "rule.field"),
        (Compare("orders:channel=online:days=3", "ge", 1), "rule.field"),  # one field has one spelling
        (Compare("spent_minor", "ge", 1), "rule.field"),  # of which currency?
        (Compare("phone", "eq", "1"), "rule.field"),  # sealed
        (AllOf(tuple(Compare(f"orders:days={days}", "ge", 1) for days in range(1, 50))), "rule"),
    ],
)
def test_what_cannot_be_asked_is_refused(rule: Rule, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_rule(rule)
    assert refused.value.field == field
