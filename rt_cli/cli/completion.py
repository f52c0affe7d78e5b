"""What the shell offers for the values of options."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import typer  # noqa: TC002 - read from the annotations of what Typer calls

if TYPE_CHECKING:
    from collections.abc import Callable


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Offers those of the values that begin with what was typed."""

    def offered(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return offered


def choices_of(key: str) -> Callable[[str], list[str]]:
    """Offers the choices of a key of the settings."""

    def offered(incomplete: str) -> list[str]:
        from rt_cli.config.values import settings_keys

        return one_of(*get_args(settings_keys()[key].kind))(incomplete)

    return offered


def profiles(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The profiles of the config file with their URLs; none where the file cannot be read."""
    import os
    from pathlib import Path

    from rt_cli.config.config_file import read_document
    from rt_cli.errors import UsageError
    from rt_cli.protocol.sanitize import masked, printable

    named = ctx.params.get("config")
    try:
        found = read_document(Path(named) if named else None, os.environ).data.get("profiles", {})
    except UsageError:  # whoever presses a key wants no message in the middle of the line
        return []
    if not isinstance(found, dict):
        return []
    urls = {name: table.get("url", "") if isinstance(table, dict) else "" for name, table in found.items()}
    return [(name, masked(printable(str(url)))) for name, url in urls.items() if name.startswith(incomplete)]


def complete_device(incomplete: str) -> list[tuple[str, str]]:
    """Names and host APIs of the microphones for the shell; nothing where the sound system is slow or broken."""
    import asyncio

    from rt_cli.cli.list_devices import offered

    return asyncio.run(offered(incomplete))
