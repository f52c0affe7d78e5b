"""The signals that end a run, and calls from other threads into its loop."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.errors import EXIT_INTERRUPTED, EXIT_TERMINATED

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNALS = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}


class Interrupts:
    """The first signal asks a run for its end, the second one not to wait for anybody, the third ends the process.

    Made in the running loop.

    Args:
        on_interrupt: Called in the loop, with the exit code, for each signal but the third.
        before_exit: Called within a signal handler, before the process ends at once.
    """

    def __init__(self, on_interrupt: Callable[[int], None], before_exit: Callable[[], None] = lambda: None) -> None:
        self.codes: list[int] = []
        """Exit codes of the signals so far."""
        self._loop = asyncio.get_running_loop()
        self._on_interrupt = on_interrupt
        self._before_exit = before_exit

    @property
    def hurried(self) -> bool:
        """Whether nobody waits any longer: for a reader of stdout, a disk."""
        return len(self.codes) > 1

    def install(self) -> None:
        """Install the handlers. ``signal.signal`` exists on every system, and acts while the loop is busy."""
        for number, exit_code in _SIGNALS.items():
            signal.signal(number, partial(self.receive, exit_code))
        # SIGHUP (closed terminal, lost line) ends the run and delivers captured sound. nohup ignores SIGHUP: keep that.
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
            signal.signal(hangup, partial(self.receive, EXIT_TERMINATED))

    def receive(self, exit_code: int, *_frame: object) -> None:
        """Handle a signal, or a key that means the same. Callable from a signal handler."""
        self.codes.append(exit_code)
        if len(self.codes) > 2:  # noqa: PLR2004 - the third signal ends at once
            self._before_exit()
            os._exit(exit_code)
        call_soon(self._loop, partial(self._on_interrupt, exit_code))


def ignore_signals() -> None:
    """Ignore signals from here on. The interpreter's end restores the default actions, which replace the exit code."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def call_soon(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Call a function in a loop, from any thread; not at all if the loop is closed, and nothing is left to stop."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(act)
