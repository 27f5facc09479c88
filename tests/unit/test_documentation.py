"""The pages of `docs/` tell all that there is to tell: settings, commands, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from loyalty.cli import cli

ROOT = Path(__file__).parents[2]
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def settings() -> set[str]:
    """Every variable that some module of the product names."""
    sources = "\n".join(path.read_text() for path in (ROOT / "loyalty").rglob("*.py"))
    return set(re.findall(r"\b(?:TALLYSTAR_[A-Z_]*[A-Z]|DATABASE_URL)\b", sources))


def commands(group: click.Group, *path: str) -> Iterator[str]:
    """Every command that does something, by its whole name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield " ".join(("tallystar", *path, name))


def test_every_setting_is_documented_and_every_documented_one_is_there() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", SETTINGS_PAGE, re.MULTILINE))
    assert documented == settings()


def test_every_command_is_documented_and_every_documented_one_is_there() -> None:
    documented = set(re.findall(r"^\| `(tallystar [a-z -]+)` \|", SETTINGS_PAGE, re.MULTILINE))
    assert documented == set(commands(cli))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_links_and_commands_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target
    known = set(commands(cli)) | {name.rsplit(" ", 1)[0] for name in commands(cli)}
    for written in re.findall(r"^(?:\$ |    |)tallystar ((?:[a-z-]+ ?)+)", text, re.MULTILINE):
        words = written.split()
        assert any(" ".join(("tallystar", *words[:count])) in known for count in (1, 2)), written


def test_every_target_of_make_that_is_written_about_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)(?=[`\n])", page.read_text())) <= targets, page
