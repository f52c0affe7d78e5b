"""Create the formatter of a result format, and pass labelled events to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from rt_cli.events import Final, Translation
from rt_cli.output.results.captions import CaptionOutput
from rt_cli.output.results.ndjson import NdjsonOutput
from rt_cli.output.results.text import TextOutput
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event, Label
    from rt_cli.output.results.ndjson import WriteLine
    from rt_cli.output.results.words import Words
    from rt_cli.settings import OutputFormat


class Results(Protocol):
    """A formatter: takes events and prints those that belong into the result."""

    words: Words
    """The event whose line is the result of a turn."""

    def on_event(self, event: Event) -> None:
        """Handle an event. Returns at once and never raises."""
        ...


def make_results(
    kind: OutputFormat,
    write_line: WriteLine,
    *,
    partials: bool = False,
    timestamps: bool = False,
    many: bool = False,
    progress_s: float | None = None,
    raw: bool = False,
    on_printed: Callable[[int], None] | None = None,
    words: Words = Final,
) -> Results:
    """Create the formatter of a result.

    Args:
        kind: The format.
        write_line: Writes a line.
        partials: True if NDJSON includes partials.
        timestamps: True if lines of text begin with a time; the other formats always have times.
        many: True if NDJSON lines name their source.
        progress_s: Seconds between two lines of NDJSON about the progress of a source; None for none.
        raw: True if NDJSON includes the events of the endpoint.
        on_printed: Called with the turn of each printed final, on any thread.
        words: The event whose line is the result of a turn.
    """
    if kind == "json":
        return NdjsonOutput(
            write_line,
            partials=partials,
            many=many,
            progress_s=progress_s,
            raw=raw,
            on_printed=on_printed,
            words=words,
        )
    if kind == "text":
        return TextOutput(write_line, on_printed, timestamps=timestamps, words=words)
    return CaptionOutput(write_line, kind, on_printed, words=words)


def dispatch(results: Results, event: Event, label: Label | None, *, with_filename: bool = False) -> None:
    """Pass an event and its label to a formatter.

    Args:
        results: Formatter for one or many sources.
        event: The event.
        label: Source and channel of the event; None for an event of the run, or of the last source.
        with_filename: True if words begin with the name of their source.
    """
    channel = None if label is None else label.channel
    if isinstance(results, NdjsonOutput):
        results.source, results.channel = (results.source if label is None else label.source), channel
    elif label is not None and isinstance(event, Final | Translation) and printable(event.text).strip():
        names = (label.source if with_filename else None, channel)
        event = replace(event, text=": ".join(filter(None, (*names, event.text))))
    results.on_event(event)
