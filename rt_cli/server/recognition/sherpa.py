"""Streaming recognition by sherpa-onnx, with a transducer model from a directory."""

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
"""Audio of a session that is decoded in one turn."""
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
    """File names of a transducer model."""

    encoder: str
    decoder: str
    joiner: str
    tokens: str


def model_files(directory: str, names: Iterable[str]) -> ModelFiles:
    """Select the model files of a directory: int8 is preferred, then the shortest name. Pure.

    Raises:
        UsageError: Files are missing; the message names them.
    """
    names = sorted(names, key=lambda name: ("int8" not in name, len(name), name))
    by_role = {
        role: name for role in _ROLES for name in reversed(names) if role in name.lower() and name.endswith(".onnx")
    }
    missing = [f"{role}*.onnx" for role in _ROLES if role not in by_role]
    if "tokens.txt" not in names:
        missing.append("tokens.txt")
    if missing:
        raise UsageError(f"{printable(directory)} has no {', '.join(missing)}", _OTHER_MODEL)
    return ModelFiles(by_role["encoder"], by_role["decoder"], by_role["joiner"], "tokens.txt")


@asynccontextmanager
async def open_sherpa(directory: str, workers: int | None = None) -> AsyncIterator[Sherpa]:
    """Open the recogniser with the model of a directory; the model runs in threads of this process.

    Args:
        directory: Contains ``encoder*.onnx``, ``decoder*.onnx``, ``joiner*.onnx`` and ``tokens.txt``.
        workers: Sessions recognised at once.

    Raises:
        UsageError: The directory or a file is missing, or the files are not a streaming transducer.
    """
    workers = workers or default_workers()
    try:
        names = await asyncio.to_thread(os.listdir, directory)
    except OSError as exc:
        raise UsageError(f"{printable(directory)}: {exc.strerror}", "give the directory of a model") from None
    settings = _settings(Path(directory), model_files(directory, names))
    await _try(directory, settings)
    threads = ModelThreads(lambda: _load(settings), workers)
    async with threads.warm():
        yield Sherpa(threads, workers, f"words by sherpa-onnx ({printable(Path(directory).name or directory)})")


def _settings(directory: Path, files: ModelFiles) -> dict[str, str]:
    return {field.name: str(directory / getattr(files, field.name)) for field in fields(files)}


async def _try(directory: str, settings: dict[str, str]) -> None:
    """Load the model in another process first: with unsuitable files the library crashes the whole process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _TRIAL, *(f"{name}={value}" for name, value in settings.items())),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_TRIAL_S):
            _, stderr_ = await process.communicate()
    except TimeoutError:
        raise UsageError(f"{printable(directory)}: loading takes longer than {_TRIAL_S:.0f} s", _OTHER_MODEL) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = stderr_.decode(errors="replace").strip().rpartition("\n")[2]
        raise UsageError(f"{printable(directory)} cannot be loaded ({printable(last)[:200]})", _OTHER_MODEL)


def _load(settings: dict[str, str]) -> OnlineRecognizer:
    from sherpa_onnx import OnlineRecognizer

    return OnlineRecognizer.from_transducer(
        **settings,
        num_threads=1,  # parallel sessions use the cores better than parallel threads of one session
        enable_endpoint_detection=True,
    )


class Sherpa:
    """The recogniser of a server."""

    languages: frozenset[str] | None = None

    def __init__(self, threads: ModelThreads[OnlineRecognizer], workers: int, notice: str) -> None:
        self.notice = notice
        self._threads = threads
        self._slots = asyncio.Semaphore(workers)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """Open the recogniser for one session; the end of the block abandons open items."""
        async with asyncio.TaskGroup() as tasks:
            session = _SherpaSession(self._threads, FairShare(self._slots), tasks)
            try:
                yield session
            finally:
                session.abandon()


class _SherpaSession:
    def __init__(self, threads: ModelThreads[OnlineRecognizer], share: FairShare, tasks: asyncio.TaskGroup) -> None:
        self.threads = threads
        self.share = share
        self._tasks = tasks
        self._items: set[_Item] = set()
        self._room = asyncio.Event()

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - a model has its language
        item = _Item(self, rate_hz)
        item.work = self._tasks.create_task(item.recognise(), name="recognition of an item")
        self._items.add(item)
        item.work.add_done_callback(lambda _: self._remove(item))
        return item

    async def wait_for_room(self) -> None:
        """Wait until less than 5 s of the session's audio are unrecognised."""
        while sum(item.waiting_s for item in self._items) >= _MAX_WAITING_S:
            self._room.clear()
            await self._room.wait()

    def notify_room(self) -> None:
        """Wake the callers of :meth:`wait_for_room` after a piece is done."""
        self._room.set()

    def abandon(self) -> None:
        for item in list(self._items):
            item.abandon()

    def _remove(self, item: _Item) -> None:
        self._items.discard(item)
        self.notify_room()


class _Item:
    """The audio of an item in pieces, and the task that recognises them in turn."""

    work: asyncio.Task[None]

    def __init__(self, session: _SherpaSession, rate_hz: int) -> None:
        self._session = session
        self._rate_hz = rate_hz
        self._waiting: deque[bytes] = deque()
        self._finished = False
        self._input_changed = asyncio.Event()
        self._queue = HypothesisQueue()
        self.hypotheses = self._queue.hypotheses

    @property
    def waiting_s(self) -> float:
        return sum(map(len, self._waiting)) / BYTES_PER_SAMPLE / self._rate_hz

    async def feed(self, pcm: bytes) -> None:
        size = int(_PIECE_S * self._rate_hz) * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), size):
            await self._session.wait_for_room()
            if self.work.done():
                return  # the item has already failed
            self._waiting.append(pcm[start : start + size])
            self._input_changed.set()

    def pause(self) -> None:
        """Do nothing: the audio contains the pause."""

    def finish(self) -> None:
        self._finished = True
        self._input_changed.set()

    def abandon(self) -> None:
        self._queue.fail("it was given up")
        self.work.cancel()

    async def recognise(self) -> None:
        try:
            engine = await self._session.threads.model()
            stream = SherpaStream(engine, self._rate_hz)
            while (piece := await self._next_piece()) is not None:
                self._queue.put(await self._run_in_turn(stream.push, piece))
                self._waiting.popleft()
                self._session.notify_room()
            self._queue.put(await self._run_in_turn(stream.finish))
        except RecognizerFailed as failure:
            self._queue.fail(str(failure))

    async def _next_piece(self) -> bytes | None:
        """The oldest piece; None after the last."""
        while not self._waiting and not self._finished:
            self._input_changed.clear()
            await self._input_changed.wait()
        return self._waiting[0] if self._waiting else None

    async def _run_in_turn(self, work: Callable[..., Hypothesis], *arguments: bytes) -> Hypothesis:
        async with self._session.share.turn():
            return await self._session.threads.run(work, *arguments)
