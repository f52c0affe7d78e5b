"""Runs the keyboard alone on the terminal that is its stdin, and says what happens; also as a job of a tiny shell.

``keys``: prints ``ready`` and every key; ``x`` ends it. ``shell``: starts that as a job in the foreground, as a shell
does, but leaves the terminal as the job leaves it; prints ``stopped``, waits for a line and lets it go on, at last
prints ``ended`` and its exit code. ``background``: the same, but the job starts behind it. A command behind ``shell``
is the job in place of the keys.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rt_cli.run.interrupts import Interrupts


def keys() -> None:
    """The job."""
    from rt_cli.cli.controls.keyboard import Keyboard
    from rt_cli.cli.process import run_loop

    async def scenario(interrupts: Interrupts) -> int:
        over = asyncio.Event()

        def pressed(key: str) -> None:
            print("key", repr(key), flush=True)
            if key == "x":
                over.set()

        keyboard = Keyboard(sys.stdin, asyncio.get_running_loop(), pressed)
        interrupts.terminal_users.append(keyboard)
        keyboard.enter_terminal()
        print("ready", flush=True)
        try:
            await over.wait()
        finally:
            keyboard.close()
        return 0

    sys.exit(run_loop(scenario))


def shell(*, foreground: bool = True) -> None:
    """The shell."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # whoever runs this may have been told not to hear it
        signal.signal(number, signal.SIG_DFL)
    command = sys.argv[2:]
    # Only the keys report on the shell's stderr: other jobs draw on the terminal.
    job = subprocess.Popen(
        command or [sys.executable, __file__, "keys"], process_group=0, stderr=0 if command else None
    )
    # A shell that gives the terminal away must be able to do so again; its job must not inherit that.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    if foreground:
        os.tcsetpgrp(0, job.pid)
    print("job", job.pid, flush=True)
    if not foreground:
        bring_back(job.pid)
    while True:
        _, status = os.waitpid(job.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        print("stopped", flush=True)
        bring_back(job.pid)
    print("ended", os.waitstatus_to_exitcode(status), flush=True)


def bring_back(pid: int) -> None:
    """Do what ``fg`` does, when it is time."""
    os.read(3, 1)
    os.tcsetpgrp(0, pid)
    os.killpg(pid, signal.SIGCONT)


if __name__ == "__main__":
    {"keys": keys, "shell": shell, "background": lambda: shell(foreground=False)}[sys.argv[1]]()
