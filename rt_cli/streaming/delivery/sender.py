"""The only code that writes to a connection.

Rules, each of which a project somewhere learnt the hard way:

1. One FIFO lane for everything: audio, commits, configuration, pings. A commit can never overtake the audio before it.
2. Nothing awaitable runs where the lane is released; a release too many raises.
3. A write that has begun is never cancelled (it would be delivered all the same). Its caller may go; the next one waits
   until it is over. Only the end of the connection ends it.
4. ``send()`` returning proves nothing, so a window bounds the audio that is not *acknowledged*: by the pong of a ping
   that was put behind it, or by any answer that proves it was read. The window is 2 to 8 s: more the longer the round
   trip is, and the faster the endpoint reads.
5. A stream of audio and single chunks exclude each other; the caller chooses to wait or to fail.
6. A sender belongs to one connection and dies with it.

Every change of state is logged at debug, so that a stuck sender can be diagnosed from a log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from rt_cli.errors import SenderBusy
from rt_cli.streaming.timing.repeating_timer import RepeatingTimer
from rt_cli.streaming.timing.ticks import next_tick

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from rt_cli.clock import Clock

log = logging.getLogger("rt.sender")

PING_BUSY_S = 0.5
PING_IDLE_S = 5.0
_WINDOW_S = (2.0, 8.0)
_RTT_MEMORY_S = 30.0
_PACE_OVER_S = 0.25


class Transport(Protocol):
    """What a sender needs of a connection."""

    @property
    def ready(self) -> bool:
        """Whether it can be written to without waiting."""
        ...

    async def send(self, messages: Sequence[bytes]) -> None:
        """Write text messages, one behind the other. Raises ConnectionLost when the connection is gone."""
        ...

    def send_at_once(self, messages: Sequence[bytes]) -> None:
        """The same in one piece; only while ready."""
        ...

    async def ping(self) -> Awaitable[object]:
        """Write a ping; what it returns is done when the pong is there, and fails when the connection is gone."""
        ...

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> Awaitable[object]:
        """The same behind messages, all in one piece; only while ready."""
        ...


class RoundTrips:
    """The smallest round trip of the last half minute; a mean would feed on the queues that it measures."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def add(self, now: float, seconds: float) -> None:
        """Record one; all values that it beats are of no more use."""
        while self._seen and self._seen[-1][1] >= seconds:
            self._seen.pop()
        self._seen.append((now, seconds))
        while self._seen[0][0] < now - _RTT_MEMORY_S:
            self._seen.popleft()

    @property
    def minimum(self) -> float | None:
        """Seconds; None before the first."""
        return self._seen[0][1] if self._seen else None


class Pace:
    """How fast the endpoint reads, over the last quarter of a second, or the last 8 s of audio if that is less. Pure.

    Where it reads in larger steps it is over one of those.

    Args:
        now: Seconds.
    """

    def __init__(self, now: float) -> None:
        self.times = 1.0
        """Seconds of audio in a second; 1 before anything is known."""
        self._at = now
        self._read_s = 0.0

    def add(self, now: float, read_s: float) -> None:
        """So much audio has been read in all by now; both in seconds."""
        if now - self._at >= _PACE_OVER_S or (read_s - self._read_s >= _WINDOW_S[1] and now > self._at):
            self.times = (read_s - self._read_s) / (now - self._at)
            self._at, self._read_s = now, read_s


def window_s(round_trip_s: float | None, times: float = 1.0) -> float:
    """Seconds of audio that may be unacknowledged.

    It is what an endpoint reads in two round trips and a second, where it reads audio ``times`` as fast as it is
    spoken: a file that is sent in a flood waits no more often than speech does.
    """
    low, high = _WINDOW_S
    return low if round_trip_s is None else min(max((2 * round_trip_s + 1) * max(times, 1), low), high)


