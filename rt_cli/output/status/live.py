"""The live view: a few lines at the bottom of the terminal, redrawn by a separate thread.

A write to a terminal stopped with Ctrl-S blocks without limit, so the event loop must not do it. While the thread runs,
it is the only writer to the terminal: it also prints results and messages, above the view.

Rich's live display is not used: it takes four times as much CPU and 0.15 s to start, and leaves a stale frame when the
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

from rt_cli.events import Errored, Noted, SessionChanged, Summary, Total
from rt_cli.output.line_writer import STATUS_BYTES, Backlog, OnWritten, Sink
from rt_cli.output.status.color import add_color
from rt_cli.output.status.layout import Page, rows
from rt_cli.output.status.messages import Notes
from rt_cli.output.status.multi_view import MultiView, MultiViewer, multi_view_rows
from rt_cli.output.status.view import Viewer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rt_cli.events import Event, Label
    from rt_cli.output.status.color import Color
    from rt_cli.output.status.layout import Row
    from rt_cli.output.status.messages import Level
    from rt_cli.output.status.view import View

REDRAW_S = 0.1
MAX_WIDTH = 100
"""Wider rows are hard to read."""
_ERASE_S = 0.5
"""Longest wait until the view is erased."""
_ERASE_CHECK_S = 0.01
RESIZE_CHECK_S = 0.5
"""Interval of the check for a resize while the view does not change."""

# Control sequences of ECMA-48 and private modes of DEC, which all terminals since the VT100 support. Mode 2026 is the
# synchronized update: terminals with it show only complete frames, others ignore it. The cursor is hidden only within
# one write, so that the end of the process never leaves the cursor hidden.
_BEGIN, _END = "\x1b[?2026h\x1b[?25l", "\x1b[?25h\x1b[?2026l"
_CLEAR, _CLEAR_LINE = "\x1b[J", "\x1b[K"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"  # terminals disagree on how wide some characters are
_USUAL = (80, 24)
_FIRST_COLOR = 30
_CODES = {"bold": 1, "dim": 2, "italic": 3, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
"""SGR codes (ECMA-48) of the styles."""


class Terminal(io.TextIOBase):
    """The terminal as a file: unbuffered, UTF-8, and silent after the first error.

    Args:
        stream: Standard error, a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.broken = False
        self._stream = stream
        self._sink = Sink(stream)

    def write(self, text: str) -> int:
        """Write all of ``text``; after an error, discard it."""
        if not self.broken:
            try:
                self._sink.write(text)
            except (OSError, ValueError):
                self.broken = True
        return len(text)

    def fileno(self) -> int:
        """Return the descriptor, needed to read the terminal size."""
        return self._stream.fileno()


class Pause:
    """A break in the drawing, while the process is stopped.

    Plain flags: the signal handler that sets them must wait for no lock that its own thread may hold.
    """

    def __init__(self) -> None:
        self.wanted = False
        """Nothing is drawn."""
        self._erased = False

    def want(self) -> None:
        """Let the next :meth:`hold` erase the view."""
        self._erased, self.wanted = False, True

    def wait_erased(self, thread: threading.Thread) -> None:
        """Wait until the drawing thread has erased the view. For a signal handler of the main thread.

        Does not wait long: a terminal stopped with Ctrl-S takes nothing.
        """
        give_up_at = time.monotonic() + _ERASE_S
        while not self._erased and thread.is_alive() and time.monotonic() < give_up_at:
            time.sleep(_ERASE_CHECK_S)

    def end(self) -> None:
        """Draw again. For a signal handler of the main thread."""
        self.wanted = False

    def hold(self, screen: Screen, closing: threading.Event) -> bool:
        """Erase the view and wait for the end of the pause, on the drawing thread; return whether there was one."""
        paused = False
        while self.wanted and not closing.wait(_ERASE_CHECK_S):
            if not self._erased:
                screen.stop()
                self._erased = paused = True
        return paused


