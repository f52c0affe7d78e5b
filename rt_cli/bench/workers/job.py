"""What all sessions of a bench have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rt_cli.bench.conversation import TalkSessions
from rt_cli.bench.transcription import TranscriptionSessions
from rt_cli.streaming.cost import bill_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.bench.recording import Recording
    from rt_cli.clock import Clock
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.settings import Settings


@dataclass(frozen=True, slots=True)
class BenchJob:
    """Everything that a process needs to run sessions. The ``repr`` holds no secret and no sound."""

    endpoint: Endpoint
    session: SessionRequest
    """The session to ask the endpoint for."""
    settings: Settings
    recordings: Sequence[Recording] = field(repr=False)
    chunk_ms: int
    """Length of the blocks of a transcription's source."""
    talk: bool = False
    """Whether the sessions are conversations."""
    interrupt_at_s: float | None = None
    """Seconds from the first sample of a reply to the next turn of a conversation; None waits for its end."""

    def sessions(self, clock: Clock) -> TalkSessions | TranscriptionSessions:
        """Return what makes the sessions. Their bill is that of this process alone."""
        parts = (self.endpoint, self.session, self.settings, self.recordings)
        bill = bill_of(self.settings)
        if self.talk:
            return TalkSessions(*parts, bill=bill, clock=clock, interrupt_at_s=self.interrupt_at_s)
        return TranscriptionSessions(*parts, bill=bill, clock=clock, piece_s=self.chunk_ms / 1000)
