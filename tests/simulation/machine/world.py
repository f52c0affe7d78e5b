"""Virtual time: one heap of what will happen, a wall clock that may jump, threads that are greenlets.

The program under test runs in one system thread. Its event loop is the main greenlet; each of its threads is another
one. Whoever blocks hands over to the world, which makes the next thing happen and moves the time there. Nothing else
moves the time, and nothing happens at the same moment in another order: a seed is a history.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from typing import TYPE_CHECKING, Any

import greenlet

if TYPE_CHECKING:
    from collections.abc import Callable

BUSY_LOOP = 50_000
"""Things that may happen without the time moving; more of them are an endless loop."""


class Killed(BaseException):
    """The process under test was killed. Nothing catches it."""


class Violation(BaseException):
    """An invariant does not hold."""


class Event:
    """Something that will happen."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], object] | None) -> None:
        self.call = call

    def cancel(self) -> None:
        """Make it not happen. Idempotent."""
        self.call = None


class World:
    """All that exists outside the program under test, and its clock.

    Args:
        seed: Of all chance in the world.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        """The monotonic clock, seconds; stands still while the machine sleeps."""
        self.wall = 1_790_000_000.0
        """Wall clock at time 0 of the monotonic one."""
        self.asleep = 0.0
        """Seconds that the machine has slept so far."""
        self.log: list[tuple[float, str]] | None = None
        """The timeline for readers; None without one."""
        self.violations: list[str] = []
        self.limit = math.inf
        """The time at which every run must have ended."""
        self.dead = False
        """The process is killed: what is left of it may do nothing."""
        self.loop: Any = None
        """The event loop that runs, or None."""
        self.watch: Callable[[], None] = lambda: None
        """Called each time before the loop waits: checks what must hold at every step."""
        self.thread_delay = 0.0
        self.deaf = False
        """Most seconds until a woken thread runs."""
        self.blocked_for = 0.0
        """Longest time that a thread's lock or a disk has blocked the event loop, seconds."""
        self._heap: list[tuple[float, int, Event]] = []
        self._numbers = itertools.count()
        self._still = 0
        self.hub = greenlet.getcurrent()
        self._threads: list[Any] = []

    # -- time ---------------------------------------------------------------------------------------------------------

    def at(self, when: float, call: Callable[[], object]) -> Event:
        """Let something happen at a time, seconds; now, if that has passed."""
        event = Event(call)
        heapq.heappush(self._heap, (max(when, self.now), next(self._numbers), event))
        return event

    def after(self, seconds: float, call: Callable[[], object]) -> Event:
        """Let something happen in so many seconds."""
        return self.at(self.now + seconds, call)

    def step(self, deadline: float) -> bool:
        """Make the next thing happen. False if nothing does until the deadline; the time is the deadline then."""
        if self.now > self.limit:
            raise Violation("endless: the run goes on and on")
        heap = self._heap
        while heap and heap[0][2].call is None:
            heapq.heappop(heap)
        if not heap or heap[0][0] > deadline:
            if deadline == math.inf:
                raise Violation("stuck: the program waits, and nothing will ever happen")
            self._moved(yes=deadline > self.now)
            self.now = max(self.now, deadline)
            return False
        when, _, event = heapq.heappop(heap)
        self._moved(yes=when > self.now)
        self.now = max(self.now, when)
        call = event.call
        if call is not None:
            call()
        return True

    def poll(self) -> None:
        """Make happen what is due now, without moving the time."""
        self._moved(yes=False)
        while self._heap and self._heap[0][0] <= self.now:
            call = heapq.heappop(self._heap)[2].call
            if call is not None:
                self._moved(yes=False)
                call()

    def stall(self, seconds: float) -> None:
        """Let time pass in which the program gets no processor."""
        self.now += seconds

    def time(self) -> float:
        """Return the wall clock, seconds since the epoch."""
        return self.wall + self.now + self.asleep

    def note(self, text: str) -> None:
        """Add a line to the timeline for readers."""
        if self.log is not None:
            self.log.append((self.now, text))

    def violated(self, text: str) -> None:
        """Record that an invariant does not hold; the first records of a run count."""
        if len(self.violations) < 5 and text not in self.violations:
            self.violations.append(text)
            self.note(f"VIOLATION {text}")

    def _moved(self, *, yes: bool) -> None:
        self._still = 0 if yes else self._still + 1
        if self._still > BUSY_LOOP:
            raise Violation("busy: the program never waits, and time stands still")

    # -- threads ------------------------------------------------------------------------------------------------------

    def spawn(self, function: Callable[[], None]) -> None:
        """Start a thread."""
        thread = greenlet.greenlet(function, self.hub)
        self._threads.append(thread)
        self.after(self.delay(), lambda: self.resume(thread))

    def sleep(self, seconds: float) -> None:
        """Block the present thread."""
        Parking().park(self, seconds)

    @property
    def on_loop(self) -> bool:
        """Whether the event loop's thread, and no other, runs now."""
        return greenlet.getcurrent() is self.hub

    def delay(self) -> float:
        """Return the seconds until a woken thread runs."""
        return self.random.random() * self.thread_delay if self.thread_delay else 0.0

    def resume(self, thread: Any) -> None:
        """Let a thread go on."""
        if not thread.dead:
            thread.switch()

    def block(self, holds: Callable[[], bool], seconds: float) -> None:
        """Block the event loop's thread until something holds. Only there."""
        began, deadline = self.now, self.now + seconds
        while not holds() and self.step(deadline):
            pass
        if self.loop is not None and self.loop.is_running():
            self.blocked_for = max(self.blocked_for, self.now - began)

    def living_threads(self) -> int:
        """Return the number of threads that have not ended."""
        self._threads = [thread for thread in self._threads if not thread.dead]
        return len(self._threads)

    def bury(self) -> None:
        """End what a killed process has left of its threads, without letting it do anything."""
        for thread in self._threads:
            if not thread.dead:
                thread.throw(greenlet.GreenletExit)
        self._threads.clear()


class Parking:
    """Where threads wait to be woken; the base of all locks."""

    def __init__(self) -> None:
        self._parked: deque[_Parked] = deque()

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, world: World, seconds: float | None = None) -> bool:
        """Wait to be woken. False if that takes too long."""
        parked = _Parked()
        self._parked.append(parked)
        if world.on_loop:
            world.block(lambda: parked.woken, math.inf if seconds is None else seconds)
        else:
            thread = greenlet.getcurrent()

            def resume() -> None:
                if not parked.resumed:
                    parked.resumed = True
                    world.resume(thread)

            parked.switch = lambda: world.after(world.delay(), resume)
            timer = None if seconds is None else world.after(seconds, resume)
            world.hub.switch()
            parked.switch = None
            if timer is not None:
                timer.cancel()
            if world.dead:
                raise greenlet.GreenletExit
        if not parked.woken:
            self._parked.remove(parked)
        return parked.woken

    def wake(self, count: int = 1 << 30) -> None:
        """Wake so many of those that wait, the first ones first."""
        while self._parked and count > 0:
            count -= 1
            parked = self._parked.popleft()
            parked.woken = True
            if parked.switch is not None:
                parked.switch()


class _Parked:
    __slots__ = ("resumed", "switch", "woken")

    def __init__(self) -> None:
        self.woken = self.resumed = False
        self.switch: Callable[[], object] | None = None
