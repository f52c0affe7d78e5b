"""The signals of a command: the only handlers of those that end, stop and continue the process."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.cli.intentions import Intention, Intentions
from rt_cli.errors import EXIT_INTERRUPTED, EXIT_TERMINATED
from rt_cli.run.interrupts import call_soon

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator

    from rt_cli.run.interrupts import Interrupts

_ENDING = {"SIGINT": EXIT_INTERRUPTED, "SIGTERM": EXIT_TERMINATED, "SIGHUP": EXIT_TERMINATED}
_STOPPING = ("SIGTSTP", "SIGQUIT")
"""Their default action comes after the terminal is as it was before."""
_READ_BYTES = 4096


class Signals:
    """Turns signals into interrupts of a run, and keeps the terminal in order when the process stops.

    A handler of ``signal.signal`` acts while the loop is busy, and exists on every system.

    Args:
        loop: The loop of the run.
        interrupts: Receives each interrupt, in the loop.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self, loop: AbstractEventLoop, interrupts: Interrupts, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._loop = loop
        self._interrupts = interrupts
        self._now = now
        self._intentions = Intentions()

    def install(self) -> None:
        """Install the handlers, for the rest of the process."""
        for name, exit_code in _ENDING.items():
            number = getattr(signal, name, None)
            # A closed terminal ends the run, and captured sound is delivered. nohup ignores SIGHUP: keep that.
            if number is not None and (name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN):
                signal.signal(number, partial(self._on_end, exit_code))
        for name in _STOPPING:
            number = getattr(signal, name, None)
            # A parent without job control sets SIG_IGN: keep it.
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._on_stop)
        if hasattr(signal, "SIGCONT"):
            signal.signal(signal.SIGCONT, self._on_continue)

    def _on_end(self, exit_code: int, *_frame: object) -> None:
        match self._intentions.receive(self._now()):
            case Intention.EXIT:
                self._leave_terminal()
                os._exit(exit_code)
            case Intention.END | Intention.HURRY:
                call_soon(self._loop, partial(self._interrupts.interrupt, exit_code))
            case Intention.REPEATED:
                pass

    def _on_stop(self, number: int, _frame: object) -> None:
        """Leave the terminal, then run the default action of the signal. When continued, go on here."""
        self._leave_terminal()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, self._on_stop)
        self._on_continue()

    def _on_continue(self, *_: object) -> None:
        for user in self._interrupts.terminal_users:
            user.enter_terminal()

    def _leave_terminal(self) -> None:
        for user in reversed(self._interrupts.terminal_users):
            user.leave_terminal()


@contextmanager
def waking(loop: AbstractEventLoop) -> Iterator[None]:
    """Let every signal wake the loop: one that comes just before the loop sleeps would be handled after that sleep."""
    if os.name == "nt":  # its loop wakes up by itself
        yield
        return
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    loop.add_reader(reader, os.read, reader, _READ_BYTES)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        loop.remove_reader(reader)
        os.close(reader)
        os.close(writer)


def ignore_signals() -> None:
    """Ignore signals from here on. The interpreter's end restores the default actions, which replace the exit code."""
    for name in _ENDING:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
