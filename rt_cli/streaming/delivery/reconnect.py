"""Connection after connection until everything is delivered: retries after a loss, a successor before an expiry."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rt_cli.errors import RtError, UnreachableError
from rt_cli.events import Warned
from rt_cli.streaming.delivery.backoff import MOST_FRUITLESS, Attempt, Backoff
from rt_cli.streaming.delivery.link import Link
from rt_cli.streaming.delivery.liveness import patience
from rt_cli.streaming.delivery.run_state import drain_timeout_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rt_cli.events import SessionState
    from rt_cli.streaming.delivery.run_state import RunState

log = logging.getLogger("rt.delivery")

RETRY_LIVE_S = 600.0
RETRY_FINITE_S = 120.0
REMOTE_CATCH_UP = 2.0
HAND_OVER_S = 3.0
"""For the last finals of a connection that hands over."""
LOOK_S, LOOK_SHARE = 300.0, 0.25
"""So long before its expiry a connection begins to look for a quiet moment to hand over; never more than this share."""
LAST_S, LAST_SHARE = 30.0, 0.1
"""So long before its expiry it hands over in the middle of a turn."""
_LOOK_EVERY_S = 0.25


class Reconnector:
    """Delivers a run over as many connections as it takes, one after the other.

    Args:
        state: Of the run.
    """

    def __init__(self, state: RunState) -> None:
        self.link: Link | None = None
        """The one that delivers, or tries to."""
        self._state = state
        self._attempt = 0
        self._served = 0
        self._padding = 0
        self._reach = 0
        self._deaths = 0
        self._fruitless = 0
        self._ever_ready = False
        self._catch_up = self._first_catch_up()
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[Link, asyncio.Task[None]] = {}

    @property
    def reconnects(self) -> int:
        """Connections that took over from another."""
        return max(0, self._served + sum(link.serving for link in self._running) - 1)

    @property
    def padding(self) -> int:
        """Samples of silence that were added, outside the ledger."""
        return self._padding + sum(link.padding for link in self._running)

    async def run(self) -> None:
        """Deliver everything. Cancelling it closes what is open within a second.

        Raises:
            RtError: Nothing more can be done.
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
        retries = self._retries()
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
            delay = 0.0
            if link.error is not None:
                delay = self._after_loss(link, link.error, retries, began_at)
            else:
                self._after_hand_over(began_at)
            self._state.tape.rewind()
            self._state.enforce()
            self._state.apply(self._state.session.connect())
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
        """Wait for the end of a connection; returns its successor, if one stands ready before it expires."""
        changed, clock = self._state.changed, self._state.clock
        await changed.wait_until(lambda: link.ended or link.ready)
        look_at = _before_expiry(link, LOOK_S, LOOK_SHARE)
        with self._ringing_at(look_at):
            await changed.wait_until(lambda: link.ended or (link.state == "ready" and clock.now() >= look_at))
        if link.ended:
            return None
        successor = self._open()
        await changed.wait_until(lambda: link.ended or successor.ended or successor.ready)
        if successor.ended:
            log.debug("no second session beside the first (%s): break, then make", successor.error)
        session, last_at = self._state.session, _before_expiry(link, LAST_S, LAST_SHARE)
        with self._ringing_at(last_at):
            await changed.wait_until(lambda: link.ended or session.between_turns or clock.now() >= last_at)
        link.retire()
        # What has no final by then is heard again: better than to hold back what is said meanwhile.
        patience_ends = clock.now() + HAND_OVER_S
        with self._ringing_at(patience_ends):
            await changed.wait_until(lambda: link.ended or clock.now() >= patience_ends)
        if link in self._running:
            self._running[link].cancel()
        await changed.wait_until(lambda: link.ended)
        return successor

    @contextmanager
    def _ringing_at(self, moment: float) -> Iterator[None]:
        """Ring at a moment, seconds, which is no change that somebody else would ring for."""
        cancel = self._state.clock.call_at(moment, self._state.changed.notify)
        try:
            yield
        finally:
            cancel()

    def _after_hand_over(self, began_at: int) -> None:
        """Count the sessions that were too short for anything to settle. Raises if another would be, too."""
        tape = self._state.tape
        if self._progressed(began_at) or tape.sent == began_at:
            self._fruitless = 0
            return
        self._fruitless += 1
        if self._fruitless >= MOST_FRUITLESS or self._given_up(self._state.clock.now()):
            raise UnreachableError(
                "sessions end before a turn of the sound does: nothing was settled in the last of them",
                "make turns shorter (--turn-detection client, --max-turn), or sessions longer (--max-session)",
                code="sessions_too_short",
            )

    def _progressed(self, began_at: int) -> bool:
        """Whether a connection moved the settled mark from where it began, or the acknowledged one further than ever.

        Notes how far that is now.
        """
        tape = self._state.tape
        progressed = tape.settled > began_at or tape.acknowledged > self._reach
        self._reach = max(self._reach, tape.acknowledged)
        return progressed

    def _after_loss(self, link: Link, error: RtError, retries: Backoff, began_at: int) -> float:
        """Seconds to wait before the next try. Raises the error if there is to be none."""
        now, progressed = self._state.clock.now(), self._progressed(began_at)
        self._ever_ready = self._ever_ready or link.ready
        if progressed:
            self._deaths = 0
        self._deaths += error.code == "dead"
        delay = retries.after(
            Attempt(error, now, opened=link.opened, ready=link.ready, progressed=progressed),
        )
        if delay is None or self._given_up(now + delay):
            raise error
        self._slow_down(error)
        log.debug("trying again in %.2f s", delay)
        self._state.report_session("lost", attempt=link.attempt, reason=str(error))
        link.state = "lost"
        return delay

    async def _pause(self, until: float) -> None:
        """Wait before the next try; a Ctrl-C meanwhile ends it when its patience does."""
        clock = self._state.clock
        while (now := clock.now()) < until and not self._given_up(now):
            await clock.sleep_until(min(until, now + _LOOK_EVERY_S))

    def _given_up(self, at: float) -> bool:
        """After a Ctrl-C an endpoint that is away is not waited for as long as before it."""
        since = self._state.capture.stopped_at
        patience_s = drain_timeout_s(self._state.settings.delivery, embedded=self._state.endpoint.embedded)
        return since is not None and at - since > patience_s

    def _slow_down(self, error: RtError) -> None:
        if error.code == "too_fast" and self._catch_up > 1:
            self._catch_up = 1.0
            self._state.on_event(Warned("too_fast", "the endpoint refuses sound faster than real time: sending at 1x"))

    def _open(self) -> Link:
        self._attempt += 1
        link = Link(self._state, attempt=self._attempt, patience_s=patience(self._deaths), catch_up=self._catch_up)
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
            self._padding += link.padding
            self._served += link.serving
            del self._running[link]
            self._ever_ready = self._ever_ready or link.ready
            self._state.changed.notify()

    def _retries(self) -> Backoff:
        delivery = self._state.settings.delivery
        usual = RETRY_LIVE_S if self._state.capture.live else RETRY_FINITE_S
        return Backoff(
            connect_timeout_s=delivery.connect_timeout_s,
            retry_for_s=usual if delivery.retry_for_s is None else delivery.retry_for_s,
            began=self._state.clock.now(),
            dice=random.random,
            wait_for_room=self._state.wait_for_room,
        )

    def _first_catch_up(self) -> float:
        delivery = self._state.settings.delivery
        usual = math.inf if self._state.endpoint.embedded else REMOTE_CATCH_UP
        asked = usual if delivery.catch_up is None else delivery.catch_up
        return max(asked, delivery.speed or 1.0)


def _before_expiry(link: Link, ahead_s: float, share: float) -> float:
    """So long before a connection ends by itself, seconds; ``share`` is of its whole life. ``inf`` if it does not."""
    return math.inf if link.ready_at is None else link.ready_at + link.life_s - min(ahead_s, share * link.life_s)
