"""Blocking driver calls that may never return."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def call_in_thread(call: Callable[[], T], *, deadline_s: float, discard: Callable[[T], None] | None = None) -> T:
    """Run ``call`` in its own daemon thread, so that the exit of the program does not wait for it.

    Safe to cancel: as at the deadline, a late result goes to ``discard``.

    Args:
        call: May block for any time.
        deadline_s: Longest wait for the result.
        discard: Called in a thread with a result that comes too late.

    Raises:
        TimeoutError: The deadline has passed; the thread goes on.
        Exception: The exception that ``call`` raised.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def set_outcome(result: T | None, error: BaseException | None) -> None:
        if future.done():
            discard_late(result)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # no error means that there is a result

    def discard_late(result: T | None) -> None:
        if discard is not None and result is not None:
            threading.Thread(target=discard, args=(result,), name="rt-discard", daemon=True).start()

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001  # the caller raises it
            error = raised
        try:
            loop.call_soon_threadsafe(set_outcome, result, error)
        except RuntimeError:  # the loop is closed
            discard_late(result)

    threading.Thread(target=run, name="rt-blocking-call", daemon=True).start()
    async with asyncio.timeout(deadline_s):
        return await future
