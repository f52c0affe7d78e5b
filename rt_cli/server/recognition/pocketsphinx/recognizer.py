"""Pocketsphinx for any number of sessions: a limited pool of decoder processes that sessions use in turn."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.server.recognition.base.hypothesis_queue import HypothesisQueue
from rt_cli.server.recognition.base.model_threads import default_workers
from rt_cli.server.recognition.interface import (
    NO_HINTS,
    Hints,
    Hypothesis,
    Recognizer,
    RecognizerSession,
    Transcription,
)
from rt_cli.server.recognition.null import NullRecognizer
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
from rt_cli.server.recognition.registry import unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEMO_QUALITY = "words by pocketsphinx en-us: demo quality, English only"
DECODERS_PER_WORKER = 4
"""Decoder processes per worker. In real time, each uses 0.27 of a core and 115 MB."""
MAX_WAITING_S = 5.0
"""Unrecognised audio of a session at which :meth:`Transcription.feed` waits."""
OVERDUE_S = 2.0
"""A step without answer for this long releases its slot, so that a hanging process does not block other sessions."""
_EXIT_S = 1.0
_QUESTIONS = {StepKind.SOUND: wire.AUDIO, StepKind.PAUSE: wire.END, StepKind.FINISH: wire.END, StepKind.DROP: wire.DROP}


_ANSWERS = {wire.ACK, wire.PARTIAL, wire.FINAL, wire.AGAIN}


class _Final(msgspec.Struct):
    """The result of an utterance, as the process sends it."""

    text: str
    voice: dict[str, Any]


@asynccontextmanager
async def open_pocketsphinx(workers: int | None = None) -> AsyncIterator[Recognizer]:
    """Open a pool of decoders, which ends with the block; without pocketsphinx, a recogniser without words.

    Args:
        workers: See :class:`Pocketsphinx`.
    """
    if (reason := unavailable()) is not None:
        yield NullRecognizer(reason)
        return
    sphinx = Pocketsphinx(workers)
    try:
        sphinx.warm_up()
        yield sphinx
    finally:
        await sphinx.aclose()


class Pocketsphinx:
    """The recogniser of a server, with a pool of decoder processes.

    Args:
        workers: Decoders that run at once, 1 or more; None: :func:`default_workers`. Up to four times as many
            processes hold utterances in progress. Processes start on demand and end when they are unused.
    """

    notice = DEMO_QUALITY
    languages: frozenset[str] | None = frozenset({"en"})

    def __init__(self, workers: int | None = None) -> None:
        at_once = workers or default_workers()
        self._schedule: Schedule[_Transcription] = Schedule(at_once, DECODERS_PER_WORKER * at_once)
        self._decoders: dict[int, DecoderProcess] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._start_tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._overdue: dict[int, asyncio.TimerHandle] = {}
        self._closed = False

    def warm_up(self) -> None:
        """Start the first process; returns at once."""
        self._load(self._schedule.load_one())

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """Open the recogniser for one session; the end of the block abandons open items."""
        session = _SphinxSession(self)
        try:
            yield session
        finally:
            session.close()

    async def aclose(self) -> None:
        """End all processes, within a second."""
        self._closed = True
        for timer in (*self._overdue.values(), *([self._timer] if self._timer else [])):
            timer.cancel()
        for start in self._start_tasks:
            start.cancel()
        if self._start_tasks:
            await asyncio.wait(self._start_tasks)
        for decoder in self._decoders.values():
            decoder.kill()
        if self._readers:
            await asyncio.wait(self._readers, timeout=_EXIT_S)

    def add(self, queue: SessionQueue[_Transcription], step: ItemStep[_Transcription]) -> None:
        """Append a step to the queue of its session."""
        self._schedule.add(queue, step)
        self._run_schedule()

    def forget(self, queue: SessionQueue[_Transcription], item: _Transcription) -> None:
        """Remove all steps of an item."""
        self._schedule.forget(queue, item)
        self._run_schedule()

    def _run_schedule(self) -> None:
        """Execute all commands that the schedule has now, and set a timer for the next time-based command."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        while (command := self._schedule.next(loop.time())) is not None:
            match command:
                case RunStep():
                    self._run(command)
                case SkipStep(step):
                    step.item.step_done(step)
                case LoadDecoder():
                    self._load(command)
                case RetireDecoder(number):
                    self._decoders.pop(number).kill()
        if self._timer is not None:
            self._timer.cancel()
        at = self._schedule.next_check_at()
        self._timer = None if at is None else loop.call_at(at, self._run_schedule)

    def _run(self, command: RunStep[_Transcription]) -> None:
        decoder, step = self._decoders[command.decoder], command.step
        if command.new_utterance:
            step.item.begin(decoder)
        if step.in_progress:
            decoder.ask(wire.GO)
        else:
            decoder.ask(_QUESTIONS[step.kind], step.pcm)
        self._overdue[command.decoder] = asyncio.get_running_loop().call_later(
            OVERDUE_S, self._on_overdue, command.queue
        )

    def _on_overdue(self, queue: SessionQueue[_Transcription]) -> None:
        self._schedule.overdue(queue)
        self._run_schedule()

    def _load(self, command: LoadDecoder) -> None:
        task = asyncio.create_task(self._start(command.decoder), name=f"start of decoder {command.decoder}")
        self._start_tasks.add(task)
        task.add_done_callback(self._start_tasks.discard)

    async def _start(self, number: int) -> None:
        try:
            decoder = await DecoderProcess.start(partial(self._on_answer, number), partial(self._on_end, number))
        except OSError as exc:
            self._on_lost(number, f"the recogniser's process cannot start: {exc.strerror}")
            return
        self._decoders[number] = decoder
        self._readers.add(decoder.reader)
        decoder.reader.add_done_callback(self._readers.discard)

    def _on_answer(self, number: int, kind: bytes, payload: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if kind == wire.READY:
            self._schedule.loaded(number, now)
            self._run_schedule()
            return
        queue = self._schedule.owner(number)
        if queue is None or queue.running is None:
            return
        step = queue.running
        # Read the payload first: a wrong one raises, and the step then fails with the process.
        text = payload.decode() if kind == wire.PARTIAL else ""
        final = msgspec.json.decode(payload, type=_Final) if kind == wire.FINAL else None
        if kind not in _ANSWERS:
            raise ValueError(kind)
        self._overdue.pop(number).cancel()
        self._schedule.done(queue, now, again=kind == wire.AGAIN)
        if kind == wire.PARTIAL:
            step.item.partial(text)
        elif final is not None:
            step.item.utterance(final)
        if kind != wire.AGAIN:
            step.item.step_done(step)
        self._run_schedule()

    def _on_end(self, number: int, reason: str) -> None:
        if self._decoders.pop(number, None) is not None:
            self._on_lost(number, reason)

    def _on_lost(self, number: int, reason: str) -> None:
        if number in self._overdue:
            self._overdue.pop(number).cancel()
        for item in self._schedule.lost(number, asyncio.get_running_loop().time()):
            item.fail(reason)
        self._run_schedule()


class _SphinxSession:
    """The pool's side of a session: its queue, and the voice data with which any decoder can continue."""

    def __init__(self, sphinx: Pocketsphinx) -> None:
        self.sphinx = sphinx
        self.queue: SessionQueue[_Transcription] = SessionQueue()
        self.voice: dict[str, Any] | None = None
        self._open: set[_Transcription] = set()
        self._room = asyncio.Event()

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - it knows English only
        transcription = _Transcription(self, rate_hz)
        self._open.add(transcription)
        return transcription

    async def wait_for_room(self) -> None:
        """Wait until less than 5 s of this session's audio are unrecognised."""
        while self.queue.waiting_s >= MAX_WAITING_S:
            self._room.clear()
            await self._room.wait()

    def add_step(self, step: ItemStep[_Transcription]) -> None:
        self.sphinx.add(self.queue, step)

    def notify_room(self) -> None:
        self._room.set()

    def done(self, item: _Transcription) -> None:
        self._open.discard(item)

    def close(self) -> None:
        for item in list(self._open):
            item.abandon()


class _Transcription:
    """The recognition of an item: a sequence of utterances."""

    def __init__(self, session: _SphinxSession, rate_hz: int) -> None:
        self._session = session
        self._rate_hz = rate_hz
        self._texts: list[str] = []
        self._recognised_s = 0.0
        self._queue = HypothesisQueue()
        self.hypotheses = self._queue.hypotheses
        self._closed = False

    async def feed(self, pcm: bytes) -> None:
        piece = int(SLICE_S * self._rate_hz) * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), piece):
            await self._session.wait_for_room()
            part = pcm[start : start + piece]
            self._add_step(StepKind.SOUND, part, len(part) / BYTES_PER_SAMPLE / self._rate_hz)

    def pause(self) -> None:
        self._add_step(StepKind.PAUSE)

    def finish(self) -> None:
        self._add_step(StepKind.FINISH)

    def abandon(self) -> None:
        if not self._closed:
            self._end()
            self._session.sphinx.forget(self._session.queue, self)

    def begin(self, decoder: DecoderProcess) -> None:
        """Called by the pool when a decoder starts an utterance."""
        decoder.begin(self._rate_hz, self._session.voice)

    def partial(self, text: str) -> None:
        """Called by the pool with the text of the current utterance so far."""
        if not self._closed:
            self._queue.put(Hypothesis(self._text(text), heard_s=self._recognised_s))

    def utterance(self, final: _Final) -> None:
        """Called by the pool with the complete text of an utterance."""
        self._session.voice = final.voice
        self._texts.append(final.text)

    def step_done(self, step: ItemStep[_Transcription]) -> None:
        """Called by the pool when a step of this item is done."""
        self._recognised_s += step.seconds
        self._session.notify_room()
        if step.kind is StepKind.FINISH and not self._closed:
            self._end()
            self._queue.put(Hypothesis(self._text(""), final=True))

    def fail(self, reason: str) -> None:
        """Called by the pool when the decoder of this item is lost."""
        if not self._closed:
            self._end()
            self._queue.fail(reason)

    def _add_step(self, kind: StepKind, pcm: bytes = b"", seconds: float = 0.0) -> None:
        if not self._closed:
            self._session.add_step(ItemStep(self, kind, pcm, seconds))

    def _end(self) -> None:
        self._closed = True
        self._session.done(self)
        self._session.notify_room()

    def _text(self, last: str) -> str:
        return " ".join(text for text in (*self._texts, last) if text)
