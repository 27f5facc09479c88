"""Mappings: which column of a shop's export is what, and how its numbers and times are written.

A mapping is a TOML file, or options of the command, or both: options win. Without either, a column that has the name
of its role (`order`, `customer`, `time` …) is taken for it. `docs/importing.md` lists the roles.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args
from zoneinfo import available_timezones

import msgspec

from loyalty.kit.errors import InvalidInputError

OrderRole: TypeAlias = Literal[
    "order",
    "time",
    "customer",
    "card",
    "phone",
    "email",
    "line",
    "sku",
    "category",
    "description",
    "quantity",
    "unit_price",
    "amount",
    "discount",
    "currency",
    "original",
]
"""What a column of an orders file may be. `original` is the order that a cancellation takes back."""

MemberRole: TypeAlias = Literal["customer", "card", "phone", "email", "name", "birthday", "joined"]
"""What a column of a members file may be."""

CampaignRole: TypeAlias = Literal[
    "campaign", "kind", "starts", "ends", "customer", "benefit", "used", "store", "clerk", "discount"
]
"""What a column of the files of campaigns may be: of campaigns, of who was sent one, and of what came back."""

Rounding: TypeAlias = Literal["floor", "half_up", "ceil"]
"""How the fraction of a minor unit that a document's exact sum may have is rounded: down, to the nearest, or up."""

Cancellations: TypeAlias = Literal["none", "prefix", "sign"]
"""How a cancellation is told: not at all, by how its number starts, or by being negative."""

ORDER_ROLES: Final[tuple[OrderRole, ...]] = get_args(OrderRole)
CAMPAIGN_ROLES: Final[tuple[CampaignRole, ...]] = get_args(CampaignRole)
MEMBER_ROLES: Final[tuple[MemberRole, ...]] = get_args(MemberRole)
IDENTITY_ROLES: Final[tuple[Literal["customer", "card", "phone", "email"], ...]] = (
    "customer",
    "card",
    "phone",
    "email",
)

_LONGEST_TEXT: Final = 100


class FileFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the text is written. `delimiter` is one character, or `tab`."""

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal_mark: Literal[".", ","] = "."

    @property
    def separator(self) -> str:
        """The character between fields."""
        return "\t" if self.delimiter == "tab" else self.delimiter

    def check(self) -> None:
        """Raises InvalidInputError naming the field."""
        try:
            usable = '\n,"1'.encode(self.encoding) == b'\n,"1'
        except (LookupError, UnicodeError):
            message = f"{self.encoding!r} is not an encoding, such as utf-8, gb18030 or latin-1"
            raise InvalidInputError(message, field="encoding") from None
        if not usable:
            message = f"{self.encoding!r} does not write plain letters as one byte; save the file as UTF-8"
            raise InvalidInputError(message, field="encoding")
        if len(self.separator) != 1 or self.separator in '\r\n"':
            message = f"{self.delimiter!r} is not one character, such as , or ; (or the word tab)"
            raise InvalidInputError(message, field="delimiter")


class OrderMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an orders file holds.

    `time_format` is strptime's; None reads ISO 8601. `time_zone` (IANA) is where times without an offset were taken,
    `currency` what all amounts are in: the channel's, where None. `region` is where phones without a country code are
    dialled.
    """

    columns: dict[OrderRole, str] = {}
    time_format: str | None = None
    time_zone: str | None = None
    currency: str | None = None
    rounding: Rounding = "floor"
    cancellations: Cancellations = "none"
    cancellation_prefix: str = "C"
    region: str = "CN"

    def check(self) -> None:
        """Raises InvalidInputError naming the field."""
        _check_zone(self.time_zone)
        if self.cancellations == "prefix" and not self.cancellation_prefix:
            raise InvalidInputError("a prefix is needed to tell cancellations by", field="cancellation_prefix")


class MemberMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a members file holds. Times and region as in OrderMapping; `birthday` is read as YYYY-MM-DD."""

    columns: dict[MemberRole, str] = {}
    time_format: str | None = None
    time_zone: str | None = None
    region: str = "CN"

    def check(self) -> None:
        """Raises InvalidInputError naming the field."""
        _check_zone(self.time_zone)


class CampaignMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the files of campaigns hold. `day_format` is strptime's; None reads YYYY-MM-DD."""

    columns: dict[CampaignRole, str] = {}
    day_format: str | None = None

    def check(self) -> None:
        """Nothing to find fault with."""


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping file: tables `file`, `orders`, `members` and `campaigns`, each with defaults for what it leaves out."""

    file: FileFormat = FileFormat()
    orders: OrderMapping = OrderMapping()
    members: MemberMapping = MemberMapping()
    campaigns: CampaignMapping = CampaignMapping()


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file. Raises InvalidInputError (mapping) that names the place in it."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Mapping)
    except OSError as error:
        message = f"{path} cannot be opened: {error.strerror}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not TOML: {error}"
    except msgspec.ValidationError as error:
        message = f"{path}: {error}"
    raise InvalidInputError(message, field="mapping")


def read_columns(options: Sequence[str], roles: Sequence[str]) -> dict[str, str]:
    """Read options of the form `customer=CustomerID`. Raises InvalidInputError (column)."""
    columns: dict[str, str] = {}
    for option in options:
        role, equals, column = option.partition("=")
        if not equals or role not in roles or not column.strip():
            message = f"{option[:_LONGEST_TEXT]!r} is not role=column, with one of the roles {', '.join(roles)}"
            raise InvalidInputError(message, field="column")
        columns[role] = column.strip()
    return columns


class Positions(dict[str, int]):
    """Where each role's column is in the records of one file, which has this header."""

    def __init__(self, header: Sequence[str] = ()) -> None:
        super().__init__()
        self._header = header

    def column(self, role: str) -> str:
        """What the file calls a role; the role itself where no column has it."""
        return self._header[self[role]] if role in self else role

    def text(self, fields: Sequence[str], role: str) -> str:
        """The trimmed text of a role; empty where the file has no such column."""
        position = self.get(role)
        return fields[position].strip() if position is not None and position < len(fields) else ""


def locate(file: str, header: Sequence[str], columns: AnyMapping[Any, str], roles: Sequence[str]) -> Positions:
    """Where the mapped columns are. Raises InvalidInputError (column) that lists the columns there are."""
    counts = Counter(header)
    positions = Positions(header)
    for role in roles:
        column = columns.get(role)
        if column is None and role in counts and role not in columns:
            column = role
        if column is None:
            continue
        if counts[column] != 1:
            problem = "no column" if column not in counts else "more than one column"
            message = f"{file} has {problem} {column!r} ({role}); its columns are {_listed(header)}"
            raise InvalidInputError(message, field="column")
        positions[role] = header.index(column)
    return positions


def locate_order_columns(file: str, header: Sequence[str], mapping: OrderMapping) -> Positions:
    """Where an orders file has what. Raises InvalidInputError (column), also where an order could not be told."""
    positions = locate(file, header, mapping.columns, ORDER_ROLES)
    for role, why in (("order", "each line names its order by it"), ("time", "it says when an order was placed")):
        if role not in positions:
            raise _missing(file, header, role, why)
    if "amount" not in positions and "unit_price" not in positions:
        raise _missing(file, header, "amount", "what was paid is in amount, or in unit_price times quantity")
    return positions


def locate_member_columns(file: str, header: Sequence[str], mapping: MemberMapping) -> Positions:
    """Where a members file has what. Raises InvalidInputError (column), also where nothing tells who is who."""
    positions = locate(file, header, mapping.columns, MEMBER_ROLES)
    if not any(role in positions for role in IDENTITY_ROLES):
        raise _missing(file, header, "customer", f"a person is known by one of {', '.join(IDENTITY_ROLES)}")
    return positions


def _missing(file: str, header: Sequence[str], role: str, why: str) -> InvalidInputError:
    message = (
        f"which column of {file} is the {role}? ({why}.) Say so with --column {role}=NAME or in a mapping file; "
        f"its columns are {_listed(header)}"
    )
    return InvalidInputError(message, field="column")


def _listed(header: Sequence[str]) -> str:
    listed = ", ".join(name or "(unnamed)" for name in header[:_LONGEST_TEXT])
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        listed += " (is it separated by something else? see --delimiter)"
    return listed


def _check_zone(time_zone: str | None) -> None:
    if time_zone is not None and time_zone not in available_timezones():
        message = f"{time_zone!r} is not an IANA time zone, such as Europe/London"
        raise InvalidInputError(message, field="time_zone")
