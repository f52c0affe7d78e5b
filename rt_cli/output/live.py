"""The live view: a few lines at the bottom of the terminal, drawn by Rich from a thread of its own.

A thread, because importing Rich takes 0.2 s, a redraw some milliseconds, and a terminal that was stopped with Ctrl-S
takes for ever; none of that may be felt by the event loop. The thread is the only writer to the terminal while it
lives, so results and notes go through it and appear above the view, whole.
"""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from rt_cli.observations import Noted, Summary, Total
from rt_cli.output.crowd import Crowd, CrowdView, crowd_rows
from rt_cli.output.layout import Page, rows
from rt_cli.output.notes import note
from rt_cli.output.view import Viewer
from rt_cli.output.writer import PASSING_LIMIT, Sink, Written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from rich.console import Console, ConsoleOptions, RenderResult

    from rt_cli.observations import Label, Observation
    from rt_cli.output.notes import Level
    from rt_cli.output.view import View

REDRAW_S = 0.1
MAX_WIDTH = 100
"""Beyond this the eye only travels; and a window of ordinary width can shrink without breaking the lines."""


class Terminal(io.TextIOBase):
    """The file that Rich writes to: unbuffered, UTF-8, and silent for ever after the first error.

    Args:
        stream: Standard error, a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.broken = False
        self._stream = stream
        self._sink = Sink(stream)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has an attribute, Rich only reads it
        """What Rich is to draw for."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Write all of ``text``; a terminal that is gone swallows it."""
        if not self.broken:
            try:
                self._sink.write(text)
            except (OSError, ValueError):
                self.broken = True
        return len(text)

    def isatty(self) -> bool:
        """Whether it is still a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor, for Rich to ask for the size."""
        return self._stream.fileno()


Unprinted = Callable[[str, Written], None]
"""Takes a result and what is to be called when it is written."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    result: bool = False
    """It belongs to stdout: it must be printed somewhere."""
    written: Written = None
    """To be called when it is."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A view as Rich draws it, straight into segments: laying it out as Rich's texts would cost twice the time."""

    view: View | CrowdView

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fit the view to the terminal as it is now."""
        from rich.cells import cell_len
        from rich.segment import Segment

        page = Page(min(MAX_WIDTH, options.max_width), cell_len)
        drawn = crowd_rows(self.view, page) if isinstance(self.view, CrowdView) else rows(self.view, page)
        for number, row in enumerate(drawn):
            if number:
                yield Segment.line()
            for text, style in row:
                yield Segment(text, console.get_style(style))


class Screen:
    """The lines at the bottom, and what is printed above them. One thread only; imports Rich.

    Args:
        file: The terminal.
        color: Whether colours are wanted.
    """

    def __init__(self, file: IO[str], *, color: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(
            file=file, force_terminal=True, force_interactive=True, no_color=not color, highlight=False
        )
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def start(self) -> None:
        """Take the bottom of the terminal."""
        self._live.start()
        self._console.show_cursor(True)  # whatever ends the process, no terminal is left without a cursor

    def draw(self, view: View | CrowdView, lines: list[str]) -> None:
        """Show ``view``, with ``lines`` above it for good; one write to the terminal, whatever comes."""
        with self._console:
            if lines:
                self._console.out("\n".join(lines), highlight=False)
            self._live.update(Picture(view), refresh=True)

    def stop(self) -> None:
        """Give the bottom of the terminal back, empty."""
        self._live.stop()


class LiveStatus:
    """Shows observations at most ten times a second, and only when there is something new.

    Args:
        stream: Standard error, a terminal.
        environ: ``NO_COLOR`` is respected.
        unprinted: Takes results that could not be printed here: the terminal broke, or the view is closed.
        crowd: How many sources or channels there are, if several run at once; else 0.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        environ: Mapping[str, str],
        unprinted: Unprinted,
        crowd: int = 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal = Terminal(stream)
        self._color = not environ.get("NO_COLOR")
        self._unprinted = unprinted
        self._now = now
        self._crowd = crowd > 0
        self._viewer: Viewer | Crowd = Crowd(crowd) if crowd else Viewer()
        self._lines: deque[_Line] = deque()
        self._printing: list[_Line] = []
        self._changed = threading.Condition()
        self._stale = True
        self._over = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rt-live", daemon=True)
        self._thread.start()

    def observe(self, observation: Observation, label: Label | None = None) -> None:
        """Take an observation. Returns at once and never raises."""
        level: Level = "all" if isinstance(observation, Noted | Summary | Total) else "warnings"
        line = note(observation, level, label if self._crowd else None)
        with self._changed:
            if self._viewer.take(observation, self._now(), label):
                self._stale = True
                self._changed.notify()
            if line is not None:
                self._add(_Line(line))

    def say(self, line: str) -> None:
        """Print a note above the view. Returns at once; any thread may call it."""
        with self._changed:
            self._add(_Line(line))

    def result(self, line: str, *, passing: bool = False, written: Written = None) -> None:
        """Print a result above the view, where stdout is the same terminal. Returns at once; any thread may call it.

        Args:
            line: Text without line ends.
            passing: Later lines will say the same and more; leave it out while many wait.
            written: Called on the view's thread when it is printed; must not raise.
        """
        with self._changed:
            if not passing or len(self._lines) < PASSING_LIMIT:
                self._add(_Line(line, result=True, written=written))

    def close(self, deadline_s: float | None = None) -> bool:
        """Print what waits, then take the view away. Blocks; idempotent.

        Returns:
            False if the terminal took longer than ``deadline_s``; what waits is given up then.
        """
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def _add(self, line: _Line) -> None:
        if not self._over:
            self._lines.append(line)
            self._changed.notify()
        elif line.result:
            self._unprinted(line.text, line.written)

    def _run(self) -> None:
        try:
            # A run that fails at once says so without waiting for Rich.
            if self._closing.wait(REDRAW_S):
                self._print()
            else:
                self._draw()
        finally:
            self._hand_over()

    def _print(self) -> None:
        while not self._terminal.broken and self._next() is not None:
            self._terminal.write("".join(f"{line.text}\n" for line in self._printing))
            if not self._terminal.broken:
                self._printed()

    def _draw(self) -> None:
        screen = Screen(cast("IO[str]", self._terminal), color=self._color)
        screen.start()
        while (view := self._next()) is not None:
            drawn_at = self._now()
            screen.draw(view, [line.text for line in self._printing])
            if self._terminal.broken:
                return
            self._printed()
            self._closing.wait(max(0.0, drawn_at + REDRAW_S - self._now()))
        screen.stop()

    def _printed(self) -> None:
        for line in self._printing:
            if line.written is not None:
                line.written()
        self._printing = []

    def _next(self) -> View | CrowdView | None:
        """Wait for something new; None at the end. What is to be printed is moved to ``_printing``."""
        with self._changed:
            self._changed.wait_for(lambda: self._stale or self._lines or self._closing.is_set())
            if self._closing.is_set() and not self._lines:
                return None
            self._stale = False
            self._printing = list(self._lines)
            self._lines.clear()
            return self._viewer.view

    def _hand_over(self) -> None:
        """Whatever ended the drawing, no result stays behind."""
        with self._changed:
            self._over = True
            for line in (*self._printing, *self._lines):
                if line.result:
                    self._unprinted(line.text, line.written)
