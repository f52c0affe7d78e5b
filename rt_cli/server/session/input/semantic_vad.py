"""Semantic VAD: the words decide how much silence ends a turn. Pure.

OpenAI uses a model that estimates whether the speaker has finished. This module approximates the model by rules: the
detector of server VAD finds silence, and the last recognised words select how much silence ends the turn.

======================================  =======  ===============  =======
words recognised so far                 low      medium (auto)    high
======================================  =======  ===============  =======
look finished: end like a sentence      1 s      0.5 s            0.25 s
say nothing about it, or there are none 2 s      1 s              0.5 s
look unfinished: end in a comma, in
"and", "to", "the", "my", in "uhm"      8 s      4 s              2 s
======================================  =======  ===============  =======

The last row has the longest waits that OpenAI documents. With a recogniser without punctuation (pocketsphinx) no turn
looks finished. The word lists are English; punctuation works in any language. Words arrive later than their audio,
above all if a client sends a file faster than real time: the words known at that moment decide.
"""

from __future__ import annotations

from typing import Literal

from rt_cli.audio.format import to_samples
from rt_cli.audio.speech.endpointing import Endpointer, SpeechStarts, SpeechStops

Eagerness = Literal["low", "medium", "high", "auto"]
Completeness = Literal["finished", "open", "unfinished"]

LONGEST_WAIT_MS: dict[Eagerness, int] = {"low": 8_000, "medium": 4_000, "auto": 4_000, "high": 2_000}
THRESHOLD = 0.5
PREFIX_MS = 300
_SILENCE_BELOW = THRESHOLD - 0.15
"""A frame below this probability is silence: the hysteresis of server VAD."""
_WAIT_DIVISOR: dict[Completeness, int] = {"finished": 8, "open": 4, "unfinished": 1}
"""The longest wait is divided by this number."""

_CLOSING_MARKS = "\"')]}»”’ "  # noqa: RUF001 - typographic quotes
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？", "؟", "।")  # noqa: RUF001 - of other scripts
_CONTINUATION_MARKS = (",", ";", ":", "-", "–", "—", "…", "...", "、", "，", "،")  # noqa: RUF001 - of other scripts
_CONTINUATION_WORDS = frozenset(
    # Conjunctions, prepositions, articles; possessives, subjects, forms of "to be"; fillers.
    """
    and or but because if when while although though unless until since whether than which who whose so as
    to of at for from with without into onto between during against
    the a an some any every each
    my your his its our their
    i we they she i'm i'll i'd i've we're we'll they're it's he's she's
    is are was were am been
    uh uhm um umm er erm hm hmm mm mhm like
    """.split()  # noqa: SIM905 - more readable than ninety quoted words
)


def completeness(words: str) -> Completeness:
    """Classify a turn by its last word and punctuation.

    Args:
        words: Hypothesis of the turn so far; may be empty.
    """
    text = words.strip().rstrip(_CLOSING_MARKS)
    if text.endswith(_CONTINUATION_MARKS):
        return "unfinished"
    if text.endswith(_SENTENCE_ENDS):
        return "finished"
    last = text.rpartition(" ")[2].lower().replace("’", "'")  # noqa: RUF001 - a typographic apostrophe
    return "unfinished" if last in _CONTINUATION_WORDS else "open"


def wait_ms(eagerness: Eagerness, words: str) -> int:
    """Silence after these words that ends the turn, 250..8000 ms."""
    return LONGEST_WAIT_MS[eagerness] // _WAIT_DIVISOR[completeness(words)]


class SemanticEndpointer:
    """Like :class:`~rt_cli.audio.speech.endpointing.Endpointer`, but the silence that ends a turn depends on the words.

    Args:
        frame_samples: Length of a frame.
        rate_hz: Sample rate of the audio.
        eagerness: ``eagerness`` of the session; see the table above.
        start: Position of the first frame.
    """

    def __init__(self, frame_samples: int, rate_hz: int, eagerness: Eagerness, start: int = 0) -> None:
        self._endpointer = Endpointer(
            frame_samples,
            rate_hz,
            threshold=THRESHOLD,
            silence_ms=LONGEST_WAIT_MS[eagerness],
            prefix_ms=PREFIX_MS,
            start=start,
        )
        self._frame = frame_samples
        self._rate_hz = rate_hz
        self._eagerness = eagerness
        self._position = start
        self._speaking = False
        self._silence = 0
        self._words = ""

    def set_words(self, words: str) -> None:
        """Set the hypothesis of the current turn."""
        self._words = words

    def push(self, probability: float) -> SpeechStarts | SpeechStops | None:
        """Process the speech probability of the next frame."""
        self._position += self._frame
        event = self._endpointer.push(probability)
        match event:
            case SpeechStarts():
                self._speaking, self._silence = True, 0
            case SpeechStops():
                self.cut(event.at)
            case None if self._speaking:
                self._silence = self._silence + self._frame if probability < _SILENCE_BELOW else 0
                if self._silence >= to_samples(wait_ms(self._eagerness, self._words), self._rate_hz):
                    self.cut(self._position)
                    return SpeechStops(self._position)
        return event

    def cut(self, at: int) -> None:
        """End the turn at ``at``; speech from there on starts the next turn."""
        self._endpointer.cut(at)
        self._speaking, self._words = False, ""
