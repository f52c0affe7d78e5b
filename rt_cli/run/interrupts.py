"""How a run learns that it is to end, and calls from other threads into its loop."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class TerminalUser(Protocol):
    """What changes the terminal: its mode, a view that is drawn on it."""

    def leave_terminal(self) -> None:
        """Undo the changes before the process stops or ends. Called in a signal handler; never raises, idempotent."""
        ...

    def enter_terminal(self) -> None:
        """Make the changes again after a stop, if the process is in the foreground. Otherwise as before."""
        ...


class Interrupts:
    """The first interrupt asks a run for its end, with the words of what was captured; the second one not to wait.

    All calls come from the thread of the run's loop.

    Args:
        on_interrupt: Called with the exit code of each interrupt, until :meth:`subscribe` replaces it.
    """

    def __init__(self, on_interrupt: Callable[[int], object] = lambda _exit_code: None) -> None:
        self.codes: list[int] = []
        """Exit codes of the interrupts so far."""
        self.terminal_users: list[TerminalUser] = []
        """They leave the terminal before the process stops or ends at once."""
        self._on_interrupt = on_interrupt

    @property
    def hurried(self) -> bool:
        """Whether nobody waits any longer: for a reader of stdout, a disk."""
        return len(self.codes) > 1

    def subscribe(self, on_interrupt: Callable[[int], object]) -> None:
        """Call this function from now on, starting with the interrupts so far."""
        self._on_interrupt = on_interrupt
        for exit_code in self.codes:
            on_interrupt(exit_code)

    def interrupt(self, exit_code: int) -> None:
        """Note an interrupt: 130 or 143."""
        self.codes.append(exit_code)
        self._on_interrupt(exit_code)


def call_soon(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Call a function in a loop, from any thread; not at all if the loop is closed, and nothing is left to stop."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(act)
