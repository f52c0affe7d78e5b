"""Signal handlers of a command, at any moment."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from rt_cli.cli.process import on_signals
from tests.fakes import run

NUMBERS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", NUMBERS)
def test_signal_calls_the_function(number: signal.Signals) -> None:
    """The function is called in the loop; the old handlers are restored afterwards."""
    before = signal.getsignal(number)

    async def scenario() -> None:
        ended = asyncio.Event()
        inside = signal.getsignal(number)
        with on_signals(ended.set):
            os.kill(os.getpid(), number)
            await ended.wait()
        assert signal.getsignal(number) is inside

    run(scenario())
    assert signal.getsignal(number) is before


def test_signal_wakes_the_loop() -> None:
    """A signal just before the loop sleeps wakes the loop."""

    async def scenario() -> int:
        with on_signals(asyncio.Event().set):
            descriptor = signal.set_wakeup_fd(-1)
            signal.set_wakeup_fd(descriptor)
            return descriptor

    assert run(scenario()) != -1
