"""The only code that writes to a connection.

Rules, each from a defect that some project has had:

1. One FIFO lane for everything: audio, commits, configuration, pings. A commit can never overtake the audio before it.
2. No code awaits while it releases the lane; a second release raises.
3. A write that has begun is never cancelled: the data would be delivered anyway. The caller may be cancelled; the next
   caller waits for the end of the write. Only the end of the connection ends a write early.
4. A return of ``send()`` proves nothing, so a window limits the audio that is not *acknowledged*. The pong of a ping
   sent after the audio, twice in a window, acknowledges it, and so does any event that proves that it was read. The
   window is 2 to 8 s: it grows with the round trip and with the speed at which the endpoint reads.
5. Streams of audio exclude each other: the second one waits.
6. A sender belongs to one connection and ends with it.

The sender logs every change of state at debug level, so that a log shows why a sender is stuck.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from rt_cli.streaming.timing.repeating_timer import RepeatingTimer
from rt_cli.streaming.timing.ticks import next_tick

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from rt_cli.clock import Clock

log = logging.getLogger("rt.sender")
lane_log = logging.getLogger("rt.sender.lane")
"""A line for each message."""

PING_BUSY_S = 1.0
PING_IDLE_S = 5.0
_WINDOW_S = (2.0, 8.0)
_RTT_MEMORY_S = 30.0
_PACE_INTERVAL_S = 0.25


class Transport(Protocol):
    """The part of a connection that a sender uses."""

    @property
    def ready(self) -> bool:
        """Whether a write needs no waiting."""
        ...

    async def send(self, messages: Sequence[bytes]) -> None:
        """Write text messages in order. Raises ConnectionLost if the connection has ended."""
        ...

    def send_at_once(self, messages: Sequence[bytes]) -> None:
        """Write text messages in one piece, without awaiting; only while ready."""
        ...

    async def ping(self) -> Awaitable[object]:
        """Write a ping. Return an awaitable of its pong; it fails if the connection ends."""
        ...

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> Awaitable[object]:
        """Write text messages and a ping after them in one piece, without awaiting; only while ready."""
        ...


class RoundTrips:
    """The smallest round trip of the last half minute. A mean would include the queues that the window causes."""

    def __init__(self) -> None:
        self._minima: deque[tuple[float, float]] = deque()

    def add(self, now: float, seconds: float) -> None:
        """Add a round trip. Older values that are not smaller can no longer be the minimum: drop them."""
        while self._minima and self._minima[-1][1] >= seconds:
            self._minima.pop()
        self._minima.append((now, seconds))
        while self._minima[0][0] < now - _RTT_MEMORY_S:
            self._minima.popleft()

    @property
    def minimum(self) -> float | None:
        """The minimum in seconds; None before the first round trip."""
        return self._minima[0][1] if self._minima else None


class Pace:
    """Speed at which the endpoint reads, over the last 0.25 s or the last 8 s of audio, whichever is shorter. Pure.

    If the endpoint reads in larger steps, the speed is over one of these steps.

    Args:
        now: Time, seconds.
    """

    def __init__(self, now: float) -> None:
        self.times = 1.0
        """Seconds of audio per second; 1 before the first measurement."""
        self._at = now
        self._read_s = 0.0

    def add(self, now: float, read_s: float) -> None:
        """Add a measurement: the endpoint has read ``read_s`` seconds of audio in total at time ``now``, seconds."""
        if now - self._at >= _PACE_INTERVAL_S or (read_s - self._read_s >= _WINDOW_S[1] and now > self._at):
            self.times = (read_s - self._read_s) / (now - self._at)
            self._at, self._read_s = now, read_s


def window_s(round_trip_s: float | None, times: float = 1.0) -> float:
    """Return the window: seconds of audio that may be unacknowledged.

    An endpoint that reads at ``times`` real time reads this much in two round trips and a second. So a file sent at
    full speed waits no more often than live speech.
    """
    low, high = _WINDOW_S
    return low if round_trip_s is None else min(max((2 * round_trip_s + 1) * max(times, 1), low), high)


class Sender:
    """Writes messages to one connection, one at a time.

    Args:
        transport: The connection.
        clock: Time of round trips.
        rate_hz: Samples per second of the audio.
        attempt: Number of the connection in the run; for the log.
        on_acknowledged: Receives the number of acknowledged samples when it grows.
        on_round_trip: Receives the round trip of each pong, seconds.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        rate_hz: int,
        attempt: int = 1,
        on_acknowledged: Callable[[int], None] = lambda _samples: None,
        on_round_trip: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.sent = 0
        """Samples of this connection whose write has begun, padding included."""
        self.acknowledged = 0
        """Samples that the endpoint has read."""
        self.progress_at = clock.now()
        """Time of the last growth of ``acknowledged``, or of the last moment without audio in flight, seconds."""
        self.round_trips = RoundTrips()
        self.window = round(window_s(None) * rate_hz)
        """Samples that may be in flight; one chunk is always allowed."""
        self._pace = Pace(clock.now())
        self._transport = transport
        self._clock = clock
        self._rate_hz = rate_hz
        self._attempt = attempt
        self._on_acknowledged = on_acknowledged
        self._on_round_trip = on_round_trip
        self._lane = asyncio.BoundedSemaphore(1)
        self._stream_lock = asyncio.BoundedSemaphore(1)
        self._write_task: asyncio.Future[None] | None = None
        self._write_began_at = clock.now()
        self._window_open = asyncio.Event()
        self._window_open.set()
        self._pings: dict[asyncio.Future[object], tuple[float, int]] = {}
        self._ping_covers = 0
        self._last_ping = clock.now()
        self._debug = log.isEnabledFor(logging.DEBUG)
        log.debug("connection %d: sender made", attempt)

    @property
    def in_flight(self) -> int:
        """Samples sent and not acknowledged."""
        return self.sent - self.acknowledged

    @property
    def spare(self) -> int:
        """Samples that may be sent at once, without a ping between: at most a quarter of the window; one chunk always.

        May be negative.
        """
        return min(self.window - self.in_flight, self.window // 4, self._ping_covers + self.window // 2 - self.sent)

    @property
    def blocked(self) -> bool:
        """Whether nothing more can be sent until the peer reads: a write waits for it, or the window is full."""
        return self._write_task is not None or not self._window_open.is_set()

    @property
    def oldest_ping_at(self) -> float | None:
        """Start of the oldest unanswered ping or of the unfinished write, seconds; None without either."""
        waiting = [at for at, _ in self._pings.values()]
        return min(waiting if self._write_task is None else [*waiting, self._write_began_at], default=None)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Sender]:
        """Send a stream of audio. No other stream gets between its chunks: it waits. Control messages do.

        Cancellation while waiting has no effect on other callers; leaving the block never waits.
        """
        async with self._stream_lock:
            yield self

    def _fits(self, samples: int) -> bool:
        in_flight = self.sent - self.acknowledged
        return not in_flight or in_flight + samples <= self.window

    async def room(self, samples: int) -> None:
        """Wait until ``samples`` samples fit into the window. Safe to cancel."""
        while not self._fits(samples):
            if self._window_open.is_set():
                log.debug("connection %d: window closed, %d samples in flight", self._attempt, self.in_flight)
                self._window_open.clear()
            if self.sent > self._ping_covers:  # else the pong of the last ping already covers all audio
                await self._ping()
            await self._window_open.wait()

    async def audio(self, messages: Sequence[bytes], samples: int) -> None:
        """Send audio of a stream, waiting for room in the window.

        Several messages are one write without others between; ``samples`` is their total.

        Cancellation before the write begins has no effect; after that the messages are delivered anyway.
        """
        await self.room(samples)
        if self.free(samples):
            self.audio_at_once(messages, samples)
            return
        await self._write(messages, samples)
        if self.sent - self._ping_covers >= self.window // 2:
            await self._ping()

    def free(self, samples: int) -> bool:
        """Whether ``samples`` samples need no waiting for the lane, a write, the window or the connection."""
        return not self._lane.locked() and self._write_task is None and self._fits(samples) and self._transport.ready

    def audio_at_once(self, messages: Sequence[bytes], samples: int) -> None:
        """Send audio of a stream like :meth:`audio`, without awaiting; only while :meth:`free` for it.

        No other task can run during the call, so the call need not take the lane.
        """
        if self.sent == self.acknowledged:
            self.progress_at = self._clock.now()
        self.sent += samples
        self._log_lane("passed")
        if self.sent - self._ping_covers >= self.window // 2:
            self._ping_now(messages)
        else:
            self._transport.send_at_once(messages)

    async def ping_behind(self) -> None:
        """Ping behind all audio, if no ping is behind it yet: its pong proves that everything was read."""
        if self.sent > self._ping_covers:
            await self._ping()

    async def control(self, message: bytes) -> None:
        """Send a message that is not audio, after all earlier calls. Cancellation: as for :meth:`audio`."""
        await self._write((message,))

    def acknowledge(self, samples: int) -> None:
        """Note that the endpoint has read all audio before ``samples``; the mark never goes back."""
        samples = min(samples, self.sent)
        if samples <= self.acknowledged:
            return
        self.acknowledged = samples
        self.progress_at = self._clock.now()
        if not self._window_open.is_set():
            log.debug("connection %d: window opened, %d samples in flight", self._attempt, self.in_flight)
            self._window_open.set()
        self._on_acknowledged(samples)

    async def keep_pinging(self, since: float = 0.0) -> None:
        """Ping after audio without a ping, and every 5 s when idle, until cancellation or the end of the connection.

        Args:
            since: Start of the common ticks, seconds.
        """

        def ping_if_due() -> float | None:
            if self._ping_due():
                if not self.free(0):
                    return None
                self._ping_now()
            return next_tick(max(self._clock.now() + PING_BUSY_S / 2, self._last_ping + PING_BUSY_S), since)

        while True:
            await RepeatingTimer(self._clock, ping_if_due).run()
            await self._ping()  # a due ping that has to wait

    def _ping_due(self) -> bool:
        quiet = self._clock.now() - self._last_ping
        return quiet >= PING_IDLE_S or (quiet > PING_BUSY_S and self.sent > self._ping_covers)

    async def _ping(self) -> None:
        self._last_ping = self._clock.now()
        await self._write()

    async def _write_ping(self) -> None:
        # The pong acknowledges all audio sent so far; the lane prevents further audio in between.
        at, covered = self._clock.now(), self.sent
        self._last_ping, self._ping_covers = at, covered
        self._await_pong(await self._transport.ping(), at, covered)

    def _ping_now(self, behind: Sequence[bytes] = ()) -> None:
        """Write a ping without awaiting, after messages that already count as sent."""
        at, covered = self._clock.now(), self.sent
        self._last_ping, self._ping_covers = at, covered
        self._await_pong(self._transport.ping_at_once(behind), at, covered)

    def _await_pong(self, pong: Awaitable[object], at: float, covered: int) -> None:
        waiter = asyncio.ensure_future(pong)
        self._pings[waiter] = (at, covered)
        waiter.add_done_callback(self._on_pong)

    def _on_pong(self, pong: asyncio.Future[object]) -> None:
        at, covered = self._pings.pop(pong)
        if pong.cancelled() or pong.exception() is not None:
            return
        now = self._clock.now()
        self.round_trips.add(now, now - at)
        self._on_round_trip(now - at)
        self._pace.add(now, covered / self._rate_hz)
        self.window = round(window_s(self.round_trips.minimum, self._pace.times) * self._rate_hz)
        self.acknowledge(covered)

    async def _write(self, messages: Sequence[bytes] = (), samples: int = 0) -> None:
        """Take the lane, write the messages, or a ping if there are none, and release the lane."""
        if self._lane.locked():
            self._log_lane("awaited")
        async with self._lane:
            await self._wait_for_write()
            self._log_lane("taken")
            if not self.in_flight:
                self.progress_at = self._clock.now()
            self.sent += samples
            if not self._transport.ready:
                await self._write_in_task(self._transport.send(messages) if messages else self._write_ping())
            elif messages:
                self._transport.send_at_once(messages)
            else:
                self._ping_now()
        self._log_lane("released")

    async def _write_in_task(self, write: Coroutine[None, None, None]) -> None:
        """Run a write that must wait in its own task, so that cancelling the caller does not cancel the write."""
        self._write_began_at = self._clock.now()
        self._write_task = asyncio.create_task(write)
        await self._wait_for_write()

    async def _wait_for_write(self) -> None:
        """Wait for the unfinished write, perhaps of a cancelled caller. Cancellation does not cancel the write."""
        if self._write_task is not None:
            await asyncio.wait((self._write_task,))
            writing, self._write_task = self._write_task, None
            writing.result()

    async def aclose(self) -> None:
        """Wait for the last write; the connection must be closed already. Never raises the error of the write."""
        if self._write_task is not None:
            await asyncio.wait((self._write_task,))
            self._write_task.exception()

    def _log_lane(self, what: str) -> None:
        if self._debug:
            lane_log.debug("connection %d: lane %s, %d samples sent", self._attempt, what, self.sent)
