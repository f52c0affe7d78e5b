"""The Typer application. It imports the module of a command only when that command runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from rt_cli.version import version_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer._click import Command

_HELP = """Realtime audio streaming: sound in from a microphone, a file or a pipe; words out.

\b
Examples:
    rt send --local talk.wav             a file, here, without a key
    rt stream --mic                      the microphone, until Ctrl-C
    ffmpeg -i URL -f wav - | rt stream - anything that can be played
"""

LOCATIONS = {
    "stream": "stream:stream",
    "send": "send:send",
    "talk": "talk:talk",
    "ask": "ask:ask",
    "say": "say:say",
    "serve": "serve:serve",
    "devices": "devices:devices",
    "models": "models:models",
    "doctor": "doctor:doctor",
    "login": "login:login",
    "logout": "login:logout",
    "replay": "replay:replay",
    "bench": "bench:bench",
    "config": "config:app",
    "completion": "completion:completion",
    "help": "help:show_help",
    "version": "version:version",
}
"""Module and attribute of each command, in the order of the help."""


class Commands(Mapping[str, "Command"]):
    """All commands by name. Imports a command at the first access: imports are most of the start-up time."""

    def __init__(self) -> None:
        self._cache: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._cache:
            module, _, attribute = LOCATIONS[name].partition(":")
            self._cache[name] = _build(name, getattr(import_module(f"rt_cli.commands.{module}"), attribute))
        return self._cache[name]

    def __iter__(self) -> Iterator[str]:
        return iter(LOCATIONS)

    def __len__(self) -> int:
        return len(LOCATIONS)


def _build(name: str, command: Any) -> Command:
    if not isinstance(command, typer.Typer):
        from rt_cli.cli.help import Command as HelpCommand

        function, command = command, typer.Typer(rich_markup_mode=None, add_completion=False)
        command.command(name, cls=HelpCommand)(function)
    click_command = get_command(command)
    click_command.name = name
    return click_command


class _Group(TyperGroup):
    """The commands of the program, imported lazily."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()  # type: ignore[assignment]  # a read-only mapping is enough


app = typer.Typer(
    cls=_Group,
    name="rt",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def meant(arguments: list[str]) -> list[str]:
    """Return the arguments of the command that is meant by those that were typed.

    Raises:
        UsageError: They are no command; the hint says what to type.
    """
    import os

    from rt_cli.cli.guesses import Facts, understand
    from rt_cli.cli.process import stdin_is_piped

    return understand(arguments, Facts(LOCATIONS, os.path.exists, stdin_is_piped(), options_of))


def options_of(command: str) -> dict[str, bool]:
    """Return the options of a command, each with whether it takes a value."""
    flags: list[Any] = [param for param in Commands()[command].params if param.param_type_name == "option"]
    return {option: not (flag.is_flag or flag.count) for flag in flags for option in flag.opts}


def _show_version(value: bool) -> None:
    if value:
        typer.echo(version_text())
        raise typer.Exit


@app.callback(help=_HELP)
def root(
    _version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The root command. Its help text is ``_HELP``."""
