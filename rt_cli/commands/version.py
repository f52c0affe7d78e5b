"""``rt version``."""

from __future__ import annotations

import typer

from rt_cli import __version__


def version() -> None:
    """Show the version.

    Examples:
        rt version
    """
    typer.echo(f"rt {__version__}")
