"""Pocketsphinx for any number of sessions: a bounded pool of decoder processes, each session in its turn."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.server.recognition.interface import (
    NO_HINTS,
    Hints,
    Hypothesis,
    RecognizerFailed,
    RecognizerSession,
    Transcription,
    Word,
)
from rt_cli.server.recognition.model_threads import default_workers
from rt_cli.server.recognition.pocketsphinx import worker as wire
from rt_cli.server.recognition.pocketsphinx.process import DecoderProcess
from rt_cli.server.recognition.pocketsphinx.schedule import (
    SLICE_S,
    ItemStep,
    LoadDecoder,
    RetireDecoder,
    RunStep,
    Schedule,
    SessionQueue,
    SkipStep,
    StepKind,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEMO_QUALITY = "words by pocketsphinx en-us: demo quality, English only"
DECODERS_PER_WORKER = 4
"""Utterances in progress that share a worker: 0.27 of a core each, at the speed of speech, and 115 MB."""
MAX_WAITING_S = 5.0
"""Audio of a session that may wait for recognition before nobody reads any more."""
OVERDUE_S = 2.0
"""Time after which an unanswered slice lets another run beside it: a process that hangs stops nobody else."""
_KEPT_HYPOTHESES = 64
"""For a client that does not read; older ones are of no use to it."""
_EXIT_S = 1.0
_QUESTIONS = {StepKind.SOUND: wire.AUDIO, StepKind.PAUSE: wire.END, StepKind.FINISH: wire.END, StepKind.DROP: wire.DROP}


class Pocketsphinx:
    """The decoders of a server.

    Args:
        workers: How many decoders may work at once, 1 or more; None: :func:`default_workers`. Up to four times as many
            processes hold the utterances in progress; they are started when they are needed, and go when they are not.
    """

    notice = DEMO_QUALITY
    languages: frozenset[str] | None = frozenset({"en"})

    def __init__(self, workers: int | None = None) -> None:
        at_once = workers or default_workers()
        self._schedule: Schedule[_Transcription] = Schedule(at_once, DECODERS_PER_WORKER * at_once)
        self._decoders: dict[int, DecoderProcess] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._overdue: dict[int, asyncio.TimerHandle] = {}
        self._closed = False

    def warm_up(self) -> None:
        """Start the first process; returns at once."""
        self._load(self._schedule.load_one())

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """A session's share; what is open at the end is abandoned."""
        session = _SphinxEars(self)
        try:
            yield session
        finally:
            session.close()

    async def aclose(self) -> None:
        """End all processes, within a second."""
        self._closed = True
        for timer in (*self._overdue.values(), *([self._alarm] if self._alarm else [])):
            timer.cancel()
        for start in self._starts:
            start.cancel()
        if self._starts:
            await asyncio.wait(self._starts)
        for decoder in self._decoders.values():
            decoder.kill()
        if self._lives:
            await asyncio.wait(self._lives, timeout=_EXIT_S)

    def add(self, lane: SessionQueue[_Transcription], job: ItemStep[_Transcription]) -> None:
        """Put a job behind the others of its session."""
        self._schedule.add(lane, job)
        self._carry_on()

    def forget(self, lane: SessionQueue[_Transcription], item: _Transcription) -> None:
        """Do no more for an item."""
        self._schedule.forget(lane, item)
        self._carry_on()

    def _carry_on(self) -> None:
        """Do all that is to be done now, and come back when time alone brings more."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        while (order := self._schedule.next(loop.time())) is not None:
            match order:
                case RunStep():
                    self._run(order)
                case SkipStep(job):
                    job.item.step_done(job)
                case LoadDecoder():
                    self._load(order)
                case RetireDecoder(number):
                    self._decoders.pop(number).kill()
        if self._alarm is not None:
            self._alarm.cancel()
        again_at = self._schedule.look_again_at()
        self._alarm = None if again_at is None else loop.call_at(again_at, self._carry_on)

    def _run(self, order: RunStep[_Transcription]) -> None:
        decoder, job = self._decoders[order.decoder], order.job
        if order.begins:
            job.item.begin(decoder)
        if job.begun:
            decoder.ask(wire.GO)
        else:
            decoder.ask(_QUESTIONS[job.kind], job.pcm)
        self._overdue[order.decoder] = asyncio.get_running_loop().call_later(OVERDUE_S, self._too_long, order.lane)

    def _too_long(self, lane: SessionQueue[_Transcription]) -> None:
        self._schedule.overdue(lane)
        self._carry_on()

    def _load(self, order: LoadDecoder) -> None:
        task = asyncio.create_task(self._start(order.decoder), name=f"start of decoder {order.decoder}")
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    async def _start(self, number: int) -> None:
        try:
            decoder = await DecoderProcess.start(partial(self._hear, number), partial(self._ended, number))
        except OSError as exc:
            self._lost(number, f"the recogniser's process cannot start: {exc.strerror}")
            return
        self._decoders[number] = decoder
        self._lives.add(decoder.life)
        decoder.life.add_done_callback(self._lives.discard)

    def _hear(self, number: int, kind: bytes, payload: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if kind == wire.READY:
            self._schedule.loaded(number, now)
            self._carry_on()
            return
        lane = self._schedule.holder(number)
        if lane is None or lane.running is None:
            return
        job = lane.running
        self._overdue.pop(number).cancel()
        self._schedule.done(lane, now, again=kind == wire.AGAIN)
        if kind == wire.PARTIAL:
            job.item.partial(payload.decode())
        elif kind == wire.FINAL:
            job.item.utterance(**json.loads(payload))
        if kind != wire.AGAIN:
            job.item.step_done(job)
        self._carry_on()

    def _ended(self, number: int, reason: str) -> None:
        if self._decoders.pop(number, None) is not None:
            self._lost(number, reason)

    def _lost(self, number: int, reason: str) -> None:
        if number in self._overdue:
            self._overdue.pop(number).cancel()
        for item in self._schedule.lost(number, asyncio.get_running_loop().time()):
            item.fail(reason)
        self._carry_on()


class _SphinxEars:
    """What the pool knows of a session, and a voice that any decoder can go on with."""

    def __init__(self, sphinx: Pocketsphinx) -> None:
        self.sphinx = sphinx
        self.lane: SessionQueue[_Transcription] = SessionQueue()
        self.voice: dict[str, Any] | None = None
        self._open: set[_Transcription] = set()
        self._less_waiting = asyncio.Event()

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - it knows English only
        transcription = _Transcription(self, rate_hz)
        self._open.add(transcription)
        return transcription

    async def room(self) -> None:
        """Return once less than 5 s of this session's audio wait."""
        while self.lane.waiting_s >= MAX_WAITING_S:
            self._less_waiting.clear()
            await self._less_waiting.wait()

    def work(self, job: ItemStep[_Transcription]) -> None:
        self.sphinx.add(self.lane, job)

    def progress(self) -> None:
        self._less_waiting.set()

    def done(self, item: _Transcription) -> None:
        self._open.discard(item)

    def close(self) -> None:
        for item in list(self._open):
            item.abandon()


