"""Which session is recognised next, and with which decoder. Pure.

Sessions take turns, one slice of at most 200 ms each: whoever has something to recognise waits for at most one slice of
every other session, however much those have waiting. An utterance in progress keeps its decoder, since its state cannot
be moved; between utterances any decoder will do. While sessions wait for a decoder, utterances of others are ended
early: those in which nothing happens, and those that had :data:`SHARED_S` already, at the cost of a word.
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
"""A decoder's memory and its last step grow with an utterance: a longer one is cut, at the cost of a word."""
SHARED_S = 5.0
"""An utterance as long as this is cut where somebody waits for a decoder."""
QUIET_S = 1.0
"""An utterance without new audio for as long as this is ended where somebody waits for a decoder."""
SPARE_S = 60.0
"""A decoder that is not the only one goes when nobody has used it for as long as this."""
RETRY_S = 10.0
"""Pause before another decoder is loaded after one could not be, while there are others."""

ItemT = TypeVar("ItemT")


class StepKind(Enum):
    """What a job asks for."""

    SOUND = auto()
    PAUSE = auto()
    """End the utterance; the item goes on."""
    FINISH = auto()
    """End the utterance and the item."""
    DROP = auto()
    """End the utterance; nobody wants to know."""


@dataclass(slots=True, eq=False)
class ItemStep(Generic[ItemT]):
    """A step of an item, at most :data:`SLICE_S` of sound in it."""

    item: ItemT
    kind: StepKind
    pcm: bytes = b""
    seconds: float = 0.0
    begun: bool = False
    """Its decoder needs further steps for it."""


@dataclass(slots=True, eq=False)
class SessionQueue(Generic[ItemT]):
    """One session: its jobs, in their order."""

    jobs: deque[ItemStep[ItemT]] = field(default_factory=deque)
    running: ItemStep[ItemT] | None = None
    waiting_s: float = 0.0
    """Seconds of sound that are not recognised yet."""
    decoder: int | None = None
    item: ItemT | None = None
    """Whose utterance the decoder is in."""
    spoken_s: float = 0.0
    """Sound in that utterance so far."""
    quiet_since: float = 0.0
    counted: bool = False
    """Whether what is running holds one of the places."""


@dataclass(frozen=True, slots=True)
class RunStep(Generic[ItemT]):
    """Give a job to a decoder; :meth:`Schedule.done` is due."""

    decoder: int
    lane: SessionQueue[ItemT]
    job: ItemStep[ItemT]
    begins: bool
    """An utterance begins with it."""


@dataclass(frozen=True, slots=True)
class SkipStep(Generic[ItemT]):
    """A job is done without a decoder: there was no utterance to end."""

    job: ItemStep[ItemT]


@dataclass(frozen=True, slots=True)
class LoadDecoder:
    """Load a decoder; :meth:`Schedule.loaded` or :meth:`Schedule.lost` is due."""

    decoder: int


@dataclass(frozen=True, slots=True)
class RetireDecoder:
    """Unload a decoder, which is forgotten already."""

    decoder: int


