"""Blocking calls into drivers that may never come back."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def call_in_thread(call: Callable[[], T], *, deadline_s: float, discard: Callable[[T], None] | None = None) -> T:
    """Run ``call`` in a daemon thread of its own, which the exit of the program does not wait for.

    Args:
        call: Blocks for as long as it likes.
        deadline_s: How long we wait for it.
        discard: Given a result that came too late, in the thread.

    Raises:
        TimeoutError: At the deadline; the thread goes on.
        Exception: Whatever ``call`` raised.

    Safe to cancel: as at the deadline, the result goes to ``discard``.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            _throw_away(result)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # no error means that there is a result

    def _throw_away(result: T | None) -> None:
        if discard is not None and result is not None:
            threading.Thread(target=discard, args=(result,), name="rt-discard", daemon=True).start()

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001  # it is raised again where the call was made
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            _throw_away(result)

    threading.Thread(target=run, name="rt-blocking-call", daemon=True).start()
    async with asyncio.timeout(deadline_s):
        return await future
