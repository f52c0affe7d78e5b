"""Make untrusted text safe to print: no terminal control sequences, no keys in a log. Pure."""

from __future__ import annotations

import re

from rt_cli.masking import masked, masked_foreign

__all__ = ["masked", "masked_foreign", "printable", "printable_id", "whole_text"]

_MAX_ID_CHARS = 200

# Remove whole sequences first, so that no "[31m" stays; _UNSAFE removes a lone ESC. All patterns run in linear time:
# an attacker may send megabytes.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,256}+(?:\x07|\x1b\\|\x9c)"  # OSC, DCS: title, clipboard
    r"|\x1b[ -/]*[0-~]"
)
_SPACES = re.compile("(?:\r\n|[\t\n\v\f\r\x85\u2028\u2029])")
# Control characters and bidirectional overrides. Marks that only join or hint (ZWJ, LRM) stay.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    """Make untrusted text safe for a terminal.

    Line ends and tabs become spaces; escape sequences, control characters (C0, C1) and bidirectional overrides are
    removed; lone surrogates become U+FFFD. Everything else stays, including joiners and emoji. Idempotent.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _SPACES.sub(" ", _SEQUENCES.sub("", text))
    return _SURROGATES.sub("\ufffd", _UNSAFE.sub("", text))


def whole_text(text: str) -> str:
    """Join surrogate pairs and replace lone surrogates by U+FFFD: encoding a surrogate to UTF-8 fails later."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def printable_id(text: str | None) -> str | None:
    """Return an id of the endpoint for output: printable, and of a reasonable length; None for none."""
    return printable(text)[:_MAX_ID_CHARS] if text else None
