"""Two fakes for tests, a clock and a transport, and the deadline of every async test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

T = TypeVar("T")


def run(scenario: Coroutine[None, None, T], seconds: float = 20) -> T:
    """Run a scenario, and fail at its deadline."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await scenario

    return asyncio.run(bounded())


class FakeClock:
    """A clock that advances on request, or when all tasks sleep."""

    def __init__(self, now: float = 100.0) -> None:
        self.time = now

    def now(self) -> float:
        """Seconds."""
        return self.time

    def wall(self) -> float:
        """Unix time that goes with the clock: it starts at midnight of the first of January 2026."""
        return 1_767_225_600.0 + self.now()

    async def sleep_until(self, deadline: float) -> None:
        """Advance to the deadline."""
        self.time = max(self.time, deadline)
        await asyncio.sleep(0)

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Advance to the deadline in the next iteration of the loop, and call."""

        def jump() -> None:
            self.time = max(self.time, deadline)
            callback()

        return asyncio.get_running_loop().call_soon(jump).cancel


class Peer:
    """A transport that records its messages, and answers on request of the test."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.writers = 0
        self.most_writers = 0
        self.pauses = 0
        """Iterations of the event loop per write."""
        self.fail_next = False
        self.answers = True
        """Whether pings are answered immediately."""
        self.pongs: list[asyncio.Future[None]] = []

    @property
    def ready(self) -> bool:
        """Whether a message can be sent without waiting."""
        return not (self.pauses or self.fail_next or self.writers)

    async def send(self, messages: Sequence[bytes]) -> None:
        """Record messages."""
        for message in messages:
            await self._write(message)

    def send_at_once(self, messages: Sequence[bytes]) -> None:
        """Record messages that can be sent without waiting."""
        assert self.ready, "it would have to wait"
        self.most_writers = max(self.most_writers, 1)
        self.log += messages

    async def ping(self) -> Awaitable[None]:
        """Record a ping."""
        await self._write(b"ping")
        return self._pong()

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> Awaitable[None]:
        """Record messages and a ping that can be sent without waiting."""
        self.send_at_once([*behind, b"ping"])
        return self._pong()

    def _pong(self) -> asyncio.Future[None]:
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.answers:
            pong.set_result(None)
        else:
            self.pongs.append(pong)
        return pong

    async def _write(self, message: bytes) -> None:
        self.writers += 1
        self.most_writers = max(self.most_writers, self.writers)
        try:
            for _ in range(self.pauses):
                await asyncio.sleep(0)
            if self.fail_next:
                self.fail_next = False
                raise ConnectionError("planted")
            self.log.append(message)
        finally:
            self.writers -= 1
