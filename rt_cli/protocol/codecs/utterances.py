"""Turns of an endpoint without ids, whose results are interim or final and time each word. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rt_cli.protocol.server_events import (
    Committed,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptSnapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rt_cli.protocol.openai.decode import Fields

Span = tuple[int, int]
"""Start of the first word and end of the last one, milliseconds from the first audio of the connection."""
_LATEST = 1e12
"""No session is that long, in any unit."""


class Utterances:
    """Numbers the utterances of one connection; one is open at a time."""

    def __init__(self) -> None:
        self._number = 0
        self._open = False

    def start(self, at_ms: int | None) -> Sequence[ServerEvent]:
        """Return the event of speech that begins; none if it has begun already.

        Args:
            at_ms: Milliseconds from the first audio of the connection; None if unknown.
        """
        return () if self._open else (SpeechStarted(self._item, at_ms),)

    def interim(self, text: str) -> Sequence[ServerEvent]:
        """Return the event of the words of the utterance so far."""
        return (TranscriptSnapshot(self._item, text),) if text.strip() else ()

    def final(self, text: str, span: Span | None, language: str | None = None) -> Sequence[ServerEvent]:
        """Return the events of the end of the utterance; none if nothing was said and none is open.

        Args:
            text: Its words.
            span: Of its words; None if unknown.
            language: Of its words.
        """
        if not text.strip() and not self._open:
            return ()
        item = self._item
        self._open = False
        timed: Sequence[ServerEvent] = ()
        if span is not None:
            # An interim result has no times, so where speech began may be news.
            timed = (SpeechStarted(item, span[0]), SpeechStopped(item, span[1], after_silence=False))
        return (*timed, Committed(item), TranscriptCompleted(item, text, language))

    @property
    def _item(self) -> str:
        if not self._open:
            self._open, self._number = True, self._number + 1
        return f"utterance_{self._number}"


def span_of(words: object, names: Iterable[tuple[str, str, int]]) -> Span | None:
    """Return the span of a list of words; None if it has no times.

    Args:
        words: Objects with times, untrusted.
        names: The fields that may hold start and end, and their units per second.
    """
    timed = [word for word in words if isinstance(word, dict)] if isinstance(words, list) else []
    for start, end, per_second in names:
        spans = [span for word in timed if (span := _span(word, start, end, per_second)) is not None]
        if spans:
            return min(first for first, _ in spans), max(last for _, last in spans)
    return None


def _span(word: Fields, start: str, end: str, per_second: int) -> Span | None:
    first, last = _time_ms(word.get(start), per_second), _time_ms(word.get(end), per_second)
    return None if first is None or last is None or last <= first else (math.floor(first), math.ceil(last))


def _time_ms(value: object, per_second: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        return None
    return value * 1000 / per_second