class Sender:
    """Puts messages on one connection, one at a time.

    Args:
        transport: The connection.
        clock: For round trips.
        rate_hz: Samples per second of the audio.
        attempt: Which connection of the run it is; for the log.
        busy: What happens to a stream or chunk while a stream is being sent.
        on_acknowledged: Told the count of samples that the endpoint has provably read, when it grows.
        on_round_trip: Told how long each pong took, seconds.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        *,
        rate_hz: int,
        attempt: int = 1,
        busy: Literal["wait", "fail"] = "wait",
        on_acknowledged: Callable[[int], None] = lambda _samples: None,
        on_round_trip: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.sent = 0
        """Samples whose writing has begun, in the order of this connection, padding included."""
        self.acknowledged = 0
        """Samples that the endpoint has read."""
        self.progress_at = clock.now()
        """When ``acknowledged`` last moved, or had nothing left to move to."""
        self.round_trips = RoundTrips()
        self.window = round(window_s(None) * rate_hz)
        """Samples that may be in flight; one chunk always may."""
        self._pace = Pace(clock.now())
        self._transport = transport
        self._clock = clock
        self._rate_hz = rate_hz
        self._attempt = attempt
        self._busy = busy
        self._on_acknowledged = on_acknowledged
        self._on_round_trip = on_round_trip
        self._lane = asyncio.BoundedSemaphore(1)
        self._turnstile = asyncio.BoundedSemaphore(1)
        self._streams = 0
        self._writing: asyncio.Future[None] | None = None
        self._writing_at = clock.now()
        self._opened = asyncio.Event()
        self._opened.set()
        self._pings: dict[asyncio.Future[object], tuple[float, int]] = {}
        self._pinged = 0
        self._last_ping = clock.now()
        self._logged = log.isEnabledFor(logging.DEBUG)
        log.debug("generation %d: sender made", attempt)

    @property
    def in_flight(self) -> int:
        """Samples sent and not acknowledged."""
        return self.sent - self.acknowledged

    @property
    def spare(self) -> int:
        """Samples that may go at once, with no ping between; one chunk always may. May be negative."""
        return min(self.window - self.in_flight, self._pinged + self.window // 4 - self.sent)

    @property
    def oldest_ping_at(self) -> float | None:
        """When the oldest unanswered ping, or a write that is still not over, began; seconds, None if there is none."""
        waiting = [at for at, _ in self._pings.values()]
        return min(waiting if self._writing is None else [*waiting, self._writing_at], default=None)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Sender]:
        """Send a stream of audio: no other stream and no single chunk gets in between; commits and the like may.

        Raises SenderBusy if another stream runs or waits and this sender is to fail. Cancelling it while it waits
        leaves no trace; leaving the block never waits.
        """
        self._refuse_if_busy("a second stream")
        self._streams += 1
        try:
            async with self._turnstile:
                yield self
        finally:
            self._streams -= 1

    async def chunk(self, message: bytes, samples: int) -> None:
        """Send a single chunk of audio outside any stream; waits for a chunk, waits or fails for a stream."""
        self._refuse_if_busy("a single chunk")
        async with self._turnstile:
            await self.audio((message,), samples)

    def _fits(self, samples: int) -> bool:
        in_flight = self.sent - self.acknowledged
        return not in_flight or in_flight + samples <= self.window

    async def room(self, samples: int) -> None:
        """Wait until that much audio fits into the window. Safe to cancel."""
        while not self._fits(samples):
            if self._opened.is_set():
                log.debug("generation %d: window closed, %d samples in flight", self._attempt, self.in_flight)
                self._opened.clear()
            if self.sent > self._pinged:  # another ping would prove nothing more
                await self._ping()
            await self._opened.wait()

    async def audio(self, messages: Sequence[bytes], samples: int) -> None:
        """Send audio of a stream, waiting for room in the window.

        Several messages go as one: nothing comes between, and ``samples`` is what they hold together.

        Cancelling it before its writing begins leaves no trace; after that the messages are delivered all the same.
        """
        await self.room(samples)
        if self.free(samples):
            self.audio_at_once(messages, samples)
            return
        await self._pass(messages, samples)
        if self.sent - self._pinged >= self.window // 4:
            await self._ping()

    def free(self, samples: int) -> bool:
        """Whether so much audio needs no waiting: for the lane, a write, the window or the connection."""
        return not self._lane.locked() and self._writing is None and self._fits(samples) and self._transport.ready

    def audio_at_once(self, messages: Sequence[bytes], samples: int) -> None:
        """Send audio of a stream like :meth:`audio`, within the call; only while :meth:`free` for it.

        Nobody can get in between while it runs, and so it holds the lane without taking it.
        """
        if self.sent == self.acknowledged:
            self.progress_at = self._clock.now()
        self.sent += samples
        self._log_lane("passed")
        if self.sent - self._pinged >= self.window // 4:
            self._ping_now(messages)
        else:
            self._transport.send_at_once(messages)

    async def control(self, message: bytes) -> None:
        """Send anything that is not audio, behind everything that was asked for before. Cancelling it: as for audio."""
        await self._pass((message,))

    def acknowledge(self, samples: int) -> None:
        """An answer proves that everything before ``samples`` was read; never goes back."""
        samples = min(samples, self.sent)
        if samples <= self.acknowledged:
            return
        self.acknowledged = samples
        self.progress_at = self._clock.now()
        if not self._opened.is_set():
            log.debug("generation %d: window opened, %d samples in flight", self._attempt, self.in_flight)
            self._opened.set()
        self._on_acknowledged(samples)

    async def keep_pinging(self, since: float = 0.0) -> None:
        """Ping behind audio that no ping follows yet, and now and then when idle; runs until cancelled or the end.

        Args:
            since: When the beat began at which it looks, seconds.
        """

        def look() -> float | None:
            if self._ping_due():
                if not self.free(0):
                    return None
                self._ping_now()
            return next_tick(max(self._clock.now() + PING_BUSY_S / 2, self._last_ping + PING_BUSY_S), since)

        while True:
            await RepeatingTimer(self._clock, look).run()
            await self._ping()  # one that has to wait

    def _ping_due(self) -> bool:
        quiet = self._clock.now() - self._last_ping
        return quiet >= PING_IDLE_S or (quiet > PING_BUSY_S and self.sent > self._pinged)

    def _refuse_if_busy(self, what: str) -> None:
        if self._streams and self._busy == "fail":
            raise SenderBusy(f"{what} of audio cannot be sent while a stream is being sent")

    async def _ping(self) -> None:
        self._last_ping = self._clock.now()
        await self._pass()

    async def _write_ping(self) -> None:
        # What has been sent so far is what the pong proves; the lane keeps more from getting in between.
        at, proven = self._clock.now(), self.sent
        self._last_ping, self._pinged = at, proven
        self._await_pong(await self._transport.ping(), at, proven)

    def _ping_now(self, behind: Sequence[bytes] = ()) -> None:
        """The same at once, with messages before it that count as sent already."""
        at, proven = self._clock.now(), self.sent
        self._last_ping, self._pinged = at, proven
        self._await_pong(self._transport.ping_at_once(behind), at, proven)

    def _await_pong(self, pong: Awaitable[object], at: float, proven: int) -> None:
        waiter = asyncio.ensure_future(pong)
        self._pings[waiter] = (at, proven)
        waiter.add_done_callback(self._ponged)

    def _ponged(self, pong: asyncio.Future[object]) -> None:
        at, proven = self._pings.pop(pong)
        if pong.cancelled() or pong.exception() is not None:
            return
        now = self._clock.now()
        self.round_trips.add(now, now - at)
        self._on_round_trip(now - at)
        self._pace.add(now, proven / self._rate_hz)
        self.window = round(window_s(self.round_trips.minimum, self._pace.times) * self._rate_hz)
        self.acknowledge(proven)

    async def _pass(self, messages: Sequence[bytes] = (), samples: int = 0) -> None:
        """Take the lane, write messages or, without any, a ping, let go."""
        if self._lane.locked():
            self._log_lane("awaited")
        async with self._lane:
            await self._write_over()
            self._log_lane("taken")
            if not self.in_flight:
                self.progress_at = self._clock.now()
            self.sent += samples
            if not self._transport.ready:
                await self._write_apart(self._transport.send(messages) if messages else self._write_ping())
            elif messages:
                self._transport.send_at_once(messages)
            else:
                self._ping_now()
        self._log_lane("released")

    async def _write_apart(self, write: Coroutine[None, None, None]) -> None:
        """What has to wait is a task of its own, so that nobody's going away cancels it."""
        self._writing_at = self._clock.now()
        self._writing = asyncio.create_task(write)
        await self._write_over()

    async def _write_over(self) -> None:
        """Wait for the write under way, perhaps one whose caller has gone. Cancelling the wait leaves it running."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))
            writing, self._writing = self._writing, None
            writing.result()

    async def aclose(self) -> None:
        """Wait for the last write, whose connection must be closed by now. Never raises what the write does."""
        if self._writing is not None:
            await asyncio.wait((self._writing,))
            self._writing.exception()

    def _log_lane(self, what: str) -> None:
        if self._logged:
            log.debug("generation %d: lane %s, %d samples sent", self._attempt, what, self.sent)
