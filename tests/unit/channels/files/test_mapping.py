from __future__ import annotations

from pathlib import Path

import pytest

from loyalty.channels.files.mapping import (
    MEMBER_ROLES,
    ORDER_ROLES,
    FileFormat,
    MemberMapping,
    OrderMapping,
    load_mapping,
    locate_member_columns,
    locate_order_columns,
    read_columns,
)
from loyalty.kit.errors import InvalidInputError

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_every_example_is_a_mapping(path: Path) -> None:
    mapping = load_mapping(path)
    mapping.file.check()
    mapping.orders.check()
    mapping.members.check()
    assert mapping.orders.columns
    assert mapping.members.columns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[orders\n", "is not TOML"),
        ("[order]\n", "unknown field `order`"),
        ("[orders.columns]\nprice = 'x'\n", "price"),
        ("[orders]\nrounding = 'up'\n", "rounding"),
        ("[file]\ndelimiter = 1\n", "delimiter"),
    ],
)
def test_a_mapping_file_that_is_wrong_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=said) as refused:
        load_mapping(path)
    assert refused.value.field == "mapping"
    assert str(path) in refused.value.detail


def test_a_mapping_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No such file"):
        load_mapping(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("file_format", "field"),
    [
        (FileFormat(encoding="klingon"), "encoding"),
        (FileFormat(encoding="utf-16"), "encoding"),
        (FileFormat(delimiter=",,"), "delimiter"),
        (FileFormat(delimiter='"'), "delimiter"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused(file_format: FileFormat, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        file_format.check()
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        (OrderMapping(time_zone="Europe/Atlantis"), "time_zone"),
        (MemberMapping(time_zone="+08:00"), "time_zone"),
        (OrderMapping(cancellations="prefix", cancellation_prefix=""), "cancellation_prefix"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(mapping: OrderMapping | MemberMapping, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        mapping.check()
    assert refused.value.field == field


def test_columns_by_option() -> None:
    assert read_columns(["order=Invoice No", "amount=a=b"], ORDER_ROLES) == {"order": "Invoice No", "amount": "a=b"}


@pytest.mark.parametrize("option", ["order", "order=", "price=UnitPrice", "=x"])
def test_a_column_option_that_is_wrong_lists_the_roles(option: str) -> None:
    with pytest.raises(InvalidInputError, match="customer, card, phone") as refused:
        read_columns([option], MEMBER_ROLES)
    assert refused.value.field == "column"


def test_columns_that_are_called_like_their_role_need_no_mapping() -> None:
    at = locate_order_columns("f", ["time", "order", "amount", "other"], OrderMapping())
    assert dict(at) == {"order": 1, "time": 0, "amount": 2}


def test_a_mapped_column_that_is_not_there_lists_those_that_are() -> None:
    mapping = OrderMapping(columns={"order": "Invoice"})
    with pytest.raises(InvalidInputError, match=r"no column 'Invoice'.*InvoiceNo, Date, Total") as refused:
        locate_order_columns("f.csv", ["InvoiceNo", "Date", "Total"], mapping)
    assert refused.value.field == "column"


def test_a_mapped_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="more than one column 'order'"):
        locate_order_columns("f", ["order", "order", "time", "amount"], OrderMapping(columns={"order": "order"}))


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        (["time", "amount"], "order"),
        (["order", "amount"], "time"),
        (["order", "time", "quantity"], "amount"),
    ],
)
def test_an_order_needs_a_number_a_time_and_an_amount(header: list[str], missing: str) -> None:
    with pytest.raises(InvalidInputError, match=f"which column of f is the {missing}"):
        locate_order_columns("f", header, OrderMapping())


def test_a_person_needs_something_to_be_known_by() -> None:
    with pytest.raises(InvalidInputError, match="customer, card, phone, email"):
        locate_member_columns("f", ["name"], MemberMapping())


def test_a_header_of_one_column_hints_at_the_delimiter() -> None:
    with pytest.raises(InvalidInputError, match="--delimiter"):
        locate_order_columns("f", ["order;time;amount"], OrderMapping())
