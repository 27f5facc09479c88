"""What the options of an import say, brought together with its mapping file: options win."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
import msgspec

from loyalty.channels.files.lines import STANDARD_INPUT
from loyalty.channels.files.mapping import (
    CAMPAIGN_ROLES,
    MEMBER_ROLES,
    ORDER_ROLES,
    CampaignMapping,
    Cancellations,
    FileFormat,
    Mapping,
    MemberMapping,
    OrderMapping,
    Rounding,
    load_mapping,
    read_columns,
)
from loyalty.channels.files.orders_in import UnknownCustomer
from loyalty.commands.running import json_option, programme_option

Command = TypeVar("Command", bound=Callable[..., Any])
Section = TypeVar("Section", FileFormat, MemberMapping, OrderMapping, CampaignMapping)


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of both imports; None was not given."""

    files: tuple[str, ...]
    channel: str
    mapping: Path | None
    columns: tuple[str, ...]
    time_format: str | None
    time_zone: str | None
    region: str | None
    encoding: str | None
    delimiter: str | None
    refused: Path | None
    programme: str | None
    as_json: bool

    def _whole(self) -> Mapping:
        return load_mapping(self.mapping) if self.mapping else Mapping()

    def refusals_path(self) -> Path:
        """Where refused lines go: as asked, or in the working folder under the first file's name."""
        if self.refused is not None:
            return self.refused
        name = "stdin" if self.files[0] == STANDARD_INPUT else Path(self.files[0]).name
        return Path(f"{name}.refused.csv")


class MemberOptions(ImportOptions, frozen=True, kw_only=True):
    """The options of `import members`."""

    def read(self) -> tuple[FileFormat, MemberMapping]:
        """The mapping that they make. Raises InvalidInputError naming the option or the place in the file."""
        whole = self._whole()
        people = _changed(
            whole.members,
            columns={**whole.members.columns, **read_columns(self.columns, MEMBER_ROLES)},
            time_format=self.time_format,
            time_zone=self.time_zone,
            region=self.region,
        )
        return _changed(whole.file, encoding=self.encoding, delimiter=self.delimiter), people


class CampaignOptions(ImportOptions, frozen=True, kw_only=True):
    """The options of `import campaigns`."""

    def read(self) -> tuple[FileFormat, CampaignMapping]:
        """The mapping that they make. Raises InvalidInputError naming the option or the place in the file."""
        whole = self._whole()
        campaigns = _changed(
            whole.campaigns,
            columns={**whole.campaigns.columns, **read_columns(self.columns, CAMPAIGN_ROLES)},
            day_format=self.time_format,
        )
        return _changed(whole.file, encoding=self.encoding, delimiter=self.delimiter), campaigns


class OrderOptions(ImportOptions, frozen=True, kw_only=True):
    """The options of `import orders`."""

    currency: str | None
    decimal_mark: Literal[".", ","] | None
    rounding: Rounding | None
    cancellations: Cancellations | None
    cancellation_prefix: str | None
    unknown_customer: UnknownCustomer

    def read(self) -> tuple[FileFormat, OrderMapping]:
        """The mapping that they make. Raises InvalidInputError naming the option or the place in the file."""
        whole = self._whole()
        purchases = _changed(
            whole.orders,
            columns={**whole.orders.columns, **read_columns(self.columns, ORDER_ROLES)},
            time_format=self.time_format,
            time_zone=self.time_zone,
            region=self.region,
            currency=self.currency,
            rounding=self.rounding,
            cancellations=self.cancellations or ("prefix" if self.cancellation_prefix else None),
            cancellation_prefix=self.cancellation_prefix,
        )
        file_format = _changed(
            whole.file, encoding=self.encoding, delimiter=self.delimiter, decimal_mark=self.decimal_mark
        )
        return file_format, purchases


def _changed(section: Section, **options: Any) -> Section:
    given = {name: value for name, value in options.items() if value is not None}
    changed = msgspec.structs.replace(section, **given)
    changed.check()
    return changed


def common_options(command: Command) -> Command:
    """Give a command the options of both imports."""
    options = (
        click.argument("files", nargs=-1, required=True, metavar="FILE..."),
        click.option("--channel", required=True, metavar="CODE", help="The channel that the files come from."),
        click.option("--mapping", type=click.Path(path_type=Path), metavar="FILE", help="A mapping file (TOML)."),
        click.option(
            "--column", "columns", multiple=True, metavar="ROLE=NAME", help="Which column is what. Repeatable."
        ),
        click.option("--time-format", help="How times are written, in the terms of strptime. [default: ISO 8601]"),
        click.option("--time-zone", help="Where times without an offset were taken. [default: the channel's]"),
        click.option("--region", help="Where phones without a country code are dialled (ISO 3166). [default: CN]"),
        click.option("--encoding", help="How the text is encoded. [default: utf-8]"),
        click.option("--delimiter", help="One character, or the word tab. [default: ,]"),
        click.option(
            "--refused",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Where refused lines go. [default: FILE.refused.csv in the working folder]",
        ),
        programme_option,
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def order_options(command: Command) -> Command:
    """Give a command the options of orders alone."""
    options = (
        click.option("--currency", metavar="CODE", help="What amounts are in; the channel's is the only one taken."),
        click.option("--decimal-mark", type=click.Choice([".", ","]), help="[default: .]"),
        click.option(
            "--rounding",
            type=click.Choice(["floor", "half_up", "ceil"]),
            help="How an order's exact sum becomes whole minor units. [default: floor]",
        ),
        click.option(
            "--cancellations",
            type=click.Choice(["none", "prefix", "sign"]),
            help="What tells a cancellation: how its number starts, or that it is negative. [default: none]",
        ),
        click.option("--cancellation-prefix", metavar="TEXT", help="What its number starts with. [default: C]"),
        click.option(
            "--unknown-customer",
            type=click.Choice(["create", "refuse", "guest"]),
            default="create",
            show_default=True,
            help="An order of nobody we know: make them a member of the channel, refuse it, or count it as a guest's.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
