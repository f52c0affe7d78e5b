"""``--record``: the file that records the wire session; and which outputs of a run may not be one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.disk.outfile import is_same_file
from rt_cli.errors import UsageError
from rt_cli.output.results.saved_results import format_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rt_cli.events import EventHandler
    from rt_cli.settings import OutputSettings
    from rt_cli.streaming.transport.wire_recorder import WireRecorder


def check_outputs(settings: OutputSettings, sources: Iterable[str], more: Iterable[Path | None] = ()) -> None:
    """Refuse an output that is a source or another output, before one of them is opened and perhaps emptied.

    Args:
        settings: The output settings.
        sources: Names of the sources; some are file paths.
        more: Outputs that are no settings.

    Raises:
        UsageError: Two names mean one file, a transcript has no format, or an option needs another one.
    """
    if settings.save_transcript is not None:
        format_of(Path(settings.save_transcript))
    for option, given in (("--progress", settings.progress_s is not None), ("--raw", settings.raw)):
        if given and settings.format != "json":
            raise UsageError(f"{option} adds lines of NDJSON", "add --json")
    # The source of --save-audio is checked when it is open: only then it is known to be a file.
    files = [Path(settings.save_audio)] if settings.save_audio is not None else []
    files += [Path(source) for source in sources if source != "-"]
    for name in (settings.output, settings.save_transcript, settings.log_file, settings.record, *more):
        if name is not None:
            if any(is_same_file(Path(name), other) for other in files):
                raise UsageError(f"{name} is a file of this run already", "write it elsewhere")
            files.append(Path(name))


def open_wire_recorder(settings: OutputSettings, on_event: EventHandler) -> WireRecorder | None:
    """Open the file of ``--record``; None without that option.

    Args:
        settings: The output settings.
        on_event: Called with a warning when the disk is full or fails.

    Raises:
        UsageError: The file cannot be written or exists already.
    """
    if settings.record is None:
        if settings.record_audio:
            raise UsageError("--record-audio without --record", "give --record FILE")
        return None
    path = Path(settings.record)
    from rt_cli.streaming.transport.wire_recorder import WireRecorder

    return WireRecorder(path, on_event, audio=settings.record_audio, replace=settings.force)
