"""Events as NDJSON, the output format for scripts."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import asdict

from rt_cli.audio.format import to_ms
from rt_cli.events import (
    ControlChanged,
    Dropped,
    Errored,
    Failed,
    Final,
    Partial,
    SessionChanged,
    SourceOpened,
    Summary,
    Total,
    Warned,
    Withdrawn,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event
    from rt_cli.output.line_writer import OnWritten

# The encoder escapes C0. JSON allows these characters unescaped, but terminals interpret some of them and some readers
# treat others as line ends.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_TYPES: dict[type, str] = {
    SessionChanged: "session",
    Partial: "partial",
    Withdrawn: "withdrawn",
    Final: "final",
    Failed: "failed",
    Dropped: "dropped",
    Warned: "warning",
    Errored: "error",
    Summary: "summary",
    Total: "total",
    ControlChanged: "control",
}
_OPTIONAL = frozenset({"reason", "start_ms", "end_ms", "approx", "language", "latency_ms", "resumed", "hint"})
_OMITTED_IF_ZERO = frozenset({"skipped"})
"""Fields that are written only if they are not zero."""


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
        if type(event) not in _TYPES or (isinstance(event, Partial) and not self._partials):
            return
        source = self.source if self._many and not isinstance(event, Total) else None
        on_written = None
        if isinstance(event, Final) and self._on_printed is not None:
            on_written = partial(self._on_printed, event.turn)
        line = to_json(event, source, self.channel)
        self._write_line(line, droppable=isinstance(event, Partial), on_written=on_written)


def to_json(event: Event, source: str | None = None, channel: str | None = None) -> str:
    """Format an event of the contract as an NDJSON line without a line end.

    Args:
        event: Any event of the contract, so not SourceOpened or Progress.
        source: Source of the line, if there are several; a summary has its own.
        channel: Channel of the source, if channels are transcribed separately.

    Returns:
        One line of valid JSON that is safe for a terminal: control characters and bidirectional overrides are
        escaped, and lone surrogates (from a file name that is not UTF-8) become the text of an escape.
    """
    fields: dict[str, object] = {"type": _TYPES[type(event)]}
    if source is not None:
        fields["source"] = source
    if channel is not None:
        fields["channel"] = channel
    fields.update(_summary(event) if isinstance(event, Summary) else _without_absent(asdict(event)))
    try:
        line = msgspec.json.encode(fields)
    except UnicodeEncodeError:
        line = msgspec.json.encode({name: _encodable(value) for name, value in fields.items()})
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode())


def _without_absent(fields: dict[str, object]) -> dict[str, object]:
    """Remove optional fields that are None or False, and counters that are zero."""
    # Compare by identity: 0 is a valid time.
    return {
        name: value
        for name, value in fields.items()
        if not (name in _OPTIONAL and (value is None or value is False)) and (name not in _OMITTED_IF_ZERO or value)
    }


def _summary(summary: Summary) -> dict[str, object]:
    """Build the fields of a summary; ``latency_ms`` is always present, null without a measured final."""
    ledger = summary.ledger
    return {
        "source": summary.source,
        **({"skipped": True} if summary.skipped else {}),
        "exit": summary.exit,
        "complete": summary.complete,
        "rate_hz": summary.rate_hz,
        "captured_ms": _ms(ledger.captured, summary),
        "settled_ms": _ms(ledger.settled, summary),
        "dropped_ms": _ms(ledger.dropped, summary),
        "ledger": asdict(ledger),
        "sent_ms": _ms(summary.sent, summary),
        "gated_ms": _ms(summary.gated, summary),
        **({"cost": asdict(summary.cost)} if summary.cost else {}),
        "finals": summary.finals,
        "reconnects": summary.reconnects,
        "latency_ms": asdict(summary.latency_ms) if summary.latency_ms else None,
        "wall_ms": summary.wall_ms,
    }


def _ms(samples: int, summary: Summary) -> int:
    return to_ms(samples, summary.rate_hz) if summary.rate_hz else 0


def _encodable(value: object) -> object:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
