"""Status as plain lines: for pipes, logs, CI and dumb terminals. Nothing ever moves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from rt_cli.events import Final, Partial, Progress, SessionChanged, SourceOpened, Withdrawn
from rt_cli.output.status.messages import counted, note, seconds
from rt_cli.output.status.multi_view import MultiViewer, progress
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event, Label
    from rt_cli.output.line_writer import LineWriter
    from rt_cli.output.status.messages import Level

PROGRESS_EVERY_S = 10.0
_COLORS = {"rt: ": "31", "warning: ": "33", "ready: ": "32", "done: ": "32"}
"""Of what follows these heads: red, yellow, green."""


def colored(line: str) -> str:
    """The line in colours, its head as scripts look for it."""
    for head, color in _COLORS.items():
        if line.startswith(head):
            return f"{head}\x1b[{color}m{line.removeprefix(head)}\x1b[0m"
    return line


class Status(Protocol):
    """What a person sees of a run, on stderr. Slow, absent or broken, it never touches the run."""

    def on_event(self, event: Event, label: Label | None = None) -> None:
        """Take an event, of whom where there are several. Returns at once and never raises."""
        ...

    def say(self, line: str) -> None:
        """Print a line that is fit for a terminal. Returns at once and never raises; any thread may call it."""
        ...

    def close(self, deadline_s: float | None = None) -> bool:
        """Print what waits and end; False if stderr took longer than ``deadline_s``. Blocks; idempotent."""
        ...


class PlainStatus:
    """A line where something changes, and one on the progress every ten seconds at most.

    Args:
        writer: Owns stderr.
        level: How much is said.
        partials: Whether the text of a turn in progress is told too.
        crowd: How many sources or channels there are, if several run at once; else 0. Of a crowd the end of each is
            told, and how far all are.
        color: Whether what is wrong and what is right has its colour.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self,
        writer: LineWriter,
        *,
        level: Level = "all",
        partials: bool = False,
        crowd: int = 0,
        color: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._level = level
        self._look = colored if color else str
        self._partials = partials and level != "errors"
        self._now = now
        self._partial = ""
        self._state = ""
        self._progress = ""
        self._progress_at = now()
        self._finals = 0
        self._crowd = MultiViewer(crowd) if crowd else None

    def on_event(self, event: Event, label: Label | None = None) -> None:
        """Print what changed."""
        if self._crowd is not None:
            self._observe_crowd(self._crowd, event, label)
            return
        if line := note(event, self._level):
            self._writer.write(self._look(line))
        match event:
            case Partial() | Withdrawn() if self._partials:
                self._observe_partial(event)
            case SourceOpened():
                self._finals = 0
            case SessionChanged(state=state):
                self._state = state  # said already
            case Final():
                self._finals += 1
            case Progress() if self._level == "all":
                self._observe_progress(event)

    def say(self, line: str) -> None:
        """Print a line."""
        self._writer.write(self._look(line))

    def close(self, deadline_s: float | None = None) -> bool:
        """Print what waits and end."""
        return self._writer.close(deadline_s)

    def _observe_crowd(self, crowd: MultiViewer, event: Event, label: Label | None) -> None:
        level = self._level
        if level == "all" and isinstance(event, SourceOpened | SessionChanged):
            level = "warnings"
        if line := note(event, level, label):
            self._writer.write(self._look(line))
        now = self._now()
        changed = crowd.take(event, now, label)
        if self._partials and isinstance(event, Partial | Withdrawn):
            self._observe_partial(event, label)
        elif changed and self._level == "all" and now - self._progress_at >= PROGRESS_EVERY_S:
            self._progress_at = now
            self._writer.write(progress(crowd.view), passing=True)

    def _observe_partial(self, news: Partial | Withdrawn, label: Label | None = None) -> None:
        said = printable(news.text) if isinstance(news, Partial) else "withdrawn, will be heard again"
        line = f"turn {news.turn}: {said}" if label is None else printable(f"{label}: turn {news.turn}: {said}")
        if line != self._partial:
            self._partial = line
            self._writer.write(line, passing=isinstance(news, Partial))

    def _observe_progress(self, progress: Progress) -> None:
        now = self._now()
        if progress.state != self._state:
            self._state = progress.state
            self._writer.write(printable(progress.state), passing=True)
        elif now - self._progress_at >= PROGRESS_EVERY_S:
            self._progress_at = now
            self._write_progress(progress)

    def _write_progress(self, progress: Progress) -> None:
        line = (
            f"{seconds(progress.captured_ms)} captured, {seconds(progress.acknowledged_ms)} acknowledged, "
            f"{seconds(progress.settled_ms)} settled, {counted(self._finals, 'final')}"
        )
        if line != self._progress:
            self._progress = line
            self._writer.write(line, passing=True)
