"""Words of a text that is still growing. Pure."""

from __future__ import annotations

CJK = "\u2e80"
"""Scripts from this code point on have no spaces between words: each token is a word."""


def whole_words(text: str) -> str:
    """The text without its last word, which may be incomplete (``hel`` of ``hello``). Pure."""
    return text if text[-1:] >= CJK else text.rpartition(" ")[0]
