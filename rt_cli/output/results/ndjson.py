"""Events as NDJSON: the contract that scripts rely on."""

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
    from rt_cli.output.line_writer import Written

# JSON escapes C0 by itself. These may stand in a string as they are, but a terminal obeys some and some readers take
# others for line ends; escaped they are the same JSON.
_RISKY = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

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
_COUNTED = frozenset({"skipped"})
"""Said where it is more than none."""


class WriteLine(Protocol):
    """Takes a line without its line end; a passing one may be left out while many wait."""

    def __call__(self, line: str, *, passing: bool = False, written: Written = None) -> None:
        """Take it at once; call ``written``, on any thread, when it is written."""
        ...


class NdjsonOutput:
    """Prints each event of the contract as one JSON object.

    Args:
        write_line: Where the lines go.
        partials: Whether partials are wanted.
        many: Whether every line says which source it is about.
        on_printed: Told the turn of each final that was printed, on any thread.
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
        """The source that lines are about: set by its opening, or by hand where it cannot be opened."""
        self.channel: str | None = None
        """Which channel of it, where they are told apart."""
        self._write_line = write_line
        self._partials = partials
        self._many = many
        self._on_printed = on_printed

    def on_event(self, event: Event) -> None:
        """Print an event that the contract knows. Never raises."""
        if isinstance(event, SourceOpened):
            self.source = event.name
        if type(event) not in _TYPES or (isinstance(event, Partial) and not self._partials):
            return
        source = self.source if self._many and not isinstance(event, Total) else None
        told = None
        if isinstance(event, Final) and self._on_printed is not None:
            told = partial(self._on_printed, event.turn)
        line = to_json(event, source, self.channel)
        self._write_line(line, passing=isinstance(event, Partial), written=told)


def to_json(event: Event, source: str | None = None, channel: str | None = None) -> str:
    """The line of NDJSON for an event of the contract, without a line end.

    Args:
        event: Any but SourceOpened and Progress.
        source: What the line is about, where there are several; a summary names its own.
        channel: And which channel of it, where they are told apart.

    Returns:
        One line that every JSON reader takes and no terminal obeys: control characters and bidirectional overrides
        are escaped, and lone surrogates (of a file name that is no UTF-8) become the text of an escape.
    """
    fields: dict[str, object] = {"type": _TYPES[type(event)]}
    if source is not None:
        fields["source"] = source
    if channel is not None:
        fields["channel"] = channel
    fields.update(_summary(event) if isinstance(event, Summary) else _present(asdict(event)))
    try:
        line = msgspec.json.encode(fields)
    except UnicodeEncodeError:
        line = msgspec.json.encode({name: _encodable(value) for name, value in fields.items()})
    return _RISKY.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode())


def _present(fields: dict[str, object]) -> dict[str, object]:
    """Without the optional fields that say nothing: None, and the flags that are not set."""
    # By identity: 0 is a time.
    return {
        name: value
        for name, value in fields.items()
        if not (name in _OPTIONAL and (value is None or value is False)) and (name not in _COUNTED or value)
    }


def _summary(summary: Summary) -> dict[str, object]:
    """The fields of a summary; ``latency_ms`` is always there, null without a measured final."""
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
