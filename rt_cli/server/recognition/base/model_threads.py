"""Loads a model in a thread and runs its calls in threads."""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.interface import RecognizerFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

Model = TypeVar("Model")
Result = TypeVar("Result")

_LOG = logging.getLogger("rt.local")


def default_workers() -> int:
    """Two workers if there are two cores: with one, a long item would delay all other items."""
    return min(2, os.cpu_count() or 1)


class ModelThreads(Generic[Model]):
    """A model, loaded once, and a limited number of threads for its calls.

    A cancelled call continues in its thread, and its result is dropped. Calls must therefore be short.

    Args:
        load: Loads the model; runs in a thread.
        workers: Number of threads.
    """

    def __init__(self, load: Callable[[], Model], workers: int) -> None:
        self._load = load
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="recogniser")
        self._model_future: asyncio.Future[Model] | None = None

    @asynccontextmanager
    async def warm(self) -> AsyncIterator[None]:
        """Load the model while the block runs; its end cancels queued calls and does not wait for running ones."""
        task = asyncio.create_task(self._warm_up(), name="recogniser warm-up")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if self._model_future is not None:
                self._model_future.cancel()  # the loading thread may outlive the event loop
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def model(self) -> Model:
        """Wait for the model. After a failure, the next call tries again.

        Cancellation does not stop the loading.

        Raises:
            RecognizerFailed: The model cannot be loaded.
        """
        future = self._model_future
        if future is None or (future.done() and future.exception() is not None):
            future = self._model_future = asyncio.wrap_future(self._threads.submit(self._load))
        with _as_recognizer_failure():
            return await asyncio.shield(future)

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Call ``work`` in one of the threads.

        Raises:
            RecognizerFailed: Any exception of ``work``.
        """
        with _as_recognizer_failure():
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))

    async def _warm_up(self) -> None:
        try:
            await self.model()
        except RecognizerFailed as failure:
            _LOG.warning("%s", failure)  # the first item fails in the same way, and its client gets the error


@contextmanager
def _as_recognizer_failure() -> Iterator[None]:
    # The libraries document no exceptions, so any exception fails the item; the client gets its message.
    try:
        yield
    except Exception as exc:
        reason = printable(f"{type(exc).__name__}: {exc}")[:300]
        raise RecognizerFailed(f"the recogniser failed: {reason}") from exc
