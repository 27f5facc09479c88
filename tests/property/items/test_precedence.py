"""The state of an item, against the rule told the long way round: from the outside inwards, each word over the last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from loyalty.items.precedence import LIVE_STATES, ROAD, ItemState, RangeState, Word, effective_state, may_go

MORNING = datetime(2026, 3, 2, tzinfo=UTC)
moments = st.integers(min_value=0, max_value=6).map(lambda hours: MORNING + timedelta(hours=hours))
range_states = st.sampled_from([*ROAD, "recalled", "retired"])
exceptions = st.none() | st.builds(Word, st.sampled_from(["recalled", "retired"]), moments)
item_states = st.none() | st.sampled_from([*ROAD, "recalled", "retired", "honey"])


def outside_in(
    item: ItemState | None,
    code_range: Word,
    lot: Word | None,
    key: Word | None,
    item_exempt_at: datetime | None,
    range_exempt_at: datetime | None,
) -> ItemState:
    reached = [state for state in ROAD if state in (item, code_range.state)]
    state: ItemState = reached[-1] if reached else code_range.state
    for word, exemptions in (
        (key, (item_exempt_at, range_exempt_at)),
        (lot, (item_exempt_at, range_exempt_at)),
        (code_range, (item_exempt_at,)),
    ):
        if word is None or word.state in ROAD:
            continue
        if not any(at is not None and at >= word.at for at in exemptions):
            state = word.state
    return item if item is not None and item not in ROAD else state


@given(
    item=item_states,
    code_range=st.builds(Word, range_states, moments),
    lot=exceptions,
    key=exceptions,
    item_exempt_at=st.none() | moments,
    range_exempt_at=st.none() | moments,
)
def test_the_nearest_word_counts(
    item: ItemState | None,
    code_range: Word,
    lot: Word | None,
    key: Word | None,
    item_exempt_at: datetime | None,
    range_exempt_at: datetime | None,
) -> None:
    found = effective_state(
        item=item,
        code_range=code_range,
        lot=lot,
        key=key,
        item_exempt_at=item_exempt_at,
        range_exempt_at=range_exempt_at,
    )
    assert found == outside_in(item, code_range, lot, key, item_exempt_at, range_exempt_at)


@given(item=st.none() | st.sampled_from(ROAD), state=st.sampled_from(ROAD), lot=exceptions, key=exceptions)
def test_an_item_sold_by_itself_is_recalled_with_its_lot(
    item: ItemState | None, state: RangeState, lot: Word | None, key: Word | None
) -> None:
    found = effective_state(item=item, code_range=Word(state, MORNING), lot=lot, key=key)
    assert (found in ROAD) == (lot is None and key is None)


@given(present=range_states, steps=st.lists(range_states.filter(lambda state: state != "issued"), max_size=6))
def test_no_way_leads_back_on_the_road_or_out_of_retirement(present: RangeState, steps: list[RangeState]) -> None:
    furthest = ROAD.index(present) if present in ROAD else 0
    for wanted in steps:
        assert wanted != "issued"
        if not may_go(present, wanted):
            continue
        assert present != "retired" or wanted == "retired"
        if wanted in ROAD and present in ROAD:
            assert ROAD.index(wanted) >= furthest
        if present == "recalled":
            assert wanted in LIVE_STATES or wanted in ("recalled", "retired")
        present = wanted
        furthest = ROAD.index(present) if present in ROAD else 0
