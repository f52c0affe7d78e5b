"""What the known transcription models accept; an unknown one is taken for an ordinary one. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DATED = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|latest)$")


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """Where a model departs from the ordinary."""

    server_turns: bool = True
    """Whether the endpoint makes turns for it; if not, a session that asks for turn detection is refused."""
    language_list: bool = False
    """Takes ``languages`` (a list, several allowed) in place of ``language``."""
    prompt: bool = True


_ORDINARY = ModelTraits()
_KNOWN = {
    "gpt-live-transcribe": ModelTraits(server_turns=False, language_list=True),
    "gpt-realtime-whisper": ModelTraits(server_turns=False, prompt=False),
    "gpt-transcribe": ModelTraits(language_list=True),
    "gpt-4o-transcribe": _ORDINARY,
    "gpt-4o-mini-transcribe": _ORDINARY,
    "gpt-4o-transcribe-diarize": ModelTraits(prompt=False),
    "whisper-1": _ORDINARY,
}


def traits_of(model: str) -> ModelTraits:
    """The traits of a model; those of a dated variant are those of its family."""
    return _KNOWN.get(_DATED.sub("", model), _ORDINARY)
