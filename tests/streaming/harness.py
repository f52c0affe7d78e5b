"""Runs a streamer inside a test: audio from memory, events in a list, the ledger checked with each event."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rt_cli.audio.source import Block, SourceInfo
from rt_cli.clock import SystemClock
from rt_cli.events import (
    Dropped,
    Failed,
    Final,
    Partial,
    Progress,
    SessionChanged,
    SpeechBegan,
    SpeechEnded,
    Summary,
    Warned,
    Withdrawn,
)
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
BLOCK = RATE  # bytes: half a second


class MemorySource:
    """Audio in memory: available at once like a file, or with ``live`` at ``speed`` times real time."""

    def __init__(self, pcm: bytes, *, live: bool = False, speed: float = 1.0) -> None:
        self.info = SourceInfo("memory", "microphone" if live else "file", live, RATE, 1, len(pcm) / 2 / RATE)
        self._pcm = pcm
        self._speed = speed
        self._stopped = asyncio.Event()

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio."""
        size = RATE // 25 * 2 if self.info.live else BLOCK
        began = asyncio.get_running_loop().time()
        for at in range(0, len(self._pcm), size):
            if self._stopped.is_set():
                return
            if self.info.live:
                due = began + (at + size) / 2 / RATE / self._speed
                await asyncio.sleep(due - asyncio.get_running_loop().time())
            yield Block(self._pcm[at : at + size])

    def stop(self) -> None:
        """End the source."""
        self._stopped.set()

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass
class Run:
    """The events of a run."""

    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """Time of each event, seconds of the event loop."""
    ended: Summary | None = None

    @property
    def summary(self) -> Summary:
        """The summary of a run that has ended."""
        assert self.ended is not None
        return self.ended

    @property
    def finals(self) -> list[Final]:
        """The finals in order of reports."""
        return [each for each in self.events if isinstance(each, Final)]

    @property
    def dropped(self) -> list[Dropped]:
        """The drops in order of reports."""
        return [each for each in self.events if isinstance(each, Dropped)]

    @property
    def warnings(self) -> list[str]:
        """Codes of the warnings in order of reports."""
        return [each.code for each in self.events if isinstance(each, Warned)]

    @property
    def states(self) -> list[str]:
        """The states of the session in order of reports."""
        return [each.state for each in self.events if isinstance(each, SessionChanged)]

    def when(self, state: str, nth: int = 0) -> float:
        """Time of the n-th report of a state, seconds of the event loop."""
        timed = zip(self.times, self.events, strict=True)
        return [at for at, each in timed if isinstance(each, SessionChanged) and each.state == state][nth]

    def caught_up_after(self, moment: float, lag_ms: int = 500) -> float:
        """First time after a moment with so little unacknowledged audio; both in seconds of the event loop."""
        timed = zip(self.times, self.events, strict=True)
        return next(at for at, each in timed if at > moment and isinstance(each, Progress) and each.lag_ms < lag_ms)

    def check_story(self) -> None:
        """Check rules of every run: numbers rise, ranges do not overlap, no partial is left over or too late.

        So it is with the speech of a turn, which stands for it as a partial does.
        """
        turns = [each for each in self.events if isinstance(each, Final | Failed)]
        for before, after in itertools.pairwise(turns):
            assert before.turn < after.turn
            if not (isinstance(before, Final) and before.approx):
                assert (before.end_ms or 0) <= (after.start_ms or 0)
        shown: set[int] = set()
        over = 0
        for each in self.events:
            match each:
                case Partial(turn) | SpeechBegan(turn):
                    assert turn > over
                    shown.add(turn)
                case SpeechEnded(turn):
                    assert turn in shown
                case Withdrawn(turn):
                    assert turn in shown
                    shown.remove(turn)
                case Final(turn) | Failed(turn):
                    over = turn
                    shown.discard(turn)
        assert not shown or self.summary.exit not in {0, 7}


def settings(**delivery: object) -> Settings:
    """Short timeouts, and a turn silence that fits the test speech."""
    options = {"speed": float("inf"), "connect_timeout_s": 5.0, "drain_timeout_s": 3.0} | delivery
    return Settings(
        delivery=DeliverySettings(**options),  # type: ignore[arg-type]
        session=SessionSettings(silence_ms=200, prefix_ms=0, turn_detection="server_vad"),
    )


def make_streamer(
    run: Run, url: str, source: Source | Exception, chosen: Settings | None = None, *, memory_s: float = MEMORY_S
) -> Streamer:
    """A streamer to a URL; its events go to ``run``. A source that is an exception is raised when it is opened."""
    chosen = chosen or settings()
    translates = chosen.session.translate is not None
    endpoint = resolve(EndpointSettings(url=url, model="whisper-1"), url, None, conversation=translates)
    if translates:
        endpoint = endpoint.translating(None)
    turns = chosen.session.turn_detection or "server_vad"
    session = endpoint.dialect.request(chosen.session, endpoint.model, turns, embedded=False)
    if translates:
        session = endpoint.request(chosen.session, None)
        endpoint = endpoint.with_query(session.query)

    async def opened(*_: object) -> Source:
        if isinstance(source, Exception):
            raise source
        return source

    job = Job("memory", opened, endpoint, session, chosen, ExactDetector, memory_s=memory_s)
    live = not isinstance(source, Exception) and source.info.live
    bounded = live and chosen.delivery.on_full == "drop-oldest" and not chosen.input.gate

    def on_event(event: Event) -> None:
        tape = streamer.tape
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
