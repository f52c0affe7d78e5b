"""``rt send``: files, one after the other or several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import run_loop
from rt_cli.config.layers import settings_of
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from rt_cli.run.skip_done import DoneMarks

MOST_JOBS = 256
"""Each job has a connection, a decoder and a few megabytes of memory."""

_FILES = "WAV, FLAC, OGG, MP3; m4a, video with rt-cli[media]; - is stdin."
Files = Annotated[list[str] | None, typer.Argument(metavar="FILE...", help=_FILES)]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        max=MOST_JOBS,
        show_default=False,
        help="Sessions at once [1].",
        rich_help_panel="Delivery",
    ),
]
SkipDone = Annotated[
    bool, typer.Option("--skip-done", help="Not what an earlier such run finished.", rich_help_panel="Delivery")
]


@options.with_settings("send")
def send(
    files: Files = None,
    speed: options.Setting = None,
    spool: options.SpoolDir = None,
    resume: options.ResumeDir = None,
    jobs: Jobs = 1,
    skip_done: SkipDone = False,
    **values: Any,
) -> int:
    """Send sound files and print what is said in them.

    Examples:
        rt send --local talk.wav
        rt send --json *.flac | jq -r 'select(.type=="final").text'
    """
    if bool(files) == (resume is not None):
        raise UsageError("nothing to send" if not files else "both files and --resume", "give files, or --resume DIR")
    if spool is not None and len(files or ()) != 1:
        raise UsageError("a spool is for one file", "give one file with --spool")
    if skip_done and (resume is not None or "-" in (files or ())):
        raise UsageError("--skip-done knows files by their content", "give files, neither - nor --resume")
    settings = settings_of({"speed": speed, **values})
    from rt_cli.run.run import CommandRun
    from rt_cli.run.sources import file_source, resumed_source

    if resume is not None:
        return run_loop(CommandRun(settings, [resumed_source(resume)]).run)
    sources = [file_source(name, settings.input, spool) for name in files or ()]
    done_marks = _done_marks(settings.output.output_dir) if skip_done else None
    return run_loop(CommandRun(settings, sources, jobs=jobs, done_marks=done_marks).run)


def _done_marks(output_dir: str | None) -> DoneMarks:
    from rt_cli.run.skip_done import DoneMarks, done_path

    return DoneMarks(done_path(output_dir))
