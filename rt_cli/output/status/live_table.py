"""A table at the bottom of the terminal, drawn as the live view is, from a separate thread."""

from __future__ import annotations

import sys
import threading
from typing import IO, TYPE_CHECKING, cast

from rt_cli.output.status.live import REDRAW_S, Pause, Screen, Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

_END_S = 1.0


class LiveTable:
    """Shows the lines of the last :meth:`show`; :meth:`close` erases them.

    Args:
        stream: Standard error, a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._terminal = Terminal(stream)
        self._lines: tuple[str, ...] = ()
        self._closing = threading.Event()
        self._pause = Pause()
        # A daemon thread: a stopped terminal must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="rt-live-table", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread still draws."""
        return self._thread.is_alive()

    def show(self, lines: Sequence[str]) -> None:
        """Replace the lines. Returns at once; any thread may call it."""
        self._lines = tuple(lines)

    def close(self) -> None:
        """Erase the lines. Blocks for one second at most; idempotent."""
        self._closing.set()
        self._thread.join(_END_S)

    def leave_terminal(self) -> None:
        """Erase the lines, and draw nothing until :meth:`enter_terminal`. For a signal handler of the main thread."""
        self._pause.want()
        self._pause.wait_erased(self._thread)

    def enter_terminal(self) -> None:
        """Draw the lines anew. For a signal handler of the main thread."""
        self._pause.end()

    def _run(self) -> None:
        screen = Screen(cast("IO[str]", self._terminal), color=False)
        drawn: tuple[str, ...] = ()
        while not self._closing.wait(REDRAW_S) and not self._terminal.broken:
            if self._pause.hold(screen, self._closing):
                drawn = ()
            if drawn is not self._lines or screen.resized:
                drawn, page = self._lines, screen.page(sys.maxsize)
                # A low terminal shows the newest.
                screen.draw_rows([[(page.fit(line), "")] for line in drawn[-page.height :]])
        screen.stop()
