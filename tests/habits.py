"""Behaviour of the endpoint that transcribes exact sound: see ``tests/exact.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Event = dict[str, Any]


def as_it_is(event: Event) -> list[Event]:
    """Return the event unchanged."""
    return [event]


@dataclass(frozen=True, kw_only=True)
class Habits:
    """Behaviour of the endpoint."""

    ids: Literal["right", "none", "strange", "one", "at the start"] = "right"
    """Of items: with strange ones, words come under another id than their item was told of; one for all; only in
    ``speech_started``."""
    offsets: bool = True
    """Whether speech events have time offsets."""
    origin: Literal["session", "buffer", "connection", "epoch"] = "session"
    """What offsets count from: the first sample, the last commit; with a clock: the connection, the epoch."""
    lifetime_s: float | None = None
    """Lifetime of a session, seconds; None for no limit within a test."""
    announced: bool = True
    """Whether the endpoint announces the expiry of a session."""
    ending: Literal["close", "error", "silent"] = "close"
    """End of an expired session: a close; an error before the close; end of TCP without a close frame."""
    closing: int = 1001
    """Close code of an expired session."""
    refusal: int | None = None
    """HTTP status or close code for a second parallel session; None for no limit."""
    commits: Literal["answered", "refused", "ignored"] = "answered"
    """What becomes of a commit of the client while turn detection is on."""
    records: bool = True
    """Whether the endpoint keeps the received sound."""
    final_delay_s: float = 0.0
    """Between ``committed`` and ``completed``."""
    invents: str = ""
    """Text for audio without speech, as Whisper has it."""
    voice: bool = False
    """Speech is no exact sound but a voice: a text is its number of samples, ``voice-1200``."""
    says: Callable[[], Callable[[Event], list[Event]]] = lambda: as_it_is
    """Makes the event filter of each connection: event to events to send."""
