"""Which words of a changing hypothesis can already be told. Pure."""

from __future__ import annotations

from itertools import takewhile


class StableWords:
    """Turns hypotheses, which get revised, into deltas, which can only be appended.

    A word is told once two hypotheses in a row agree on it and on all before it. Where a later hypothesis takes back a
    word that was told, nothing more is told before the end: the final text is the authority.
    """

    def __init__(self) -> None:
        self._told: list[str] = []
        self._previous: list[str] = []

    def push(self, hypothesis: str) -> str:
        """The text to append after this hypothesis; empty if there is nothing new to be sure of."""
        words = hypothesis.split()
        pairs = zip(words, self._previous, strict=False)
        agreed = [word for word, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
        self._previous = words
        return self._tell(agreed)

    def finish(self, text: str) -> str:
        """The rest of the final text; empty if it contradicts what was told."""
        return self._tell(text.split())

    def _tell(self, words: list[str]) -> str:
        told = len(self._told)
        if len(words) <= told or words[:told] != self._told:
            return ""
        self._told = words
        return (" " if told else "") + " ".join(words[told:])
