"""The console's navigation leads to every section, once."""

from __future__ import annotations

from typing import get_args

from loyalty.web.console.sections import GROUPS, Section, group_of


def test_every_section_lies_in_one_group() -> None:
    assert sorted(name for group in GROUPS for name in group.sections) == sorted(get_args(Section))
    assert all(name in group_of(name).sections for name in get_args(Section))
