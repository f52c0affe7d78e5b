"""Signals of a run: the first, the second, the third; and what is left alone."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from rt_cli.run import interrupts as module
from rt_cli.run.interrupts import Interrupts, call_soon

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143}


@contextmanager
def restored() -> Iterator[None]:
    """Default handlers, also where the tests run under ``nohup``; those of the tests come back."""
    before = {name: signal.signal(getattr(signal, name), signal.SIG_DFL) for name in NAMES}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_signal_reach_the_loop(name: str) -> None:
    """With the exit code of the signal; the second one means hurry."""
    heard: list[int] = []

    async def scenario() -> None:
        interrupts = Interrupts(heard.append)
        interrupts.install()
        for hurried in (False, True):
            signal.raise_signal(getattr(signal, name))
            assert interrupts.hurried is hurried
        assert heard == []
        passed = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(passed.set_result, None)  # after both calls, which are queued
        await asyncio.wait_for(passed, 5)
        assert interrupts.codes == heard == [CODES[name]] * 2

    with restored():
        asyncio.run(scenario())


def test_third_signal_ends_the_process_within_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal is restored first; a loop that is busy does not matter."""
    ended: list[object] = []
    monkeypatch.setattr(module.os, "_exit", ended.append)

    async def scenario() -> None:
        interrupts = Interrupts(lambda _code: None, lambda: ended.append("restored"))
        interrupts.install()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            assert ended == []
            os.kill(os.getpid(), number)
        assert ended == ["restored", 143]

    with restored():
        asyncio.run(scenario())


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP")
def test_ignored_hangup_stays_ignored() -> None:
    """As nohup set it."""

    async def scenario() -> None:
        Interrupts(lambda _code: None).install()

    with restored():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        asyncio.run(scenario())
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_closed_loop_is_called_no_more() -> None:
    """Nothing is left to stop, and nothing is raised into a thread."""
    loop = asyncio.new_event_loop()
    loop.close()
    call_soon(loop, lambda: None)
