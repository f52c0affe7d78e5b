"""Where a sentence ends in a text that still grows. Pure."""

from __future__ import annotations

import re

LONGEST_CHARS = 300
"""A text without the end of a sentence is cut behind a word, before it is longer."""

_CLOSING = "\"'”’»)\\]"  # noqa: RUF001 - the marks of other scripts
_END = re.compile(rf"[.!?…؟।]+[{_CLOSING}]*(?=\s|$)|[。！？｡]+[」』）{_CLOSING}]*")  # noqa: RUF001 - likewise
_WIDE = frozenset("。！？｡")  # noqa: RUF001 - likewise


def sentence_end(text: str) -> int | None:
    """Return the position behind the first sentence of a text; None while it may go on.

    One word alone is no sentence, because it may be an abbreviation; nor is a number at the end, because its decimals
    may follow.
    """
    for found in _END.finditer(text):
        mark = text[found.start()]
        if mark in _WIDE:
            return found.end()
        before = text[: found.start()]
        number = mark == "." and found.end() == len(text) and before[-1:].isdigit()
        if not number and len(before.split(maxsplit=2)) > 1:
            return found.end()
    if len(text) < LONGEST_CHARS:
        return None
    at = max(text.rfind(space, 0, LONGEST_CHARS) for space in (" ", "\n"))
    return at if at > 0 else LONGEST_CHARS