class _Transcription:
    """An item: utterances, one after the other."""

    def __init__(self, session: _SphinxEars, rate_hz: int) -> None:
        self._ears = session
        self._rate_hz = rate_hz
        self._texts: list[str] = []
        self._words: list[Word] = []
        self._read_s = 0.0
        self._began_s = 0.0
        """Where in the audio of the item the present utterance began."""
        self._told: deque[Hypothesis] = deque(maxlen=_KEPT_HYPOTHESES)
        self._news = asyncio.Event()
        self._failure: str | None = None
        self._over = False

    async def feed(self, pcm: bytes) -> None:
        piece = int(SLICE_S * self._rate_hz) * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), piece):
            await self._ears.room()
            part = pcm[start : start + piece]
            self._work(StepKind.SOUND, part, len(part) / BYTES_PER_SAMPLE / self._rate_hz)

    def pause(self) -> None:
        self._work(StepKind.PAUSE)

    def finish(self) -> None:
        self._work(StepKind.FINISH)

    def abandon(self) -> None:
        if not self._over:
            self._end()
            self._ears.sphinx.forget(self._ears.lane, self)

    async def hypotheses(self) -> AsyncIterator[Hypothesis]:
        while True:
            while self._told:
                hypothesis = self._told.popleft()
                yield hypothesis
                if hypothesis.final:
                    return
            if self._failure is not None:
                raise RecognizerFailed(self._failure)
            self._news.clear()
            await self._news.wait()

    def begin(self, decoder: DecoderProcess) -> None:
        """The pool begins an utterance."""
        self._began_s = self._read_s
        decoder.begin(self._rate_hz, self._ears.voice)

    def partial(self, text: str) -> None:
        """The pool knows the present utterance's text so far."""
        if not self._over:
            self._tell(Hypothesis(self._text(text)))

    def utterance(self, text: str, words: list[tuple[str, float, float]], voice: dict[str, Any]) -> None:
        """The pool knows all of an utterance."""
        self._ears.voice = voice
        self._texts.append(text)
        self._words += [Word(word, self._began_s + start, self._began_s + end) for word, start, end in words]

    def step_done(self, job: ItemStep[_Transcription]) -> None:
        """The pool has done a job of this item."""
        self._read_s += job.seconds
        self._ears.progress()
        if job.kind is StepKind.FINISH and not self._over:
            self._end()
            self._tell(Hypothesis(self._text(""), final=True, words=tuple(self._words)))

    def fail(self, reason: str) -> None:
        """The pool lost what it knew of this item."""
        if not self._over:
            self._end()
            self._failure = reason
            self._news.set()

    def _work(self, kind: StepKind, pcm: bytes = b"", seconds: float = 0.0) -> None:
        if not self._over:
            self._ears.work(ItemStep(self, kind, pcm, seconds))

    def _end(self) -> None:
        self._over = True
        self._ears.done(self)
        self._ears.progress()

    def _text(self, last: str) -> str:
        return " ".join(text for text in (*self._texts, last) if text)

    def _tell(self, hypothesis: Hypothesis) -> None:
        self._told.append(hypothesis)
        self._news.set()
