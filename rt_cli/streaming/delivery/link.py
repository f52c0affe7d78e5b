"""One connection, from opening to end: configure, wait for :meth:`Link.begin`, send, receive, monitor, drain."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.audio.format import to_samples
from rt_cli.errors import ConnectionLost, RtError
from rt_cli.events import RawEvent
from rt_cli.protocol.conversation.unwanted_replies import MESSAGE, UnwantedReplies
from rt_cli.protocol.raw_event import raw_event
from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
)
from rt_cli.protocol.session.handshake import Handshake
from rt_cli.protocol.session.readback import WORDLESS, read_back
from rt_cli.protocol.translation.events import TranslatedSound
from rt_cli.streaming.delivery.configure import configure
from rt_cli.streaming.delivery.liveness import DEAD_S, STUCK_S, Advance, Vitals, gives_up, health, is_cut_off
from rt_cli.streaming.delivery.pump import Pump
from rt_cli.streaming.delivery.resampled_codec import codec_of
from rt_cli.streaming.delivery.sender import Sender
from rt_cli.streaming.timing.repeating_timer import RepeatingTimer
from rt_cli.streaming.timing.ticks import next_tick
from rt_cli.streaming.transport.connection import connect

if TYPE_CHECKING:
    from rt_cli.events import SessionState
    from rt_cli.protocol.conversation.actions import Action
    from rt_cli.protocol.server_events import EffectiveSession, ServerEvent
    from rt_cli.streaming.delivery.run_state import RunState
    from rt_cli.streaming.transport.connection import Connection

_CHECK_EVERY_S = 0.5
SHORTEST_LIFETIME_S = 3.0
"""An expiry before that is one of another clock or unit."""
_LONGEST_LIFETIME_S = 30 * 86_400.0


class Link:
    """Delivers the tape over one connection.

    The link configures the endpoint and then waits for :meth:`begin`, so that a successor can be ready while its
    predecessor still delivers.

    Args:
        state: State of the run.
        attempt: Number of this connection in the run, from 1.
        patience_s: Longest silence of the endpoint.
        progress_patience_s: Seconds that the endpoint may show life without progress, while audio is unacknowledged.
        catch_up: Highest speed of sending, as a multiple of real time.
    """

    def __init__(
        self,
        state: RunState,
        *,
        attempt: int,
        patience_s: float = DEAD_S,
        progress_patience_s: float = STUCK_S,
        catch_up: float,
    ) -> None:
        self.attempt = attempt
        self.state = "connecting"
        self.opened = False
        """The handshake has succeeded."""
        self.ready_at: float | None = None
        """Time at which the endpoint was configured and ready for audio, seconds."""
        self.lifetime_s = math.inf
        """Seconds from then to the ``expires_at`` of the endpoint or to ``max_session_s``; ``inf`` without either."""
        self.serving = False
        """The link has begun to deliver."""
        self.ended = False
        """All tasks of the link have ended."""
        self.error: RtError | None = None
        """The error that ended the link; None if it finished."""
        self.handshake = Handshake(greets=state.endpoint.dialect.greets)
        self._state = state
        self._patience_s = patience_s
        self._progress_patience_s = progress_patience_s
        self._progress: tuple[int, int, float] | None = None
        self._progress_at = state.clock.now()
        self._catch_up = catch_up
        self.proposal = state.choice.proposal
        """What this connection asks for."""
        self._codec = codec_of(self.proposal, state.tape.rate_hz)
        self._replies = UnwantedReplies() if state.request.listening or state.request.detect else None
        self._begin_state: SessionState | None = None
        self._request_id: str | None = None
        self._retiring = False
        self._injected_error: RtError | None = None
        self._sender: Sender | None = None
        self._pump: Pump | None = None
        self._actions: deque[Action] = deque()
        self._wordless = False

    @property
    def ready(self) -> bool:
        """Whether the endpoint is, or was, ready for audio."""
        return self.ready_at is not None

    @property
    def round_trip_s(self) -> float | None:
        """The smallest round trip of the last half minute; None before the first."""
        return self._sender.round_trips.minimum if self._sender else None

    def fail(self, error: RtError) -> None:
        """End with ``error`` at the next check, as if the connection had been lost."""
        self._injected_error = error

    def begin(self, state: SessionState) -> None:
        """Deliver from *settled* on as soon as the endpoint is ready.

        Args:
            state: The state to report then: ``ready``, ``resumed`` or ``rolled_over``.
        """
        self._begin_state = state
        self._state.changed.notify()

    def retire(self) -> None:
        """Stop sending, and end as soon as all committed turns have their finals.

        Audio sent after the last commit stays unsettled; the successor sends it again.
        """
        self._retiring = True
        if self._pump is not None:
            self._pump.hold()
        self._state.changed.notify()

    async def run(self) -> None:
        """Deliver until the last final has arrived or is given up, or until the link has retired.

        Cancellation closes the connection within a second.

        Raises:
            RtError: The connection failed or ended; the class says whether a reconnect may help.
        """
        settings = self._state.settings
        make_wire_log = self._state.make_wire_log
        wire_log = make_wire_log(self.proposal.endpoint) if make_wire_log else None
        timeout_s = settings.delivery.connect_timeout_s
        connection = await connect(self.proposal.endpoint, timeout_s=timeout_s, wire_log=wire_log)
        self.opened = True
        self._request_id = connection.request_id
        if self._state.probe is not None:
            self._state.probe.opened()
        try:
            await self._run_session(connection)
        except BaseException:
            connection.abort()
            raise
        finally:
            if self.serving and self._state.conversation is not None:
                self._state.conversation.lost()
            await connection.close()
            if self._sender is not None:
                await self._sender.aclose()

    async def _run_session(self, connection: Connection) -> None:
        state = self._state
        self._sender = sender = Sender(
            connection,
            state.clock,
            rate_hz=state.tape.rate_hz,
            attempt=self.attempt,
            on_acknowledged=state.marks.acknowledged,
            on_round_trip=_ignore if state.probe is None else state.probe.round_trip,
        )
        self._pump = Pump(state, sender, self._codec, catch_up=self._catch_up)
        error: RtError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [
                    tasks.create_task(self._receive(connection), name="receive"),
                    tasks.create_task(sender.keep_pinging(state.capture.started_at), name="pings"),
                    tasks.create_task(self._monitor(connection, sender), name="watch"),
                ]
                await self._configure(sender)
                if state.conversation is not None or self._replies is not None:
                    others.append(tasks.create_task(self._send_actions(sender), name="actions"))
                await self._deliver(self._pump, tasks)
                for task in others:
                    task.cancel()
        except* RtError as group:
            error = _first(group)
        if isinstance(error, ConnectionLost) and self._pump.only_proof_missing and not state.session.committed_turns:
            state.marks.apply(state.session.drain())
        # Not raised above: before Python 3.11.4 an exception raised in `except*` arrives in a group.
        # An endpoint may close the connection after its last final. Any other error is reported even then.
        if error is not None and not (state.session.drained and isinstance(error, ConnectionLost)):
            raise error

    async def _configure(self, sender: Sender) -> None:
        """Configure the endpoint before any audio is sent."""
        warning = await configure(
            self.handshake,
            self.proposal.endpoint,
            self._codec,
            send=sender.control,
            until=self._state.changed.wait_until,
            timeout_s=self._state.settings.delivery.connect_timeout_s,
        )
        if warning is not None:
            self._state.warn_once("no_session_updated", warning)
        if self.handshake.effective is not None:
            self._read_back(self.handshake.effective)
        for code, message in self._state.choice.negotiation.accepted(self.proposal):
            self._state.warn_once(code, message)
        longest_s = self._state.settings.delivery.max_session_s
        self.lifetime_s = min(self._announced_lifetime_s(), math.inf if longest_s is None else longest_s)
        self.ready_at = self._state.clock.now()
        self._state.changed.notify()

    def _read_back(self, effective: EffectiveSession) -> None:
        """Compare the answer with what was asked for. Raises the error that follows."""
        session = self._state.session
        answer = read_back(self.proposal.request, effective)
        session.endpoint_silence_ms = max(session.endpoint_silence_ms, answer.silence_ms)
        if answer.error is not None:
            raise answer.error
        if answer.endpoint_makes_turns and session.own_turns:
            early = not self.ready and not session.wire.wire
            self._state.marks.apply(session.leave_turns_to_endpoint() if early else session.turns_of_the_endpoint())
        self._wordless = answer.wordless
        if answer.wordless:
            self._state.warn_once("no_transcription", WORDLESS)
        if answer.prefix_ms is not None:
            session.prefix_padding(answer.prefix_ms)

    def _announced_lifetime_s(self) -> float:
        """Seconds to the expiry that the endpoint announces; ``inf`` without one, or where it cannot be true."""
        expires_at = self.handshake.expires_at
        lifetime_s = math.inf if expires_at is None else expires_at - time.time()
        if lifetime_s < SHORTEST_LIFETIME_S:
            message = "the session has expired or is about to, says the endpoint: another clock or unit, ignored"
            self._state.warn_once("expiry", message)
            return math.inf
        return lifetime_s if lifetime_s < _LONGEST_LIFETIME_S else math.inf

    async def _deliver(self, pump: Pump, tasks: asyncio.TaskGroup) -> None:
        state = self._state
        await state.changed.wait_until(lambda: self._begin_state is not None)
        if self._begin_state is not None:
            self._change_state(self._begin_state)
            self.state, self.serving = "ready", True
            if state.conversation is not None:
                state.conversation.connected(self._say)
            state.changed.notify()
        pumping = tasks.create_task(pump.run(), name="pump")
        pumping.add_done_callback(lambda _task: state.changed.notify())
        await state.changed.wait_until(lambda: pumping.done() or self._may_retire())
        if self._may_retire():
            pumping.cancel()
            return
        self.state = "draining"
        await state.changed.wait_until(lambda: state.session.drained or self._may_retire())

    def _may_retire(self) -> bool:
        return self._retiring and not self._state.session.committed_turns

    def _say(self, action: Action) -> None:
        self._actions.append(action)
        self._state.changed.notify()

    async def _send_actions(self, sender: Sender) -> None:
        """Send what the conversation says, in order, until cancelled."""
        while True:
            await self._state.changed.wait_until(lambda: bool(self._actions))
            await sender.control(self._codec.action_message(self._actions.popleft()))

    async def _receive(self, connection: Connection) -> None:
        state = self._state
        while True:
            last_error = (state.session.last_error if self.serving else None) or self.handshake.last_error
            message = await connection.receive(last_error)
            if state.settings.output.raw:
                state.on_event(RawEvent(raw_event(message)))
            for event in self._codec.decode(message):
                self._handle(event)

    def _handle(self, event: ServerEvent) -> None:
        """Process one event of the endpoint. Raises the error that makes the connection unusable."""
        state = self._state
        if self.handshake.effective is None or not self.serving:
            if (error := self.handshake.receive(event)) is not None:
                raise error
        elif not isinstance(event, ErrorEvent):
            self.handshake.last_error = None
        if self.ready and isinstance(event, SessionUpdated):
            self._read_back(event.effective)
        if self._concerns_no_turn(event):
            return
        if self.ready and self._begin_state is not None:
            if state.conversation is None or not state.conversation.takes(event):
                state.marks.apply(state.session.receive(event, state.clock.now()))
            if state.conversation is not None and self.serving:
                state.conversation.receive(event, self._position(event))
            if self._wordless and isinstance(event, Committed):
                # No final will come: the turn is finished, without words.
                state.marks.apply(state.session.receive(TranscriptCompleted(event.item_id), state.clock.now()))
        else:
            state.changed.notify()

    def _concerns_no_turn(self, event: ServerEvent) -> bool:
        """Handle the sound of a translation, or of a reply that nobody asked for. Return whether it was any."""
        if isinstance(event, TranslatedSound):
            self._state.session.news_at = self._state.clock.now()
            self._state.on_translated_sound(event.pcm)
            return True
        return self._replies is not None and self._refuse_reply(self._replies, event)

    def _refuse_reply(self, replies: UnwantedReplies, event: ServerEvent) -> bool:
        """Cancel a reply that nobody asked for. Return whether the event concerns nobody else."""
        if (cancel := replies.cancel(event)) is not None:
            self._state.warn_once("replies", MESSAGE)
            self._say(cancel)
        return cancel is not None or replies.takes(event)

    def _position(self, event: ServerEvent) -> int | None:
        """Return the position on the timeline that an event names."""
        match event:
            case SpeechStarted(item_id, int(ms)) | SpeechStopped(item_id, int(ms)) if item_id:
                wire = min(to_samples(ms, self._state.tape.rate_hz), self._state.session.wire.wire)
                return self._state.session.wire.timeline(wire)
        return None

    async def _monitor(self, connection: Connection, sender: Sender) -> None:
        """Check the liveness of the endpoint and the timeouts of turns, twice a second."""
        clock, since = self._state.clock, self._state.capture.started_at
        due = clock.now()

        def check() -> float:
            nonlocal due
            # If this check itself ran late (SIGSTOP, busy loop), unread data may be waiting.
            late = clock.now() - due
            if late >= _CHECK_EVERY_S:
                self._state.session.note_held_up(late)
            self._check(connection, sender, liveness=late < _CHECK_EVERY_S)
            due = next_tick(clock.now(), since, _CHECK_EVERY_S)
            return due

        await RepeatingTimer(clock, check).run()

    def _check(self, connection: Connection, sender: Sender, *, liveness: bool) -> None:
        state = self._state
        if self._injected_error is not None:
            raise self._injected_error
        if liveness:
            self._check_liveness(connection, sender)
            self._check_progress(sender)
        if self.ready and self._begin_state is not None:
            for event in self._codec.tick(sender.acknowledged, state.clock.now()):
                self._handle(event)
            state.marks.apply(state.session.tick(state.clock.now(), state.tape.acknowledged))
        else:
            state.changed.notify()

    def _check_liveness(self, connection: Connection, sender: Sender) -> None:
        vitals = Vitals(
            now=self._state.clock.now(),
            inbound_at=connection.inbound_at,
            progress_at=sender.progress_at,
            in_flight=sender.in_flight,
            oldest_ping_at=sender.oldest_ping_at,
            round_trip_s=sender.round_trips.minimum,
        )
        status = health(vitals, patience_s=self._patience_s)
        if status == "dead":
            raise ConnectionLost("no sign of life from the endpoint", "check the network and the endpoint", code="dead")
        if is_cut_off(vitals) and self._state.capture.stopped_at is None:
            self._state.session.note_held_up(_CHECK_EVERY_S)
        if status == "stalled" and self.state in {"ready", "draining"}:
            self._change_state("stalled", reason="the endpoint does not read what we send")
        elif status == "alive" and self.state == "stalled":
            self._change_state("ready", reason="the endpoint reads again")

    def _check_progress(self, sender: Sender) -> None:
        """Leave an endpoint that shows life and takes no audio. Raises ConnectionLost."""
        state, now = self._state, self._state.clock.now()
        mark = (state.tape.acknowledged, state.tape.settled, state.session.grew_at)
        if mark != self._progress or not self.serving:
            self._progress, self._progress_at = mark, now
        stopped_at = state.capture.stopped_at
        progress = Advance(
            stuck_s=now - self._progress_at,
            in_flight=sender.in_flight,
            answers_pings=sender.round_trips.minimum is not None,
            blocked=sender.blocked,
            stopped_s=None if stopped_at is None else now - stopped_at,
            finished=self.state == "draining",
        )
        if gives_up(progress, patience_s=self._progress_patience_s, drain_s=state.patience_s):
            message = "the endpoint shows life, but has taken no audio for too long"
            raise ConnectionLost(message, "check the endpoint", code="no_progress")

    def _change_state(self, state: SessionState, reason: str | None = None) -> None:
        self.state = state
        self._state.report_session(
            state,
            attempt=self.attempt,
            reason=reason,
            session_id=self.handshake.session_id,
            request_id=self._request_id,
        )


def _ignore(_seconds: float) -> None:
    """Ignore the round trip: there is no measurement."""


def _first(group: BaseExceptionGroup[RtError]) -> RtError:
    """Return the first error of a group: the others are its consequences."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, RtError) else RtError(str(error))
