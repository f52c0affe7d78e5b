"""An event of the endpoint as ``--raw`` shows it. Pure."""

from __future__ import annotations

import json
from typing import Any

from rt_cli.protocol.recording_format import without_audio
from rt_cli.protocol.redaction import Redactor
from rt_cli.protocol.sanitize import printable

_MAX_TEXT = 500
_SHAPES = Redactor(())
"""Masks what looks like a secret; the secrets of the run are masked where all events are."""


def raw_event(message: str | bytes) -> dict[str, Any] | str:
    """Return the JSON object of a message, with audio replaced by its size and without secrets. Never raises.

    Args:
        message: As it came from the endpoint.

    Returns:
        A text if it is no JSON object: its beginning, or the size of a binary message.
    """
    if isinstance(message, bytes):
        return f"<{len(message)} B>"
    try:
        event = json.loads(message, parse_constant=str)
        if isinstance(event, dict):
            shortened: dict[str, Any] = _SHAPES.fields(without_audio(event))
            return shortened
    except (ValueError, RecursionError):
        pass
    return printable(_SHAPES.text(message[:_MAX_TEXT]))
