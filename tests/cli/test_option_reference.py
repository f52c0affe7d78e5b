"""``rt help options``: every option of every command, with its commands."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from typer.main import get_command

from rt_cli.cli.app import app
from rt_cli.config.values import settings_keys
from tests.cli.test_help import COMMANDS
from tests.program import rt

ROW = re.compile(r"^\| `([^`]+)` \| (.*) \| ([\w, ]+) \|$", re.MULTILINE)
PLACES = re.compile(r"Key `(\w+)` in `\[(\w+)\]`(?:, variable `(\w+)`)?\.$")


class Row(NamedTuple):
    """A row of the reference."""

    names: str
    text: str
    commands: set[str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Every row, as it is printed."""
    found = ROW.findall(rt("help", "options").out)
    return [Row(names, text, set(takers.split(", "))) for names, text, takers in found]


@pytest.mark.parametrize("command", ["rt", *COMMANDS])
def test_every_option_of_every_command(command: str, rows: list[Row]) -> None:
    """By all of its names, once for each command that takes it, with its help or with what its setting declares."""
    params = (get_command(app) if command == "rt" else COMMANDS[command]).params
    options = [param for param in params if param.param_type_name == "option" and not getattr(param, "hidden", False)]
    assert options or command not in {"rt", "send", "serve"}
    for option in options:
        found = [
            row
            for row in rows
            if set(option.opts) <= set(re.findall(r"--?[\w-]+", row.names)) and row.commands & {command, "all"}
        ]
        assert len(found) == 1, option.opts
        key = settings_keys().get(option.name or "")
        texts = [option.help or "", key.declared.doc if key is not None else ""]
        shown = found[0].text.replace("`", "").replace(r"\|", "|")
        assert any(shown.startswith(text[:20]) for text in texts if text)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (
            "--silence-ms",
            " 50 to 60000 ms. Default: 500. Key `silence_ms` in `[session]`, variable `RT_SILENCE_MS`.",
        ),
        ("--max-turn", " 1 to 3600 s. Default: 30. Key `max_turn` in `[session]`, variable `RT_MAX_TURN`."),
        (
            "--dialect",
            " auto: by the host of the URL. Key `dialect` in `[endpoint]`, variable `RT_DIALECT`.",
        ),
        ("--gate", " Default: false. Key `gate` in `[input]`, variable `RT_GATE`."),
        ("--header", " Default: nothing. Key `headers` in `[endpoint]`."),
        ("--ptt", " Default: false."),
        ("--jobs", " [1<=x<=256]"),
    ],
)
def test_key_variable_default_and_values(option: str, text: str, rows: list[Row]) -> None:
    """Of each kind of option: a table has no variable, and what one run does has neither."""
    row = next(row for row in rows if option in row.names.replace(",", " ").split())

    assert row.text.endswith(text)


def test_every_key_with_an_option_is_there(rows: list[Row]) -> None:
    """Once, with its table and its variable."""
    keys = [key for key in settings_keys().values() if key.declared.option and key.declared.only is None]
    places = [found.groups() for row in rows if (found := PLACES.search(row.text))]

    assert {key: (table, variable) for key, table, variable in places} == {
        key.name: (key.table, key.variable) for key in keys
    }
    assert len(places) == len(keys)


def test_no_option_is_invented(rows: list[Row]) -> None:
    """Every name belongs to some command."""
    params = [param for command in (get_command(app), *COMMANDS.values()) for param in command.params]
    known = {name for param in params for name in (*param.opts, *param.secondary_opts)} | {"-h", "--help"}
    assert {name for row in rows for name in re.findall(r"(?<!\w)--?[a-zA-Z][\w-]*", row.names)} <= known
