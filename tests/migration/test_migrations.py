"""The schema is the sum of its migrations, and the code's idea of it is the same."""

from __future__ import annotations

import ast
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

import loyalty.web.app  # every table's module is imported by the application
from loyalty.kit.db import metadata

ROOT = Path(__file__).parents[2]


def configuration(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    address = make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", address.replace("%", "%%"))
    return config


def test_autogenerate_finds_no_difference(fresh_database_url: str) -> None:
    assert loyalty.web.app.__name__
    assert len(metadata.tables) > 30
    engine = create_engine(make_url(fresh_database_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        config = configuration(fresh_database_url)
        config.attributes["connection"] = connection
        command.check(config)
    engine.dispose()


def test_there_is_one_chain_and_each_file_is_named_as_its_revision() -> None:
    scripts = ScriptDirectory(str(ROOT / "migrations"))
    chain = list(scripts.walk_revisions())
    assert len(scripts.get_heads()) == 1
    assert [Path(script.path).stem for script in chain] == [script.revision for script in chain]


def test_every_step_can_be_undone_and_done_again(fresh_database_url: str) -> None:
    config = configuration(fresh_database_url)
    command.downgrade(config, "base")
    with psycopg.connect(fresh_database_url) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname IN ('public', 'ledger') AND relkind = 'r' AND relname <> 'alembic_version'"
        ).fetchall()
    assert left == []
    command.upgrade(config, "head")


@pytest.mark.parametrize("path", sorted((ROOT / "migrations" / "versions").glob("0*.py")), ids=lambda path: path.stem)
def test_a_migration_does_not_lean_on_code_that_will_change(path: Path) -> None:
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not {name.split(".")[0] for name in imported} & {"loyalty", "ledger", "tiers", "redemption"}
