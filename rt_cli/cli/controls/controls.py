"""Whatever controls a run besides Ctrl-C: keys of the terminal, signals, lines on a FIFO."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.events import KeysOffered, Warned
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
    """Whether the terminal's keys are to be taken: where somebody sees what they do, or has asked for them."""
    from rt_cli.output.status.choose import choose_look

    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        return False
    output, stderr = settings.output, sys.stderr
    is_terminal = stderr is not None and not stderr.closed and stderr.isatty()
    look = choose_look(output.status, quiet=output.quiet, is_terminal=is_terminal, environ=environ)
    return settings.input.ptt or look == "live"


def open_controls(
    settings: Settings, loop: AbstractEventLoop, on_event: EventHandler, on_quit: Callable[[], None], *, keys: bool
) -> RunControls | None:
    """The controls that the settings ask for, open; None where nothing is to control the run.

    Args:
        settings: Whether and how to push to talk, and what is shown.
        loop: Whose thread uses them.
        on_event: See :class:`RunControls`.
        on_quit: See :class:`RunControls`.
        keys: The terminal's keys may be taken.

    Raises:
        UsageError: The FIFO cannot be used.
    """
    keys = keys and wants_keys(settings, os.environ)
    if not keys and not settings.input.ptt:
        return None
    controls = RunControls(loop, on_event, on_quit)
    controls.start(settings, keys=keys)
    return controls


class RunControls:
    """Hands commands to the run, from :meth:`start` to :meth:`close`.

    Args:
        loop: Whose thread uses it.
        on_event: Told which keys there are, and of lines that mean nothing.
        on_quit: Ends the run, like a first Ctrl-C.
    """

    def __init__(self, loop: AbstractEventLoop, on_event: EventHandler, on_quit: Callable[[], None]) -> None:
        self._loop = loop
        self._on_event = on_event
        self._on_quit = on_quit
        self._obey: Callable[[Command], None] | None = None
        self._early: list[Command] = []
        self._over = False
        self._keyboard: Keyboard | None = None
        self._fifo: Fifo | None = None

    def start(self, settings: Settings, *, keys: bool) -> None:
        """Listen.

        Args:
            settings: Whether and how to push to talk.
            keys: Whether to take the keys of the terminal.

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
            self._keyboard.start()
            self._on_event(KeysOffered(push_to_talk))

    def attach(self, obey: Callable[[Command], None]) -> None:
        """From now on commands go there; first those that came before."""
        self._obey = obey
        early, self._early = self._early, []
        for command in early:
            obey(command)

    def restore(self) -> None:
        """Give the terminal back; may be called from a signal handler."""
        if self._keyboard is not None:
            self._keyboard.restore()

    def close(self) -> None:
        """Listen no more. Idempotent."""
        self.restore()
        if self._fifo is not None:
            self._fifo.close()
            self._fifo = None

    def _on_key(self, key: str) -> None:
        from rt_cli.cli.controls.keyboard import command_of

        if (command := command_of(key)) is not None:
            self._take(command)

    def _on_signal(self, command: Command, *_frame: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, command)

    def _on_line(self, line: str) -> None:
        command = next((each for each in COMMANDS if each == line.lower()), None)
        if command is None:
            said = f"{printable(line)!r} is no command: there are {', '.join(COMMANDS)}"
            self._on_event(Warned("unknown_command", said))
        else:
            self._take(command)

    def _take(self, command: Command) -> None:
        if self._obey is None:
            self._early.append(command)
        else:
            self._obey(command)
        if command == "quit" and not self._over:
            self._over = True
            self._on_quit()
