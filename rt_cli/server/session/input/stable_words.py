"""Turns a changing hypothesis into deltas that add up to the final transcript, always. Pure.

What was sent stays sent: clients append deltas, and some show both texts if ``completed`` contradicts them. So a word
is sent when it is old enough, and a later text that contradicts the sent words only extends them: the sent words are
aligned with that text, and what follows them there is new.
"""

from __future__ import annotations

import re

STABLE_AFTER_S = 1.3
"""Seconds of audio during which a word must stay. Measured on pocketsphinx with two recordings, six variants each:
below 1.2 s wrong words are sent, for example *a real boy* before *amiable*."""
_ALIGNED = 100
"""Last sent words that are aligned with a text. Bounds the work: a turn may have thousands of words."""
_WITHOUT_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
_TOKEN = re.compile(rf"\s*(?:[{_WITHOUT_SPACES}]|[^\s{_WITHOUT_SPACES}]+)")
_STARTS_BARE = re.compile(f"[{_WITHOUT_SPACES}]")


class StableWords:
    """The deltas of one item."""

    def __init__(self) -> None:
        self.transcript = ""
        """All deltas so far; after :meth:`finish`, the transcript of the item."""
        self._sent: list[str] = []
        self._covered: list[str] = []
        """The text, in words, of which ``_sent`` is the transcript; differs from it after a contradiction."""
        self._words: list[tuple[str, float]] = []
        """The last hypothesis: each word with the position in the audio, in seconds, from which on it was there."""

    def push(self, hypothesis: str, heard_s: float | None = None) -> str:
        """The delta after this hypothesis; empty if no new word is stable.

        Args:
            hypothesis: Text of the item so far.
            heard_s: Seconds of audio in this text. None: unknown, two hypotheses that agree on a word are enough.
        """
        tokens = _TOKEN.findall(hypothesis.strip())
        before, self._words = self._words, []
        stable: list[str] = []
        old = True
        for number, token in enumerate(tokens):
            word = token.strip()
            old = old and number < len(before) and before[number][0] == word
            since = before[number][1] if old else heard_s or 0.0
            self._words.append((word, since))
            is_stable = old and len(stable) == number and (heard_s is None or heard_s - since >= STABLE_AFTER_S)
            if is_stable:
                stable.append(token)
        return self._extend(stable)

    def finish(self, text: str) -> str:
        """The last delta, after which :attr:`transcript` is complete: ``text``, unless that contradicts sent words."""
        text = text.strip()
        if text.startswith(self.transcript):
            delta, self.transcript = text[len(self.transcript) :], text
            return delta
        return self._extend(_TOKEN.findall(text))

    def _extend(self, tokens: list[str]) -> str:
        """Send the words after those that are already sent."""
        words = [token.strip() for token in tokens]
        known = len(self._covered)
        if words[:known] == self._covered:
            new = tokens[known:]
        elif self._covered[: len(words)] == words:
            return ""  # a shorter text contradicts nothing
        else:
            new = tokens[_end_of(self._sent, words, known) :]
        if not new:
            return ""
        self._covered = words
        self._sent += [token.strip() for token in new]
        delta = "".join(new)
        if not self.transcript:
            delta = delta.lstrip()
        elif not (delta[0].isspace() or _STARTS_BARE.match(delta)):
            delta = f" {delta}"
        self.transcript += delta
        return delta


def _end_of(sent: list[str], words: list[str], expected: int) -> int:
    """The number of words that correspond to the sent ones: the end of their best alignment.

    Args:
        sent: Sent words; only the last ones are looked at.
        words: Another text of the same audio.
        expected: The likely result, which decides between equally good alignments.
    """
    tail = sent[-_ALIGNED:]
    start = max(0, expected - 2 * _ALIGNED)
    window = words[start : expected + _ALIGNED]
    # Edit distance. In the middle of a long text, the alignment may start anywhere.
    row = [0] * (len(window) + 1) if start else list(range(len(window) + 1))
    for number, word in enumerate(tail, start=1):
        previous, row = row, [number]
        for at, other in enumerate(window, start=1):
            row.append(min(row[-1] + 1, previous[at] + 1, previous[at - 1] + (word != other)))
    least = min(row)
    ends = [start + at for at, cost in enumerate(row) if cost == least]
    return min(ends, key=lambda end: (abs(end - expected), -end))
