"""Read terminal keys one at a time, without Enter, and always restore the terminal mode.

A terminal reports key presses but no key releases, so there is no push-and-hold.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping

    from rt_cli.streaming.capture.push_to_talk import Command

KEYS: Mapping[str, Command] = {" ": "toggle", "m": "mute", "q": "quit"}
_READ_BYTES = 1024
_POLL_S = 0.05


def command_of(key: str) -> Command | None:
    """Return the command of a key; None if it has none."""
    return KEYS.get(key.lower())


if sys.platform == "win32":
    import threading

    class Keyboard:
        """Polls for keys twenty times a second. Written from the documentation of msvcrt; not run yet."""

        def __init__(self, _stream: TextIO, loop: AbstractEventLoop, on_key: Callable[[str], None]) -> None:
            self._loop = loop
            self._on_key = on_key
            self._closed = threading.Event()

        def enter_terminal(self) -> None:
            """Start to read keys. Called once: Windows neither stops nor continues a program."""
            threading.Thread(target=self._read, name="rt-keys", daemon=True).start()

        def leave_terminal(self) -> None:
            """Do nothing: keys are read without a mode of their own."""

        def close(self) -> None:
            """Stop reading keys."""
            self._closed.set()

        def _read(self) -> None:
            import msvcrt

            while not self._closed.wait(_POLL_S):
                while msvcrt.kbhit():
                    key = msvcrt.getwch()
                    try:
                        self._loop.call_soon_threadsafe(self._on_key, key)
                    except RuntimeError:
                        return  # the loop is closed

else:
    import termios

    class Keyboard:
        r"""The terminal without line editing and echo, but with its signals: from enter_terminal() to leave_terminal().

        It does not touch the terminal while the program runs in the background. Ctrl-C, Ctrl-Z and Ctrl-\ keep their
        usual meaning.

        Args:
            stream: Standard input, a terminal.
            loop: The event loop that reads the keys.
            on_key: Called with each key, on the loop's thread.
        """

        def __init__(self, stream: TextIO, loop: AbstractEventLoop, on_key: Callable[[str], None]) -> None:
            self._descriptor = stream.fileno()
            self._loop = loop
            self._on_key = on_key
            self._saved_mode: list[object] | None = None
            self._closed = False

        def close(self) -> None:
            """Restore the terminal mode and stop reading. Never raises; idempotent."""
            self._closed = True
            self.leave_terminal()
            if not self._loop.is_closed():
                self._loop.remove_reader(self._descriptor)

        def enter_terminal(self) -> None:
            """Set the terminal mode, if the program is in the foreground, and read keys. Safe in a signal handler."""
            if self._closed or not self._in_foreground():
                return
            try:
                before = termios.tcgetattr(self._descriptor)
                mode = termios.tcgetattr(self._descriptor)
                mode[3] &= ~(termios.ICANON | termios.ECHO)
                mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
                termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
            except (OSError, termios.error):
                return  # the terminal is gone
            # After SIGSTOP and SIGCONT, `before` is a mode that the shell set: keep the mode of the first call.
            self._saved_mode = self._saved_mode or before
            self._loop.call_soon_threadsafe(self._add_reader)

        def _add_reader(self) -> None:
            if not self._closed:
                self._loop.add_reader(self._descriptor, self._read)

        def leave_terminal(self) -> None:
            """Restore the terminal mode. Never raises; idempotent; safe in a signal handler."""
            before, self._saved_mode = self._saved_mode, None
            # In the background: the terminal mode belongs to the foreground program.
            if before is None or not self._in_foreground():
                return
            try:
                termios.tcsetattr(self._descriptor, termios.TCSANOW, before)  # type: ignore[arg-type] # from tcgetattr
            except (OSError, termios.error):
                pass  # the terminal is gone

        def _in_foreground(self) -> bool:
            try:
                return os.tcgetpgrp(self._descriptor) == os.getpgrp()
            except OSError:
                return False

        def _read(self) -> None:
            if not self._in_foreground():
                # Reading here raises SIGTTIN, and the descriptor stays readable: remove the reader.
                self._saved_mode = None
                self._loop.remove_reader(self._descriptor)
                return
            try:
                data = os.read(self._descriptor, _READ_BYTES)
            except OSError:
                data = b""
            if not data:
                self._loop.remove_reader(self._descriptor)
            for key in data.decode(errors="replace"):
                self._on_key(key)
