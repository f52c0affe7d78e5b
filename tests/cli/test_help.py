"""Help fits a screen of 80 by 40, has examples, and ``--help-all`` shows every option."""

from __future__ import annotations

import os
from typing import Any

import pytest
from typer.main import get_command

from rt_cli.cli.app import app
from tests.program import rt

ROWS, COLUMNS = 40, 80


def commands_of(group: Any, prefix: str = "") -> dict[str, Any]:
    """Return all commands of a group and its subgroups, by command line."""
    found = {}
    for name, command in group.commands.items():
        found[f"{prefix}{name}"] = command
        if hasattr(command, "commands"):
            found |= commands_of(command, f"{prefix}{name} ")
    return found


COMMANDS = commands_of(get_command(app))


def help_of(*arguments: str, columns: int = COLUMNS) -> list[str]:
    """Return the lines of a help text."""
    ran = rt(*arguments, env={**os.environ, "COLUMNS": str(columns)})
    assert (ran.exit, ran.err) == (0, "")
    return ran.out.splitlines()


def names_of(command: str) -> set[str]:
    """Return the long names of all options of a command."""
    shown = [param for param in COMMANDS[command].params if not getattr(param, "hidden", False)]
    return {name for param in shown for name in param.opts if name.startswith("--")}


@pytest.mark.parametrize("columns", [COLUMNS, 100, 200])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_screen(command: str, columns: int) -> None:
    """Rows and columns fit at any terminal width."""
    lines = help_of(*command.split(), "--help", columns=columns)

    assert len(lines) <= ROWS
    assert max(map(len, lines)) <= min(columns, 100)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_examples(command: str) -> None:
    """Each example begins on its own line, so that it can be copied."""
    lines = help_of(*command.split(), "--help")

    examples = lines[lines.index("  Examples:") + 1 :]
    examples = examples[: examples.index("")]
    assert examples
    assert any("rt " in line for line in examples)


def test_root_help_has_one_line_per_command() -> None:
    """The root help has one line per command, with a whole sentence."""
    lines = help_of("--help")

    commands = lines[lines.index("Commands:") + 1 :]
    assert [line.split()[0] for line in commands] == [name for name in COMMANDS if " " not in name]
    assert [line for line in commands if line.endswith("...")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_every_option(command: str) -> None:
    """Every option is in ``--help``, or in ``--help-all``, which ``--help`` then mentions."""
    wanted = names_of(command)
    everything = "--help-all" if "--help-all" in wanted else "--help"

    lines = help_of(*command.split(), everything)

    told = {word.rstrip(",") for line in lines for word in line.split() if line.startswith("  -")}
    assert wanted - told == set()
    assert max(map(len, lines)) <= COLUMNS
    if everything == "--help-all":
        assert any("--help-all" in line for line in help_of(command, "--help"))


def test_help_all_has_groups() -> None:
    """The groups are the tables of the configuration."""
    titles = [line for line in help_of("stream", "--help-all") if line.endswith(":") and not line.startswith(" ")]

    assert titles == ["Arguments:", "Endpoint:", "Sound:", "Words and turns:", "Output:", "Delivery:", "Options:"]


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_are_in_one_style(command: str) -> None:
    """In brackets behind the text, for every option."""
    assert "[default" not in "\n".join(help_of(*command.split(), "--help"))
    assert not any(line.startswith("  --install-completion") for line in help_of(*command.split(), "--help"))
