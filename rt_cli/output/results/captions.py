"""Finals as captions: SRT and WebVTT, written cue by cue during the run.

The limits are common in subtitle guidelines of broadcasters: two lines of 42 columns, one to seven seconds. Neither
format can change a cue later, so each is written when its final is known, and later cues start after it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct

from rt_cli.events import Final, Translation
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.events import Event
    from rt_cli.output.results.ndjson import WriteLine
    from rt_cli.output.results.words import Words

CaptionFormat = Literal["srt", "vtt"]

COLUMNS = 42
"""Columns of a line; wide characters take two."""
LINES = 2
MIN_CUE_MS = 1_000
MAX_CUE_MS = 7_000
READING_MS_PER_COLUMN = 60
"""Duration per column for a final without times: adults read about 17 columns a second."""

_SENTENCE_END = re.compile(r"[.!?…。！？｡؟।][\"'”’»)\]」』]*$")  # noqa: RUF001 - the marks of other scripts
_CLAUSE_END = re.compile(r"[,;:—–،、，；：][\"'”’»)\]」』]*$")  # noqa: RUF001 - likewise
_CLOSING = re.compile(r"[^\w\s(\[{「『“‘«¿¡]")  # noqa: RUF001 - likewise
_VTT_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Cue(Struct, frozen=True):
    """One caption of one or two lines.

    Args:
        start_ms: Start on the timeline of the source.
        end_ms: End; after the start, and not after the start of the next cue.
        lines: Lines of text, none of them empty.
    """

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


class CueCutter:
    """Splits finals into cues that never overlap, in the order of the finals."""

    def __init__(self) -> None:
        self._free_from = 0

    def cut(self, final: Final | Translation) -> list[Cue]:
        """Split a final into cues; none if it has no words.

        Words share the time of the turn in proportion to their length. If the turn is too short for its words, its
        cues continue after its end, and the cues of the next turn start later. A final without times starts at the
        end of the last cue and lasts for its reading time.
        """
        pieces = _pieces(printable(final.text))
        if not pieces:
            return []
        start = max(self._free_from, final.start_ms or 0)
        length = _width(pieces) * READING_MS_PER_COLUMN
        end = start + length if final.start_ms is UNSET or final.end_ms is UNSET else final.end_ms
        blocks = _blocks(pieces, _room(_width(pieces), end - start))
        cues = _with_times(blocks, start, max(end, start + len(blocks) * MIN_CUE_MS))
        self._free_from = cues[-1].end_ms
        return cues


class CaptionOutput:
    """Prints each final as cues, each followed by an empty line.

    Args:
        write_line: Writes a cue, which contains line ends, and adds a line end.
        kind: ``srt`` or ``vtt``.
        on_printed: Called with the turn of each printed final, on any thread.
        words: The event that has the words.
    """

    def __init__(
        self,
        write_line: WriteLine,
        kind: CaptionFormat,
        on_printed: Callable[[int], None] | None = None,
        *,
        words: Words = Final,
    ) -> None:
        self.words = words
        self._write_line = write_line
        self._kind = kind
        self._on_printed = on_printed
        self._cutter = CueCutter()
        self._number = 0
        self._has_begun = False

    def on_event(self, event: Event) -> None:
        """Print a final; before the first event of a WebVTT file, print the header. Never raises."""
        if not self._has_begun and self._kind == "vtt":
            self._write_line("WEBVTT\n")
        self._has_begun = True
        if not isinstance(event, self.words):
            return
        cues = self._cutter.cut(event)
        for cue in cues:
            self._number += 1
            text = to_srt(cue, self._number) if self._kind == "srt" else to_vtt(cue)
            on_printed = self._on_printed if cue is cues[-1] else None
            self._write_line(text, on_written=on_printed and partial(on_printed, event.turn))


def to_srt(cue: Cue, number: int) -> str:
    """Format a SubRip cue. The format has no escapes, so text that looks like markup stays unchanged."""
    lines = "\n".join(cue.lines)
    return f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{lines}\n"


def to_vtt(cue: Cue) -> str:
    """Format a WebVTT cue (https://www.w3.org/TR/webvtt1/) with escaped text."""
    lines = "\n".join("".join(_VTT_ESCAPES.get(char, char) for char in line) for line in cue.lines)
    return f"{clock(cue.start_ms)} --> {clock(cue.end_ms)}\n{lines}\n"


def clock(ms: int, mark: str = ".") -> str:
    """Format milliseconds as ``00:00:01.230``; more than 99 hours take more digits."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{ms:03}"


def _room(width: int, length_ms: int) -> int:
    """Return the maximum columns of a cue, so that slow words do not appear long before their time."""
    return max(1, min(LINES * COLUMNS, width * MAX_CUE_MS // max(1, length_ms)))


def _with_times(blocks: list[list[str]], start_ms: int, end_ms: int) -> list[Cue]:
    """Give each block one second plus a share of the remaining time in proportion to its length."""
    widths = list(accumulate((_width(block) for block in blocks), initial=0))
    spare = end_ms - start_ms - len(blocks) * MIN_CUE_MS
    edges = [
        start_ms + number * MIN_CUE_MS + spare * width // max(1, widths[-1]) for number, width in enumerate(widths)
    ]
    return [
        Cue(edges[number], min(edges[number + 1], edges[number] + MAX_CUE_MS), _lines(block))
        for number, block in enumerate(blocks)
    ]


def _blocks(pieces: list[str], room: int) -> list[list[str]]:
    """Group pieces into cues: as full as possible, with ends at sentences or clauses."""
    blocks, at = [], 0
    while at < len(pieces):
        # No cue holds more pieces: each piece takes at least one column, except joining marks.
        ahead = pieces[at : at + LINES * COLUMNS]
        count = _fitting(ahead, room)
        if at + count < len(pieces):
            count = _best_end(ahead[:count])
        blocks.append(ahead[:count])
        at += count
    return blocks


def _fitting(pieces: Sequence[str], room: int) -> int:
    """Return how many pieces fit into one cue when lines are filled in order; at least one."""
    line, whole, lines = 0, 0, 1
    for count, columns in enumerate(map(columns_of, pieces)):
        whole += columns
        line += columns
        if line > COLUMNS:
            line, lines = columns, lines + 1
        if count and (whole > room or lines > LINES):
            return count
    return len(pieces)


def _best_end(pieces: list[str]) -> int:
    """Return how many of ``pieces`` the cue takes: up to the last end of a sentence, else of a clause.

    Ends in the first part of the cue do not count: a short "sentence" may be only "Mr.".
    """
    for pattern, earliest in ((_SENTENCE_END, len(pieces) // 4), (_CLAUSE_END, len(pieces) // 2)):
        for count in range(len(pieces), earliest, -1):
            if pattern.search(pieces[count - 1]):
                return count
    return len(pieces)


def _lines(pieces: list[str]) -> tuple[str, ...]:
    return tuple("".join(line).strip() for line in _split_lines(pieces))


def _split_lines(pieces: Sequence[str]) -> list[Sequence[str]]:
    """Split into one line if it fits, else into two lines of nearly equal width."""
    widths = list(accumulate(map(columns_of, pieces)))
    if widths[-1] <= COLUMNS or len(pieces) == 1:
        return [pieces]
    best = min(range(1, len(pieces)), key=lambda at: max(widths[at - 1], widths[-1] - widths[at - 1]))
    return [pieces[:best], pieces[best:]]


def _pieces(text: str) -> list[str]:
    """Split a text into unbreakable pieces, each with the space before it.

    A piece is a word, or a character in scripts without spaces. No piece is wider than a line.
    """
    pieces: list[str] = []
    for word in text.split():
        parts = [word] if columns_of(word) < COLUMNS and word.isascii() else _parts(word)
        parts[0] = f" {parts[0]}" if pieces else parts[0]
        pieces += parts
    return pieces


def _parts(word: str) -> list[str]:
    """Split a word before each wide character that is not closing punctuation, and before it is too wide."""
    starts, width = [0], 0
    for at, char in enumerate(word):
        columns = columns_of(char)
        begins = columns == 2 and not _CLOSING.match(char)  # noqa: PLR2004 - a wide character
        if at and columns and (begins or width + columns >= COLUMNS):
            starts.append(at)
            width = 0
        width += columns
    return [word[start:end] for start, end in pairwise([*starts, len(word)])]


def _width(pieces: Sequence[str]) -> int:
    return sum(map(columns_of, pieces))


def columns_of(text: str) -> int:
    """Return the width of a text in columns."""
    return (
        len(text) if text.isascii() else sum(2 if _is_wide(char) else not unicodedata.combining(char) for char in text)
    )


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"
