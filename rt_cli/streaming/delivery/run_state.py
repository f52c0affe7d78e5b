"""The state of a run that all its connections share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, field
from msgspec.structs import replace

from rt_cli.audio.format import to_ms
from rt_cli.audio.speech.vad import SpeechDetector
from rt_cli.events import SessionChanged, Warned
from rt_cli.settings import auto

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.audio.speech.gate import SendRanges
    from rt_cli.clock import Clock
    from rt_cli.errors import RtError
    from rt_cli.events import EventHandler, SessionState
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.protocol.endpoint.negotiation import Negotiation, Proposal
    from rt_cli.protocol.session.session import Session
    from rt_cli.settings import Settings
    from rt_cli.streaming.capture.capture import TapeFeeder
    from rt_cli.streaming.capture.turn_analysis import Detector
    from rt_cli.streaming.capture.turn_marks import TurnMarks
    from rt_cli.streaming.conversation_hooks import ConversationHooks
    from rt_cli.streaming.delivery.marks import Marks
    from rt_cli.streaming.delivery.next_action import ChunkSizes
    from rt_cli.streaming.measure_hooks import MeasureHooks
    from rt_cli.streaming.timing.change_signal import ChangeSignal
    from rt_cli.streaming.transport.wire_recorder import ConnectionLog
    from rt_cli.timeline.tape import Tape


_SERVING = {"ready", "resumed", "rolled_over"}
"""States of a connection that takes audio."""


@dataclass(slots=True)
class Outage:
    """The time without a connection, after one was lost."""

    since: float | None = None
    """When the connection was lost, seconds; None while there is one."""
    unsettled: int = 0
    """Samples that had been sent on it and were not settled."""


@dataclass(slots=True)
class SessionChoice:
    """What the run asks of the endpoint at present, and what finds something else after a refusal."""

    negotiation: Negotiation
    proposal: Proposal


class RunState(Struct, frozen=True):
    """Shared parts of one run."""

    choice: SessionChoice
    """What is asked of the endpoint."""
    settings: Settings
    tape: Tape
    session: Session
    capture: TapeFeeder
    marks: Marks
    """Moves the marks of the tape, and executes the effects of the session."""
    make_turns: Callable[[], None]
    """Begins to make the turns, between two connections: the endpoint refuses to."""
    changed: ChangeSignal
    """Notified on every change except those of :attr:`sound`."""
    sound: ChangeSignal
    """Notified on new audio, on new room for audio, and on every other change."""
    clock: Clock
    sizes: ChunkSizes
    on_event: EventHandler
    make_detector: Callable[[int], Detector] = SpeechDetector
    """Makes a speech detector for the tail of the audio. Argument: rate in Hz."""
    wait_for_room: Callable[[], bool] = lambda: False
    """Called if the endpoint is full before it was ready for the first time. True: keep waiting without a limit."""
    send_ranges: SendRanges | None = None
    """Which parts are sent; None if all audio is sent."""
    probe: MeasureHooks | None = None
    """Hooks of a measurement; None without one."""
    make_wire_log: Callable[[Endpoint], ConnectionLog] | None = None
    """Makes the wire log of the next connection; None without ``--record``."""

    conversation: ConversationHooks | None = None
    """The conversation that the sound belongs to; None for a transcription."""
    on_translated_sound: Callable[[bytes], None] = lambda _pcm: None
    """Takes the sound of a translation, at the rate of the session; must return at once and must not raise."""
    outage: Outage = field(default_factory=Outage)
    """The present outage."""
    warned: set[str] = field(default_factory=set)
    """Codes of the warnings that are said once in a run."""

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint, with the URL of the present request."""
        return self.choice.proposal.endpoint

    @property
    def request(self) -> SessionRequest:
        """The session to ask the endpoint for."""
        return self.choice.proposal.request

    @property
    def turn_marks(self) -> TurnMarks | None:
        """Where turns close; None if the endpoint detects turns."""
        return self.marks.turn_marks

    def warn_once(self, code: str, message: str) -> None:
        """Report a warning, the first time of its code in this run."""
        if code not in self.warned:
            self.warned.add(code)
            self.on_event(Warned(code, message))

    @property
    def between_turns(self) -> bool:
        """Whether a connection can end here without a loss."""
        return self.session.between_turns and (self.conversation is None or self.conversation.may_end)

    @property
    def patience_s(self) -> float:
        """Seconds without progress after which a final, or the end, is given up."""
        return auto.drain_timeout_s(self.settings.delivery.drain_timeout_s, embedded=self.endpoint.embedded)

    async def wait_for_change(self, seconds: float) -> None:
        """Wait for the next change, at most so long."""
        due = self.clock.now() + seconds
        cancel = self.clock.call_at(due, self.changed.notify)
        try:
            await self.changed.wait_notified(lambda: True)
        finally:
            cancel()

    def report_session(
        self,
        state: SessionState,
        *,
        attempt: int,
        reason: str | None = None,
        session_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Report a new state of a connection."""
        event = self._session_event(state, attempt, reason)
        if session_id or request_id:
            event = replace(event, session_id=session_id or UNSET, request_id=request_id or UNSET)
        if state == "resumed" and self.outage.since is not None:
            event = replace(
                event,
                outage_ms=round((self.clock.now() - self.outage.since) * 1000),
                resent_ms=to_ms(self.outage.unsettled, self.tape.rate_hz),
            )
        if state in _SERVING:
            self.outage.since = None
        self.on_event(event)

    def report_loss(self, error: RtError, *, attempt: int, cut: bool, give_up_s: float) -> None:
        """Report that a connection has failed and another one will be tried.

        Args:
            error: Its error.
            attempt: Number of the connection.
            cut: Whether it had been ready: its audio is sent again.
            give_up_s: Seconds until the run gives up.
        """
        event = self._session_event("lost", attempt, error.message)
        if cut and self.outage.since is None:
            self.outage.since, self.outage.unsettled = self.clock.now(), self.tape.sent - self.tape.settled
        if cut:
            event = replace(event, captured_ms=to_ms(self.tape.captured, self.tape.rate_hz))
        self.on_event(replace(event, give_up_ms=round(give_up_s * 1000)) if math.isfinite(give_up_s) else event)

    def _session_event(self, state: SessionState, attempt: int, reason: str | None) -> SessionChanged:
        return SessionChanged(
            state=state,
            endpoint=self.endpoint.shown,
            dialect=self.endpoint.dialect.name,
            model=self.endpoint.model,
            rate_hz=self.tape.rate_hz,
            attempt=attempt,
            reason=reason or UNSET,
        )
