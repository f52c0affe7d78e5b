"""A text that is an argument, or stdin."""

from __future__ import annotations

import sys

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import whole_text

LONGEST_BYTES = 1024 * 1024


def text_or_stdin(text: str | None, verb: str) -> str:
    """Return the text of an argument, or that of stdin for ``-`` and for no argument. Blocks on stdin.

    Args:
        text: The argument.
        verb: What is done with the text, for the message.

    Raises:
        UsageError: There is no text, or too much.
    """
    if text is None or text == "-":
        if sys.stdin is None or sys.stdin.closed or (text is None and sys.stdin.isatty()):
            raise UsageError(f"nothing to {verb}", "give a text, or pipe one in")
        raw = sys.stdin.buffer.read(LONGEST_BYTES + 1)
        if len(raw) > LONGEST_BYTES:
            raise UsageError(f"more than 1 MiB to {verb}", "give less")
        text = raw.decode("utf-8", "replace")
    text = whole_text(text).strip()
    if not text:
        raise UsageError(f"nothing to {verb}", "give a text, or pipe one in")
    return text
