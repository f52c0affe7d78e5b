"""Events as NDJSON, the output format for scripts."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Protocol

from msgspec import UNSET, to_builtins
from msgspec.json import Encoder
from msgspec.structs import replace

from rt_cli.events import ContractEvent, Final, Partial, SourceOpened, Summary, Total

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event
    from rt_cli.output.line_writer import OnWritten

# The encoder escapes C0. JSON allows these characters unescaped, but terminals interpret some of them and some readers
# treat others as line ends.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_encode = Encoder().encode


class WriteLine(Protocol):
    """Writes a line without its line end; a droppable line may be dropped while many wait."""

    def __call__(self, line: str, *, droppable: bool = False, on_written: OnWritten = None) -> None:
        """Return at once; call ``on_written``, on any thread, after the line was written."""
        ...


class NdjsonOutput:
    """Prints each event of the NDJSON contract as one JSON object.

    Args:
        write_line: Writes a line.
        partials: True to print partials.
        many: True if every line names its source.
        on_printed: Called with the turn of each printed final, on any thread.
    """

    def __init__(
        self,
        write_line: WriteLine,
        *,
        partials: bool,
        many: bool = False,
        on_printed: Callable[[int], None] | None = None,
    ) -> None:
        self.source: str | None = None
        """Source of the lines: set by ``SourceOpened``, or by the caller for a source that cannot be opened."""
        self.channel: str | None = None
        """Channel of the lines, if channels are transcribed separately."""
        self._write_line = write_line
        self._partials = partials
        self._many = many
        self._on_printed = on_printed

    def on_event(self, event: Event) -> None:
        """Print an event of the NDJSON contract. Never raises."""
        if isinstance(event, SourceOpened):
            self.source = event.name
        if not isinstance(event, ContractEvent) or (isinstance(event, Partial) and not self._partials):
            return
        source = self.source if self._many and not isinstance(event, Total) else None
        on_written = None
        if isinstance(event, Final) and self._on_printed is not None:
            on_written = partial(self._on_printed, event.turn)
        line = to_json(event, source, self.channel)
        self._write_line(line, droppable=isinstance(event, Partial), on_written=on_written)


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
    if isinstance(event, Summary):
        event, source, channel = replace(event, channel=channel or UNSET), None, None
    try:
        line = _labelled(_encode(event), source, channel)
    except UnicodeEncodeError:
        line = _labelled(_encode(_encodable(to_builtins(event))), _encodable(source), _encodable(channel))
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
