"""Runs a streamer inside a test: sound from memory, events in a list, the ledger looked at with each of them."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rt_cli.audio.source import Block, SourceInfo
from rt_cli.clock import SystemClock
from rt_cli.events import Dropped, Failed, Final, Partial, Progress, SessionChanged, Summary, Warned, Withdrawn
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import DeliverySettings, EndpointSettings, SessionSettings, Settings
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer
from rt_cli.timeline.tape import MEMORY_S
from tests.exact import ExactDetector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.source import Source
    from rt_cli.events import Event
    from rt_cli.settings import TurnDetection

RATE = 24_000
_BLOCK = RATE  # bytes: half a second


class MemorySource:
    """Sound that is all there, as a file's or, with ``live``, at real time times ``speed`` like a microphone's."""

    def __init__(self, pcm: bytes, *, live: bool = False, speed: float = 1.0) -> None:
        self.info = SourceInfo("memory", "microphone" if live else "file", live, RATE, 1, len(pcm) / 2 / RATE)
        self._pcm = pcm
        self._speed = speed
        self._stopped = asyncio.Event()

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield it."""
        size = RATE // 25 * 2 if self.info.live else _BLOCK
        began = asyncio.get_running_loop().time()
        for at in range(0, len(self._pcm), size):
            if self._stopped.is_set():
                return
            if self.info.live:
                due = began + (at + size) / 2 / RATE / self._speed
                await asyncio.sleep(due - asyncio.get_running_loop().time())
            yield Block(self._pcm[at : at + size])

    def stop(self) -> None:
        """End it."""
        self._stopped.set()

    async def aclose(self) -> None:
        """Nothing to let go of."""


@dataclass
class Run:
    """What a run said."""

    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each was told, seconds of the event loop."""
    ended: Summary | None = None

    @property
    def summary(self) -> Summary:
        """Of a run that is over."""
        assert self.ended is not None
        return self.ended

    @property
    def finals(self) -> list[Final]:
        """In the order they were told."""
        return [each for each in self.events if isinstance(each, Final)]

    @property
    def dropped(self) -> list[Dropped]:
        """In the order they were told."""
        return [each for each in self.events if isinstance(each, Dropped)]

    @property
    def warnings(self) -> list[str]:
        """Their codes, in the order they were told."""
        return [each.code for each in self.events if isinstance(each, Warned)]

    @property
    def states(self) -> list[str]:
        """Of the session."""
        return [each.state for each in self.events if isinstance(each, SessionChanged)]

    def when(self, state: str, nth: int = 0) -> float:
        """When a state was told for the n-th time, seconds of the event loop."""
        told = zip(self.times, self.events, strict=True)
        return [at for at, each in told if isinstance(each, SessionChanged) and each.state == state][nth]

    def caught_up_after(self, moment: float, lag_ms: int = 500) -> float:
        """When so little was unacknowledged again for the first time after a moment; both seconds of the event loop."""
        told = zip(self.times, self.events, strict=True)
        return next(at for at, each in told if at > moment and isinstance(each, Progress) and each.lag_ms < lag_ms)

    def check_story(self) -> None:
        """What holds for every run: numbers rise, ranges are apart, no partial is left or too late."""
        told = [each for each in self.events if isinstance(each, Final | Failed)]
        for before, after in itertools.pairwise(told):
            assert before.turn < after.turn
            if not (isinstance(before, Final) and before.approx):
                assert (before.end_ms or 0) <= (after.start_ms or 0)
        shown: set[int] = set()
        over = 0
        for each in self.events:
            match each:
                case Partial(turn):
                    assert turn > over
                    shown.add(turn)
                case Withdrawn(turn):
                    assert turn in shown
                    shown.remove(turn)
                case Final(turn) | Failed(turn):
                    over = turn
                    shown.discard(turn)
        assert not shown or self.summary.exit not in {0, 7}


def settings(**delivery: object) -> Settings:
    """Short patience, and a silence that exact speech has between its turns."""
    given = {"speed": float("inf"), "connect_timeout_s": 5.0, "drain_timeout_s": 3.0} | delivery
    return Settings(
        delivery=DeliverySettings(**given),  # type: ignore[arg-type]
        session=SessionSettings(silence_ms=200, prefix_ms=0, turn_detection="server_vad"),
    )


def make_streamer(
    run: Run, url: str, source: Source, chosen: Settings | None = None, *, memory_s: float = MEMORY_S
) -> Streamer:
    """A streamer to a URL; what it observes goes into ``run``."""
    chosen = chosen or settings()
    endpoint = resolve(EndpointSettings(url=url, model="whisper-1"), url, None)
    turns = chosen.session.turn_detection or "server_vad"
    session = endpoint.dialect.session(chosen.session, endpoint.model, turns)

    async def opened(*_: object) -> Source:
        return source

    job = Job("memory", opened, endpoint, turns, session, chosen, ExactDetector, memory_s=memory_s)
    bounded = source.info.live and chosen.delivery.on_full == "drop-oldest" and not chosen.input.gate

    def on_event(event: Event) -> None:
        tape = streamer._tape
        assert tape.captured >= tape.sent >= tape.acknowledged >= tape.settled
        assert tape.ledger().balanced
        assert not bounded or tape.ledger().waiting <= memory_s * RATE
        run.times.append(asyncio.get_running_loop().time())
        run.events.append(event)

    streamer = Streamer(job, SystemClock(), on_event, progress=True)
    return streamer


async def stream(url: str, source: Source, chosen: Settings | None = None) -> Run:
    """Run a streamer to its end."""
    run = Run()
    run.ended = await make_streamer(run, url, source, chosen).run()
    run.check_story()
    return run


def with_turns(chosen: Settings, turns: TurnDetection) -> Settings:
    """The same settings with other turn detection."""
    return replace(chosen, session=replace(chosen.session, turn_detection=turns))
