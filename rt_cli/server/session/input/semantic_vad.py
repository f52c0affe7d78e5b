"""Semantic VAD: how long to wait for somebody who has paused, by what was said. Pure.

OpenAI asks a model how likely it is that the speaker has finished. This is an approximation by rules: the detector of
server VAD says when nobody speaks, and the last words recognised so far decide how much of that is the end of a turn.

======================================  =======  ===============  =======
the words so far                        low      medium (auto)    high
======================================  =======  ===============  =======
look finished: end like a sentence      1 s      0.5 s            0.25 s
say nothing about it, or there are none 2 s      1 s              0.5 s
look unfinished: end in a comma, in
"and", "to", "the", "my", in "uhm"      8 s      4 s              2 s
======================================  =======  ===============  =======

The last row are the longest waits that OpenAI documents. A recogniser without punctuation (pocketsphinx) never makes a
turn look finished. Words are compared in English; punctuation is understood in any language. Words arrive later than
their audio, most of all where a file is sent as fast as it can be read: then what was known at that moment decides.
"""

from __future__ import annotations

from typing import Literal

from rt_cli.audio.format import to_samples
from rt_cli.audio.speech.endpointing import Endpointer, SpeechStarts, SpeechStops

Eagerness = Literal["low", "medium", "high", "auto"]
Outlook = Literal["finished", "open", "unfinished"]

LONGEST_WAIT_MS: dict[Eagerness, int] = {"low": 8_000, "medium": 4_000, "auto": 4_000, "high": 2_000}
THRESHOLD = 0.5
PREFIX_MS = 300
_QUIET = THRESHOLD - 0.15
"""Below it a frame is silence: the hysteresis of server VAD."""
_SHARE: dict[Outlook, int] = {"finished": 8, "open": 4, "unfinished": 1}
"""What part of the longest wait."""

_CLOSING = "\"')]}»”’ "  # noqa: RUF001 - typographic quotes
_ENDS = (".", "!", "?", "。", "！", "？", "؟", "।")  # noqa: RUF001 - of other scripts
_GOES_ON = (",", ";", ":", "-", "–", "—", "…", "...", "、", "，", "،")  # noqa: RUF001 - of other scripts
_LEADS_ON = frozenset(
    # Conjunctions, prepositions, articles; possessives, subjects, forms of "to be"; fillers.
    """
    and or but because if when while although though unless until since whether than which who whose so as
    to of at for from with without into onto between during against
    the a an some any every each
    my your his its our their
    i we they she i'm i'll i'd i've we're we'll they're it's he's she's
    is are was were am been
    uh uhm um umm er erm hm hmm mm mhm like
    """.split()  # noqa: SIM905 - nobody could read ninety quotes
)


def outlook(words: str) -> Outlook:
    """Whether somebody who pauses after these words seems to have finished.

    Args:
        words: All that was recognised of the turn so far, or nothing.
    """
    said = words.strip().rstrip(_CLOSING)
    if said.endswith(_GOES_ON):
        return "unfinished"
    if said.endswith(_ENDS):
        return "finished"
    last = said.rpartition(" ")[2].lower().replace("’", "'")  # noqa: RUF001 - a typographic apostrophe
    return "unfinished" if last in _LEADS_ON else "open"


def wait_ms(eagerness: Eagerness, words: str) -> int:
    """How much silence after these words ends the turn, 250..8000 ms."""
    return LONGEST_WAIT_MS[eagerness] // _SHARE[outlook(words)]


class SemanticEndpointer:
    """Like :class:`~rt_cli.audio.speech.endpointing.Endpointer`, but the silence that ends a turn depends on the words.

    Args:
        frame_samples: Length of a frame.
        rate_hz: Of the audio.
        eagerness: How soon to take a pause for the end.
        start: Position of the first frame.
    """

    def __init__(self, frame_samples: int, rate_hz: int, eagerness: Eagerness, start: int = 0) -> None:
        self._speech = Endpointer(
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
        self._quiet = 0
        self._words = ""

    def words_so_far(self, words: str) -> None:
        """What is known of the present turn's words."""
        self._words = words

    def push(self, probability: float) -> SpeechStarts | SpeechStops | None:
        """Take the probability of the next frame."""
        self._position += self._frame
        found = self._speech.push(probability)
        match found:
            case SpeechStarts():
                self._speaking, self._quiet = True, 0
            case SpeechStops():
                self.cut(found.at)
            case None if self._speaking:
                self._quiet = self._quiet + self._frame if probability < _QUIET else 0
                if self._quiet >= to_samples(wait_ms(self._eagerness, self._words), self._rate_hz):
                    self.cut(self._position)
                    return SpeechStops(self._position)
        return found

    def cut(self, at: int) -> None:
        """A turn was ended at ``at``: what is said from there on starts another."""
        self._speech.cut(at)
        self._speaking, self._words = False, ""
