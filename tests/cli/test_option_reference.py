"""``rt help options``: every option of every command, with its commands."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command

from rt_cli.cli.app import app
from tests.cli.test_help import COMMANDS
from tests.program import rt

ROW = re.compile(r"^\| `([^`]+)` \| (.*) \| ([\w, ]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str, set[str]]]:
    """Names, meaning and commands of each row."""
    return [(names, text, set(takers.split(", "))) for names, text, takers in ROW.findall(rt("help", "options").out)]


@pytest.mark.parametrize("command", ["rt", *COMMANDS])
def test_every_option_of_every_command(command: str, rows: list[tuple[str, str, set[str]]]) -> None:
    """By all of its names, once for each command that takes it, with its help."""
    params = (get_command(app) if command == "rt" else COMMANDS[command]).params
    options = [param for param in params if param.param_type_name == "option" and not getattr(param, "hidden", False)]
    assert options or command not in {"rt", "send", "serve"}
    for option in options:
        found = [
            row
            for row in rows
            if set(option.opts) <= set(re.findall(r"--?[\w-]+", row[0])) and row[2] & {command, "all"}
        ]
        assert len(found) == 1, option.opts
        assert found[0][1].replace("`", "").startswith((option.help or "")[:20].replace("|", r"\|"))


def test_no_option_is_invented(rows: list[tuple[str, str, set[str]]]) -> None:
    """Every name belongs to some command."""
    params = [param for command in (get_command(app), *COMMANDS.values()) for param in command.params]
    known = {name for param in params for name in (*param.opts, *param.secondary_opts)} | {"-h", "--help"}
    assert {name for names, _, _ in rows for name in re.findall(r"(?<!\w)--?[a-zA-Z][\w-]*", names)} <= known
