"""The Typer application: one short file per command."""

from __future__ import annotations

from typing import Annotated

import typer

from rt_cli import __version__
from rt_cli.commands.bench import bench
from rt_cli.commands.configuration import app as configuration
from rt_cli.commands.devices import devices
from rt_cli.commands.doctor import doctor
from rt_cli.commands.help import Command
from rt_cli.commands.login import login, logout
from rt_cli.commands.replay import replay
from rt_cli.commands.send import send
from rt_cli.commands.serve import serve
from rt_cli.commands.stream import stream

_HELP = """Realtime audio streaming: sound in from a microphone, a file or a pipe; words out.

\b
Examples:
    rt send --local talk.wav             a file, here, without a key
    rt stream --mic                      the microphone, until Ctrl-C
    ffmpeg -i URL -f wav - | rt stream - anything that can be played
"""

app = typer.Typer(
    name="rt",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (stream, send, serve, devices, doctor, login, logout, replay, bench):
    app.command(cls=Command)(command)
app.add_typer(configuration, name="config")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rt {__version__}")
        raise typer.Exit


@app.callback(help=_HELP)
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """All commands; their help is above."""
