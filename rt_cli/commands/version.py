"""``rt version``."""

from __future__ import annotations

import typer

from rt_cli.version import version_text


def version() -> None:
    """Show the version, with Python and the system.

    Examples:
        rt version
    """
    typer.echo(version_text())
