"""Where the console's pages are, for the navigation: a few groups of sections, by what people come to do."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Section = Literal[
    "overview",
    "members",
    "segments",
    "ledger",
    "codes",
    "packing",
    "trace",
    "alerts",
    "scans",
    "links",
    "rules",
    "tiers",
    "catalogue",
    "campaigns",
    "effects",
    "benefits",
    "missions",
    "draws",
]
"""The names of all sections; their titles are the texts `console.nav.{name}`."""


class Group(msgspec.Struct, frozen=True):
    """Sections that lie together; the group's title is the text `console.nav.group_{name}`."""

    name: str
    sections: tuple[Section, ...]

    @property
    def path(self) -> str:
        """Where the group's title leads: to its first section."""
        return section_path(self.sections[0])


GROUPS: Final = (
    Group("home", ("overview",)),
    Group("people", ("members", "segments")),
    Group("offers", ("tiers", "rules", "campaigns", "missions", "draws", "benefits", "catalogue", "effects")),
    Group("items", ("codes", "packing", "trace", "alerts", "scans", "links")),
    Group("books", ("ledger",)),
)


def section_path(section: Section) -> str:
    """The address of a section's first page."""
    return "/console" if section == "overview" else f"/console/{section}"


def group_of(section: Section) -> Group:
    """The group that a section lies in."""
    return next(group for group in GROUPS if section in group.sections)
