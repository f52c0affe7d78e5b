"""``rt send``: files, one after the other."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rt_cli.commands import options
from rt_cli.commands.given import settings_of
from rt_cli.errors import UsageError

Files = Annotated[list[str] | None, typer.Argument(metavar="FILE...", help="WAV, FLAC, OGG, MP3; - is stdin.")]


@options.with_common_options
def send(
    files: Files = None,
    speed: options.Speed = None,
    spool: options.SpoolDir = None,
    resume: options.ResumeDir = None,
    **given: Any,
) -> int:
    """Send sound files and print what is said in them.

    Examples: rt send --local talk.wav / rt send --json *.flac | jq -r 'select(.type=="final").text'
    """
    if bool(files) == (resume is not None):
        raise UsageError("nothing to send" if not files else "both files and --resume", "give files, or --resume DIR")
    if spool is not None and len(files or ()) != 1:
        raise UsageError("a spool is for one file", "give one file with --spool")
    settings = settings_of({"speed": speed, **given})
    from rt_cli.commands.run import run
    from rt_cli.commands.sources import file_source, resumed_source

    if resume is not None:
        return run(settings, [resumed_source(resume)])
    return run(settings, [file_source(name, settings.input, spool) for name in files or ()])
