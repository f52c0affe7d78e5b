"""Pocketsphinx in processes of its own: one per session that has something to recognise, the first kept warm."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.local import worker as wire
from rt_cli.local.recognizer import (
    DEMO_QUALITY,
    NO_HINTS,
    Ears,
    Hints,
    Hypothesis,
    RecognizerFailed,
    Transcription,
    Wordless,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_WAITING_S = 5.0
"""Audio that may wait for recognition before nobody reads any more."""
ANSWER_S = 20.0
"""Longest silence of a process that owes an answer, loading the model included."""
_PIECE_S = 0.2
_KEPT_HYPOTHESES = 64
"""For a client that does not read; older ones are of no use to it."""
_EXIT_S = 1.0
_LOG = logging.getLogger("rt.local")


class Sphinx:
    """The processes of a server."""

    notice = DEMO_QUALITY
    languages: frozenset[str] | None = frozenset({"en"})

    def __init__(self) -> None:
        self._idle: _Worker | None = None
        self._workers: set[_Worker] = set()
        self._starting = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None

    def warm_up(self) -> None:
        """Start the first process; returns at once."""
        self._warming = asyncio.create_task(self._keep_one(), name="recogniser warm-up")

    @asynccontextmanager
    async def ears(self) -> AsyncIterator[Ears]:
        """A session's share: a process from its first item on."""
        ears = _SphinxEars(self)
        try:
            yield ears
        finally:
            if ears.worker is not None:
                self._give_back(ears.worker)

    async def take(self) -> _Worker:
        """A process that nobody uses, the warm one if there is one. Safe to cancel."""
        async with self._starting:
            worker, self._idle = self._idle, None
            if worker is None or not worker.alive:
                worker = await self._start()
        worker.reset()
        return worker

    async def aclose(self) -> None:
        """End all processes, within a second."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        for worker in self._workers:
            worker.kill()
        if self._workers:
            await asyncio.wait([worker.life for worker in self._workers], timeout=_EXIT_S)

    async def _keep_one(self) -> None:
        async with self._starting:
            with suppress(OSError):  # the first item will meet it again, and tell
                self._idle = await self._start()

    async def _start(self) -> _Worker:
        # -P: the working directory is no place for modules. A group of its own: the terminal's Ctrl-C is not for it.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(Path(wire.__file__))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        worker = _Worker(process)
        self._workers.add(worker)
        worker.life.add_done_callback(lambda _: self._workers.discard(worker))
        return worker

    def _give_back(self, worker: _Worker) -> None:
        if self._idle is None and worker.alive and not worker.busy:
            self._idle = worker
        else:
            worker.kill()


class _SphinxEars:
    def __init__(self, sphinx: Sphinx) -> None:
        self.worker: _Worker | None = None
        self._sphinx = sphinx

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - it knows English only
        if self.worker is None or not self.worker.alive:
            try:
                self.worker = await self._sphinx.take()
            except OSError as exc:
                return Wordless(failure=f"the recogniser's process cannot start: {exc.strerror}")
        return self.worker.open(rate_hz)


class _Worker:
    """Our end of one process; it answers in order, so the oldest open item owns the next answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None  # noqa: S101 - it was asked for; narrows the type
        assert process.stdout is not None  # noqa: S101 - same
        self._process = process
        self._questions = process.stdin
        self._answers = process.stdout
        self._open: deque[_Transcription] = deque()
        self._owed: deque[float] = deque()
        """Seconds of audio behind each answer that is due; 0 for a final."""
        self._less_waiting = asyncio.Event()
        self._patience: asyncio.TimerHandle | None = None
        self._reason = "the recogniser's process ended"
        self.alive = True
        self.life = asyncio.create_task(self._live(), name=f"recogniser {process.pid}")

    @property
    def busy(self) -> bool:
        """Whether any item has no final yet."""
        return bool(self._open)

    def reset(self) -> None:
        """Another session begins."""
        self._write(wire.RESET)

    def open(self, rate_hz: int) -> _Transcription:
        transcription = _Transcription(self, rate_hz)
        self._open.append(transcription)
        self._write(wire.OPEN, str(rate_hz).encode())
        if not self.alive:
            transcription.fail(self._reason)
        return transcription

    async def room(self) -> None:
        """Return once less than 5 s of audio wait, or the process is gone; a process that hangs is ended."""
        while self.alive and sum(self._owed) >= MAX_WAITING_S:
            self._less_waiting.clear()
            await self._less_waiting.wait()

    def audio(self, pcm: bytes, seconds: float) -> None:
        self._owe(seconds)
        self._write(wire.AUDIO, pcm)

    def pause(self) -> None:
        self._write(wire.PAUSE)

    def finish(self) -> None:
        self._owe(0.0)
        self._write(wire.FINISH)

    def kill(self) -> None:
        """End the process; what is open fails. Nothing in it is worth a farewell."""
        if self.alive:
            self.alive = False
            with suppress(ProcessLookupError):  # it has ended by itself
                self._process.kill()

    def _hung(self) -> None:
        self._reason = f"the recogniser did not answer for {ANSWER_S:.0f} s"
        self.kill()

    def _write(self, kind: bytes, payload: bytes = b"") -> None:
        # Never drained: room() bounds what can be in the pipe's buffer.
        if self.alive:
            self._questions.write(wire.frame(kind, payload))

    def _owe(self, seconds: float) -> None:
        self._owed.append(seconds)
        if self._patience is None:
            self._wait_for_answer()

    def _wait_for_answer(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._owed and self.alive:
            self._patience = asyncio.get_running_loop().call_later(ANSWER_S, self._hung)

    async def _live(self) -> None:
        try:
            with suppress(asyncio.IncompleteReadError):  # it ended
                while True:
                    kind, length = wire.HEADER.unpack(await self._answers.readexactly(wire.HEADER.size))
                    self._hear(kind, (await self._answers.readexactly(length)).decode())
        finally:
            self.alive = False
            self._owed.clear()
            self._wait_for_answer()
            self._less_waiting.set()
            for transcription in self._open:
                transcription.fail(self._reason)
            self._open.clear()
            self._questions.close()
            await self._process.wait()

    def _hear(self, kind: bytes, text: str) -> None:
        if kind == wire.BROKEN:
            self._reason = text
            _LOG.warning("recogniser failed: %s", text)
            return
        self._owed.popleft()
        self._wait_for_answer()
        self._less_waiting.set()
        if kind == wire.PARTIAL:
            self._open[0].tell(Hypothesis(text))
        elif kind == wire.FINAL:
            self._open.popleft().tell(Hypothesis(text, final=True))


class _Transcription:
    def __init__(self, worker: _Worker, rate_hz: int) -> None:
        self._worker = worker
        self._rate_hz = rate_hz
        self._told: deque[Hypothesis] = deque(maxlen=_KEPT_HYPOTHESES)
        self._news = asyncio.Event()
        self._failure: str | None = None

    async def feed(self, pcm: bytes) -> None:
        piece = int(_PIECE_S * self._rate_hz) * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), piece):
            await self._worker.room()
            part = pcm[start : start + piece]
            self._worker.audio(part, len(part) / BYTES_PER_SAMPLE / self._rate_hz)

    def pause(self) -> None:
        self._worker.pause()

    def finish(self) -> None:
        self._worker.finish()

    abandon = finish

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

    def tell(self, hypothesis: Hypothesis) -> None:
        self._told.append(hypothesis)
        self._news.set()

    def fail(self, reason: str) -> None:
        self._failure = reason
        self._news.set()
