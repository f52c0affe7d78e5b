"""Colours of the lines on stderr. Pure."""

from __future__ import annotations

from typing import Literal

Color = Literal["none", "prefix", "text"]
"""What of a line is coloured: nothing, its prefix, or the text behind its prefix."""

_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_PREFIXES = {"rt: ": "\x1b[31m", "incomplete: ": "\x1b[31m", "warning: ": "\x1b[33m"}
"""SGR sequences by the prefix of a line: red, red, yellow."""


def add_color(line: str, color: Color) -> str:
    """Colour a line; a line without a prefix is dim, because nobody has to act on it."""
    if color == "none" or not line:
        return line
    for prefix, sequence in _PREFIXES.items():
        if line.startswith(prefix):
            text = line.removeprefix(prefix)
            if color == "prefix":
                return f"{sequence}{prefix.rstrip()}{_RESET} {text}"
            return f"{prefix}{sequence}{text}{_RESET}"
    return f"{_DIM}{line}{_RESET}" if color == "prefix" else line
