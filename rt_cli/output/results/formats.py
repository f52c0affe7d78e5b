"""Which words of a run go into a result, by its format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from rt_cli.events import Final
from rt_cli.output.results.captions import CaptionOutput
from rt_cli.output.results.ndjson import NdjsonOutput
from rt_cli.output.results.text import TextOutput
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event, Label
    from rt_cli.output.results.ndjson import WriteLine
    from rt_cli.settings import OutputFormat


class Results(Protocol):
    """Takes what happens to a source, and prints what belongs into the result."""

    def on_event(self, event: Event) -> None:
        """Take an event. Returns at once and never raises."""
        ...


def make_results(
    kind: OutputFormat,
    write_line: WriteLine,
    *,
    partials: bool = False,
    timestamps: bool = False,
    many: bool = False,
    on_printed: Callable[[int], None] | None = None,
) -> Results:
    """What writes a result.

    Args:
        kind: Its format.
        write_line: Where the lines go.
        partials: Whether NDJSON has what is not final yet.
        timestamps: Whether lines of text begin with a time; the other formats always say it.
        many: Whether lines of NDJSON name their source.
        on_printed: Told the turn of each final that was printed, on any thread.
    """
    if kind == "json":
        return NdjsonOutput(write_line, partials=partials, many=many, on_printed=on_printed)
    if kind == "text":
        return TextOutput(write_line, on_printed, timestamps=timestamps)
    return CaptionOutput(write_line, kind, on_printed)


def tell(results: Results, event: Event, label: Label | None) -> None:
    """Let results know of an event, and whose it is.

    Args:
        results: Of one or many sources.
        event: What happened.
        label: To which source, and which channel of it; None: to none, or to the one that was last told of.
    """
    channel = None if label is None else label.channel
    if isinstance(results, NdjsonOutput):
        results.source, results.channel = (results.source if label is None else label.source), channel
    elif channel and isinstance(event, Final) and printable(event.text).strip():
        event = replace(event, text=f"{channel}: {event.text}")
    results.on_event(event)
