"""Compare ``session.updated`` with what was asked for: a changed rate or a missing transcription loses words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from rt_cli.errors import EndpointError, RtError
from rt_cli.protocol.error_policy import TURNS_OFF

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.server_events import EffectiveSession

_NAMES = {"pcmu": "G.711 mu-law", "pcma": "G.711 A-law", "opus": "Opus"}
"""Encodings that are surely not PCM; other names may be another word for it."""


WORDLESS = "the endpoint does not write down what you say: replies are all there is to read"
MAKES_TURNS = "the endpoint makes the turns, although it was asked not to: its turns count"


class Readback(Struct, frozen=True):
    """What follows from the answer of the endpoint."""

    error: RtError | None = None
    """Why the session is of no use."""
    endpoint_makes_turns: bool = False
    """Turn detection is on although it was asked to be off: the turns of the endpoint count."""
    silence_ms: float = 0.0
    """Silence that ends a turn at the endpoint; 0 if it does not say."""
    prefix_ms: float | None = None
    """Prefix padding at the endpoint; None if it does not say."""
    wordless: bool = False
    """It is a conversation in which the endpoint does not write down what the user says."""


def read_back(asked: SessionRequest, effective: EffectiveSession) -> Readback:
    """Compare.

    Args:
        asked: The session that was asked for.
        effective: What the answer says; what it does not say is taken as agreed.
    """
    rate = asked.rate_hz
    endpoint_turns = asked.turns in {"server_vad", "semantic_vad"}
    detection = None if effective.turn_detection == "none" else effective.turn_detection
    error: RtError | None = None
    if isinstance(effective.encoding, str) and effective.encoding in _NAMES:
        error = _refused(f"takes {_NAMES[effective.encoding]}, not PCM", "the audio would be noise there")
    elif effective.rate_hz is not UNSET and effective.rate_hz != rate:
        error = _refused(f"takes {effective.rate_hz:g} Hz, not {rate} Hz", "it needs a --dialect of its own")
    elif effective.transcribes is False and not asked.conversation:
        error = _refused("has switched transcription off", "check --model; it may serve conversations only")
    elif detection is None and endpoint_turns:
        error = _refused("has switched turn detection off", "use --turn-detection client", code=TURNS_OFF)
    makes_turns = isinstance(detection, str) and not endpoint_turns
    silence_ms = 0.0 if effective.silence_ms is UNSET else effective.silence_ms
    prefix_ms = None if effective.prefix_ms is UNSET else effective.prefix_ms
    wordless = effective.transcribes is False and asked.conversation
    return Readback(error, makes_turns, silence_ms, prefix_ms, wordless)


def _refused(what: str, hint: str, *, code: str = "session_changed") -> EndpointError:
    return EndpointError(f"the endpoint does not take this session: it {what}", hint, code=code)
