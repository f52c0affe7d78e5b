"""All controls of a run besides Ctrl-C: terminal keys, signals, lines on a FIFO."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.events import KeysOffered, Noted, Warned
from rt_cli.protocol.sanitize import printable
from rt_cli.streaming.capture.push_to_talk import COMMANDS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping

    from rt_cli.cli.controls.fifo import Fifo
    from rt_cli.cli.controls.keyboard import Keyboard
    from rt_cli.events import EventHandler
    from rt_cli.settings import Settings
    from rt_cli.streaming.capture.push_to_talk import Command

_SIGNALS: Mapping[str, Command] = {"SIGUSR1": "start", "SIGUSR2": "stop"}


def wants_keys(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Return whether to read terminal keys: with a live status display, or with push to talk."""
    from rt_cli.output.status.choose import look_of

    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        return False
    look = look_of(settings.output, stdout=sys.stdout, stderr=sys.stderr, environ=environ)
    return settings.input.ptt or look == "live"


def open_controls(
    settings: Settings,
    loop: AbstractEventLoop,
    on_event: EventHandler,
    on_command: Callable[[Command], None],
    *,
    keys: bool,
) -> RunControls | None:
    """Open the controls that the settings enable; None if there are none.

    Args:
        settings: Push to talk, and the status display.
        loop: The event loop of the run; all calls come from its thread.
        on_event: See :class:`RunControls`.
        on_command: See :class:`RunControls`.
        keys: Whether the command may read terminal keys.

    Raises:
        UsageError: The FIFO cannot be used.
    """
    keys = keys and wants_keys(settings, os.environ)
    if not keys and not settings.input.ptt:
        return None
    controls = RunControls(loop, on_event, on_command)
    controls.start(settings, keys=keys)
    return controls


class RunControls:
    """Passes commands to the run, from :meth:`start` to :meth:`close`.

    Args:
        loop: The event loop of the run; all calls come from its thread.
        on_event: Called with the available keys, and with a warning for each unknown FIFO line.
        on_command: Takes each command; ``quit`` is also a SIGINT, like a first Ctrl-C.
    """

    def __init__(self, loop: AbstractEventLoop, on_event: EventHandler, on_command: Callable[[Command], None]) -> None:
        self._loop = loop
        self._on_event = on_event
        self._on_command = on_command
        self._quit_requested = False
        self._keyboard: Keyboard | None = None
        self._fifo: Fifo | None = None

    def start(self, settings: Settings, *, keys: bool) -> None:
        """Start to read signals, keys and the FIFO.

        Args:
            settings: Push to talk, and its FIFO.
            keys: Whether to read terminal keys.

        Raises:
            UsageError: The FIFO cannot be used.
        """
        push_to_talk = settings.input.ptt
        if settings.input.ptt_fifo is not None:
            from rt_cli.cli.controls.fifo import Fifo

            self._fifo = Fifo(settings.input.ptt_fifo, self._loop, self._on_line)
        for name, command in _SIGNALS.items() if push_to_talk else ():
            if hasattr(signal, name):  # not on Windows
                signal.signal(getattr(signal, name), partial(self._on_signal, command))
        if keys:
            from rt_cli.cli.controls.keyboard import Keyboard

            self._keyboard = Keyboard(sys.stdin, self._loop, self._on_key)
            self._keyboard.enter_terminal()
            self._on_event(KeysOffered(push_to_talk))
        elif push_to_talk and hasattr(signal, "SIGUSR1"):
            pid = os.getpid()
            self._on_event(Noted(f"push to talk: kill -USR1 {pid} starts, kill -USR2 {pid} stops"))

    def leave_terminal(self) -> None:
        """Restore the terminal mode. Safe in a signal handler."""
        if self._keyboard is not None:
            self._keyboard.leave_terminal()

    def enter_terminal(self) -> None:
        """Read keys again after a stop. Safe in a signal handler."""
        if self._keyboard is not None:
            self._keyboard.enter_terminal()

    def close(self) -> None:
        """Restore the terminal and close the FIFO. Idempotent."""
        if self._keyboard is not None:
            self._keyboard.close()
        if self._fifo is not None:
            self._fifo.close()
            self._fifo = None

    def _on_key(self, key: str) -> None:
        from rt_cli.cli.controls.keyboard import command_of

        if (command := command_of(key)) is not None:
            self._dispatch(command)

    def _on_signal(self, command: Command, *_frame: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._dispatch, command)

    def _on_line(self, line: str) -> None:
        command = next((each for each in COMMANDS if each == line.lower()), None)
        if command is None:
            message = f"{printable(line)!r} is no command: there are {', '.join(COMMANDS)}"
            self._on_event(Warned("unknown_command", message))
        else:
            self._dispatch(command)

    def _dispatch(self, command: Command) -> None:
        self._on_command(command)
        if command == "quit" and not self._quit_requested:
            self._quit_requested = True
            signal.raise_signal(signal.SIGINT)
