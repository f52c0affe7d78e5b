"""What is known of the lines of one source: whether all of them have been written."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.output.line_writer import Written
    from rt_cli.output.results.ndjson import WriteLine


class WriteReceipts:
    """Counts lines that are handed over on one thread and written on another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0
        self._on_all: Callable[[], None] | None = None

    def expect(self, written: Written = None) -> Callable[[], None]:
        """Count a line that is about to be handed over; returns what is to be called, once, when it is written.

        Args:
            written: Called then, too.
        """
        with self._lock:
            self._waiting += 1

        def done() -> None:
            if written is not None:
                written()
            with self._lock:
                self._waiting -= 1
                on_all = self._on_all if self._waiting == 0 else None
            if on_all is not None:
                on_all()

        return done

    def close(self, on_all: Callable[[], None]) -> None:
        """No more lines will come.

        Args:
            on_all: Called once, on any thread, when all of them are written, which may be now or never; must not raise.
        """
        with self._lock:
            self._on_all = on_all
            over = self._waiting == 0
        if over:
            on_all()


class CountedLines:
    """Hands lines on, and counts those of the source at hand.

    Args:
        write_line: Where they go.
    """

    def __init__(self, write_line: WriteLine) -> None:
        self.receipts: WriteReceipts | None = None
        """Of the source at hand."""
        self._write_line = write_line

    def __call__(self, line: str, *, passing: bool = False, written: Written = None) -> None:
        """Hand a line on; a passing one may never be written, so it does not count."""
        if self.receipts is not None and not passing:
            written = self.receipts.expect(written)
        self._write_line(line, passing=passing, written=written)
