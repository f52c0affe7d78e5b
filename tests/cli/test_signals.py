"""The signal handlers of a command, at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rt_cli.cli import signals as module
from rt_cli.cli.signals import Signals, waking
from rt_cli.run.interrupts import Interrupts
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

ENDING = {name: code for name, code in (("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)) if hasattr(signal, name)}
STOPPING = [name for name in ("SIGTSTP", "SIGQUIT", "SIGCONT") if hasattr(signal, name)]


@contextmanager
def default_handlers() -> Iterator[None]:
    """Default handlers, also where the tests run under ``nohup``; those of the tests come back."""
    before = {name: signal.signal(getattr(signal, name), signal.SIG_DFL) for name in (*ENDING, *STOPPING)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


class Terminal:
    """Notes what is asked of a user of the terminal."""

    def __init__(self, log: list[str], name: str) -> None:
        self._log = log
        self._name = name

    def leave_terminal(self) -> None:
        """Note it."""
        self._log.append(f"{self._name} leaves")

    def enter_terminal(self) -> None:
        """Note it."""
        self._log.append(f"{self._name} enters")


class Time:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time, seconds."""
        return self.now


def handled(scenario: Callable[[Interrupts, Time], Coroutine[None, None, None]]) -> None:
    """Run a scenario with the handlers and a clock of its own."""

    async def with_signals() -> None:
        interrupts, clock = Interrupts(), Time()
        Signals(asyncio.get_running_loop(), interrupts, clock).install()
        await scenario(interrupts, clock)

    with default_handlers():
        run(with_signals())


def open_files() -> int:
    """Return the number of open descriptors."""
    return len(list(Path("/dev/fd").iterdir()))


async def passed() -> None:
    """Wait until the loop has done what was queued so far."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future


@pytest.mark.parametrize("name", ENDING)
def test_first_and_second_signal_reach_the_loop(name: str) -> None:
    """With the exit code of the signal, and not within the handler; the second one means hurry."""

    async def scenario(interrupts: Interrupts, clock: Time) -> None:
        seen: list[int] = []
        interrupts.subscribe(seen.append)
        for number in (1, 2):
            clock.now += 1
            signal.raise_signal(getattr(signal, name))
            assert len(seen) == number - 1
            await passed()
            assert seen == interrupts.codes == [ENDING[name]] * number
            assert interrupts.hurried is (number == 2)

    handled(scenario)


def test_signals_of_one_moment_are_one_interrupt() -> None:
    """Of any number, and however many: the exit code is that of the first."""

    async def scenario(interrupts: Interrupts, clock: Time) -> None:
        for name in (*ENDING, *ENDING):
            clock.now += 0.01
            signal.raise_signal(getattr(signal, name))
        await passed()
        assert interrupts.codes == [130]

    handled(scenario)


def test_third_signal_ends_the_process_within_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal is left first, by the last user first; a loop that is busy does not matter."""
    log: list[str] = []
    monkeypatch.setattr(module.os, "_exit", lambda code: log.append(f"exit {code}"))

    async def scenario(interrupts: Interrupts, clock: Time) -> None:
        interrupts.terminal_users += [Terminal(log, "view"), Terminal(log, "keys")]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            assert log == []
            clock.now += 1
            os.kill(os.getpid(), number)
        assert log == ["keys leaves", "view leaves", "exit 143"]

    handled(scenario)


@pytest.mark.skipif(not STOPPING, reason="no job control")
def test_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop leaves the terminal, then has its default action; a continued process uses the terminal again."""
    log: list[str] = []

    async def scenario(interrupts: Interrupts, _clock: Time) -> None:
        interrupts.terminal_users += [Terminal(log, "view"), Terminal(log, "keys")]
        raise_signal = signal.raise_signal

        def stop(number: int) -> None:
            assert signal.getsignal(number) is signal.SIG_DFL
            log.append("stops")

        monkeypatch.setattr(module.signal, "raise_signal", stop)
        for _ in range(2):
            raise_signal(signal.SIGTSTP)
            assert log == ["keys leaves", "view leaves", "stops", "view enters", "keys enters"]
            log.clear()
        raise_signal(signal.SIGCONT)
        assert log == ["view enters", "keys enters"]

    handled(scenario)


@pytest.mark.skipif("SIGHUP" not in ENDING, reason="no SIGHUP")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTSTP", "SIGQUIT"])
def test_ignored_signals_stay_ignored(name: str) -> None:
    """As nohup, or a parent without job control, set them."""
    number = getattr(signal, name)

    async def scenario() -> None:
        Signals(asyncio.get_running_loop(), Interrupts()).install()

    with default_handlers():
        signal.signal(number, signal.SIG_IGN)
        run(scenario())
        assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.skipif(os.name == "nt", reason="the loop wakes up by itself")
def test_signal_wakes_the_loop() -> None:
    """A signal just before the loop sleeps wakes the loop; afterwards nothing is left open."""

    async def scenario() -> None:
        loop, ticks = asyncio.get_running_loop(), 0

        def read(descriptor: int, size: int) -> None:
            nonlocal ticks
            ticks += len(os_read(descriptor, size))

        os_read, before = os.read, open_files()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module.os, "read", read)
            with waking(loop):
                signal.raise_signal(signal.SIGCONT)
                while not ticks:  # noqa: ASYNC110 - the reader has no event
                    await asyncio.sleep(0)
        assert signal.set_wakeup_fd(-1) == -1
        assert open_files() == before

    with default_handlers():
        signal.signal(signal.SIGCONT, lambda *_: None)
        run(scenario())
