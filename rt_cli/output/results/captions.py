"""Finals as captions: SRT and WebVTT, cue by cue while the run goes on.

The limits are those that broadcasters and film archives ask of subtitles: two lines of 42 columns, one second to
seven. Neither format can take a cue back, so each is written when its final is known, and the next makes room.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from rt_cli.events import Final
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.events import Event
    from rt_cli.output.results.ndjson import WriteLine

CaptionFormat = Literal["srt", "vtt"]

COLUMNS = 42
"""Of a line; wide characters take two."""
LINES = 2
SHORTEST_MS = 1_000
LONGEST_MS = 7_000
READING_MS = 60
"""For each column of a final without times: 17 a second is what adults read."""

_SENTENCE_END = re.compile(r"[.!?…。！？｡؟।][\"'”’»)\]」』]*$")  # noqa: RUF001 - the marks of other scripts
_CLAUSE_END = re.compile(r"[,;:—–،、，；：][\"'”’»)\]」』]*$")  # noqa: RUF001 - likewise
_CLOSING = re.compile(r"[^\w\s(\[{「『“‘«¿¡]")  # noqa: RUF001 - likewise
_VTT_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Cue(Struct, frozen=True):
    """One or two lines on the screen.

    Args:
        start_ms: On the timeline of the source.
        end_ms: Later than the start, and not later than the next cue's start.
        lines: Of text, none of them empty.
    """

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


class CueCutter:
    """Cuts finals into cues that never overlap, in the order of the finals."""

    def __init__(self) -> None:
        self._free_from = 0

    def cut(self, final: Final) -> list[Cue]:
        """The cues of a final; none if it holds no words.

        The words share the time of the turn by their length. Cues of a turn that is too short for its words go on
        after its end, and those of the next begin when they are over. A final without times begins where the last
        ended and lasts as long as it takes to read.
        """
        pieces = _pieces(printable(final.text))
        if not pieces:
            return []
        start = max(self._free_from, final.start_ms or 0)
        length = _width(pieces) * READING_MS
        end = start + length if final.start_ms is None or final.end_ms is None else final.end_ms
        blocks = _blocks(pieces, _room(_width(pieces), end - start))
        cues = _timed(blocks, start, max(end, start + len(blocks) * SHORTEST_MS))
        self._free_from = cues[-1].end_ms
        return cues


class CaptionOutput:
    """Prints each final as cues, each with the empty line that ends it.

    Args:
        write_line: Takes a cue, its inner line ends included, and ends it with one more.
        kind: ``srt`` or ``vtt``.
        on_printed: Told the turn of each final that was printed, on any thread.
    """

    def __init__(
        self, write_line: WriteLine, kind: CaptionFormat, on_printed: Callable[[int], None] | None = None
    ) -> None:
        self._write_line = write_line
        self._kind = kind
        self._on_printed = on_printed
        self._cutter = CueCutter()
        self._number = 0
        self._begun = False

    def on_event(self, event: Event) -> None:
        """Print a final, or what a file begins with. Never raises."""
        if not self._begun and self._kind == "vtt":
            self._write_line("WEBVTT\n")
        self._begun = True
        if not isinstance(event, Final):
            return
        cues = self._cutter.cut(event)
        for cue in cues:
            self._number += 1
            text = to_srt(cue, self._number) if self._kind == "srt" else to_vtt(cue)
            told = self._on_printed if cue is cues[-1] else None
            self._write_line(text, written=told and partial(told, event.turn))


def to_srt(cue: Cue, number: int) -> str:
    """A cue of SubRip. The format has no escapes: what looks like markup stays as it was said."""
    lines = "\n".join(cue.lines)
    return f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{lines}\n"


def to_vtt(cue: Cue) -> str:
    """A cue of WebVTT (https://www.w3.org/TR/webvtt1/), its text escaped."""
    lines = "\n".join("".join(_VTT_ESCAPES.get(char, char) for char in line) for line in cue.lines)
    return f"{clock(cue.start_ms)} --> {clock(cue.end_ms)}\n{lines}\n"


def clock(ms: int, mark: str = ".") -> str:
    """Milliseconds as ``00:00:01.230``; more than 99 hours take more digits."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{ms:03}"


def _room(width: int, length_ms: int) -> int:
    """Columns that a cue may take, so that slow words are not shown long before they are said."""
    return max(1, min(LINES * COLUMNS, width * LONGEST_MS // max(1, length_ms)))


def _timed(blocks: list[list[str]], start_ms: int, end_ms: int) -> list[Cue]:
    """Blocks with their times: a second each, and of the rest a share by length."""
    widths = list(accumulate((_width(block) for block in blocks), initial=0))
    spare = end_ms - start_ms - len(blocks) * SHORTEST_MS
    edges = [
        start_ms + number * SHORTEST_MS + spare * width // max(1, widths[-1]) for number, width in enumerate(widths)
    ]
    return [
        Cue(edges[number], min(edges[number + 1], edges[number] + LONGEST_MS), _lines(block))
        for number, block in enumerate(blocks)
    ]


def _blocks(pieces: list[str], room: int) -> list[list[str]]:
    """Pieces grouped into cues: each as full as it may be, and ending where a sentence or a clause does."""
    blocks, at = [], 0
    while at < len(pieces):
        # No cue holds more: each piece takes a column but for marks that join.
        ahead = pieces[at : at + LINES * COLUMNS]
        count = _most(ahead, room)
        if at + count < len(pieces):
            count = _good_end(ahead[:count])
        blocks.append(ahead[:count])
        at += count
    return blocks


def _most(pieces: Sequence[str], room: int) -> int:
    """How many pieces fit into one cue, its first line filled before the second; at least one."""
    line, whole, lines = 0, 0, 1
    for count, columns in enumerate(map(len_of, pieces)):
        whole += columns
        line += columns
        if line > COLUMNS:
            line, lines = columns, lines + 1
        if count and (whole > room or lines > LINES):
            return count
    return len(pieces)


def _good_end(pieces: list[str]) -> int:
    """Where to end a cue that could hold all of ``pieces``: the last sentence's end, or else the last clause's.

    Not so early that it would leave a word alone, which may be no more than "Mr.".
    """
    for pattern, earliest in ((_SENTENCE_END, len(pieces) // 4), (_CLAUSE_END, len(pieces) // 2)):
        for count in range(len(pieces), earliest, -1):
            if pattern.search(pieces[count - 1]):
                return count
    return len(pieces)


def _lines(pieces: list[str]) -> tuple[str, ...]:
    return tuple("".join(line).strip() for line in _broken(pieces))


def _broken(pieces: Sequence[str]) -> list[Sequence[str]]:
    """One line if it fits, else two that are as equal as can be."""
    widths = list(accumulate(map(len_of, pieces)))
    if widths[-1] <= COLUMNS or len(pieces) == 1:
        return [pieces]
    best = min(range(1, len(pieces)), key=lambda at: max(widths[at - 1], widths[-1] - widths[at - 1]))
    return [pieces[:best], pieces[best:]]


def _pieces(text: str) -> list[str]:
    """The text in pieces that belong together, each with the space before it: words; in scripts without spaces, signs.

    None is wider than a line.
    """
    pieces: list[str] = []
    for word in text.split():
        parts = [word] if len_of(word) < COLUMNS and word.isascii() else _parts(word)
        parts[0] = f" {parts[0]}" if pieces else parts[0]
        pieces += parts
    return pieces


def _parts(word: str) -> list[str]:
    """Where a word may be broken: before each wide sign that closes nothing, and before it is too long."""
    starts, width = [0], 0
    for at, char in enumerate(word):
        columns = len_of(char)
        begins = columns == 2 and not _CLOSING.match(char)  # noqa: PLR2004 - a wide one
        if at and columns and (begins or width + columns >= COLUMNS):
            starts.append(at)
            width = 0
        width += columns
    return [word[start:end] for start, end in pairwise([*starts, len(word)])]


def _width(pieces: Sequence[str]) -> int:
    return sum(map(len_of, pieces))


def len_of(text: str) -> int:
    """Columns of a text."""
    return len(text) if text.isascii() else sum(2 if _wide(char) else not unicodedata.combining(char) for char in text)


def _wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"
