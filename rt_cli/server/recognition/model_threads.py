"""A model that is loaded in a thread, and the threads that work with it."""

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
    """Two, where there are two cores: one alone would let a long item hold up everybody."""
    return min(2, os.cpu_count() or 1)


class ModelThreads(Generic[Model]):
    """A model, loaded once, and a bounded number of threads for it.

    A call that is cancelled runs on in its thread to its end, where nobody hears of it; so calls are to be short.

    Args:
        load: Loads the model; runs in a thread.
        workers: How many threads there are.
    """

    def __init__(self, load: Callable[[], Model], workers: int) -> None:
        self._load = load
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="recogniser")
        self._loading: asyncio.Future[Model] | None = None

    @asynccontextmanager
    async def warm(self) -> AsyncIterator[None]:
        """Load beside the block; its end stops what has not begun, and does not wait for the rest."""
        warming = asyncio.create_task(self._warm_up(), name="recogniser warm-up")
        try:
            yield
        finally:
            warming.cancel()
            await asyncio.wait([warming])
            if self._loading is not None:
                self._loading.cancel()  # its thread may outlive the loop that it would tell
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def model(self) -> Model:
        """The model, as soon as it is loaded; a failure is not final, the next call tries again.

        Cancelled, the loading goes on for those who come later.

        Raises:
            RecognizerFailed: It cannot be loaded.
        """
        loading = self._loading
        if loading is None or (loading.done() and loading.exception() is not None):
            loading = self._loading = asyncio.wrap_future(self._threads.submit(self._load))
        with _told_apart():
            return await asyncio.shield(loading)

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Call something in one of the threads.

        Raises:
            RecognizerFailed: Whatever went wrong there.
        """
        with _told_apart():
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))

    async def _warm_up(self) -> None:
        try:
            await self.model()
        except RecognizerFailed as failure:
            _LOG.warning("%s", failure)  # the first item meets it again, and tells its client


@contextmanager
def _told_apart() -> Iterator[None]:
    # The libraries document no errors; whatever it is, it is this item's, and its client is told.
    try:
        yield
    except Exception as exc:
        reason = printable(f"{type(exc).__name__}: {exc}")[:300]
        raise RecognizerFailed(f"the recogniser failed: {reason}") from exc
