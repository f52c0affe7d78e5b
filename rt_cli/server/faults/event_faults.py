"""What faults make of a connection's events: which are touched, and when each leaves. Pure: time and luck are told."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from rt_cli.server.faults.event_names import COMPLETED, FAILED
from rt_cli.server.faults.grammar import Delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.server.faults.grammar import Fault, FaultPlan, Span

REORDER_S = 2.0
"""An event that waits for the next of its type, to be swapped with it, waits no longer."""


class Chance:
    """Which occasions of a server's faults are taken; the same every time for the same seed.

    Ranges and chances of a connection depend on the seed and its number alone, however connections overlap.

    Args:
        plan: All faults and the seed.
    """

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._occasions: Counter[int] = Counter()
        self._taken: Counter[int] = Counter()
        self._chances: dict[tuple[int, int], random.Random] = {}

    def takes(self, index: int, connection: int) -> bool:
        """Whether a fault happens now that it could.

        Args:
            index: Of the fault in the plan.
            connection: Number from 1.
        """
        fault = self._plan.faults[index]
        if fault.connection not in {None, connection}:
            return False
        self._occasions[index] += 1
        if self._occasions[index] % fault.every:
            return False
        if fault.chance < 1 and self._chance(index, connection).random() >= fault.chance:
            return False
        if fault.times is not None and self._taken[index] >= fault.times:
            return False
        self._taken[index] += 1
        return True

    def seconds(self, span: Span, index: int, connection: int) -> float:
        """A time of a range."""
        return self._chance(index, connection).randint(span.low_ms, span.high_ms) / 1000

    def forget(self, connection: int) -> None:
        """A connection ended."""
        for index in range(len(self._plan.faults)):
            self._chances.pop((index, connection), None)

    def _chance(self, index: int, connection: int) -> random.Random:
        key = (index, connection)
        if key not in self._chances:
            self._chances[key] = random.Random(f"{self._plan.seed}/{index}/{connection}")  # noqa: S311 - no secret
        return self._chances[key]


@dataclass(frozen=True, slots=True)
class Leaving:
    """Something for the socket: an event, or what a fault puts between them."""

    how: Literal["text", "binary", "raw", "close"]
    data: bytes
    """Of ``close`` the reason."""
    type: str = ""
    """Of an event."""
    code: int = 0
    """Of ``close``."""


class Outgoing:
    """The events between a session and its socket.

    Args:
        takes: Whether a fault, by its index in the plan, happens to an event of a type.
        seconds: Draws a time of a range for a fault.
    """

    def __init__(self, takes: Callable[[int, str], bool], seconds: Callable[[Span, int], float]) -> None:
        self.active: dict[int, Fault] = {}
        """The faults that last just now, by their index."""
        self._takes = takes
        self._seconds = seconds
        self._queue: list[tuple[float, int, Leaving]] = []
        self._held: dict[str, tuple[float, list[Leaving]]] = {}
        self._order = 0
        self._floor = 0.0
        self._floors: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._queue) + len(self._held)

    @property
    def due(self) -> float | None:
        """When the next event leaves; None as long as there is none."""
        dues = [self._queue[0][0]] if self._queue else []
        return min(dues + [deadline for deadline, _ in self._held.values()], default=None)

    def push(self, now: float, type_: str, text: bytes) -> None:
        """Take an event of the session.

        Args:
            now: Seconds of a monotonic clock, here and everywhere.
            type_: Of the event.
            text: Its JSON.
        """
        copies, cut = 1, False
        for index, fault in sorted(self.active.items()):
            if not self._touches(index, fault, type_):
                continue
            match fault.name:
                case "omit":
                    return
                case "dup":
                    copies += 1
                case "corrupt":
                    cut = True
                case "failed":
                    type_, text = FAILED, failed(text)
                case "reorder":
                    self._held[type_] = (now + REORDER_S, [Leaving("text", text, type_)] * copies)
                    return
        due = self._due(now, type_)
        self._queue_up(due, [Leaving("text", _half(text) if cut else text, type_)] * copies)
        if type_ in self._held:
            self._queue_up(due, self._held.pop(type_)[1])

    def say(self, now: float, leaving: Leaving) -> None:
        """Take what no fault touches, and what leaves in its turn."""
        self._queue_up(max(now, self._floor), [leaving])

    def interrupt(self, leaving: Leaving) -> None:
        """Take what leaves before all that waits, but after earlier interruptions."""
        self._queue_up(0.0, [leaving])

    def pop(self, now: float) -> Leaving | None:
        """The next, if it is time for it."""
        for type_, (deadline, several) in list(self._held.items()):
            if deadline <= now:
                del self._held[type_]
                self._queue_up(deadline, several)
        if not self._queue or self._queue[0][0] > now:
            return None
        return heapq.heappop(self._queue)[-1]

    def _touches(self, index: int, fault: Fault, type_: str) -> bool:
        if fault.name == "reorder" and type_ in self._held:  # the second of a pair is no occasion
            return False
        wanted = COMPLETED if fault.name == "failed" else fault.value
        return wanted == type_ and self._takes(index, type_)

    def _due(self, now: float, type_: str) -> float:
        due = now
        own = False
        for index, fault in sorted(self.active.items()):
            late = fault.value
            if not isinstance(late, Delay) or late.event not in {None, type_} or not self._takes(index, type_):
                continue
            due += self._seconds(late.span, index)
            own = own or late.event is not None
        if own:  # later than all others, but never than the next of its type
            self._floors[type_] = due = max(due, self._floors.get(type_, 0.0))
        else:
            self._floor = due = max(due, self._floor)
        return due

    def _queue_up(self, due: float, several: list[Leaving]) -> None:
        for leaving in several:
            self._order += 1
            heapq.heappush(self._queue, (due, self._order, leaving))


def _half(text: bytes) -> bytes:
    """No JSON any more, but whole characters."""
    return text[: len(text) // 2].decode(errors="ignore").encode()


def failed(completed: bytes) -> bytes:
    """The ``...transcription.failed`` that stands for a ``completed``."""
    event: dict[str, Any] = msgspec.json.decode(completed)
    kept = {key: event[key] for key in ("event_id", "item_id", "content_index") if key in event}
    error = {"type": "server_error", "code": "server_error", "message": "failed on request", "param": None}
    return msgspec.json.encode({"type": FAILED, **kept, "error": error})
