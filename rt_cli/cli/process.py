"""What a command asks of its process: signals, open files, garbage collection, warnings on stderr."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_FILES = 4_096
"""Open at once, if we may."""


@contextmanager
def on_signals(call: Callable[[], None]) -> Iterator[None]:
    """Call a function in the running event loop on SIGINT and SIGTERM, while the block runs.

    The loop's own handlers wake it wherever it is; a handler of ``signal.signal`` alone is late by as long as the loop
    sleeps if the signal comes just before it falls asleep. Windows has only those, and its loop wakes itself.
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
                pass  # nothing to remove
            signal.signal(number, handler)


def collect_garbage() -> None:
    """Collect garbage from now on; called where a command's event loop begins.

    The program starts without: what it imports stays to its end, and to look through all of it again and again would
    take a tenth of the start.
    """
    gc.enable()


def allow_many_files() -> None:
    """As many open connections as the system lets us have without asking anybody; Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tell_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """What goes wrong in the event loop itself, in one line each: without this a full system floods stderr."""
    told: set[str] = set()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if os.environ.get("RT_DEBUG") == "1":
            loop.default_exception_handler(context)
        elif (line := f"{context['message']}: {context.get('exception')!r}") not in told:
            told.add(line)
            warn(line)

    return handle


def warn(text: str) -> None:
    """One line for people on stderr; the text is untrusted."""
    if sys.stderr is None:  # closed before the start; print would take stdout in its place
        return
    print(f"warning: {printable(text)}", file=sys.stderr)  # noqa: T201 - stderr is for people
