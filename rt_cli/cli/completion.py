"""Shell completion of option values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import typer  # noqa: TC002 - Typer reads it from the annotations at run time

from rt_cli.settings import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rt_cli.config.values import Key

_SHELL = re.compile(r"[$\\`\"';&|<>!\x00-\x1f\x7f-\x9f]")
"""What shells act on, inside of double quotes or as a part of a line."""


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Return a completer for fixed values: those that begin with the typed text."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def completer_of(key: Key) -> Callable[..., Any] | None:
    """Return the completer for the values of a settings key; None where any text may stand."""
    if key.name in _COMPLETERS:
        return _COMPLETERS[key.name]
    return one_of(*(("auto",) if key.optional else ()), *key.choices) if key.choices else None


def profiles(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the profiles of the config file with their URLs; an empty list if the file cannot be read."""
    import os
    from pathlib import Path

    from rt_cli.config.config_file import read_document
    from rt_cli.errors import UsageError
    from rt_cli.protocol.sanitize import masked, printable

    config = ctx.params.get("config")
    try:
        tables = read_document(Path(config) if config else None, os.environ).data.get("profiles", {})
    except UsageError:  # a message would break the command line that the user is typing
        return []
    if not isinstance(tables, dict):
        return []
    urls = {name: table.get("url", "") if isinstance(table, dict) else "" for name, table in tables.items()}
    return harmless((name, masked(printable(str(url)))) for name, url in urls.items() if name.startswith(incomplete))


def complete_device(incomplete: str) -> list[tuple[str, str]]:
    """Return names and host APIs of the microphones; an empty list if the sound system is slow or broken."""
    import asyncio

    from rt_cli.cli.list_devices import complete_names

    return harmless(asyncio.run(complete_names(incomplete)))


_COMPLETERS: dict[str, Callable[..., Any]] = {
    "profile": profiles,
    "device": complete_device,
    "output": one_of(*get_args(OutputFormat)),
}
"""Completers of values that have to be looked for."""


def harmless(items: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return only names that mean nothing to a shell, and their descriptions without such characters.

    A shell inserts a name as it is, and zsh evaluates names and descriptions when the user presses TAB.
    """
    return [(name, _SHELL.sub("", text)) for name, text in items if not _SHELL.search(name)]


def keep_brackets() -> None:
    """Let descriptions keep what stands in brackets: Typer takes ``[text]`` for markup, which rt does not use."""
    from typer import _completion_classes

    _completion_classes._sanitize_help_text = _unchanged  # noqa: SLF001 - Typer has no option for it


def _unchanged(text: str) -> str:
    return text
