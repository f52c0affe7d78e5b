"""The options of the commands, made from the declarations of the settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from rt_cli.cli.completion import completer_of
from rt_cli.config.values import Key, settings_keys
from rt_cli.settings.declaration import BENCH, CONVERSATION, ENDPOINT, RUN, STREAM, Declaration

Command = Callable[..., int]

Setting = Annotated[Any, "the option of the settings key with the name of the parameter"]
"""Annotates a parameter of a command that stands before the other options."""
SpoolDir = Annotated[
    Path | None,
    typer.Option("--spool", metavar="DIR", help="Keep sound there until it is delivered.", rich_help_panel="Delivery"),
]
ResumeDir = Annotated[
    Path | None,
    typer.Option("--resume", metavar="DIR", help="Deliver what an earlier run left there.", rich_help_panel="Delivery"),
]

OutputAudio = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="The translated sound, as WAV; - is stdout.", rich_help_panel="Output"),
]

_NO_SETTINGS = {
    "profile": ("config", Path, Declaration("--config FILE", "Config file.", commands=ENDPOINT)),
    "force": (
        "json",
        bool,
        Declaration("--json", "NDJSON on stdout; the same as -f json.", commands=BENCH | CONVERSATION, everyday=True),
    ),
}
"""Options that are no settings, each by the key that it stands behind: name, type and declaration."""
_SELECTORS = {"local", "url", "profile", "config"}
"""Options that select where the values come from; ``rt config show --help`` lists only these."""


@cache
def option_keys() -> dict[str, Key]:
    """Every key that has an option, in the order of the help."""
    keys = {}
    for name, key in settings_keys().items():
        if key.declared.option:
            keys[name] = key
        if name in _NO_SETTINGS:
            other, kind, declared = _NO_SETTINGS[name]
            keys[other] = Key(
                other, key.table, other, kind, optional=True, default=None, declared=declared, title=key.title
            )
    return keys


def with_settings(name: str) -> Callable[[Command], Command]:
    """Add the options that the command of this name takes. It gets them as ``**values``; None for an absent one."""
    return lambda command: _with(command, {key.name: _option(key) for key in _keys_of({name})})


def with_run_options(command: Command) -> Command:
    """Add all options that change a run, except ``--json``. The help lists only those of ``_SELECTORS``."""
    keys = [key for key in _keys_of(RUN | STREAM) if key.name != "json"]
    return _with(command, {key.name: _option(key, hidden=key.name not in _SELECTORS) for key in keys})


def _keys_of(commands: set[str] | frozenset[str]) -> list[Key]:
    return [key for key in option_keys().values() if key.declared.commands & commands]


def _option(key: Key, *, hidden: bool = False) -> Any:
    declared = key.declared
    kind = int if declared.repeated else {bool: bool, tuple: list[str], Path: Path}.get(key.kind, str)
    info = typer.Option(
        *declared.flags,
        count=declared.repeated,
        metavar=declared.metavar,
        help=help_of(key),
        autocompletion=completer_of(key),
        hidden=hidden,
    )
    return Annotated[kind | None, info]


class _Choices(tuple[str, ...]):
    """Formatted as ``a, b or c``, or with a format specification as separator."""

    __slots__ = ()

    def __format__(self, separator: str) -> str:
        return separator.join(self) if separator else f"{', '.join(self[:-1])} or {self[-1]}"


def help_of(key: Key) -> str:
    """Return the line for ``--help``, with default, range and choices filled in."""
    default = f"{key.default:g}" if isinstance(key.default, float) else key.default
    declared = key.declared
    return declared.help.format(default=default, low=declared.low, high=declared.high, choices=_Choices(key.choices))


def _with(command: Command, options: dict[str, Any]) -> Command:
    own = inspect.signature(command, eval_str=True).parameters.values()
    first = [
        parameter.replace(annotation=options.pop(parameter.name)) if parameter.annotation is Setting else parameter
        for parameter in own
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    named = {parameter.name for parameter in first}
    others = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
        if name not in named
    ]
    command.__signature__ = inspect.Signature([*first, *others])  # type: ignore[attr-defined] # Typer reads it
    return command
