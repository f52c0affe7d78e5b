"""Help fits a screen of 80 by 40, has examples, and hides nothing that ``--help-all`` does not show."""

from __future__ import annotations

import os
from typing import Any

import pytest
from typer.main import get_command

from rt_cli.cli.app import app
from tests.program import rt

ROWS, COLUMNS = 40, 80


def commands_of(group: Any, prefix: str = "") -> dict[str, Any]:
    """All commands of a group and of the groups in it, by what is typed."""
    found = {}
    for name, command in group.commands.items():
        found[f"{prefix}{name}"] = command
        if hasattr(command, "commands"):
            found |= commands_of(command, f"{prefix}{name} ")
    return found


COMMANDS = commands_of(get_command(app))


def help_of(*arguments: str, columns: int = COLUMNS) -> list[str]:
    """The lines of a help."""
    ran = rt(*arguments, env={**os.environ, "COLUMNS": str(columns)})
    assert (ran.exit, ran.err) == (0, "")
    return ran.out.splitlines()


def names_of(command: str) -> set[str]:
    """The long names of all options of a command."""
    shown = [param for param in COMMANDS[command].params if not getattr(param, "hidden", False)]
    return {name for param in shown for name in param.opts if name.startswith("--")}


@pytest.mark.parametrize("columns", [COLUMNS, 100, 200])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_screen(command: str, columns: int) -> None:
    """Rows and columns, whatever the width of the terminal."""
    lines = help_of(*command.split(), "--help", columns=columns)

    assert len(lines) <= ROWS
    assert max(map(len, lines)) <= min(columns, 100)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_examples(command: str) -> None:
    """Lines that can be copied as they are: each begins on a line of its own."""
    lines = help_of(*command.split(), "--help")

    examples = lines[lines.index("  Examples:") + 1 :]
    examples = examples[: examples.index("")]
    assert examples
    assert any("rt " in line for line in examples)


def test_root_tells_every_command_on_a_line() -> None:
    """In whole sentences."""
    lines = help_of("--help")

    commands = lines[lines.index("Commands:") + 1 :]
    assert [line.split()[0] for line in commands] == [name for name in COMMANDS if " " not in name]
    assert [line for line in commands if line.endswith("...")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_told(command: str) -> None:
    """By ``--help``, or, where there are too many, by ``--help-all``, to which the help leads."""
    wanted = names_of(command)
    everything = "--help-all" if "--help-all" in wanted else "--help"

    lines = help_of(*command.split(), everything)

    told = {word.rstrip(",") for line in lines for word in line.split() if line.startswith("  -")}
    assert wanted - told == set()
    assert max(map(len, lines)) <= COLUMNS
    if everything == "--help-all":
        assert any("--help-all" in line for line in help_of(command, "--help"))


def test_all_options_come_in_groups() -> None:
    """Named as the tables of the configuration are, in words."""
    titles = [line for line in help_of("stream", "--help-all") if line.endswith(":") and not line.startswith(" ")]

    assert titles == ["Arguments:", "Endpoint:", "Sound:", "Words and turns:", "Output:", "Delivery:", "Options:"]
