"""How much two texts differ, in words. Pure."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_MOST_WORDS = 2_000
"""Of longer texts the beginning is compared: the comparison takes the square of it."""


def difference(wanted: str, said: str) -> float:
    """Return the words to insert, delete or replace, as a share of those wanted; case and punctuation do not count."""
    first, second = _words(wanted), _words(said)
    row = list(range(len(second) + 1))
    for at, word in enumerate(first, 1):
        before, row[0] = row[0], at
        for to, other in enumerate(second, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (word != other))
    return row[-1] / max(1, len(first))


def _words(text: str) -> list[str]:
    return [word.casefold().replace("\u2019", "'") for word in _WORD.findall(text)][:_MOST_WORDS]
