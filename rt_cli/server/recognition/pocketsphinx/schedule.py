"""Selects the next session to recognise, and its decoder. Pure.

Sessions take turns with slices of at most 200 ms. A session waits for at most one slice of each other session, no
matter how much audio the others have. An utterance in progress keeps its decoder, because decoder state cannot move;
between utterances a session can use any decoder. While sessions wait for a decoder, the utterances of other sessions
end early: those without new audio for :data:`IDLE_S`, and those of :data:`SHARED_S`, at the cost of a word.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

SLICE_S = 0.2
LONGEST_S = 30.0
"""Longest utterance: memory and the time of the last step grow with its length. The cut costs a word."""
SHARED_S = 5.0
"""Longest utterance while a session waits for a decoder."""
IDLE_S = 1.0
"""An utterance without new audio for this long ends if a session waits for a decoder."""
SPARE_S = 60.0
"""An unused decoder is unloaded after this time, except the last one."""
RETRY_S = 10.0
"""Pause after a failed load, if there are other decoders."""

ItemT = TypeVar("ItemT")


class StepKind(Enum):
    """Kind of a step."""

    SOUND = auto()
    PAUSE = auto()
    """End the utterance; the item goes on."""
    FINISH = auto()
    """End the utterance and the item."""
    DROP = auto()
    """End the utterance and drop its result."""


@dataclass(slots=True, eq=False)
class ItemStep(Generic[ItemT]):
    """A step of an item, with at most :data:`SLICE_S` of audio."""

    item: ItemT
    kind: StepKind
    pcm: bytes = b""
    seconds: float = 0.0
    in_progress: bool = False
    """The decoder has started this step and needs more calls to complete it."""


@dataclass(slots=True, eq=False)
class SessionQueue(Generic[ItemT]):
    """The steps of one session, in order."""

    steps: deque[ItemStep[ItemT]] = field(default_factory=deque)
    running: ItemStep[ItemT] | None = None
    waiting_s: float = 0.0
    """Seconds of unrecognised audio."""
    decoder: int | None = None
    item: ItemT | None = None
    """The item of the utterance in progress."""
    utterance_s: float = 0.0
    """Seconds of audio in the utterance in progress."""
    idle_since: float = 0.0
    holds_slot: bool = False
    """True if the running step holds a slot."""


@dataclass(frozen=True, slots=True)
class RunStep(Generic[ItemT]):
    """Run a step on a decoder; the caller reports the end with :meth:`Schedule.done`."""

    decoder: int
    queue: SessionQueue[ItemT]
    step: ItemStep[ItemT]
    new_utterance: bool
    """The step starts an utterance."""


@dataclass(frozen=True, slots=True)
class SkipStep(Generic[ItemT]):
    """Complete a step without a decoder: there is no utterance to end."""

    step: ItemStep[ItemT]


@dataclass(frozen=True, slots=True)
class LoadDecoder:
    """Load a decoder; the caller reports :meth:`Schedule.loaded` or :meth:`Schedule.lost`."""

    decoder: int


@dataclass(frozen=True, slots=True)
class RetireDecoder:
    """Unload a decoder; the schedule has already removed it."""

    decoder: int


class Schedule(Generic[ItemT]):
    """The scheduler. After every change, the caller calls :meth:`next` and executes its commands until it returns None.

    Args:
        slots: Most steps that run at once, 1 or more.
        decoders: Most decoders, 1 or more.
    """

    def __init__(self, slots: int, decoders: int) -> None:
        self._slots = slots
        self._unloaded = set(range(decoders))
        self._loading: set[int] = set()
        self._free: dict[int, float] = {}
        """Unused decoders, each with the time since when, in seconds."""
        self._owners: dict[int, SessionQueue[ItemT]] = {}
        self._waiting: deque[SessionQueue[ItemT]] = deque()
        """Queues with steps and no running step; the longest waiting first."""
        self._running = 0
        self._load_again_at = 0.0

    def owner(self, decoder: int) -> SessionQueue[ItemT] | None:
        """The queue whose utterance this decoder holds."""
        return self._owners.get(decoder)

    def load_one(self) -> LoadDecoder:
        """Load the first decoder before a session needs it; no decoder may exist yet."""
        return self._load(min(self._unloaded))

    def add(self, queue: SessionQueue[ItemT], step: ItemStep[ItemT]) -> None:
        """Append a step to a queue. Audio is joined with the last step of the same item, up to one slice."""
        queue.waiting_s += step.seconds
        last = queue.steps[-1] if queue.steps else None
        if last is not None and _may_join(last, step):
            last.pcm += step.pcm
            last.seconds += step.seconds
            return
        queue.steps.append(step)
        self._enqueue(queue)

    def forget(self, queue: SessionQueue[ItemT], item: ItemT) -> None:
        """Remove all steps of an item. Its utterance in progress is dropped by the next step of the queue."""
        for step in [step for step in queue.steps if step.item is item]:
            queue.steps.remove(step)
            queue.waiting_s -= step.seconds
        if queue.item is item and queue.decoder is not None:
            queue.steps.appendleft(ItemStep(item, StepKind.DROP))
            self._enqueue(queue)
        elif not queue.steps and queue in self._waiting:
            self._waiting.remove(queue)

    def next(self, now: float) -> RunStep[ItemT] | SkipStep[ItemT] | LoadDecoder | RetireDecoder | None:
        """The next command at time ``now`` (s); None: nothing to do."""
        for queue in self._waiting:
            if queue.decoder is None and queue.steps[0].kind is not StepKind.SOUND:
                return SkipStep(self._pop_first(queue))
        return self._balance_decoders(now) or self._run()

    def next_check_at(self) -> float | None:
        """Time (s) at which :meth:`next` may return a command without any change before; None: never."""
        times = [since + SPARE_S for since in self._spare().values()]
        if self._shortage():
            times += [queue.idle_since + IDLE_S for queue in self._idle_queues()]
        return min(times, default=None)

    def done(self, queue: SessionQueue[ItemT], now: float, *, again: bool = False) -> None:
        """The running step of a queue is complete. With ``again``, it continues at the queue's next turn."""
        step = self._end_step(queue)
        queue.idle_since = now
        if again and not (queue.steps and queue.steps[0].kind is StepKind.DROP):
            step.in_progress = True
            queue.steps.appendleft(step)
        else:
            queue.waiting_s -= step.seconds
            if not again and step.kind is not StepKind.SOUND:
                self._release(queue, now)
        if queue.steps:
            self._enqueue(queue)

    def overdue(self, queue: SessionQueue[ItemT]) -> None:
        """The running step takes too long: release its slot for other sessions."""
        self._running -= queue.holds_slot
        queue.holds_slot = False

    def loaded(self, decoder: int, now: float) -> None:
        """A decoder has loaded its model."""
        self._loading.discard(decoder)
        self._free[decoder] = now

    def lost(self, decoder: int, now: float) -> list[ItemT]:
        """A decoder has ended, or cannot be loaded. Removes and returns the items that fail because of it.

        Items that wait for a decoder fail only if no decoder exists and none can be loaded.
        """
        unloadable = decoder in self._loading
        self._loading.discard(decoder)
        self._free.pop(decoder, None)
        self._unloaded.add(decoder)
        queue = self._owners.pop(decoder, None)
        failed = [] if queue is None else self._fail(queue)
        if unloadable:
            self._load_again_at = now + RETRY_S
            while not self._any_decoder and (waiting := self._waiting_for_decoder()):
                failed += [self._forget_next(queue) for queue in waiting]
        return failed

    @property
    def _any_decoder(self) -> bool:
        """True if any decoder is loaded or loading."""
        return bool(self._loading or self._free or self._owners)

    def _waiting_for_decoder(self) -> list[SessionQueue[ItemT]]:
        """The queues that wait for a decoder, in the order of their turns."""
        return [queue for queue in self._waiting if queue.decoder is None and queue.steps[0].kind is StepKind.SOUND]

    def _fail(self, queue: SessionQueue[ItemT]) -> list[ItemT]:
        """Fail the item of the queue's utterance and return it."""
        item, queue.item, queue.decoder, queue.utterance_s = queue.item, None, None, 0.0
        if queue.running is not None:
            queue.waiting_s -= self._end_step(queue).seconds
        if item is not None:
            self.forget(queue, item)
        if queue.steps:
            self._enqueue(queue)
        return [] if item is None else [item]

    def _forget_next(self, queue: SessionQueue[ItemT]) -> ItemT:
        item = queue.steps[0].item
        self.forget(queue, item)
        return item

    def _enqueue(self, queue: SessionQueue[ItemT]) -> None:
        if queue.running is None and queue not in self._waiting:
            self._waiting.append(queue)

    def _pop_first(self, queue: SessionQueue[ItemT]) -> ItemStep[ItemT]:
        step = queue.steps.popleft()
        if not queue.steps:
            self._waiting.remove(queue)
        return step

    def _balance_decoders(self, now: float) -> LoadDecoder | RetireDecoder | None:
        missing = self._missing()
        # Load one decoder at a time: loading takes one second of CPU time away from running decoders.
        if missing and self._unloaded and not self._loading and (now >= self._load_again_at or not self._any_decoder):
            return self._load(min(self._unloaded))
        for queue in sorted(self._idle_queues(), key=lambda queue: queue.idle_since)[: self._shortage()]:
            if now - queue.idle_since >= IDLE_S and queue.item is not None:
                queue.steps.append(ItemStep(queue.item, StepKind.PAUSE))
                self._enqueue(queue)
        for decoder, since in self._spare().items():
            if now - since >= SPARE_S:
                del self._free[decoder]
                self._unloaded.add(decoder)
                return RetireDecoder(decoder)
        return None

    def _load(self, decoder: int) -> LoadDecoder:
        self._unloaded.remove(decoder)
        self._loading.add(decoder)
        return LoadDecoder(decoder)

    def _missing(self) -> int:
        """Number of decoders that queues wait for, without those that are loading or about to be released."""
        ending = sum(_ends_soon(queue) for queue in self._owners.values())
        return max(0, len(self._waiting_for_decoder()) - len(self._free) - len(self._loading) - ending)

    def _shortage(self) -> int:
        """Number of missing decoders when no more can be loaded: utterances have to end early."""
        return 0 if self._unloaded else self._missing()

    def _spare(self) -> dict[int, float]:
        """Unused decoders that may be unloaded, with the time since when; one decoder always stays."""
        return self._free if len(self._free) + len(self._loading) + len(self._owners) > 1 else {}

    def _idle_queues(self) -> Iterator[SessionQueue[ItemT]]:
        return (queue for queue in self._owners.values() if queue.running is None and not queue.steps)

    def _run(self) -> RunStep[ItemT] | None:
        if self._running >= self._slots:
            return None
        for queue in self._waiting:
            new_utterance = queue.decoder is None
            if new_utterance and not self._free:
                continue
            decoder = self._take(queue) if queue.decoder is None else queue.decoder
            self._waiting.remove(queue)
            step = self._cut(queue) or queue.steps.popleft()
            if not step.in_progress:
                queue.utterance_s += step.seconds
            queue.running, queue.holds_slot, queue.item = step, True, step.item
            self._running += 1
            return RunStep(decoder, queue, step, new_utterance)
        return None

    def _take(self, queue: SessionQueue[ItemT]) -> int:
        # The lowest number first, so that decoders with high numbers stay unused and can be unloaded.
        decoder = min(self._free)
        del self._free[decoder]
        self._owners[decoder] = queue
        queue.decoder = decoder
        return decoder

    def _cut(self, queue: SessionQueue[ItemT]) -> ItemStep[ItemT] | None:
        """A PAUSE step if the utterance is too long for more audio; else None."""
        step = queue.steps[0]
        at_limit = queue.utterance_s >= (SHARED_S if self._shortage() else LONGEST_S)
        return (
            ItemStep(step.item, StepKind.PAUSE)
            if at_limit and step.kind is StepKind.SOUND and not step.in_progress
            else None
        )

    def _end_step(self, queue: SessionQueue[ItemT]) -> ItemStep[ItemT]:
        step, queue.running = queue.running, None
        assert step is not None  # noqa: S101 - done() without a running step is a bug of the caller
        self._running -= queue.holds_slot
        queue.holds_slot = False
        return step

    def _release(self, queue: SessionQueue[ItemT], now: float) -> None:
        if queue.decoder is not None:
            del self._owners[queue.decoder]
            self._free[queue.decoder] = now
        queue.decoder, queue.utterance_s, queue.item = None, 0.0, None


def _ends_soon(queue: SessionQueue[Any]) -> bool:
    return any(step is not None and step.kind is not StepKind.SOUND for step in (queue.running, *list(queue.steps)[:1]))


def _may_join(last: ItemStep[ItemT], step: ItemStep[ItemT]) -> bool:
    return (
        last.kind is step.kind is StepKind.SOUND
        and last.item is step.item
        and not last.in_progress
        and last.seconds + step.seconds <= SLICE_S
    )
