"""Process-wide settings of a command: signals, open files, garbage collection, warnings on stderr."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rt_cli.protocol.sanitize import masked, printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from rt_cli.output.line_writer import LineWriter

_LAST_LINES_S = 1.0
"""Time for the last lines."""
_FILES = 4_096
"""Open files to allow, if the hard limit permits."""


@contextmanager
def printing_until_ended(*, without_reader: bool = False) -> Iterator[tuple[LineWriter, asyncio.Event]]:
    """Print lines to stdout in the running event loop, until a signal or a broken stdout.

    Args:
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
    try:
        with on_signals(ended.set):
            yield lines, ended
    finally:
        lines.close(_LAST_LINES_S)
    lines.check()


@contextmanager
def on_signals(call: Callable[[], None]) -> Iterator[None]:
    """Call a function in the running event loop on SIGINT and SIGTERM, while the block runs.

    ``loop.add_signal_handler`` always wakes the loop. A plain ``signal.signal`` handler does not: a signal that arrives
    just before the loop sleeps is handled only after that sleep. Windows has only ``signal.signal``, and its loop wakes
    up by itself.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            try:
                loop.add_signal_handler(number, call)
            except NotImplementedError:
                signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(call))
        yield
    finally:
        for number, handler in before.items():
            try:
                loop.remove_signal_handler(number)
            except NotImplementedError:
                pass  # Windows: no handler was added
            signal.signal(number, handler)


def collect_garbage() -> None:
    """Enable garbage collection; called just before a command's event loop starts.

    The program starts with collection disabled: imported modules live until exit, and repeated scans of them would take
    a tenth of the start-up time.
    """
    gc.enable()


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


def warn(text: str) -> None:
    """Print one warning line to stderr. The text is untrusted."""
    if sys.stderr is None:  # closed before the start; print() would write to stdout instead
        return
    print(f"warning: {masked(printable(text))}", file=sys.stderr)  # noqa: T201 - stderr is for people
