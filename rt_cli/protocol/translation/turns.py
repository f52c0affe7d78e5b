"""Turns of a session that has none: two streams of words, cut into pieces that belong together. Pure.

A turn is a sentence in both languages, or what is said between two pauses of both. The sentences are paired in their
order: the next one of the translation belongs to the first turn that has none. After a pause all is paired anew, so
that an interpreter who makes two sentences of one is not a sentence behind for ever. Every word is in one turn.

A turn is complete when both pieces are. So a connection that is cut between them has told nothing of it, and the next
one hears all of it again. Where it ends decides where the next connection begins: words are written down later than
they are said, so an end is never later than :data:`LAG_MS` before the first word behind it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.protocol.sanitize import whole_text
from rt_cli.protocol.translation.events import TranslatedTurn, TranslationPartial
from rt_cli.protocol.translation.sentences import sentence_end

if TYPE_CHECKING:
    from rt_cli.protocol.translation.events import TranslationEvent

PAUSE_MS = 1_500
"""So much sound without a new word in either language is a pause."""
LAG_MS = 1_500
"""A word may have been said so much before the sound with which it was written down."""
PATIENCE_MS = 8_000
"""So much sound after its words, a turn without a translation gets none."""
_CHAR_MS = 60
"""Nobody speaks faster: a long text at once was not said at once."""
_BEHIND_S = 3.0
"""Sound that the endpoint has read may wait so long for the model."""
_MOST_OPEN = 200
"""Turns without their end, against an endpoint that only writes in one language."""


class _Piece(Struct):
    """A piece of one stream of words."""

    text: str = ""
    first_ms: int = 0
    """When its first word was said, at the earliest."""
    last_ms: int = 0
    """When its last word was written down."""
    came_ms: int = 0
    """How far the endpoint was when that word came, which may be late."""
    closed: bool = False
    whole: int = 0
    """So many characters are whole sentences, if the piece goes on behind them."""


class _Turn(Struct):
    id: str
    said: _Piece
    translated: _Piece

    @property
    def last_ms(self) -> int:
        """When the last of its words was written down."""
        return max(self.said.last_ms, self.translated.last_ms)

    @property
    def start_ms(self) -> int:
        piece = self.said if self.said.text else self.translated
        return max(0, piece.first_ms - LAG_MS)


class TurnMaker:
    """Makes the turns of one connection. Times are milliseconds of sound from its start."""

    def __init__(self) -> None:
        self._open: list[_Turn] = []
        self._count = 0
        self._horizon = 0
        """The endpoint has written down what it had to, up to here."""
        self._came_ms = 0
        """How far the endpoint was when the last word came, in either language."""
        self._read = 0
        self._all_read = False
        self._history: deque[tuple[float, int]] = deque()
        """When the endpoint had read how much: seconds, milliseconds."""
        self._anchor: tuple[float, int] | None = None
        """A time, seconds, and the horizon then; None after an event has moved it."""

    def said(self, delta: str, elapsed_ms: int | None) -> list[TranslationEvent]:
        """Take words in the language that is spoken, and the sound after which the endpoint wrote them down."""
        at = self._at(elapsed_ms)
        events: list[TranslationEvent] = []
        while delta:
            turn = self._speaking()
            delta = self._grow(turn.said, delta, at)
            events.append(TranslationPartial(turn.id, turn.said.text))
        return [*events, *self._complete()]

    def translated(self, delta: str, elapsed_ms: int | None) -> list[TranslationEvent]:
        """Take words of the translation."""
        at = self._at(elapsed_ms)
        while delta:
            delta = self._grow(self._untranslated().translated, delta, at)
        return self._complete()

    def passed(self, elapsed_ms: int | None) -> list[TranslationEvent]:
        """Note how much of the sound the endpoint has translated."""
        self._at(elapsed_ms)
        return self._complete()

    def tick(self, read_ms: int, now: float) -> list[TranslationEvent]:
        """Note how much the endpoint has read, and the time, seconds: silence may bring no event."""
        self._read = max(self._read, read_ms)
        self._history.append((now, self._read))
        while len(self._history) > 1 and self._history[1][0] <= now - _BEHIND_S:
            self._history.popleft()
        if self._anchor is None:
            self._anchor = (now, self._horizon)
        if self._history[0][0] <= now - _BEHIND_S:
            since, at = self._anchor
            # Not only what was read: a model that is behind goes on at the speed of speech.
            self._horizon = max(self._horizon, min(self._history[0][1], at + round((now - since) * 1000)))
        return self._complete()

    def flush(self, *, all_read: bool) -> list[TranslationEvent]:
        """End all turns: the endpoint tells nothing more.

        Args:
            all_read: Everything was translated; else words of the last sound may be missing.
        """
        self._all_read = all_read
        return self._complete(everything=True)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _at(self, elapsed_ms: int | None) -> int:
        if elapsed_ms is None:
            return max(self._read, self._horizon)
        if elapsed_ms > self._horizon:
            self._horizon, self._anchor = elapsed_ms, None
        return elapsed_ms

    def _speaking(self) -> _Turn:
        """Return the turn of the next word that was said."""
        last = self._open[-1] if self._open else None
        return last if last is not None and not last.said.closed else self._begin()

    def _untranslated(self) -> _Turn:
        """Return the turn of the next word of the translation."""
        for turn in self._open:
            if not turn.translated.closed:
                return turn
        last = self._open[-1] if self._open else None
        if last is not None and last.said.text and not last.said.closed:
            # More sentences of a turn that goes on.
            last.translated.closed, last.translated.whole = False, len(last.translated.text)
            return last
        return self._begin()

    def _grow(self, piece: _Piece, delta: str, at: int) -> str:
        self._came_ms = piece.came_ms = max(at, self._horizon)
        return _grow(piece, delta, at)

    def _begin(self) -> _Turn:
        self._count += 1
        turn = _Turn(f"turn_{self._count}", _Piece(), _Piece())
        self._open.append(turn)
        return turn

    # -- turns --------------------------------------------------------------------------------------------------------

    def _complete(self, *, everything: bool = False) -> list[TranslationEvent]:
        events: list[TranslationEvent] = []
        while self._open and (everything or len(self._open) > _MOST_OPEN or self._is_complete(self._open[0])):
            turn = self._open.pop(0)
            said, translated = _words(turn.said.text), _words(turn.translated.text)
            if said or translated:
                events.append(TranslatedTurn(turn.id, said, translated, turn.start_ms, self._end_ms(turn)))
        return events

    def _is_complete(self, turn: _Turn) -> bool:
        if not turn.translated.text:
            return self._horizon - turn.said.came_ms >= PATIENCE_MS
        if turn.translated.closed and turn.said.closed:
            return True
        # What was said would be there before its translation, if the endpoint wrote it down.
        alone = turn.translated.closed and not turn.said.text
        return self._horizon - (turn.translated.came_ms if alone else self._came_ms) >= PAUSE_MS

    def _end_ms(self, turn: _Turn) -> int:
        """Return where a turn ends: before the next one may have begun."""
        if self._all_read and not self._open:
            return turn.last_ms
        if not turn.said.text:
            return max(turn.start_ms, turn.translated.last_ms - 2 * LAG_MS)  # an interpreter is behind the speaker
        begun = next((each.start_ms for each in self._open if each.said.text), self._horizon - LAG_MS)
        return max(turn.start_ms, min(turn.said.last_ms, begun))


def _grow(piece: _Piece, delta: str, at: int) -> str:
    """Add words to a piece, up to the end of its sentence. Return the rest."""
    if not piece.text:
        piece.first_ms = max(0, at - len(delta) * _CHAR_MS)
    text = piece.text + delta
    piece.last_ms = max(piece.last_ms, at)
    end = sentence_end(text[piece.whole :])
    rest = "" if end is None else text[piece.whole + end :]
    piece.closed = end is not None
    # Space alone is no beginning of another piece.
    piece.text = text[: len(text) - len(rest)] if rest.strip() else text
    return rest if rest.strip() else ""


def _words(text: str) -> str:
    return whole_text(text).strip()
