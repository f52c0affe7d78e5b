"""The Typer application: one short file per command."""

from __future__ import annotations

from typing import Annotated

import typer

from rt_cli import __version__
from rt_cli.commands.devices import devices
from rt_cli.commands.doctor import doctor
from rt_cli.commands.send import send
from rt_cli.commands.serve import serve
from rt_cli.commands.stream import stream

app = typer.Typer(
    name="rt",
    help="Realtime audio streaming: sound in from a microphone, a file or a pipe; words out.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command()(stream)
app.command()(send)
app.command()(serve)
app.command()(devices)
app.command()(doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rt {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Realtime audio streaming: sound in from a microphone, a file or a pipe; words out."""
