"""Status as plain lines, for pipes, logs, CI and dumb terminals: no cursor movement."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from rt_cli.events import Errored, Final, Partial, Progress, SessionChanged, SourceOpened, Summary, Total, Withdrawn
from rt_cli.output.status.messages import count_noun, note, seconds
from rt_cli.output.status.multi_view import MultiViewer, progress
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event, Label
    from rt_cli.output.line_writer import LineWriter
    from rt_cli.output.status.messages import Level

PROGRESS_EVERY_S = 10.0
_COLORS = {"rt: ": "31", "warning: ": "33", "ready: ": "32", "done: ": "32"}
"""SGR colours of the text after these prefixes: red, yellow, green."""
_LAST = Errored | Summary | Total
"""Events that say how a run ended."""


def add_color(line: str) -> str:
    """Colour the line after its prefix. The prefix stays unchanged, because scripts search for it."""
    for prefix, color in _COLORS.items():
        if line.startswith(prefix):
            return f"{prefix}\x1b[{color}m{line.removeprefix(prefix)}\x1b[0m"
    return line


class Status(Protocol):
    """Status of a run on stderr. A slow, missing or broken stderr never affects the run."""

    def on_event(self, event: Event, label: Label | None = None) -> None:
        """Handle an event; ``label`` names its source if there are several. Returns at once and never raises."""
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
        color: True to colour errors, warnings and successes.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self,
        writer: LineWriter,
        *,
        level: Level = "all",
        partials: bool = False,
        source_count: int = 0,
        color: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._level = level
        self._style = add_color if color else str
        self._partials = partials and level != "errors"
        self._now = now
        self._partial = ""
        self._state = ""
        self._progress = ""
        self._progress_at = now()
        self._finals = 0
        self._multi_viewer = MultiViewer(source_count) if source_count else None

    def on_event(self, event: Event, label: Label | None = None) -> None:
        """Print the message of an event."""
        if self._multi_viewer is not None:
            self._on_event_of_many(self._multi_viewer, event, label)
            return
        if line := note(event, self._level):
            self._writer.write(self._style(line), needed=isinstance(event, _LAST))
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
        self._writer.write(self._style(line))

    def close(self, deadline_s: float | None = None) -> bool:
        """Print the waiting lines and end."""
        return self._writer.close(deadline_s)

    def _on_event_of_many(self, viewer: MultiViewer, event: Event, label: Label | None) -> None:
        level = self._level
        if level == "all" and isinstance(event, SourceOpened | SessionChanged):
            level = "warnings"
        if line := note(event, level, label):
            self._writer.write(self._style(line), needed=isinstance(event, _LAST))
        now = self._now()
        changed = viewer.take(event, now, label)
        if self._partials and isinstance(event, Partial | Withdrawn):
            self._write_partial(event, label)
        elif changed and self._level == "all" and now - self._progress_at >= PROGRESS_EVERY_S:
            self._progress_at = now
            self._writer.write(progress(viewer.view), droppable=True)

    def _write_partial(self, event: Partial | Withdrawn, label: Label | None = None) -> None:
        text = printable(event.text) if isinstance(event, Partial) else "withdrawn, will be heard again"
        line = f"turn {event.turn}: {text}" if label is None else printable(f"{label}: turn {event.turn}: {text}")
        if line != self._partial:
            self._partial = line
            self._writer.write(line, droppable=isinstance(event, Partial))

    def _on_progress(self, progress: Progress) -> None:
        now = self._now()
        if progress.state != self._state:
            self._state = progress.state
            self._writer.write(printable(progress.state), droppable=True)
        elif now - self._progress_at >= PROGRESS_EVERY_S:
            self._progress_at = now
            self._write_progress(progress)

    def _write_progress(self, progress: Progress) -> None:
        line = (
            f"{seconds(progress.captured_ms)} captured, {seconds(progress.acknowledged_ms)} acknowledged, "
            f"{seconds(progress.settled_ms)} settled, {count_noun(self._finals, 'final')}"
        )
        if line != self._progress:
            self._progress = line
            self._writer.write(line, droppable=True)
