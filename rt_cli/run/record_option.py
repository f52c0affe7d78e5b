"""``--record``: where the wire session goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rt_cli.events import EventHandler
    from rt_cli.settings import OutputSettings
    from rt_cli.streaming.transport.wire_recorder import WireRecorder


def open_wirelog(settings: OutputSettings, sources: Iterable[str], on_event: EventHandler) -> WireRecorder | None:
    """The file of ``--record``, begun; None without one.

    Args:
        settings: What is to be saved.
        sources: Their names, which may be files.
        on_event: Told when the disk takes no more.

    Raises:
        UsageError: It cannot be written, or something else is in that file, or is to come there.
    """
    if settings.record is None:
        if settings.record_audio:
            raise UsageError("--record-audio without --record", "give --record FILE")
        return None
    path = Path(settings.record)
    taken = (settings.save_audio, settings.save_transcript, settings.log_file, *sources)
    if any(name is not None and Path(name).absolute() == path.absolute() for name in taken):
        raise UsageError(f"{path} is a file of this run already", "record elsewhere")
    from rt_cli.streaming.transport.wire_recorder import WireRecorder

    return WireRecorder(path, on_event, audio=settings.record_audio, replace=settings.force)
