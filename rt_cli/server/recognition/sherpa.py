"""A streaming transducer by sherpa-onnx: words while somebody speaks, by a model from a directory."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.fair_share import FairShare
from rt_cli.server.recognition.hypothesis_queue import HypothesisQueue
from rt_cli.server.recognition.interface import (
    NO_HINTS,
    Hints,
    Hypothesis,
    RecognizerFailed,
    RecognizerSession,
    Transcription,
)
from rt_cli.server.recognition.model_threads import ModelThreads, default_workers
from rt_cli.server.recognition.sherpa_stream import SherpaStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from sherpa_onnx import OnlineRecognizer

_MAX_WAITING_S = 5.0
_PIECE_S = 0.2
"""What a session gets recognised in one turn."""
_TRIAL_S = 120.0
_TRIAL = """
import sys
from sherpa_onnx import OnlineRecognizer
OnlineRecognizer.from_transducer(**dict(each.split("=", 1) for each in sys.argv[1:]))
"""
_OTHER_MODEL = "give the directory of a streaming transducer for sherpa-onnx"
_ROLES = ("encoder", "decoder", "joiner")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a transducer, by name."""

    encoder: str
    decoder: str
    joiner: str
    tokens: str


def model_files(directory: str, names: Iterable[str]) -> ModelFiles:
    """Which of a directory's files make the model: int8 if there is a choice, then the shortest name. Pure.

    Raises:
        UsageError: Some are missing; the message says which.
    """
    names = sorted(names, key=lambda name: ("int8" not in name, len(name), name))
    found = {
        role: name for role in _ROLES for name in reversed(names) if role in name.lower() and name.endswith(".onnx")
    }
    missing = [f"{role}*.onnx" for role in _ROLES if role not in found]
    if "tokens.txt" not in names:
        missing.append("tokens.txt")
    if missing:
        raise UsageError(f"{printable(directory)} has no {', '.join(missing)}", _OTHER_MODEL)
    return ModelFiles(found["encoder"], found["decoder"], found["joiner"], "tokens.txt")


@asynccontextmanager
async def open_sherpa(directory: str, workers: int | None = None) -> AsyncIterator[Sherpa]:
    """The model of a directory, in threads of this process.

    Args:
        directory: With ``encoder*.onnx``, ``decoder*.onnx``, ``joiner*.onnx`` and ``tokens.txt``.
        workers: How many sessions are recognised at once.

    Raises:
        UsageError: The directory or a file is missing, or the files are no streaming transducer.
    """
    workers = workers or default_workers()
    try:
        names = await asyncio.to_thread(os.listdir, directory)
    except OSError as exc:
        raise UsageError(f"{printable(directory)}: {exc.strerror}", "give the directory of a model") from None
    settings = _settings(Path(directory), model_files(directory, names))
    await _try(directory, settings)
    loaded = ModelThreads(lambda: _load(settings), workers)
    async with loaded.warm():
        yield Sherpa(loaded, workers, f"words by sherpa-onnx ({printable(Path(directory).name or directory)})")


def _settings(directory: Path, files: ModelFiles) -> dict[str, str]:
    return {field.name: str(directory / getattr(files, field.name)) for field in fields(files)}


async def _try(directory: str, settings: dict[str, str]) -> None:
    """Load the model in another process: with files that it does not expect the library crashes, and all with it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _TRIAL, *(f"{name}={value}" for name, value in settings.items())),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_TRIAL_S):
            _, said = await process.communicate()
    except TimeoutError:
        raise UsageError(f"{printable(directory)}: loading takes longer than {_TRIAL_S:.0f} s", _OTHER_MODEL) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise UsageError(f"{printable(directory)} cannot be loaded ({printable(last)[:200]})", _OTHER_MODEL)


def _load(settings: dict[str, str]) -> OnlineRecognizer:
    from sherpa_onnx import OnlineRecognizer

    return OnlineRecognizer.from_transducer(
        **settings,
        num_threads=1,  # sessions beside each other use the cores better than one session does
        enable_endpoint_detection=True,
    )


class Sherpa:
    """The recogniser of a server."""

    languages: frozenset[str] | None = None

    def __init__(self, loaded: ModelThreads[OnlineRecognizer], workers: int, notice: str) -> None:
        self.notice = notice
        self._loaded = loaded
        self._slots = asyncio.Semaphore(workers)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """One session's items; those open at the end are given up."""
        async with asyncio.TaskGroup() as tasks:
            session = _SherpaEars(self._loaded, FairShare(self._slots), tasks)
            try:
                yield session
            finally:
                session.abandon()


class _SherpaEars:
    def __init__(self, loaded: ModelThreads[OnlineRecognizer], share: FairShare, tasks: asyncio.TaskGroup) -> None:
        self.loaded = loaded
        self.share = share
        self._tasks = tasks
        self._items: set[_Item] = set()
        self._less_waiting = asyncio.Event()

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - a model has its language
        item = _Item(self, rate_hz)
        item.work = self._tasks.create_task(item.recognise(), name="recognition of an item")
        self._items.add(item)
        item.work.add_done_callback(lambda _: self._done(item))
        return item

    async def room(self) -> None:
        """Return once less than 5 s of the session's audio wait."""
        while sum(item.waiting_s for item in self._items) >= _MAX_WAITING_S:
            self._less_waiting.clear()
            await self._less_waiting.wait()

    def relieve(self) -> None:
        """Something that waited does not any more."""
        self._less_waiting.set()

    def abandon(self) -> None:
        for item in list(self._items):
            item.abandon()

    def _done(self, item: _Item) -> None:
        self._items.discard(item)
        self.relieve()


class _Item:
    """An item's audio in pieces, and the task that has them recognised in turn."""

    work: asyncio.Task[None]

    def __init__(self, session: _SherpaEars, rate_hz: int) -> None:
        self._ears = session
        self._rate_hz = rate_hz
        self._waiting: deque[bytes] = deque()
        self._finished = False
        self._more = asyncio.Event()
        self._told = HypothesisQueue()
        self.hypotheses = self._told.hypotheses

    @property
    def waiting_s(self) -> float:
        return sum(map(len, self._waiting)) / BYTES_PER_SAMPLE / self._rate_hz

    async def feed(self, pcm: bytes) -> None:
        size = int(_PIECE_S * self._rate_hz) * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), size):
            await self._ears.room()
            if self.work.done():
                return  # it failed already
            self._waiting.append(pcm[start : start + size])
            self._more.set()

    def pause(self) -> None:
        """The silence around it is in the audio, and the model hears it."""

    def finish(self) -> None:
        self._finished = True
        self._more.set()

    def abandon(self) -> None:
        self._told.fail("it was given up")
        self.work.cancel()

    async def recognise(self) -> None:
        try:
            engine = await self._ears.loaded.model()
            decoding = SherpaStream(engine, self._rate_hz)
            while (piece := await self._next()) is not None:
                self._told.tell(await self._turn(decoding.push, piece))
                self._waiting.popleft()
                self._ears.relieve()
            self._told.tell(await self._turn(decoding.finish))
        except RecognizerFailed as failure:
            self._told.fail(str(failure))

    async def _next(self) -> bytes | None:
        """The oldest piece; None after the last."""
        while not self._waiting and not self._finished:
            self._more.clear()
            await self._more.wait()
        return self._waiting[0] if self._waiting else None

    async def _turn(self, work: Callable[..., Hypothesis], *arguments: bytes) -> Hypothesis:
        async with self._ears.share.turn():
            return await self._ears.loaded.run(work, *arguments)
