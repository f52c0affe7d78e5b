"""Writes the run to its spool. A disk error is reported once; the run continues without the spool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from rt_cli.events import Failed, Final, Warned
from rt_cli.protocol.session.effects import Drop, Report, Settle
from rt_cli.timeline.spool import Spool, SpoolSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.audio.source import SourceInfo
    from rt_cli.events import EventHandler
    from rt_cli.protocol.session.effects import Effect
    from rt_cli.settings import InputSettings
    from rt_cli.timeline.tape import Hole


def spool_source(info: SourceInfo, rate_hz: int, settings: InputSettings) -> SpoolSource:
    """Return the description of the source in the spool."""
    path = Path(info.name).absolute() if info.kind == "file" else None
    size = path.stat().st_size if path else None
    return SpoolSource(
        rate_hz, info.name, info.kind, str(path) if path else None, size, channel=settings.channel, gain=settings.gain
    )


def final_of(record: dict[str, Any]) -> Final:
    """Return the final of a spool record, marked as resumed."""
    values: dict[str, Any] = {name: record.get(name) for name in Final.__struct_fields__}
    return Final(**values | {"resumed": True})


class SpoolWriter:
    """Writes audio and records of one run to its spool.

    Args:
        spool: An open spool.
        captured: Timeline position up to which the spool is complete already.
        on_event: Receives a warning on the first disk error.
    """

    def __init__(self, spool: Spool, on_event: EventHandler, *, captured: int = 0) -> None:
        self._spool = spool
        self._complete_to = captured
        self._on_event = on_event
        self._warned = False

    @property
    def folder(self) -> Path:
        """Folder of the spool."""
        return self._spool.folder

    def sound(self, start: int, pcm: bytes) -> None:
        """Write captured audio. Call it before any other use of that audio."""
        if start >= self._complete_to:
            self._try(lambda: self._spool.append(start, pcm))

    def hole(self, hole: Hole) -> None:
        """Write a gap in the capture, or dropped audio."""
        if hole.end > self._complete_to:
            self._note({"type": "hole", "start": hole.start, "end": hole.end, "reason": hole.reason})

    def ended(self) -> None:
        """Write that the source has come to its end."""
        self._note({"type": "ended"})

    def write_effects(self, effects: Sequence[Effect]) -> None:
        """Write the effects of the session at once: a final and its settled range are stored together or not at all."""
        records = [record for effect in effects if (record := _record(effect)) is not None]
        if records:
            self._note(*records)
        for effect in effects:
            if isinstance(effect, Settle):
                self._try(lambda to=effect.to: self._spool.release(to))  # type: ignore[misc] # a loop variable, bound

    def printed(self, turn: int) -> None:
        """Write that a final was printed. Thread-safe."""
        self._note({"type": "printed", "turn": turn})

    def close(self, *, delivered: bool) -> None:
        """Close the spool, and delete it if all of it is delivered."""
        self._try(lambda: self._spool.close(delivered=delivered))

    def _note(self, *records: dict[str, Any]) -> None:
        self._try(lambda: self._spool.note(*records))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as exc:
            if not self._warned:
                self._warned = True
                message = f"the spool takes no more ({exc.strerror}): from here on a crash would lose sound"
                self._on_event(Warned("spool_failed", message))


def _record(effect: Effect) -> dict[str, Any] | None:
    match effect:
        case Settle(to):
            return {"type": "settled", "to": to}
        case Drop(start, end, reason):
            return {"type": "hole", "start": start, "end": end, "reason": reason}
        case Report(Final() as final):
            return {"type": "final", **asdict(final)}
        case Report(Failed(turn=turn)):
            return {"type": "turn", "turn": turn}
        case _:
            return None
