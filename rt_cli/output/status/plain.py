"""Status as plain lines, for pipes, logs, CI and dumb terminals: no cursor movement."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from rt_cli.events import Errored, Final, Partial, Progress, SessionChanged, SourceOpened, Summary, Total, Withdrawn
from rt_cli.output.status.color import add_color
from rt_cli.output.status.messages import Notes, count_noun, seconds, state_text
from rt_cli.output.status.multi_view import MultiViewer, progress
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event, Label
    from rt_cli.output.line_writer import LineWriter
    from rt_cli.output.status.color import Color
    from rt_cli.output.status.messages import Level

PROGRESS_EVERY_S = 10.0
_LAST = Errored | Summary | Total
"""Events that say how a run ended."""


class Status(Protocol):
    """Status of a run on stderr. A slow, missing or broken stderr never affects the run."""

    def on_event(self, event: Event, label: Label | None = None) -> None:
        """Handle an event; ``label`` names its source if there are several. Returns at once and never raises."""
        ...

    @property
    def shows_progress(self) -> bool:
        """Whether the status needs events about the progress."""
        ...

    def say(self, line: str) -> None:
        """Print a printable line. Returns at once and never raises; any thread may call it."""
        ...

    def close(self, deadline_s: float | None = None) -> bool:
        """Print the waiting lines and end; False if stderr took longer than ``deadline_s``. Blocks; idempotent."""
        ...


class PlainStatus:
    """Prints a line for each change, and a line on the progress every ten seconds at most.

    Args:
        writer: Owns stderr.
        level: Level of messages.
        partials: True to print partials.
        source_count: Number of sources or channels that run at the same time; 0 for a single one. With several, the
            end of each and the total progress are printed.
        color: Which parts of a line are coloured.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self,
        writer: LineWriter,
        *,
        level: Level = "all",
        partials: bool = False,
        source_count: int = 0,
        color: Color = "none",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._level = level
        self._color = color
        self._notes = Notes(level)
        self._partials = partials and level != "errors"
        self._now = now
        self._partial = ""
        self._state = ""
        self._progress = ""
        self._progress_at = now()
        self._finals = 0
        self._multi_viewer = MultiViewer(source_count) if source_count else None

    @property
    def shows_progress(self) -> bool:
        """Whether the progress is printed now and then."""
        return self._level == "all"

    def on_event(self, event: Event, label: Label | None = None) -> None:
        """Print the message of an event."""
        if self._multi_viewer is not None:
            self._on_event_of_many(self._multi_viewer, event, label)
            return
        if line := self._notes.take(event):
            self._write(line, needed=isinstance(event, _LAST))
        match event:
            case Partial() | Withdrawn() if self._partials:
                self._write_partial(event)
            case SourceOpened():
                self._finals = 0
            case SessionChanged(state=state):
                self._state = state  # its message is already printed
            case Final():
                self._finals += 1
            case Progress() if self._level == "all":
                self._on_progress(event)

    def say(self, line: str) -> None:
        """Print a line."""
        self._write(line)

    def close(self, deadline_s: float | None = None) -> bool:
        """Print the waiting lines and end."""
        return self._writer.close(deadline_s)

    def _on_event_of_many(self, viewer: MultiViewer, event: Event, label: Label | None) -> None:
        level = self._level
        if level == "all" and isinstance(event, SourceOpened | SessionChanged):
            level = "warnings"
        if line := self._notes.take(event, label, level=level):
            self._write(line, needed=isinstance(event, _LAST))
        now = self._now()
        changed = viewer.take(event, now, label)
        if self._partials and isinstance(event, Partial | Withdrawn):
            self._write_partial(event, label)
        elif changed and self._level == "all" and now - self._progress_at >= PROGRESS_EVERY_S:
            self._progress_at = now
            self._write(progress(viewer.view), droppable=True)

    def _write_partial(self, event: Partial | Withdrawn, label: Label | None = None) -> None:
        text = printable(event.text) if isinstance(event, Partial) else "withdrawn, will be heard again"
        line = f"turn {event.turn}: {text}" if label is None else printable(f"{label}: turn {event.turn}: {text}")
        if line != self._partial:
            self._partial = line
            self._write(line, droppable=isinstance(event, Partial))

    def _on_progress(self, progress: Progress) -> None:
        now = self._now()
        if progress.state != self._state:
            first, self._state = not self._state, progress.state
            # An event has told of all other states, once in an outage.
            if progress.state == "draining" or (first and progress.state == "connecting"):
                self._write(state_text(progress.state), droppable=True)
        elif now - self._progress_at >= PROGRESS_EVERY_S:
            self._progress_at = now
            self._write_progress(progress)

    def _write_progress(self, progress: Progress) -> None:
        line = (
            f"{seconds(progress.captured_ms)} captured, {seconds(progress.acknowledged_ms)} acknowledged, "
            f"{seconds(progress.settled_ms)} settled, {count_noun(self._finals, 'final')}"
        )
        if progress.captured_ms and line != self._progress:
            self._progress = line
            self._write(line, droppable=True)

    def _write(self, line: str, *, droppable: bool = False, needed: bool = False) -> None:
        self._writer.write(add_color(line, self._color), droppable=droppable, needed=needed)
