"""Shell completion of option values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import typer  # noqa: TC002 - Typer reads it from the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SHELL = re.compile(r"[$\\`\"';&|<>!\x00-\x1f\x7f-\x9f]")
"""What shells act on, inside of double quotes or as a part of a line."""


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Return a completer for fixed values: those that begin with the typed text."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def choices_of(key: str) -> Callable[[str], list[str]]:
    """Return a completer for the choices of a settings key."""

    def complete(incomplete: str) -> list[str]:
        from rt_cli.config.values import settings_keys

        return one_of(*get_args(settings_keys()[key].kind))(incomplete)

    return complete


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
