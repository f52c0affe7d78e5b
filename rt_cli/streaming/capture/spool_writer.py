"""Writes the run into its spool as it goes; what the disk refuses is said once, and the run goes on without."""

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


def spool_source(info: SourceInfo, rate_hz: int, heard: InputSettings) -> SpoolSource:
    """What a spool says of its source."""
    path = Path(info.name).absolute() if info.kind == "file" else None
    size = path.stat().st_size if path else None
    return SpoolSource(
        rate_hz, info.name, info.kind, str(path) if path else None, size, channel=heard.channel, gain=heard.gain
    )


def final_of(record: dict[str, Any]) -> Final:
    """The final that a journal's record tells of."""
    values: dict[str, Any] = {name: record.get(name) for name in Final.__struct_fields__}
    return Final(**values | {"resumed": True})


class SpoolWriter:
    """The run's side of a spool.

    Args:
        spool: Open.
        captured: Timeline position up to which it holds everything already.
        on_event: Told when the disk takes no more.
    """

    def __init__(self, spool: Spool, on_event: EventHandler, *, captured: int = 0) -> None:
        self._spool = spool
        self._known = captured
        self._on_event = on_event
        self._told = False

    @property
    def folder(self) -> Path:
        """Where the spool is."""
        return self._spool.folder

    def sound(self, start: int, pcm: bytes) -> None:
        """Sound was captured; to be told before anything else can happen to it."""
        if start >= self._known:
            self._try(lambda: self._spool.append(start, pcm))

    def hole(self, hole: Hole) -> None:
        """A gap was captured, or sound was given up."""
        if hole.end > self._known:
            self._note({"type": "hole", "start": hole.start, "end": hole.end, "reason": hole.reason})

    def ended(self) -> None:
        """The source has come to its end."""
        self._note({"type": "ended"})

    def write_effects(self, steps: Sequence[Effect]) -> None:
        """What the session decided, in one write: a final and what it settles are journalled together or not at all."""
        records = [record for step in steps if (record := _record(step)) is not None]
        if records:
            self._note(*records)
        for step in steps:
            if isinstance(step, Settle):
                self._try(lambda to=step.to: self._spool.release(to))  # type: ignore[misc] # a loop variable, bound

    def printed(self, turn: int) -> None:
        """A final was printed; any thread may say so."""
        self._note({"type": "printed", "turn": turn})

    def close(self, *, delivered: bool) -> None:
        """Let go of the spool, and delete it if nothing is left to deliver."""
        self._try(lambda: self._spool.close(delivered=delivered))

    def _note(self, *records: dict[str, Any]) -> None:
        self._try(lambda: self._spool.note(*records))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as exc:
            if not self._told:
                self._told = True
                said = f"the spool takes no more ({exc.strerror}): from here on a crash would lose sound"
                self._on_event(Warned("spool_failed", said))


def _record(step: Effect) -> dict[str, Any] | None:
    match step:
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