OnUnprinted = Callable[[str, OnWritten], None]
"""Takes a result line and its ``on_written`` callback."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    result: bool = False
    """A line for stdout, which must not be lost."""
    on_written: OnWritten = None
    """Called after the line was written."""


def to_ansi(row: Row, *, color: bool) -> str:
    """Format a row with control sequences for styles.

    Args:
        row: Texts and their styles.
        color: False leaves out colours; bold, dim and italic stay.
    """
    parts = []
    for text, style in row:
        codes = [str(_CODES[word]) for word in style.split() if color or _CODES[word] < _FIRST_COLOR]
        parts.append(f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if codes and text else text)
    return "".join(parts)


class Screen:
    """Draws the view at the bottom and prints lines above it. Use from one thread only.

    Between two frames the cursor is at the start of the view. A resized terminal keeps it there, whether it rewraps or
    cuts the old lines, so that erasing the old frame needs no knowledge of its size.

    Args:
        file: The terminal.
        color: True to draw in colours.
    """

    def __init__(self, file: IO[str], *, color: bool) -> None:
        from rich.cells import cell_len

        self._file = file
        self._color = color
        self._cells = cell_len
        self._drawn_size: tuple[int, int] | None = None

    @property
    def resized(self) -> bool:
        """Whether the size of the terminal differs from that of the last frame."""
        return self._drawn_size not in (None, self.size)

    @property
    def size(self) -> tuple[int, int]:
        """Current columns and rows of the terminal."""
        try:
            columns, height = os.get_terminal_size(self._file.fileno())
        except (OSError, ValueError):
            columns, height = 0, 0
        return columns or _USUAL[0], height or _USUAL[1]

    def page(self, max_width: int) -> Page:
        """Return the area for the rows of the next frame, at most ``max_width`` columns wide."""
        columns, height = self.size
        # Leave the last column free: after a full row the position of the cursor depends on the terminal.
        return Page(max(1, min(max_width, columns - 1)), self._cells, height)

    def draw(self, view: View | MultiView, lines: list[str]) -> None:
        """Print ``lines`` permanently and draw ``view`` below them, in one write to the terminal."""
        page = self.page(MAX_WIDTH)
        self.draw_rows(multi_view_rows(view, page) if isinstance(view, MultiView) else rows(view, page), lines)

    def draw_rows(self, layout: Sequence[Row], lines: Sequence[str] = ()) -> None:
        """Print ``lines`` permanently and draw rows that fit :meth:`page` below them, in one write to the terminal."""
        self._drawn_size = self.size
        drawn = f"{_CLEAR_LINE}\n".join(to_ansi(row, color=self._color) for row in layout)
        above = "".join((f"\r{_CLEAR}", *(f"{line}\n" for line in lines))) if lines else ""
        up = f"\x1b[{len(layout) - 1}A" if len(layout) > 1 else ""
        self._file.write(f"{_BEGIN}{above}\r{_NO_WRAP}{drawn}{_CLEAR}{_WRAP}{up}\r{_END}")

    def stop(self) -> None:
        """Erase the view."""
        self._file.write(f"\r{_CLEAR}")


class LiveStatus:
    """Draws the view at most ten times a second, and only when it changes.

    Args:
        stream: Standard error, a terminal.
        color: Which parts of a message are coloured; *none*: the view has no colours, either.
        on_unprinted: Takes results that could not be printed, because the terminal failed or the view is closed.
        source_count: Number of sources or channels that run at the same time; 0 for a single one.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        color: Color = "prefix",
        on_unprinted: OnUnprinted,
        source_count: int = 0,
    ) -> None:
        self._terminal = Terminal(stream)
        self._color = color
        self._notes = Notes("warnings")
        self._on_unprinted = on_unprinted
        self._many = source_count > 0
        self._viewer: Viewer | MultiViewer = MultiViewer(source_count) if source_count else Viewer()
        self._lines: deque[_Line] = deque()
        self._backlog = Backlog(STATUS_BYTES)
        self._printing: list[_Line] = []
        self._changed = threading.Condition()
        self._stale = True
        self._ended = False
        self._closing = threading.Event()
        self._pause = Pause()
        self._thread = threading.Thread(target=self._run, name="rt-live", daemon=True)
        self._thread.start()

    @property
    def shows_progress(self) -> bool:
        """Whether the view shows the progress: always."""
        return True

    def on_event(self, event: Event, label: Label | None = None) -> None:
        """Handle an event. Returns at once and never raises."""
        with self._changed:
            line = self._notes.take(event, label if self._many else None, level=_level_of(event))
            if self._viewer.take(event, time.monotonic(), label):
                self._stale = True
                self._changed.notify()
            if line is not None:
                self._add_message(line, needed=isinstance(event, Errored | Summary | Total))

    def say(self, line: str) -> None:
        """Print a message above the view. Returns at once; any thread may call it."""
        with self._changed:
            self._add_message(line)

    def result(
        self, line: str, *, droppable: bool = False, on_written: OnWritten = None, on_lost: OnWritten = None
    ) -> None:
        """Print a result above the view, if stdout is the same terminal. Returns at once; any thread may call it.

        Args:
            line: Text without line ends.
            droppable: Drop the line while many wait: later lines repeat its content.
            on_written: Called on the view's thread after the line was printed; must not raise.
            on_lost: Not used: where this terminal is gone, nobody could be told.
        """
        del on_lost
        with self._changed:
            if self._backlog.takes(line, droppable=droppable, needed=True):
                self._add(_Line(line, result=True, on_written=on_written))

    def close(self, deadline_s: float | None = None) -> bool:
        """Print the waiting lines, then erase the view. Blocks; idempotent.

        Returns:
            False if the terminal took longer than ``deadline_s``; the waiting lines are given up.
        """
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def leave_terminal(self) -> None:
        """Erase the view, and draw nothing until :meth:`enter_terminal`. For a signal handler of the main thread."""
        self._pause.want()
        with self._changed:  # its lock is reentrant
            self._changed.notify()
        self._pause.wait_erased(self._thread)

    def enter_terminal(self) -> None:
        """Draw the view anew. For a signal handler of the main thread."""
        self._pause.end()

    def _add_message(self, line: str, *, needed: bool = False) -> None:
        line = add_color(line, self._color)
        if self._backlog.takes(line, needed=needed):
            self._add(_Line(line))

    def _add(self, line: _Line) -> None:
        if not self._ended:
            self._lines.append(line)
            self._changed.notify()
        elif line.result:
            self._on_unprinted(line.text, line.on_written)

    def _run(self) -> None:
        try:
            # A run that fails at once prints its error without a view.
            if self._closing.wait(REDRAW_S):
                self._print()
            else:
                self._draw()
        finally:
            self._return_unprinted()

    def _print(self) -> None:
        while not self._terminal.broken and self._next() is not None:
            self._terminal.write("".join(f"{line.text}\n" for line in self._printing))
            if not self._terminal.broken:
                self._call_on_written()

    def _draw(self) -> None:
        screen = Screen(cast("IO[str]", self._terminal), color=self._color != "none")
        while (view := self._next(screen)) is not None:
            drawn_at = time.monotonic()
            screen.draw(view, [line.text for line in self._printing])
            if self._terminal.broken:
                return
            self._call_on_written()
            self._closing.wait(max(0.0, drawn_at + REDRAW_S - time.monotonic()))
            self._stale |= self._pause.hold(screen, self._closing)
        screen.stop()

    def _call_on_written(self) -> None:
        for line in self._printing:
            if line.on_written is not None:
                line.on_written()
        self._printing = []

    def _next(self, screen: Screen | None = None) -> View | MultiView | None:
        """Wait for a change and move the waiting lines to ``_printing``; returns the view, or None at the end."""
        with self._changed:
            while not (self._stale or self._lines or self._pause.wanted or self._closing.is_set()):
                self._changed.wait(RESIZE_CHECK_S)
                self._stale |= screen is not None and screen.resized
            if self._closing.is_set() and not self._lines:
                return None
            self._stale = False
            self._printing = list(self._lines)
            self._lines.clear()
            for line in self._printing:
                self._backlog.release(line.text)
            if (note := self._backlog.take_note()) is not None:
                self._printing.append(_Line(note))
            return self._viewer.view

    def _return_unprinted(self) -> None:
        """Pass all results that were not printed to ``on_unprinted``."""
        with self._changed:
            self._ended = True
            for line in (*self._printing, *self._lines):
                if line.result:
                    self._on_unprinted(line.text, line.on_written)


def _level_of(event: Event) -> Level:
    """Return the level of a message above the view, which shows most of what changes."""
    stays = isinstance(event, Noted | Summary | Total) or (
        isinstance(event, SessionChanged) and event.state == "resumed"
    )
    return "all" if stays else "warnings"
