"""The signals that end a command which runs until it is told to stop."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
