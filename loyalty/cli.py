"""The command `tallystar`. Each command is imported when it is called, so that none waits for what it does not use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

import click

from loyalty.kit.errors import DomainError


class _Place(NamedTuple):
    """Where a command is defined, and what the list of commands says of it."""

    module: str
    attribute: str
    help: str


COMMANDS: Final[Mapping[str, _Place]] = {
    "demo": _Place("loyalty.commands.demo", "demo", "An invented brand with a year behind it, to look at."),
    "init": _Place("loyalty.commands.programmes", "init", "Make a programme, with policies to start with."),
    "channel": _Place("loyalty.commands.programmes", "channel", "Online shops and stores of a programme."),
    "import": _Place("loyalty.commands.imports", "imports", "Members and orders from a shop's exports."),
    "items": _Place("loyalty.commands.items", "items", "Products and their codes: mint, print, move, recall."),
    "benefits": _Place("loyalty.commands.benefits", "benefits", "Coupons and other benefits: give them to many."),
    "tiers": _Place("loyalty.commands.tiers", "tiers", "Tier policies: draft, simulate, publish, review."),
    "ledger": _Place("loyalty.commands.ledger", "ledger", "The books: read, close, reconcile, verify, seal, prove."),
    "draws": _Place("loyalty.commands.draws", "draws", "Prize draws: commitments, and proofs of who won."),
    "epcis": _Place("loyalty.commands.epcis", "epcis", "EPCIS events: captured from a file, shown to shoppers."),
    "db": _Place("loyalty.commands.database", "database", "The embedded database."),
    "doctor": _Place("loyalty.commands.doctor", "doctor", "Say what is not as it should be."),
    "serve": _Place("loyalty.commands.serving", "serve", "Answer on the web."),
    "jobs": _Place("loyalty.commands.serving", "jobs", "Do what time brings: expiry, reviews, housekeeping."),
    "api-key": _Place("loyalty.commands.access", "api_key", "Keys for the programs of a channel."),
    "staff": _Place("loyalty.commands.access", "staff", "People who may sign in."),
}


class _Commands(click.Group):
    """Imports a command when it is called, and answers a refusal of the domain in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command = getattr(importlib.import_module(place.module), place.attribute)
        assert isinstance(command, click.Command)  # noqa: S101  (the table above names commands)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DomainError as error:
            from loyalty.commands.running import RefusedError  # noqa: PLC0415  (only a refusal needs it)

            raise RefusedError(error, ctx) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tallystar")
def cli() -> None:
    """One ledger for every member, one code on every item."""


def main() -> NoReturn:
    """The console script. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 stopped."""
    sys.exit(cli.main(prog_name="tallystar"))


if __name__ == "__main__":
    main()
