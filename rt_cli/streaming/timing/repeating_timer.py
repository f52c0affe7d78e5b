"""Calls a function repeatedly, each time at the moment that the function returned."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.clock import Clock


class RepeatingTimer:
    """Calls a function from the timer of the event loop, without waking a task.

    Waking a task each time costs as much as all other work on a chunk of audio.

    Args:
        clock: The clock.
        call: The function. Returns the time of its next call, seconds; a past time means now, None means never.
    """

    def __init__(self, clock: Clock, call: Callable[[], float | None]) -> None:
        self._clock = clock
        self._function = call
        self._end: asyncio.Future[None] | None = None
        self._cancel: Callable[[], None] = _nothing

    async def run(self) -> None:
        """Call the function until it returns None. Raises its exceptions; cancellation stops the calls."""
        self._end = asyncio.get_running_loop().create_future()
        try:
            self._call()
            await self._end
        finally:
            self._cancel()
            self._end = None

    def fire_now(self) -> None:
        """Call the function now instead of at its next time, if :meth:`run` is running."""
        if self._end is not None and not self._end.done():
            self._cancel()
            self._call()

    def _call(self) -> None:
        if self._end is None or self._end.done():
            return
        try:
            due = self._function()
            while due is not None and due <= self._clock.now():
                due = self._function()
        except Exception as exc:  # noqa: BLE001  # run() raises it
            self._end.set_exception(exc)
            return
        if due is None:
            self._end.set_result(None)
        else:
            self._cancel = self._clock.call_at(due, self._call)


def _nothing() -> None:
    """Do nothing: no timer is set yet."""
