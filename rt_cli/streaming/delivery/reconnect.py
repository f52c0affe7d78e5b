"""Delivers a run over one connection after another: retries after a loss, a successor before an expiry."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rt_cli.errors import RtError, UnreachableError
from rt_cli.events import Warned
from rt_cli.settings import auto
from rt_cli.streaming.delivery.backoff import MAX_WITHOUT_PROGRESS, Attempt, Backoff
from rt_cli.streaming.delivery.link import Link
from rt_cli.streaming.delivery.liveness import patience, progress_patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rt_cli.events import SessionState
    from rt_cli.streaming.delivery.run_state import RunState

log = logging.getLogger("rt.delivery")

HAND_OVER_S = 3.0
"""Time for the last finals of a connection after its handover."""
HANDOVER_FROM_S, HANDOVER_FROM_SHARE = 300.0, 0.25
"""From this time before its expiry a connection waits for a pause between turns to hand over. Also a maximum share
of its lifetime."""
HANDOVER_BY_S, HANDOVER_BY_SHARE = 30.0, 0.1
"""From this time before its expiry a connection hands over even in the middle of a turn."""
SHORTEST_SESSION_S = 0.3
"""A connection is used at least so long before it hands over."""
_CHECK_EVERY_S = 0.25


class Reconnector:
    """Delivers a run over as many connections as necessary, one after the other.

    Args:
        state: State of the run.
    """

    def __init__(self, state: RunState) -> None:
        self.link: Link | None = None
        """The connection that delivers or is being opened."""
        self._state = state
        self._attempt = 0
        self._served = 0
        self._furthest_acknowledged = 0
        self._conversed = 0
        self._deaths = 0
        self._stuck = 0
        self._without_progress = 0
        self._ever_ready = False
        self._catch_up = self._first_catch_up()
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[Link, asyncio.Task[None]] = {}

    @property
    def reconnects(self) -> int:
        """Number of connections that took over from another one."""
        return max(0, self._served + sum(link.serving for link in self._running) - 1)

    async def run(self) -> None:
        """Deliver all audio. Cancellation closes all connections within a second.

        Raises:
            RtError: The run gives up.
        """
        error: RtError | None = None
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._deliver()
            except RtError as exc:
                error = exc
            finally:
                for task in self._running.values():
                    task.cancel()
        if error is not None:
            raise error

    async def _deliver(self) -> None:
        backoff = self._make_backoff()
        link = self._open()
        state: SessionState = "ready"
        while True:
            began_at = self._state.tape.settled
            self._begin(link, state)
            successor = await self._wait_for_end(link)
            if link.error is None and self._state.session.drained:
                link.state = "closed"
                self._state.report_session("closed", attempt=link.attempt)
                return
            delay, proposes_again = 0.0, self._proposes_again(link)
            if link.error is not None and not proposes_again:
                delay = self._after_loss(link, link.error, backoff, began_at)
            elif link.error is None:
                self._after_hand_over(began_at)
                backoff.handed_over(self._state.clock.now())
            self._state.marks.rewind()
            if proposes_again:
                self._leave_or_make_turns()
            if successor is None or successor.ended:
                await self._pause(self._state.clock.now() + delay)
                successor = self._open()
            if self._ever_ready:
                state = "rolled_over" if link.error is None else "resumed"
            link = successor

    def _begin(self, link: Link, state: SessionState) -> None:
        self.link = link
        link.begin(state)

    async def _wait_for_end(self, link: Link) -> Link | None:
        """Wait for the end of a connection. Return its successor if one was opened before the expiry."""
        changed, clock = self._state.changed, self._state.clock
        await changed.wait_until(lambda: link.ended or link.ready)
        handover_from = _before_expiry(link, HANDOVER_FROM_S, HANDOVER_FROM_SHARE)
        with self._notify_at(handover_from):
            await changed.wait_until(lambda: link.ended or (link.state == "ready" and clock.now() >= handover_from))
        if link.ended:
            return None
        successor = self._open()
        await changed.wait_until(lambda: link.ended or successor.ended or successor.ready)
        if successor.ended:
            log.debug("no second session beside the first (%s): break, then make", successor.error)
        state, handover_by = self._state, _before_expiry(link, HANDOVER_BY_S, HANDOVER_BY_SHARE)
        with self._notify_at(handover_by):
            await changed.wait_until(lambda: link.ended or state.between_turns or clock.now() >= handover_by)
        link.retire()
        # The successor sends audio without a final again after this time: better than delaying the audio after it.
        deadline = clock.now() + HAND_OVER_S
        with self._notify_at(deadline):
            await changed.wait_until(lambda: link.ended or clock.now() >= deadline)
        if link in self._running:
            self._running[link].cancel()
        await changed.wait_until(lambda: link.ended)
        return successor

    @contextmanager
    def _notify_at(self, moment: float) -> Iterator[None]:
        """Notify the waiters at ``moment``, seconds: no other code notifies when a time is reached."""
        cancel = self._state.clock.call_at(moment, self._state.changed.notify)
        try:
            yield
        finally:
            cancel()

    def _proposes_again(self, link: Link) -> bool:
        """Return whether the endpoint refused the session, and takes another one perhaps; the run asks for that now."""
        if link.error is None:
            return False
        choice = self._state.choice
        proposal = choice.negotiation.after(link.proposal, link.error, link.handshake.last_error)
        if proposal is not None:
            log.debug("asking for another session: %s", link.error)
            choice.proposal = proposal
        return proposal is not None

    def _leave_or_make_turns(self) -> None:
        """Follow the session that is asked for now, between two connections: its turns are the endpoint's, or ours."""
        state = self._state
        if state.request.turns == "client" and not state.session.own_turns:
            state.make_turns()
        elif state.request.turns in {"server_vad", "semantic_vad"} and state.session.own_turns:
            # Not reported as turns that it makes in spite of us.
            state.session.leave_turns_to_endpoint()

    def _after_hand_over(self, began_at: int) -> None:
        """Count consecutive sessions that were too short to settle any audio. Raises after too many of them."""
        tape = self._state.tape
        if self._progressed(began_at):
            self._without_progress = 0
            return
        if tape.sent == began_at:
            return  # nothing was sent, so nothing can have settled
        self._without_progress += 1
        if self._without_progress >= MAX_WITHOUT_PROGRESS or self._gives_up(self._state.clock.now()):
            raise UnreachableError(
                "sessions end before a turn of the sound does: nothing was settled in the last of them",
                "make turns shorter (--turn-detection client, --max-turn), or sessions longer (--max-session)",
                code="sessions_too_short",
            )

    def _progressed(self, began_at: int) -> bool:
        """Whether a connection moved the settled mark, or the acknowledged mark further than any before it, or replied.

        Updates the furthest acknowledged position, and that of the conversation.
        """
        tape, conversation = self._state.tape, self._state.conversation
        conversed = 0 if conversation is None else conversation.progress
        progressed = tape.settled > began_at or tape.acknowledged > self._furthest_acknowledged
        progressed = progressed or conversed > self._conversed
        self._conversed = conversed
        self._furthest_acknowledged = max(self._furthest_acknowledged, tape.acknowledged)
        return progressed

    def _after_loss(self, link: Link, error: RtError, backoff: Backoff, began_at: int) -> float:
        """Return the seconds until the next try. Raises ``error`` if the run gives up."""
        now, progressed = self._state.clock.now(), self._progressed(began_at)
        self._ever_ready = self._ever_ready or link.ready
        if progressed:
            self._deaths = self._stuck = 0
        self._deaths += error.code == "dead"
        self._stuck += error.code == "no_progress"
        delay = backoff.after(
            Attempt(error, now, opened=link.opened, ready=link.ready, progressed=progressed),
        )
        if delay is None or self._gives_up(now + delay):
            raise self._state.choice.negotiation.cause(error)
        self._slow_down(error)
        log.debug("trying again in %.2f s", delay)
        self._state.report_loss(error, attempt=link.attempt, cut=link.ready, give_up_s=backoff.left_s(now))
        link.state = "lost"
        return delay

    async def _pause(self, until: float) -> None:
        """Wait until the next try; after a Ctrl-C at most for the drain timeout."""
        clock = self._state.clock
        while (now := clock.now()) < until and not self._gives_up(now):
            await clock.sleep_until(min(until, now + _CHECK_EVERY_S))

    def _gives_up(self, at: float) -> bool:
        """Whether the drain timeout after a Ctrl-C is over: an unreachable endpoint then has no further try."""
        since = self._state.capture.stopped_at
        return since is not None and at - since > self._state.patience_s

    def _slow_down(self, error: RtError) -> None:
        if error.code == "too_fast" and self._catch_up > 1:
            self._catch_up = 1.0
            self._state.on_event(Warned("too_fast", "the endpoint refuses sound faster than real time: sending at 1x"))

    def _open(self) -> Link:
        self._attempt += 1
        link = Link(
            self._state,
            attempt=self._attempt,
            patience_s=patience(self._deaths),
            progress_patience_s=progress_patience(self._stuck),
            catch_up=self._catch_up,
        )
        if self._tasks is not None:
            self._running[link] = self._tasks.create_task(self._run(link), name=f"link {link.attempt}")
        return link

    async def _run(self, link: Link) -> None:
        try:
            await link.run()
        except RtError as exc:
            link.error = exc
        finally:
            link.ended = True
            self._served += link.serving
            del self._running[link]
            self._ever_ready = self._ever_ready or link.ready
            self._state.changed.notify()

    def _make_backoff(self) -> Backoff:
        delivery = self._state.settings.delivery
        return Backoff(
            connect_timeout_s=delivery.connect_timeout_s,
            retry_for_s=auto.retry_for_s(delivery.retry_for_s, live=self._state.capture.live),
            began=self._state.clock.now(),
            jitter=random.random,
            wait_for_room=self._state.wait_for_room,
        )

    def _first_catch_up(self) -> float:
        delivery = self._state.settings.delivery
        catch_up = auto.catch_up(delivery.catch_up, embedded=self._state.endpoint.embedded)
        return max(catch_up, delivery.speed or 1.0)


def _before_expiry(link: Link, ahead_s: float, share: float) -> float:
    """Return the time ``ahead_s`` before the expiry of a connection, seconds; ``inf`` without an expiry.

    Args:
        link: The connection.
        ahead_s: Seconds before the expiry.
        share: Limit of ``ahead_s``, as a share of the lifetime.
    """
    if link.ready_at is None:
        return math.inf
    # However short a lifetime: no hand-over without a pause.
    return link.ready_at + max(link.lifetime_s - min(ahead_s, share * link.lifetime_s), SHORTEST_SESSION_S)
