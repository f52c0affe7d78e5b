"""The parts of ``threading`` and ``queue`` that block, over the world's threads and time."""

from __future__ import annotations

import traceback
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import greenlet

from tests.simulation.machine.world import Parking, World

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Present:
    """The world of the present run; the classes below belong to whichever it is."""

    world: World = World(0)


def world() -> World:
    """Return the world of the present run."""
    return Present.world


class Thread:
    """``threading.Thread``: a greenlet that runs when the world lets it."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        del group
        self.name, self.daemon = name or "thread", bool(daemon)
        self._target, self._args, self._kwargs = target, args, kwargs or {}
        self._ended = False
        self._joining = Parking()

    def start(self) -> None:
        """Start the thread."""
        world().spawn(self._bootstrap)

    def run(self) -> None:
        """Run the target."""
        if self._target is not None:
            self._target(*self._args, **self._kwargs)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end."""
        if not self._ended and (timeout is None or timeout > 0):
            self._joining.park(world(), timeout)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._ended

    def _bootstrap(self) -> None:
        try:
            self.run()
        except greenlet.GreenletExit:
            raise
        except BaseException:  # noqa: BLE001 - a thread of the program must not raise
            world().violated(f"exception in thread {self.name}: {traceback.format_exc(limit=-3)}")
        self._ended = True
        self._joining.wake()


class Timer(Thread):
    """``threading.Timer``."""

    def __init__(self, interval: float, function: Callable[..., object], args: Any = None, kwargs: Any = None) -> None:
        super().__init__(target=function, args=tuple(args or ()), kwargs=kwargs, name="timer")
        self._interval = interval
        self._cancelled = Parking()
        self._off = False

    def cancel(self) -> None:
        """Stop the timer."""
        self._off = True
        self._cancelled.wake()

    def run(self) -> None:
        """Wait, then call."""
        if not self._off:
            self._cancelled.park(world(), self._interval)
        if not self._off:
            super().run()


class Lock:
    """``threading.Lock``."""

    def __init__(self) -> None:
        self._held = False
        self._waiting = Parking()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock."""
        while self._held:
            if not blocking or not self._waiting.park(world(), None if timeout < 0 else timeout):
                return False
        self._held = True
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._held = False
        self._waiting.wake(1)

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _Reentrant(Lock):
    def __init__(self) -> None:
        super().__init__()
        self._owner: object = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        current = greenlet.getcurrent()
        if self._owner is not current:
            if not super().acquire(blocking, timeout):
                return False
            self._owner = current
        self._count += 1
        return True

    def release(self) -> None:
        self._count -= 1
        if not self._count:
            self._owner = None
            super().release()

    def drop(self) -> int:
        """Give the lock back however often it is held."""
        count, self._count = self._count, 1
        self.release()
        return count

    def take(self, count: int) -> None:
        """Take it as often as before."""
        self.acquire()
        self._count = count


class Condition:
    """``threading.Condition``."""

    def __init__(self, lock: Any = None) -> None:
        self._lock = lock or _Reentrant()
        self._waiting = Parking()
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> bool:
        return bool(self._lock.__enter__())

    def __exit__(self, *args: object) -> None:
        self._lock.__exit__(*args)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified."""
        reentrant = isinstance(self._lock, _Reentrant)
        count = self._lock.drop() if reentrant else self._lock.release()
        try:
            return self._waiting.park(world(), timeout)
        finally:
            if not world().dead:
                if reentrant:
                    self._lock.take(count)
                else:
                    self._lock.acquire()

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until a condition holds."""
        end = None if timeout is None else world().now + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - world().now
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """Wake some."""
        self._waiting.wake(n)

    def notify_all(self) -> None:
        """Wake all."""
        self._waiting.wake()


class SimpleQueue:
    """``queue.SimpleQueue``."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._waiting = Parking()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Append an item."""
        del block, timeout
        self._items.append(item)
        self._waiting.wake(1)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the first item; waits for one."""
        while not self._items:
            if not block or not self._waiting.park(world(), timeout):
                raise IndexError
        return self._items.popleft()

    def qsize(self) -> int:
        """Return the number of items."""
        return len(self._items)

    def empty(self) -> bool:
        """Whether there is none."""
        return not self._items
