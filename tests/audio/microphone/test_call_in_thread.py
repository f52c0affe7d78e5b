"""Blocking calls with a deadline."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

import pytest

from rt_cli.audio.microphone.call_in_thread import call_in_thread

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run(scenario: Coroutine[None, None, T]) -> T:
    """Run a scenario that must end."""
    return asyncio.run(asyncio.wait_for(scenario, 10))


def test_gives_the_result() -> None:
    """call_in_thread() returns the result of the call."""
    assert run(call_in_thread(lambda: 42, deadline_s=5)) == 42


def test_raises_what_the_call_raised() -> None:
    """call_in_thread() raises the error of the call."""

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(call_in_thread(fail, deadline_s=5))


def test_deadline() -> None:
    """At the deadline call_in_thread() raises TimeoutError; the hanging thread does not block the end of the loop."""
    release = threading.Event()
    with pytest.raises(TimeoutError):
        run(call_in_thread(release.wait, deadline_s=0.05))
    release.set()


@pytest.mark.parametrize("loop_closed", [True, False], ids=["after the loop", "while the loop runs"])
def test_late_result_is_discarded(*, loop_closed: bool) -> None:
    """A late result is passed to ``discard``."""
    release, discarded = threading.Event(), threading.Event()

    def discard(result: str) -> None:
        assert result == "device"
        discarded.set()

    def call() -> str:
        release.wait()
        return "device"

    async def scenario() -> None:
        try:
            await call_in_thread(call, deadline_s=0.05, discard=discard)
        except TimeoutError:
            if not loop_closed:
                release.set()
                await asyncio.to_thread(discarded.wait, 5)

    run(scenario())
    release.set()

    assert discarded.wait(5)


def test_cancelled_caller_discards_too() -> None:
    """After a cancellation the result is passed to ``discard``."""
    release, discarded = threading.Event(), threading.Event()

    async def scenario() -> None:
        task = asyncio.create_task(
            call_in_thread(release.wait, deadline_s=5, discard=lambda _: discarded.set()),
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        await asyncio.to_thread(discarded.wait, 5)

    run(scenario())

    assert discarded.is_set()
