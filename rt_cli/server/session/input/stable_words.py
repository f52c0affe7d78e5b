"""Selects the words of a changing hypothesis that are stable enough to send. Pure."""

from __future__ import annotations

from itertools import takewhile


class StableWords:
    """Converts hypotheses, which change, to deltas, which can only be appended.

    A word is stable when two hypotheses in a row agree on it and on all words before it. If a later hypothesis changes
    a word that is already in a delta, there are no more deltas: the client gets the final text in ``completed``.
    """

    def __init__(self) -> None:
        self._sent: list[str] = []
        self._previous: list[str] = []

    def push(self, hypothesis: str) -> str:
        """The delta after this hypothesis; empty if no new word is stable."""
        words = hypothesis.split()
        pairs = zip(words, self._previous, strict=False)
        stable = [word for word, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
        self._previous = words
        return self._new_words(stable)

    def finish(self, text: str) -> str:
        """The rest of the final text; empty if the final text contradicts the deltas before."""
        return self._new_words(text.split())

    def _new_words(self, words: list[str]) -> str:
        sent = len(self._sent)
        if len(words) <= sent or words[:sent] != self._sent:
            return ""
        self._sent = words
        return (" " if sent else "") + " ".join(words[sent:])
