"""Parameters that each known transcription model accepts; an unknown model counts as an ordinary one. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DATED = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|latest)$")


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """Differences of a model from an ordinary one."""

    server_turns: bool = True
    """The endpoint detects turns for this model; otherwise it refuses a session with turn detection."""
    language_list: bool = False
    """Takes ``languages`` (a list) instead of ``language``."""
    prompt: bool = True
    keywords: bool = True
    """Takes ``keywords``, words to expect."""
    delay: bool = True
    """Takes ``delay``, how long it waits for more sound."""


_ORDINARY = ModelTraits()
_OLDER = ModelTraits(keywords=False, delay=False)
_KNOWN = {
    "gpt-live-transcribe": ModelTraits(server_turns=False, language_list=True),
    "gpt-realtime-whisper": ModelTraits(server_turns=False, prompt=False, keywords=False),
    "gpt-transcribe": ModelTraits(language_list=True, delay=False),
    "gpt-4o-transcribe": _OLDER,
    "gpt-4o-mini-transcribe": _OLDER,
    "gpt-4o-transcribe-diarize": ModelTraits(prompt=False, keywords=False, delay=False),
    "whisper-1": _OLDER,
}


def traits_of(model: str) -> ModelTraits:
    """Return the traits of a model; a dated variant has the traits of its family."""
    return _KNOWN.get(_DATED.sub("", model), _ORDINARY)
