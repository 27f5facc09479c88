"""The way up: GS1-Conformant Resolver 1.2, section 2.5.9 (registration rules 1 to 3, and the six sets of rule 4)."""

from __future__ import annotations

import pytest

from loyalty.items.digital_link import DigitalLink
from loyalty.items.links.levels import Qualifiers, check_level, is_item, levels, read_path, write_path
from loyalty.kit.errors import InvalidInputError

GTIN = "06901234567892"
VALUES = {"22": "2A", "10": "L1", "21": "S1", "235": "T1"}


@pytest.mark.parametrize(
    ("asked", "sets"),
    [
        ((), [()]),
        (("22",), [("22",), ()]),
        (("10",), [("10",), ()]),
        (("21",), [("21",), ()]),
        (("235",), [("235",), ()]),
        (("22", "10"), [("22", "10"), ("10",), ("22",), ()]),
        (("10", "21"), [("21",), ("10",), ()]),
        (("22", "21"), [("21",), ("22",), ()]),
        (("22", "10", "21"), [("21",), ("22", "10"), ("10",), ("22",), ()]),
    ],
)
def test_whatever_is_asked_for_the_nearest_comes_first(asked: tuple[str, ...], sets: list[tuple[str, ...]]) -> None:
    for key, value in (("01", GTIN), ("8006", f"{GTIN}0102")):
        steps = levels(DigitalLink(key=key, value=value, qualifiers={each: VALUES[each] for each in asked}))
        assert [tuple(step.thing.qualifiers) for step in steps] == sets
        assert all(step.thing.value == value for step in steps)


def test_a_level_has_its_own_links_and_those_of_all_its_kind() -> None:
    steps = levels(DigitalLink(value=GTIN, qualifiers={"22": "2A", "10": "L/1*"}))
    assert [step.paths for step in steps] == [
        ("/22/2A/10/L%2F1%2A",),
        ("/10/L%2F1%2A", "/10/*"),
        ("/22/2A", "/22/*"),
        ("",),
    ]


@pytest.mark.parametrize(
    ("key", "qualifiers", "paths"),
    [
        ("414", {"254": "x"}, [("/254/x", "/254/*"), ("",)]),
        ("414", {"7040": "5KFX"}, [("/7040/5KFX", "/7040/*"), ("",)]),
        ("8010", {"8011": "1"}, [("/8011/1", "/8011/*"), ("",)]),
        ("00", {}, [("",)]),
    ],
)
def test_other_keys_have_their_own_qualifiers(
    key: str, qualifiers: dict[str, str], paths: list[tuple[str, ...]]
) -> None:
    assert [step.paths for step in levels(DigitalLink(key=key, value="x", qualifiers=qualifiers))] == paths


@pytest.mark.parametrize(
    "qualifiers", [{}, {"10": None}, {"10": "a/b*%"}, {"22": "2A", "10": "L1"}, {"21": "*"}, {"235": None}]
)
def test_a_stored_path_is_read_back(qualifiers: Qualifiers) -> None:
    assert read_path(write_path(qualifiers)) == qualifiers
    assert check_level("01", GTIN, qualifiers) == qualifiers


def test_qualifiers_are_put_into_the_order_of_a_path() -> None:
    assert list(check_level("01", GTIN, {"10": "L1", "22": "2A"})) == ["22", "10"]


@pytest.mark.parametrize(
    ("key", "value", "qualifiers", "field"),
    [
        ("17", "261231", {}, "key"),
        ("00", "106141412345678908", {"10": "L1"}, "key"),
        ("01", "06901234567893", {}, "value"),
        ("01", "6901234567892", {}, "value"),
        ("01", GTIN, {"21": "S1", "10": "L1"}, "qualifiers"),
        ("01", GTIN, {"21": "S1", "22": "2A"}, "qualifiers"),
        ("01", GTIN, {"235": "T1", "10": "L1"}, "qualifiers"),
        ("01", GTIN, {"17": "261231"}, "qualifiers"),
        ("01", GTIN, {"10": "L 1"}, "qualifiers[10]"),
        ("01", GTIN, {"22": "2A", "10": None}, "qualifiers[10]"),
        ("01", GTIN, {"10": ""}, "qualifiers[10]"),
    ],
)
def test_what_links_cannot_be_about_is_refused_by_name(
    key: str, value: str, qualifiers: Qualifiers, field: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_level(key, value, qualifiers)
    assert refused.value.field == field


def test_an_item_is_a_gtin_with_a_serial() -> None:
    assert is_item(DigitalLink(value=GTIN, qualifiers={"21": "S"}))
    assert not is_item(DigitalLink(value=GTIN, qualifiers={"10": "L"}))
    assert not is_item(DigitalLink(key="8006", value=f"{GTIN}0102", qualifiers={"21": "S"}))
