"""``rt send``: files, one after the other or several at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import run_loop, stdin_is_piped, stdout_was_emptied, warn_of_variables
from rt_cli.config.layers import settings_of
from rt_cli.errors import EXIT_OK, UsageError
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.run.skip_done import DoneMarks
    from rt_cli.settings import Settings

MOST_JOBS = 256
"""Each job has a connection, a decoder and a few megabytes of memory."""

_FILES = "Files, folders, http(s) URLs; - is stdin."
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
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="This part of the files; auto for SLURM, auto/N.", rich_help_panel="Delivery"
    ),
]
FilesFrom = Annotated[
    str | None,
    typer.Option("--files-from", metavar="FILE", help="Names of more files; - is stdin.", rich_help_panel="Sound"),
]
Null = Annotated[bool, typer.Option("--null", help="Each of these names ends with a NUL.", rich_help_panel="Sound")]


@options.with_settings("send")
def send(
    files: Files = None,
    speed: options.Setting = None,
    spool: options.SpoolDir = None,
    resume: options.ResumeDir = None,
    jobs: Jobs = 1,
    skip_done: SkipDone = False,
    shard: ShardOption = None,
    files_from: FilesFrom = None,
    null: Null = False,
    output_audio: options.OutputAudio = None,
    **values: Any,
) -> int:
    """Send sound files and print what is said in them.

    Examples:
        rt send --local talk.wav
        rt send --json *.flac | jq -r 'select(.type=="final").text'
    """
    names = _names(files or [], files_from, null=null, piped=resume is None and stdin_is_piped())
    if bool(names) == (resume is not None):
        raise UsageError("nothing to send" if not names else "both files and --resume", "give files, or --resume DIR")
    if spool is not None and len(names) != 1:
        raise UsageError("a spool is for one file", "give one file with --spool")
    if skip_done and (resume is not None or "-" in names):
        raise UsageError("--skip-done knows files by their content", "give files, neither - nor --resume")
    if shard is not None and (resume is not None or "-" in names):
        raise UsageError("--shard takes a part of a list of files", "give files, neither - nor --resume")
    settings = settings_of({"speed": speed, **values})
    if shard is not None:
        names = _part(shard, names, settings, output_audio)
    warn_of_variables(quiet=settings.output.quiet)
    from rt_cli.run.run import CommandRun
    from rt_cli.run.sources import file_source, resumed_source

    if resume is not None:
        return run_loop(CommandRun(settings, [resumed_source(resume)], output_audio=output_audio).run)
    if not names:
        return EXIT_OK  # none of them is in this shard
    sources = [file_source(name, settings.input, spool) for name in names]
    if skip_done and settings.output.output is None and settings.output.output_dir is None and stdout_was_emptied():
        raise UsageError(
            "--skip-done does not print what is done already, and > has just emptied the file of it",
            "append with >>, or give --output-dir",
        )
    done_marks = _done_marks(settings.output.output_dir) if skip_done else None
    run = CommandRun(settings, sources, jobs=jobs, done_marks=done_marks, output_audio=output_audio)
    return run_loop(run.run)


def _names(files: list[str], files_from: str | None, *, null: bool, piped: bool) -> list[str]:
    from rt_cli.run.source_names import read_list

    if files_from is None:
        if null:
            raise UsageError("--null without --files-from", "give --files-from FILE, or - for stdin")
        return _once(files or (["-"] if piped else []))
    listed = read_list(files_from, null=null) if files_from != "-" or "-" not in files else []
    if files_from == "-" and "-" in (*files, *listed):
        raise UsageError("stdin holds the names already", "give the sound as a file")
    return _once([*files, *listed])


def _once(names: list[str]) -> list[str]:
    if names.count("-") > 1:
        raise UsageError("stdin can be read only once", "give - once")
    from rt_cli.run.source_names import expand

    return expand(names)


def _part(text: str, names: list[str], settings: Settings, output_audio: str | None) -> list[str]:
    """Return the names of a shard. Outputs are checked as if it had all of them, whichever it has."""
    from rt_cli.output.results.saved_results import check
    from rt_cli.run.claims.shard import parse_shard
    from rt_cli.run.output_audio import check_output_audio

    shard, output = parse_shard(text, os.environ), settings.output
    if output.output is not None and output.output_dir is None and min(shard.count, len(names)) > 1:
        name = printable(output.output)
        raise UsageError(f"--output {name} is one file for all shards", "give --output-dir DIR, or > a file per shard")
    check(output, len(names))
    check_output_audio(settings, output_audio, len(names))
    return shard.pick(names)


def _done_marks(output_dir: str | None) -> DoneMarks:
    from rt_cli.run.skip_done import DoneMarks, done_path

    return DoneMarks(done_path(output_dir))
