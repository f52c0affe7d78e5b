"""One connection, from its opening to its end: configure, wait for its turn, send, receive, watch, drain."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from rt_cli.errors import ConnectionLost, EndpointError, RtError
from rt_cli.protocol.codec import decode, session_update_event
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.protocol.session.effects import Acknowledge
from rt_cli.protocol.session.handshake import Handshake
from rt_cli.streaming.delivery.liveness import DEAD_S, Vitals, health
from rt_cli.streaming.delivery.pump import Pump
from rt_cli.streaming.delivery.sender import Sender
from rt_cli.streaming.timing.repeating_timer import RepeatingTimer
from rt_cli.streaming.timing.ticks import next_tick
from rt_cli.streaming.transport.connection import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.events import SessionState
    from rt_cli.protocol.session.effects import Effect
    from rt_cli.streaming.delivery.run_state import RunState
    from rt_cli.streaming.transport.connection import Connection

_WATCH_EVERY_S = 0.5


class Link:
    """Delivers the tape over one connection.

    It configures the endpoint and then waits for :meth:`begin`, so that a successor can stand ready while its
    predecessor still works.

    Args:
        state: Of the run.
        attempt: Which connection of the run this is, from 1.
        patience_s: How long the endpoint may show no sign of life.
        catch_up: Times real time at which it may be sent to at most.
    """

    def __init__(self, state: RunState, *, attempt: int, patience_s: float = DEAD_S, catch_up: float) -> None:
        self.attempt = attempt
        self.state = "connecting"
        self.opened = False
        """The handshake has succeeded."""
        self.ready_at: float | None = None
        """When the endpoint was configured and took audio, seconds."""
        self.life_s = math.inf
        """Seconds from then to the expiry that the endpoint told, or to the longest that was asked for."""
        self.serving = False
        """It has begun to deliver."""
        self.ended = False
        """It does nothing any more."""
        self.error: RtError | None = None
        """Why it ended, if not by its work being done."""
        self.setup = Handshake()
        self.padding = 0
        """Samples of silence that were added."""
        self._state = state
        self._patience_s = patience_s
        self._catch_up = catch_up
        self._begun_as: SessionState | None = None
        self._retiring = False
        self._failure: RtError | None = None
        self._sender: Sender | None = None
        self._pump: Pump | None = None

    @property
    def ready(self) -> bool:
        """Whether the endpoint is, or was, ready for audio."""
        return self.ready_at is not None

    @property
    def round_trip_s(self) -> float | None:
        """The smallest of the last half minute."""
        return self._sender.round_trips.minimum if self._sender else None

    def fail(self, error: RtError) -> None:
        """End as if the connection had been lost."""
        self._failure = error

    def begin(self, state: SessionState) -> None:
        """Deliver from *settled* on, once the endpoint is ready.

        Args:
            state: What to call it then: ``ready``, ``resumed`` or ``rolled_over``.
        """
        self._begun_as = state
        self._state.changed.notify()

    def retire(self) -> None:
        """Send no more, and end as soon as the turns that are committed have their finals.

        What was sent beyond them is unsettled, and so the successor sends it again.
        """
        self._retiring = True
        if self._pump is not None:
            self._pump.hold()
        self._state.changed.notify()

    async def run(self) -> None:
        """Deliver everything, until the last final is in or given up, or until it may retire.

        Cancelling it closes the connection within a second.

        Raises:
            RtError: The connection failed or ended; its class says whether another one may help.
        """
        settings = self._state.settings
        witness = self._state.witness() if self._state.witness else None
        timeout_s = settings.delivery.connect_timeout_s
        connection = await connect(self._state.endpoint, timeout_s=timeout_s, witness=witness)
        self.opened = True
        if self._state.probe is not None:
            self._state.probe.opened()
        try:
            await self._converse(connection)
        except BaseException:
            connection.abort()
            raise
        finally:
            await connection.close()
            if self._sender is not None:
                await self._sender.aclose()

    async def _converse(self, connection: Connection) -> None:
        state = self._state
        self._sender = sender = Sender(
            connection,
            state.clock,
            rate_hz=state.tape.rate_hz,
            attempt=self.attempt,
            on_acknowledged=self._acknowledged,
            on_round_trip=_nobody if state.probe is None else state.probe.round_trip,
        )
        self._pump = Pump(state, sender, catch_up=self._catch_up)
        error: RtError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [
                    tasks.create_task(self._receive(connection), name="receive"),
                    tasks.create_task(sender.keep_pinging(state.capture.started_at), name="pings"),
                    tasks.create_task(self._watch(connection, sender), name="watch"),
                ]
                await self._configure(sender)
                await self._deliver(self._pump, tasks)
                for task in others:
                    task.cancel()
        except* RtError as group:
            error = _first(group)
        finally:
            self.padding = self._pump.padding
        # Not raised above: before 3.11.4, what an `except*` raises comes out in a group.
        # An endpoint may hang up as soon as it has said all; why it refuses more is worth knowing all the same.
        if error is not None and not (state.session.drained and isinstance(error, ConnectionLost)):
            raise error

    async def _configure(self, sender: Sender) -> None:
        """Audio is held until the endpoint is configured; each wait has a deadline."""
        timeout_s = self._state.settings.delivery.connect_timeout_s
        waited_for = "session.created"
        try:
            async with asyncio.timeout(timeout_s):
                await self._state.changed.wait_until(lambda: self.setup.greeted)
                waited_for = "session.updated"
                await sender.control(session_update_event(self._state.configuration, "rt_session"))
                await self._state.changed.wait_until(lambda: self.setup.configured)
        except TimeoutError:
            raise self._no_answer(waited_for, timeout_s) from None
        expires_at, longest_s = self.setup.expires_at, self._state.settings.delivery.max_session_s
        self.life_s = min(
            math.inf if expires_at is None else expires_at - time.time(), math.inf if longest_s is None else longest_s
        )
        self.ready_at = self._state.clock.now()
        self._state.changed.notify()

    def _no_answer(self, waited_for: str, timeout_s: float) -> RtError:
        error = self.setup.last_error
        said = f", but said: {masked(printable(error.message or error.code))}" if error else ""
        return EndpointError(
            f"the endpoint sent no {waited_for} within {timeout_s:g} s{said}",
            "is it an OpenAI-compatible realtime endpoint?",
            code="no_session",
        )

    async def _deliver(self, pump: Pump, tasks: asyncio.TaskGroup) -> None:
        state = self._state
        await state.changed.wait_until(lambda: self._begun_as is not None)
        if self._begun_as is not None:
            self._change(self._begun_as)
            self.state, self.serving = "ready", True
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

    async def _receive(self, connection: Connection) -> None:
        state = self._state
        while True:
            blamed = state.session.last_error if self.ready else self.setup.last_error
            message = await connection.receive(blamed)
            event = decode(message)
            if not self.setup.configured and (error := self.setup.receive(event)) is not None:
                raise error
            if self.ready and self._begun_as is not None:
                self._apply(state.session.receive(event, state.clock.now()))
            else:
                state.changed.notify()

    async def _watch(self, connection: Connection, sender: Sender) -> None:
        """Look at the endpoint's health and at what is overdue, twice a second."""
        clock, since = self._state.clock, self._state.capture.started_at
        due = clock.now()

        def look() -> float:
            nonlocal due
            # Who was held up, or stopped and continued, has not read yet what came in meanwhile.
            self._look(connection, sender, judge=clock.now() - due < _WATCH_EVERY_S)
            due = next_tick(clock.now(), since, _WATCH_EVERY_S)
            return due

        await RepeatingTimer(clock, look).run()

    def _look(self, connection: Connection, sender: Sender, *, judge: bool) -> None:
        state = self._state
        if self._failure is not None:
            raise self._failure
        if judge:
            self._judge(connection, sender)
        if self.ready and self._begun_as is not None:
            self._apply(state.session.tick(state.clock.now(), state.tape.acknowledged))
        else:
            state.changed.notify()

    def _judge(self, connection: Connection, sender: Sender) -> None:
        vitals = Vitals(
            now=self._state.clock.now(),
            inbound_at=connection.inbound_at,
            progress_at=sender.progress_at,
            in_flight=sender.in_flight,
            oldest_ping_at=sender.oldest_ping_at,
            round_trip_s=sender.round_trips.minimum,
        )
        verdict = health(vitals, patience_s=self._patience_s)
        if verdict == "dead":
            raise ConnectionLost("no sign of life from the endpoint", "check the network and the endpoint", code="dead")
        if verdict == "stalled" and self.state in {"ready", "draining"}:
            self._change("stalled", reason="the endpoint does not read what we send")
        elif verdict == "alive" and self.state == "stalled":
            self._change("ready", reason="the endpoint reads again")

    def _acknowledged(self, wire: int) -> None:
        self._state.tape.mark_acknowledged(self._state.session.wire.timeline(wire))
        self._state.session.reads(self._state.tape.acknowledged)
        self._state.changed.notify()

    def _apply(self, steps: Sequence[Effect]) -> None:
        for step in steps:
            if isinstance(step, Acknowledge) and self._sender is not None:
                self._sender.acknowledge(step.wire)
        self._state.apply(steps)

    def _change(self, state: SessionState, reason: str | None = None) -> None:
        self.state = state
        self._state.report_session(state, attempt=self.attempt, reason=reason)


def _nobody(_seconds: float) -> None:
    """Nobody measures."""


def _first(group: BaseExceptionGroup[RtError]) -> RtError:
    """The first error of a group: the others are what it led to."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, RtError) else RtError(str(error))
