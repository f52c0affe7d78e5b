"""Track whether all lines of a source have been written, and which finals are lost."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Final, Label, Translation
    from rt_cli.output.line_writer import OnWritten
    from rt_cli.output.results.ndjson import WriteLine


class WriteReceipts:
    """Counts lines that one thread queues and another thread writes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0
        self._on_all: Callable[[], None] | None = None

    def expect(self, on_written: OnWritten = None) -> Callable[[], None]:
        """Count a line that is about to be queued.

        Args:
            on_written: Called as well after the line was written.

        Returns:
            The callback to call once after the line was written.
        """
        with self._lock:
            self._waiting += 1

        def done() -> None:
            if on_written is not None:
                on_written()
            with self._lock:
                self._waiting -= 1
                on_all = self._on_all if self._waiting == 0 else None
            if on_all is not None:
                on_all()

        return done

    def close(self, on_all: Callable[[], None]) -> None:
        """End the count: no more lines will come.

        Args:
            on_all: Called once, on any thread, when all lines are written: now, later or never; must not raise.
        """
        with self._lock:
            self._on_all = on_all
            all_written = self._waiting == 0
        if all_written:
            on_all()


class LostFinals:
    """The finals with words whose lines found no reader. Any thread may add one; one thread takes them."""

    def __init__(self) -> None:
        self.count = 0
        self._last: Final | Translation | None = None
        self._new: deque[tuple[Final | Translation, Label | None]] = deque()

    def add(self, final: Final | Translation, label: Label | None) -> None:
        """Add the final of a lost line; further lines of it do not count."""
        if final is not self._last:
            self._last = final
            self.count += 1
            self._new.append((final, label))

    def take(self) -> list[tuple[Final | Translation, Label | None]]:
        """Return those that were added since the last call."""
        taken = []
        while self._new:
            taken.append(self._new.popleft())
        return taken


class CountedLines:
    """Passes lines on, and counts those of the current source.

    Args:
        write_line: Writes a line.
    """

    def __init__(self, write_line: WriteLine) -> None:
        self.receipts: WriteReceipts | None = None
        """Receipts of the current source; None: do not count."""
        self.on_lost: OnWritten = None
        """Called for each line of the current event that is lost."""
        self._write_line = write_line

    def __call__(
        self, line: str, *, droppable: bool = False, on_written: OnWritten = None, on_lost: OnWritten = None
    ) -> None:
        """Pass a line on. A droppable line does not count, because it may never be written."""
        if self.receipts is not None and not droppable:
            on_written = self.receipts.expect(on_written)
        self._write_line(line, droppable=droppable, on_written=on_written, on_lost=on_lost or self.on_lost)
