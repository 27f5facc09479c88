from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from loyalty.cli import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_imported_and_says_what_it_does(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


def test_the_list_of_commands_imports_none_of_them() -> None:
    program = (
        "import sys, loyalty.cli as c; c.cli(['--help'], standalone_mode=False); print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_command_that_is_not_there_is_wrong_usage() -> None:
    result = CliRunner().invoke(cli, ["exprot"])
    assert result.exit_code == 2
    assert "No such command" in result.output
