"""Events as NDJSON, the output format for scripts."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from msgspec import UNSET, to_builtins
from msgspec.json import Encoder
from msgspec.structs import replace

from rt_cli.contract import ContractEvent
from rt_cli.events import Final, Partial, Progress, RawEvent, SourceOpened, Summary, Total, Warned

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event
    from rt_cli.output.line_writer import OnWritten
    from rt_cli.output.results.words import Words

# The encoder escapes C0. JSON allows these characters unescaped, but terminals interpret some of them and some readers
# treat others as line ends.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_encode = Encoder().encode


_SNAPSHOTS = (Partial, Progress, RawEvent)
"""Events whose lines may be dropped while many wait: later ones say the same, or nobody can read so many."""


class WriteLine(Protocol):
    """Writes a line without its line end; a droppable line may be dropped while many wait."""

    def __call__(
        self, line: str, *, droppable: bool = False, on_written: OnWritten = None, on_lost: OnWritten = None
    ) -> None:
        """Return at once; call ``on_written`` after the line was written, or ``on_lost``; on any thread."""
        ...


class NdjsonOutput:
    """Prints each event of the NDJSON contract as one JSON object.

    Args:
        write_line: Writes a line.
        partials: True to print partials.
        many: True if every line names its source.
        progress_s: Seconds between two lines about the progress of a source; None for no such lines.
        raw: True to print the events of the endpoint.
        now: A monotonic clock, seconds.
        on_printed: Called with the turn of each printed final, on any thread.
        words: The last event of a turn: after it the turn is printed.
    """

    def __init__(
        self,
        write_line: WriteLine,
        *,
        partials: bool,
        many: bool = False,
        on_printed: Callable[[int], None] | None = None,
        progress_s: float | None = None,
        raw: bool = False,
        now: Callable[[], float] = time.monotonic,
        words: Words = Final,
    ) -> None:
        self.words = words
        self.source: str | None = None
        """Source of the lines: set by ``SourceOpened``, or by the caller for a source that cannot be opened."""
        self.channel: str | None = None
        """Channel of the lines, if channels are transcribed separately."""
        self._write_line = write_line
        self._partials = partials
        self._many = many
        self._on_printed = on_printed
        self._progress_s = progress_s
        self._raw = raw
        self._now = now
        self._progress_at: dict[tuple[str | None, str | None], float] = {}
        """When the next line of progress is due, by source and channel."""
        self._opening = True
        """No source is open yet, or the next one is being opened."""
        self._early: list[str] = []
        """Warnings from before a source was open: its own line comes first."""

    def on_event(self, event: Event) -> None:
        """Print an event of the NDJSON contract. Never raises."""
        if isinstance(event, SourceOpened):
            self.source = event.source
        if not isinstance(event, ContractEvent) or self._leaves_out(event):
            return
        source = self.source if self._many and not isinstance(event, Total) else None
        on_written = None
        if isinstance(event, self.words) and self._on_printed is not None:
            on_written = partial(self._on_printed, event.turn)
        line = to_json(event, source, self.channel)
        if isinstance(event, Warned) and self._opening:
            self._early.append(line)
            return
        early, self._early = self._early, []
        opened = isinstance(event, SourceOpened)
        for each in () if opened else early:
            self._write_line(each)
        self._write_line(line, droppable=isinstance(event, _SNAPSHOTS), on_written=on_written)
        for each in early if opened else ():
            self._write_line(each)
        if opened or isinstance(event, Summary | Total):
            self._opening = self._many and isinstance(event, Summary)

    def _leaves_out(self, event: ContractEvent) -> bool:
        if isinstance(event, Partial):
            return not self._partials
        if isinstance(event, RawEvent):
            return not self._raw
        return isinstance(event, Progress) and not self._is_due()

    def _is_due(self) -> bool:
        """Return whether a line of progress is due; if so, the next one is due an interval later."""
        if self._progress_s is None:
            return False
        now, key = self._now(), (self.source, self.channel)
        if now < self._progress_at.get(key, now):
            return False
        self._progress_at[key] = now + self._progress_s
        return True


def to_json(event: ContractEvent, source: str | None = None, channel: str | None = None) -> str:
    """Format an event of the contract as an NDJSON line without a line end.

    Args:
        event: Any event of the contract.
        source: Source of the line, if there are several; a summary has its own.
        channel: Channel of the source, if channels are transcribed separately.

    Returns:
        One line of valid JSON that is safe for a terminal: control characters and bidirectional overrides are
        escaped, and lone surrogates (from a file name that is not UTF-8) become the text of an escape.
    """
    at, event = event.at, replace(event, at=UNSET) if event.at else event
    if isinstance(event, Summary):
        event, source, channel = replace(event, channel=channel or UNSET), None, None
    elif isinstance(event, SourceOpened):
        source = None
    try:
        line = _labelled(_encode(event), source, channel)
    except UnicodeEncodeError:
        line = _labelled(_encode(_encodable(to_builtins(event))), _encodable(source), _encodable(channel))
    if at:
        line = b'%s,"at":"%s"}' % (line[:-1], at.encode())
    text = line.decode()
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _labelled(line: bytes, source: object, channel: object) -> bytes:
    """Insert source and channel after the type."""
    if source is None and channel is None:
        return line
    label = {name: value for name, value in (("source", source), ("channel", channel)) if value is not None}
    tag, _, rest = line.partition(b",")
    return b"%s,%s,%s" % (tag, _encode(label)[1:-1], rest)


def _encodable(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {name: _encodable(inner) for name, inner in value.items()}
    return value
