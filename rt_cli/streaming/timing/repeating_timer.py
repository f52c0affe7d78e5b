"""Something that is done again and again, each time at its moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.clock import Clock


class RepeatingTimer:
    """Calls a function at each moment that it names, from the timer itself.

    To wake a task each time costs as much as all that is done for a chunk of audio.

    Args:
        clock: The time.
        beat: Returns when it is to be called again, seconds; at once where that has passed; never, where it is None.
    """

    def __init__(self, clock: Clock, beat: Callable[[], float | None]) -> None:
        self._clock = clock
        self._beat = beat
        self._over: asyncio.Future[None] | None = None
        self._cancel: Callable[[], None] = _nothing

    async def run(self) -> None:
        """Call it now and then when it says, until it says never. Raises what it raises; cancelling it ends it."""
        self._over = asyncio.get_running_loop().create_future()
        try:
            self._call()
            await self._over
        finally:
            self._cancel()
            self._over = None

    def fire_now(self) -> None:
        """Call it now, whatever moment it named, if this runs."""
        if self._over is not None and not self._over.done():
            self._cancel()
            self._call()

    def _call(self) -> None:
        if self._over is None or self._over.done():
            return
        try:
            due = self._beat()
            while due is not None and due <= self._clock.now():
                due = self._beat()
        except Exception as exc:  # noqa: BLE001  # it is raised where it is waited for
            self._over.set_exception(exc)
            return
        if due is None:
            self._over.set_result(None)
        else:
            self._cancel = self._clock.call_at(due, self._call)


def _nothing() -> None:
    """There is no timer to cancel."""
