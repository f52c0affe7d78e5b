"""The process of a command: its event loop and its end, open files, warnings on stderr."""

from __future__ import annotations

import gc
import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rt_cli.protocol.sanitize import masked, printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

    from rt_cli.output.line_writer import LineWriter
    from rt_cli.run.interrupts import Interrupts

_LAST_LINES_S = 1.0
"""Time for the last lines."""
_THREADS_S = 0.3
"""Time for threads that are still at work when the command has ended."""
_FILES = 4_096
"""Open files to allow, if the hard limit permits."""


@contextmanager
def logging_on_stderr(verbose: int) -> Iterator[None]:
    """Print what ``-v`` says, for commands without a status: nothing at 0, the connection at 1, the wire, too, at 2."""
    from rt_cli.output.logs import Logs
    from rt_cli.settings import OutputSettings

    logs = Logs(OutputSettings(verbose=verbose), _print_on_stderr)
    try:
        yield
    finally:
        logs.close()


def _print_on_stderr(line: str) -> None:
    if sys.stderr is not None:
        try:
            print(line, file=sys.stderr)  # noqa: T201 - the log
        except OSError:
            pass  # nobody reads it


def run_loop(main: Callable[[Interrupts], Coroutine[Any, Any, int]]) -> int:
    """Run a command in an event loop, and return its exit code. Called once in the life of the process.

    Signals interrupt the command. They cancel it, unless it subscribes to them; then its exit code is theirs.

    Args:
        main: The command. Returns its exit code, once all its output is written.
    """
    import asyncio
    import threading

    from rt_cli.cli.signals import ignore_signals

    # The program starts with collection disabled: imported modules live until exit, and repeated scans of them would
    # take a tenth of the start-up time.
    gc.enable()
    with asyncio.Runner() as runner:
        exit_code = runner.run(_interruptible(main))
        # Closing the loop waits for its threads, such as a DNS query without answer: limit that.
        exit_timer = threading.Timer(_THREADS_S, os._exit, (exit_code,))
        exit_timer.daemon = True
        exit_timer.start()
    exit_timer.cancel()
    ignore_signals()
    return exit_code


async def _interruptible(main: Callable[[Interrupts], Coroutine[Any, Any, int]]) -> int:
    import asyncio

    from rt_cli.cli.signals import Signals, waking
    from rt_cli.run.interrupts import Interrupts

    loop, command = asyncio.get_running_loop(), asyncio.current_task()
    interrupts = Interrupts(lambda _exit_code: command and command.cancel())
    with waking(loop):
        Signals(loop, interrupts).install()
        try:
            return await main(interrupts)
        except asyncio.CancelledError:
            if not interrupts.codes:
                raise
            return interrupts.codes[0]


@contextmanager
def printing_until_ended(
    interrupts: Interrupts, *, without_reader: bool = False
) -> Iterator[tuple[LineWriter, asyncio.Event]]:
    """Print lines to stdout in the running event loop, until an interrupt or a broken stdout.

    Args:
        interrupts: Of the command.
        without_reader: Whether to go on when the reader closed stdout, which is no error.

    Yields:
        The writer, and an event that is set at the end.

    Raises:
        UsageError: Stdout could not be written, for example because the disk is full.
    """
    import asyncio

    from rt_cli.output.line_writer import LineWriter

    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:  # in the writer's thread
        if lines.failure is not None or not without_reader:
            loop.call_soon_threadsafe(ended.set)

    lines = LineWriter(sys.stdout, on_broken=end)
    interrupts.subscribe(lambda _exit_code: ended.set())
    try:
        yield lines, ended
    finally:
        lines.close(_LAST_LINES_S)
    lines.check()


def allow_many_files() -> None:
    """Raise the limit of open files, up to the hard limit; Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def stdin_is_piped() -> bool:
    """Return whether stdin is a pipe or a regular file: something was given on it."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:  # closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def stdout_was_emptied() -> bool:
    """Return whether stdout is an empty regular file that nothing is appended to: what a shell makes for ``>``."""
    try:
        found = os.fstat(1)
        if not stat.S_ISREG(found.st_mode) or found.st_size:
            return False
        import fcntl

        return not fcntl.fcntl(1, fcntl.F_GETFL) & os.O_APPEND
    except (OSError, ImportError):  # closed; or Windows, which does not tell
        return False


def warn_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return a loop exception handler that prints each distinct error once: a full system would flood stderr."""
    lines: set[str] = set()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if os.environ.get("RT_DEBUG") == "1":
            loop.default_exception_handler(context)
        elif (line := f"{context['message']}: {context.get('exception')!r}") not in lines:
            lines.add(line)
            warn(line)

    return handle


def warn_of_variables(*, quiet: bool) -> None:
    """Print a warning for each variable that looks like one of ours and is none, unless quiet."""
    from rt_cli.config.variables import misspelt

    for line in () if quiet else misspelt(os.environ):
        warn(line)


def warn(text: str) -> None:
    """Print one warning line to stderr. The text is untrusted."""
    if sys.stderr is None:  # closed before the start; print() would write to stdout instead
        return
    print(f"warning: {masked(printable(text))}", file=sys.stderr)  # noqa: T201 - stderr is for people
