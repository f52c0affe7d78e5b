"""Finals, or the replies of a conversation, as plain text, one line each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli.conversation_events import ReplyEnded
from rt_cli.events import Final, Translation
from rt_cli.output.results.captions import clock
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event
    from rt_cli.output.results.ndjson import WriteLine
    from rt_cli.output.results.words import Words


class TextOutput:
    """Prints the text of each final, translation or reply that is not empty; ignores all other events.

    Args:
        write_line: Writes a line without its line end.
        on_printed: Called with the turn of each printed final, on any thread.
        timestamps: True if each line begins with the start of its turn.
        words: The event that has the words.
    """

    def __init__(
        self,
        write_line: WriteLine,
        on_printed: Callable[[int], None] | None = None,
        *,
        timestamps: bool = False,
        words: Words = Final,
    ) -> None:
        self.words = words
        self._write_line = write_line
        self._on_printed = on_printed
        self._timestamps = timestamps
        self._ended_ms = 0

    def on_event(self, event: Event) -> None:
        """Print a final or a reply. Never raises."""
        if isinstance(event, ReplyEnded) and (said := printable(event.text).strip()):
            self._write_line(said)
        if isinstance(event, self.words) and (text := printable(event.text).strip()):
            on_written = self._on_printed and partial(self._on_printed, event.turn)
            self._write_line(self._stamp(event) + text, on_written=on_written)

    def _stamp(self, final: Final | Translation) -> str:
        """Format the start of the turn; without a start, the end of the previous turn."""
        if not self._timestamps:
            return ""
        start = self._ended_ms if final.start_ms is UNSET else final.start_ms
        self._ended_ms = start if final.end_ms is UNSET else final.end_ms
        return f"[{clock(start)}] "
