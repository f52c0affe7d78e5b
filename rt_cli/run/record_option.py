"""``--record``: the file that records the wire session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rt_cli.events import EventHandler
    from rt_cli.settings import OutputSettings
    from rt_cli.streaming.transport.wire_recorder import WireRecorder


def open_wire_recorder(settings: OutputSettings, sources: Iterable[str], on_event: EventHandler) -> WireRecorder | None:
    """Open the file of ``--record``; None without that option.

    Args:
        settings: The output settings.
        sources: Names of the sources; some are file paths.
        on_event: Called with a warning when the disk is full or fails.

    Raises:
        UsageError: The file cannot be written, exists already, or is another file of this run.
    """
    if settings.record is None:
        if settings.record_audio:
            raise UsageError("--record-audio without --record", "give --record FILE")
        return None
    path = Path(settings.record)
    other_names = (settings.save_audio, settings.save_transcript, settings.log_file, *sources)
    if any(name is not None and Path(name).absolute() == path.absolute() for name in other_names):
        raise UsageError(f"{path} is a file of this run already", "record elsewhere")
    from rt_cli.streaming.transport.wire_recorder import WireRecorder

    return WireRecorder(path, on_event, audio=settings.record_audio, replace=settings.force)
