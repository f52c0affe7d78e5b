"""Faults of single events: which events are changed, and when each is sent. Pure: time and randomness are arguments."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from rt_cli.server.faults.event_names import COMPLETED, FAILED, is_of
from rt_cli.server.faults.values import Delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.server.faults.grammar import Fault, FaultPlan
    from rt_cli.server.faults.values import Span

REORDER_S = 2.0
"""Longest wait of an event for the next one of its type or group, with which it is swapped."""


class Chance:
    """Decides at which occasions the faults of a server happen; reproducible with the same seed.

    The random numbers of a connection depend only on the seed and the connection's number, not on other connections.

    Args:
        plan: All faults and the seed.
    """

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._occasions: Counter[int] = Counter()
        self._fired: Counter[int] = Counter()
        self._chances: dict[tuple[int, int], random.Random] = {}

    def fires(self, index: int, connection: int) -> bool:
        """Decide whether a fault happens at this occasion.

        Args:
            index: Index of the fault in the plan.
            connection: Number of the connection, from 1.
        """
        fault = self._plan.faults[index]
        if fault.connection not in {None, connection}:
            return False
        self._occasions[index] += 1
        if self._occasions[index] % fault.every:
            return False
        if fault.chance < 1 and self._chance(index, connection).random() >= fault.chance:
            return False
        if fault.times is not None and self._fired[index] >= fault.times:
            return False
        self._fired[index] += 1
        return True

    def seconds(self, span: Span, index: int, connection: int) -> float:
        """Draw a time from a range, in seconds."""
        return self._chance(index, connection).randint(span.low_ms, span.high_ms) / 1000

    def forget(self, connection: int) -> None:
        """Remove the random state of a connection that has ended."""
        for index in range(len(self._plan.faults)):
            self._chances.pop((index, connection), None)

    def _chance(self, index: int, connection: int) -> random.Random:
        key = (index, connection)
        if key not in self._chances:
            self._chances[key] = random.Random(f"{self._plan.seed}/{index}/{connection}")  # noqa: S311 - no secret
        return self._chances[key]


@dataclass(frozen=True, slots=True)
class OutgoingFrame:
    """A frame, raw bytes or a close for the socket: an event of the session, or data of a fault."""

    kind: Literal["text", "binary", "raw", "close"]
    data: bytes
    """Payload; for ``close`` the reason."""
    type: str = ""
    """Type of the event; empty: not an event."""
    code: int = 0
    """Code of ``close``."""


class OutgoingQueue:
    """Queue of events between a session and its socket.

    Args:
        fires: Gets the index of a fault and an event type; returns whether the fault happens to this event.
        seconds: Draws a time from a range for a fault, by its index.
    """

    def __init__(self, fires: Callable[[int, str], bool], seconds: Callable[[Span, int], float]) -> None:
        self.active: dict[int, Fault] = {}
        """The active faults by index."""
        self._fires = fires
        self._seconds = seconds
        self._queue: list[tuple[float, int, OutgoingFrame]] = []
        self._swaps: dict[str, tuple[float, list[OutgoingFrame]]] = {}
        """The event that waits for the next one of a type or group, and until when."""
        self._order = 0
        self._floor = 0.0
        self._floors: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._queue) + len(self._swaps)

    @property
    def due(self) -> float | None:
        """Time at which the next frame is due; None: the queue is empty."""
        dues = [self._queue[0][0]] if self._queue else []
        return min(dues + [deadline for deadline, _ in self._swaps.values()], default=None)

    def push(self, now: float, type_: str, text: bytes) -> None:
        """Add an event of the session.

        Args:
            now: Seconds of a monotonic clock, as in all methods.
            type_: Type of the event.
            text: JSON of the event.
        """
        copies, corrupt = 1, False
        for index, fault in sorted(self.active.items()):
            if not self._applies(index, fault, type_):
                continue
            match fault.name:
                case "omit":
                    return
                case "dup":
                    copies += 1
                case "corrupt":
                    corrupt = True
                case "failed":
                    type_, text = FAILED, failed_event(text)
                case "reorder":
                    self._swaps[str(fault.value)] = (now + REORDER_S, [OutgoingFrame("text", text, type_)] * copies)
                    return
        due = self._due(now, type_)
        self._enqueue(due, [OutgoingFrame("text", _half(text) if corrupt else text, type_)] * copies)
        for event in [event for event in self._swaps if is_of(type_, event)]:
            self._enqueue(due, self._swaps.pop(event)[1])

    def put(self, now: float, frame: OutgoingFrame) -> None:
        """Append a frame that faults do not change."""
        self._enqueue(max(now, self._floor), [frame])

    def put_first(self, frame: OutgoingFrame) -> None:
        """Add a frame before all queued events, but after earlier frames of this method."""
        self._enqueue(0.0, [frame])

    def pop(self, now: float) -> OutgoingFrame | None:
        """Remove and return the next frame if it is due; else None."""
        for event, (deadline, frames) in list(self._swaps.items()):
            if deadline <= now:
                del self._swaps[event]
                self._enqueue(deadline, frames)
        if not self._queue or self._queue[0][0] > now:
            return None
        return heapq.heappop(self._queue)[-1]

    def _applies(self, index: int, fault: Fault, type_: str) -> bool:
        event = COMPLETED if fault.name == "failed" else fault.value
        if not isinstance(event, str) or not is_of(type_, event):
            return False
        if fault.name == "reorder" and event in self._swaps:  # the second event of a swap does not count as an occasion
            return False
        return self._fires(index, type_)

    def _due(self, now: float, type_: str) -> float:
        due = now
        delayed: list[str] = []
        """The types and groups of events whose own delay includes this one, even if it is not delayed itself."""
        is_late = False
        for index, fault in sorted(self.active.items()):
            delay = fault.value
            if not isinstance(delay, Delay) or (delay.event is not None and not is_of(type_, delay.event)):
                continue
            delayed += [delay.event] if delay.event else []
            if self._fires(index, type_):
                due += self._seconds(delay.span, index)
                is_late = is_late or delay.event is not None
        # A delay of a type or group keeps the order within it only.
        due = max([due, *([] if is_late else [self._floor]), *(self._floors.get(event, 0.0) for event in delayed)])
        self._floors.update(dict.fromkeys(delayed, due))
        if not delayed:
            self._floor = due
        return due

    def _enqueue(self, due: float, frames: list[OutgoingFrame]) -> None:
        for frame in frames:
            self._order += 1
            heapq.heappush(self._queue, (due, self._order, frame))


def _half(text: bytes) -> bytes:
    """The first half of a JSON text, cut at a character boundary: invalid JSON, valid UTF-8."""
    return text[: len(text) // 2].decode(errors="ignore").encode()


def failed_event(completed: bytes) -> bytes:
    """Build the ``...transcription.failed`` that replaces a ``completed``."""
    event: dict[str, Any] = msgspec.json.decode(completed)
    copied = {key: event[key] for key in ("event_id", "item_id", "content_index") if key in event}
    error = {"type": "server_error", "code": "server_error", "message": "failed on request", "param": None}
    return msgspec.json.encode({"type": FAILED, **copied, "error": error})
