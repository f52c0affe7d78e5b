"""Shell completion of option values."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import typer  # noqa: TC002 - Typer reads it from the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Callable


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
    return [(name, masked(printable(str(url)))) for name, url in urls.items() if name.startswith(incomplete)]


def complete_device(incomplete: str) -> list[tuple[str, str]]:
    """Return names and host APIs of the microphones; an empty list if the sound system is slow or broken."""
    import asyncio

    from rt_cli.cli.list_devices import complete_names

    return asyncio.run(complete_names(incomplete))
