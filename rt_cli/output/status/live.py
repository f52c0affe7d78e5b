"""The live view: a few lines at the bottom of the terminal, drawn anew from a thread of its own.

A thread, because a terminal that was stopped with Ctrl-S takes for ever, which must not be felt by the event loop. It
is the only writer to the terminal while it lives, so results and notes go through it and appear above the view, whole.

Not with Rich's live display: that costs four times as much, 0.15 s to start, and leaves a stale frame where the
terminal becomes narrower.
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from rt_cli.events import Noted, Summary, Total
from rt_cli.output.line_writer import PASSING_LIMIT, Sink, Written
from rt_cli.output.status.layout import Page, rows
from rt_cli.output.status.messages import note
from rt_cli.output.status.multi_view import MultiView, MultiViewer, crowd_rows
from rt_cli.output.status.view import Viewer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from rt_cli.events import Event, Label
    from rt_cli.output.status.layout import Row
    from rt_cli.output.status.messages import Level
    from rt_cli.output.status.view import View

REDRAW_S = 0.1
MAX_WIDTH = 100
"""Beyond this the eye only travels."""
LOOK_S = 0.5
"""How often a terminal whose view does not change is asked whether it was resized."""

# The control sequences of ECMA-48 and the private modes of DEC, which every terminal since the VT100 takes. 2026 is the
# synchronized update: those that know it show the frame when it is whole, the others ignore it. The cursor is hidden
# only within one write: whatever ends the process, no terminal is left without one.
_BEGIN, _END = "\x1b[?2026h\x1b[?25l", "\x1b[?25h\x1b[?2026l"
_CLEAR, _CLEAR_LINE = "\x1b[J", "\x1b[K"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"  # terminals disagree on how wide some characters are
_USUAL = (80, 24)
_FIRST_COLOR = 30
_CODES = {"bold": 1, "dim": 2, "italic": 3, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
"""Of styles: SGR, of the same standard."""


class Terminal(io.TextIOBase):
    """The file that is drawn to: unbuffered, UTF-8, and silent for ever after the first error.

    Args:
        stream: Standard error, a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.broken = False
        self._stream = stream
        self._sink = Sink(stream)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has an attribute
        """What the file takes, for those who ask."""
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
        """The descriptor, for those who ask for the size."""
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


def painted(row: Row, *, color: bool) -> str:
    """A row as the terminal takes it, in the terminal's own colours.

    Args:
        row: Texts and their styles.
        color: Whether colours are wanted; bold, dim and italic stay.
    """
    parts = []
    for text, style in row:
        codes = [str(_CODES[word]) for word in style.split() if color or _CODES[word] < _FIRST_COLOR]
        parts.append(f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if codes and text else text)
    return "".join(parts)


class Screen:
    """The lines at the bottom, and what is printed above them. One thread only.

    Between two frames the cursor stands where the view begins. A terminal that is resized keeps it there, whether it
    wraps the old lines anew or cuts them off, so that nothing has to be known of the old frame to erase it.

    Args:
        file: The terminal.
        color: Whether colours are wanted.
    """

    def __init__(self, file: IO[str], *, color: bool) -> None:
        from rich.cells import cell_len

        self._file = file
        self._color = color
        self._cells = cell_len
        self._drawn_for: tuple[int, int] | None = None

    @property
    def resized(self) -> bool:
        """Whether it has another size than the last frame was drawn for."""
        return self._drawn_for not in (None, self.size)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal as it is now."""
        try:
            columns, height = os.get_terminal_size(self._file.fileno())
        except (OSError, ValueError):
            columns, height = 0, 0
        return columns or _USUAL[0], height or _USUAL[1]

    def draw(self, view: View | MultiView, lines: list[str]) -> None:
        """Show ``view``, with ``lines`` above it for good; one write to the terminal, whatever comes."""
        columns, height = self._drawn_for = self.size
        # A row that fills the line would leave the cursor between two lines.
        page = Page(max(1, min(MAX_WIDTH, columns - 1)), self._cells, height)
        shown = crowd_rows(view, page) if isinstance(view, MultiView) else rows(view, page)
        drawn = f"{_CLEAR_LINE}\n".join(painted(row, color=self._color) for row in shown)
        above = "".join((f"\r{_CLEAR}", *(f"{line}\n" for line in lines))) if lines else ""
        up = f"\x1b[{len(shown) - 1}A" if len(shown) > 1 else ""
        self._file.write(f"{_BEGIN}{above}\r{_NO_WRAP}{drawn}{_CLEAR}{_WRAP}{up}\r{_END}")

    def stop(self) -> None:
        """Give the bottom of the terminal back, empty."""
        self._file.write(f"\r{_CLEAR}")


class LiveStatus:
    """Shows events at most ten times a second, and only when there is something new.

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
        self._viewer: Viewer | MultiViewer = MultiViewer(crowd) if crowd else Viewer()
        self._lines: deque[_Line] = deque()
        self._printing: list[_Line] = []
        self._changed = threading.Condition()
        self._stale = True
        self._over = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rt-live", daemon=True)
        self._thread.start()

    def on_event(self, event: Event, label: Label | None = None) -> None:
        """Take an event. Returns at once and never raises."""
        level: Level = "all" if isinstance(event, Noted | Summary | Total) else "warnings"
        line = note(event, level, label if self._crowd else None)
        with self._changed:
            if self._viewer.take(event, self._now(), label):
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
            # A run that fails at once says so, and draws nothing.
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
        while (view := self._next(screen)) is not None:
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

    def _next(self, screen: Screen | None = None) -> View | MultiView | None:
        """Wait for something new; None at the end. What is to be printed is moved to ``_printing``."""
        with self._changed:
            while not (self._stale or self._lines or self._closing.is_set()):
                self._changed.wait(LOOK_S)
                self._stale |= screen is not None and screen.resized
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
