"""A few lines at the bottom of the terminal that are drawn anew, by Rich, from a thread of its own."""

from __future__ import annotations

import threading
from typing import IO, TYPE_CHECKING, cast

from rt_cli.output.status.live import REDRAW_S, Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

_END_S = 1.0


class LiveTable:
    """Shows the newest lines it was given; they go when it is closed.

    Args:
        stream: Standard error, a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._terminal = Terminal(stream)
        self._lines: tuple[str, ...] = ()
        self._ended = threading.Event()
        # A daemon: a terminal that was stopped must not keep the process.
        self._thread = threading.Thread(target=self._run, name="rt-live-table", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still draws."""
        return self._thread.is_alive()

    def show(self, lines: Sequence[str]) -> None:
        """Show these from now on. Returns at once; any thread may call it."""
        self._lines = tuple(lines)

    def close(self) -> None:
        """Take the lines away. Blocks for a second at most; idempotent."""
        self._ended.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(file=cast("IO[str]", self._terminal), force_terminal=True, force_interactive=True)
        shown: tuple[str, ...] = ()
        with Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as live:
            console.show_cursor(True)  # whatever ends the process, no terminal is left without a cursor
            while not self._ended.wait(REDRAW_S):
                if shown is not self._lines:
                    shown = self._lines
                    live.update(Text("\n".join(shown), no_wrap=True, overflow="ellipsis"), refresh=True)