class Schedule(Generic[ItemT]):
    """Decides; whoever carries it out calls :meth:`next` after every change until it returns None.

    Args:
        places: How many jobs may run at once, 1 or more.
        decoders: How many decoders there may be, 1 or more.
    """

    def __init__(self, places: int, decoders: int) -> None:
        self._places = places
        self._cold = set(range(decoders))
        self._loading: set[int] = set()
        self._free: dict[int, float] = {}
        """Decoders that nobody uses, and since when."""
        self._holders: dict[int, SessionQueue[ItemT]] = {}
        self._turn: deque[SessionQueue[ItemT]] = deque()
        """Lanes with a job that is not running, the longest waiting first."""
        self._running = 0
        self._load_again_at = 0.0

    def holder(self, decoder: int) -> SessionQueue[ItemT] | None:
        """Whose utterance a decoder is in."""
        return self._holders.get(decoder)

    def load_one(self) -> LoadDecoder:
        """Load a decoder before anybody needs one; there must be none yet."""
        return self._load(min(self._cold))

    def add(self, lane: SessionQueue[ItemT], job: ItemStep[ItemT]) -> None:
        """Put a job behind the others of its lane; sound joins sound of its item up to a slice."""
        lane.waiting_s += job.seconds
        last = lane.jobs[-1] if lane.jobs else None
        if last is not None and _may_join(last, job):
            last.pcm += job.pcm
            last.seconds += job.seconds
            return
        lane.jobs.append(job)
        self._queue(lane)

    def forget(self, lane: SessionQueue[ItemT], item: ItemT) -> None:
        """Take back all jobs of an item; its utterance ends with the next job of the lane."""
        for job in [job for job in lane.jobs if job.item is item]:
            lane.jobs.remove(job)
            lane.waiting_s -= job.seconds
        if lane.item is item and lane.decoder is not None:
            lane.jobs.appendleft(ItemStep(item, StepKind.DROP))
            self._queue(lane)
        elif not lane.jobs and lane in self._turn:
            self._turn.remove(lane)

    def next(self, now: float) -> RunStep[ItemT] | SkipStep[ItemT] | LoadDecoder | RetireDecoder | None:
        """The next thing to do at ``now`` (s), if there is any."""
        for lane in self._turn:
            if lane.decoder is None and lane.jobs[0].kind is not StepKind.SOUND:
                return SkipStep(self._without_decoder(lane))
        return self._more_or_fewer_decoders(now) or self._run()

    def look_again_at(self) -> float | None:
        """When :meth:`next` may have something to do although nothing changed."""
        times = [since + SPARE_S for since in self._spare().values()]
        if self._short():
            times += [lane.quiet_since + QUIET_S for lane in self._quiet()]
        return min(times, default=None)

    def done(self, lane: SessionQueue[ItemT], now: float, *, again: bool = False) -> None:
        """What a lane was running is complete, or goes on (``again``) with its next turn."""
        job = self._stopped(lane)
        lane.quiet_since = now
        if again and not (lane.jobs and lane.jobs[0].kind is StepKind.DROP):
            job.begun = True
            lane.jobs.appendleft(job)
        else:
            lane.waiting_s -= job.seconds
            if not again and job.kind is not StepKind.SOUND:
                self._release(lane, now)
        if lane.jobs:
            self._queue(lane)

    def overdue(self, lane: SessionQueue[ItemT]) -> None:
        """What a lane is running takes too long: it makes room for others to run beside it."""
        self._running -= lane.counted
        lane.counted = False

    def loaded(self, decoder: int, now: float) -> None:
        """A decoder is ready."""
        self._loading.discard(decoder)
        self._free[decoder] = now

    def lost(self, decoder: int, now: float) -> list[ItemT]:
        """A decoder is gone, or could not be loaded; returns the items that failed with it and forgets them.

        Those that wait for a decoder fail only where none is left and none can be loaded.
        """
        unloadable = decoder in self._loading
        self._loading.discard(decoder)
        self._free.pop(decoder, None)
        self._cold.add(decoder)
        lane = self._holders.pop(decoder, None)
        failed = [] if lane is None else self._fail(lane)
        if unloadable:
            self._load_again_at = now + RETRY_S
            while not self._usable and (stranded := self._stranded()):
                failed += [self._forget_next(lane) for lane in stranded]
        return failed

    @property
    def _usable(self) -> bool:
        """Whether any decoder is there or on its way."""
        return bool(self._loading or self._free or self._holders)

    def _stranded(self) -> list[SessionQueue[ItemT]]:
        """The lanes that wait for a decoder, in the order of their turns."""
        return [lane for lane in self._turn if lane.decoder is None and lane.jobs[0].kind is StepKind.SOUND]

    def _fail(self, lane: SessionQueue[ItemT]) -> list[ItemT]:
        """Take the lane's utterance from it."""
        item, lane.item, lane.decoder, lane.spoken_s = lane.item, None, None, 0.0
        if lane.running is not None:
            lane.waiting_s -= self._stopped(lane).seconds
        if item is not None:
            self.forget(lane, item)
        if lane.jobs:
            self._queue(lane)
        return [] if item is None else [item]

    def _forget_next(self, lane: SessionQueue[ItemT]) -> ItemT:
        item = lane.jobs[0].item
        self.forget(lane, item)
        return item

    def _queue(self, lane: SessionQueue[ItemT]) -> None:
        if lane.running is None and lane not in self._turn:
            self._turn.append(lane)

    def _without_decoder(self, lane: SessionQueue[ItemT]) -> ItemStep[ItemT]:
        job = lane.jobs.popleft()
        if not lane.jobs:
            self._turn.remove(lane)
        return job

    def _more_or_fewer_decoders(self, now: float) -> LoadDecoder | RetireDecoder | None:
        wanted = self._wanted()
        # One after the other: loading takes a second of a core from those who are being recognised.
        if wanted and self._cold and not self._loading and (now >= self._load_again_at or not self._usable):
            return self._load(min(self._cold))
        for lane in sorted(self._quiet(), key=lambda lane: lane.quiet_since)[: self._short()]:
            if now - lane.quiet_since >= QUIET_S and lane.item is not None:
                lane.jobs.append(ItemStep(lane.item, StepKind.PAUSE))
                self._queue(lane)
        for decoder, since in self._spare().items():
            if now - since >= SPARE_S:
                del self._free[decoder]
                self._cold.add(decoder)
                return RetireDecoder(decoder)
        return None

    def _load(self, decoder: int) -> LoadDecoder:
        self._cold.remove(decoder)
        self._loading.add(decoder)
        return LoadDecoder(decoder)

    def _wanted(self) -> int:
        """Decoders that are missing and not on their way."""
        ending = sum(_ends_soon(lane) for lane in self._holders.values())
        return max(0, len(self._stranded()) - len(self._free) - len(self._loading) - ending)

    def _short(self) -> int:
        """Decoders that are missing and will not come: utterances must make room."""
        return 0 if self._cold else self._wanted()

    def _spare(self) -> dict[int, float]:
        """The decoders that could go, and since when nobody uses them: one always stays."""
        return self._free if len(self._free) + len(self._loading) + len(self._holders) > 1 else {}

    def _quiet(self) -> Iterator[SessionQueue[ItemT]]:
        return (lane for lane in self._holders.values() if lane.running is None and not lane.jobs)

    def _run(self) -> RunStep[ItemT] | None:
        if self._running >= self._places:
            return None
        for lane in self._turn:
            begins = lane.decoder is None
            if begins and not self._free:
                continue
            decoder = self._take(lane) if lane.decoder is None else lane.decoder
            self._turn.remove(lane)
            job = self._cut(lane) or lane.jobs.popleft()
            if not job.begun:
                lane.spoken_s += job.seconds
            lane.running, lane.counted, lane.item = job, True, job.item
            self._running += 1
            return RunStep(decoder, lane, job, begins)
        return None

    def _take(self, lane: SessionQueue[ItemT]) -> int:
        # The longest in use first, so that spare ones stay spare.
        decoder = min(self._free)
        del self._free[decoder]
        self._holders[decoder] = lane
        lane.decoder = decoder
        return decoder

    def _cut(self, lane: SessionQueue[ItemT]) -> ItemStep[ItemT] | None:
        """The end of an utterance that had enough, before more sound of it."""
        job = lane.jobs[0]
        enough = lane.spoken_s >= (SHARED_S if self._short() else LONGEST_S)
        return ItemStep(job.item, StepKind.PAUSE) if enough and job.kind is StepKind.SOUND and not job.begun else None

    def _stopped(self, lane: SessionQueue[ItemT]) -> ItemStep[ItemT]:
        job, lane.running = lane.running, None
        assert job is not None  # noqa: S101 - an answer without a question would be a bug of the caller
        self._running -= lane.counted
        lane.counted = False
        return job

    def _release(self, lane: SessionQueue[ItemT], now: float) -> None:
        if lane.decoder is not None:
            del self._holders[lane.decoder]
            self._free[lane.decoder] = now
        lane.decoder, lane.spoken_s, lane.item = None, 0.0, None


def _ends_soon(lane: SessionQueue[Any]) -> bool:
    return any(job is not None and job.kind is not StepKind.SOUND for job in (lane.running, *list(lane.jobs)[:1]))


def _may_join(last: ItemStep[ItemT], job: ItemStep[ItemT]) -> bool:
    return (
        last.kind is job.kind is StepKind.SOUND
        and last.item is job.item
        and not last.begun
        and last.seconds + job.seconds <= SLICE_S
    )
