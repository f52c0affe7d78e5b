"""Keys of the terminal, one at a time and without Enter; the terminal is given back whatever happens.

A terminal tells of keys that go down and of none that come up, so nothing here can be held.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping

    from rt_cli.streaming.capture.push_to_talk import Command

KEYS: Mapping[str, Command] = {" ": "toggle", "m": "mute", "q": "quit"}
_AT_ONCE = 1024
_POLL_S = 0.05


def command_of(key: str) -> Command | None:
    """What a key means; None for one that means nothing."""
    return KEYS.get(key.lower())


if sys.platform == "win32":
    import threading

    class Keyboard:
        """Looks for keys twenty times a second. Written by the documentation of msvcrt; it was not run yet."""

        def __init__(self, _stream: TextIO, loop: AbstractEventLoop, on_key: Callable[[str], None]) -> None:
            self._loop = loop
            self._on_key = on_key
            self._over = threading.Event()

        def start(self) -> None:
            """Take the keys."""
            threading.Thread(target=self._read, name="rt-keys", daemon=True).start()

        def restore(self) -> None:
            """Take no more."""
            self._over.set()

        def _read(self) -> None:
            import msvcrt

            while not self._over.wait(_POLL_S):
                while msvcrt.kbhit():
                    key = msvcrt.getwch()
                    try:
                        self._loop.call_soon_threadsafe(self._on_key, key)
                    except RuntimeError:
                        return  # the loop has closed

else:
    import termios

    _LEAVING = (signal.SIGTSTP, signal.SIGQUIT, signal.SIGHUP)
    """Stop or end the program by themselves; a terminal without echo would be left behind."""

    class Keyboard:
        r"""The terminal without line editing and echo, but with its signals, from :meth:`start` to :meth:`restore`.

        It leaves the terminal alone while the program runs in the background, and gives it back before it is stopped
        or ended by a signal. Ctrl-C, Ctrl-Z and Ctrl-\ mean what they always do.

        Args:
            stream: Standard input, a terminal.
            loop: Whose thread uses it.
            on_key: Told each key, on the loop's thread.
        """

        def __init__(self, stream: TextIO, loop: AbstractEventLoop, on_key: Callable[[str], None]) -> None:
            self._descriptor = stream.fileno()
            self._loop = loop
            self._on_key = on_key
            self._before: list[object] | None = None
            self._over = False

        def start(self) -> None:
            """Take the keys."""
            for number in _LEAVING:
                # Who started us without job control, or with nohup, wants them ignored.
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, self._leave)
            signal.signal(signal.SIGCONT, lambda *_: self._take())
            self._take()

        def restore(self) -> None:
            """Give the terminal back as it was. Never raises; idempotent; may be called from a signal handler."""
            self._over = True
            self._give_back()
            if not self._loop.is_closed():
                self._loop.remove_reader(self._descriptor)

        def _take(self) -> None:
            if self._over or not self._in_foreground():
                return
            try:
                before = termios.tcgetattr(self._descriptor)
                mode = termios.tcgetattr(self._descriptor)
                mode[3] &= ~(termios.ICANON | termios.ECHO)
                mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
                termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
            except (OSError, termios.error):
                return  # the terminal is gone
            # Whoever was stopped without a word, by SIGSTOP, has its keys still, and a terminal set by a shell.
            self._before = self._before or before
            self._loop.call_soon_threadsafe(self._listen)

        def _listen(self) -> None:
            if not self._over:
                self._loop.add_reader(self._descriptor, self._read)

        def _give_back(self) -> None:
            before, self._before = self._before, None
            # Whoever is in the foreground now has a terminal of its own making.
            if before is None or not self._in_foreground():
                return
            try:
                termios.tcsetattr(self._descriptor, termios.TCSANOW, before)  # type: ignore[arg-type] # what it gave us
            except (OSError, termios.error):
                pass  # the terminal is gone

        def _leave(self, number: int, _frame: object) -> None:
            """Give the terminal back, then do what the signal does; who was only stopped goes on here."""
            self._give_back()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.signal(number, self._leave)
            self._take()

        def _in_foreground(self) -> bool:
            try:
                return os.tcgetpgrp(self._descriptor) == os.getpgrp()
            except OSError:
                return False

        def _read(self) -> None:
            if not self._in_foreground():
                # Reading would stop us, and not reading would keep us busy.
                self._before = None
                self._loop.remove_reader(self._descriptor)
                return
            try:
                pressed = os.read(self._descriptor, _AT_ONCE)
            except OSError:
                pressed = b""
            if not pressed:
                self._loop.remove_reader(self._descriptor)
            for key in pressed.decode(errors="replace"):
                self._on_key(key)
