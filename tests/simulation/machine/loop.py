"""The event loop in virtual time: the loop of asyncio, whose selector lets the world happen."""

from __future__ import annotations

import asyncio
import math
from asyncio import base_events
from itertools import count
from typing import TYPE_CHECKING, Any

import greenlet

from tests.simulation.machine.world import Killed, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.peer.network import Network


class _Task(asyncio.Task):  # type: ignore[type-arg]
    """A task with a hash that is no address: sets of tasks have one order."""

    _numbers = count()

    def __init__(self, *args: Any, **options: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self._number


class _Selector:
    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> tuple[()]:
        """Let the next thing happen, at the latest when a timer of the loop is due."""
        world = self._loop.world
        if world.dead:
            raise Killed
        world.watch()
        if timeout == 0:
            world.poll()
        else:
            world.step(math.inf if timeout is None else world.now + timeout)
        if world.dead:
            raise Killed
        return ()


class SimulatedLoop(base_events.BaseEventLoop):
    """An event loop without sockets, signals or real time.

    Args:
        world: Where it lives.
        network: Its connections.
        signals: Receives the handlers of signals.
    """

    def __init__(self, world: World, network: Network, signals: dict[int, Callable[..., object]]) -> None:
        super().__init__()
        self.world = world
        self._network = network
        self._signals = signals
        self._clock_resolution = 1e-9
        self._selector = _Selector(self)
        self.set_task_factory(lambda loop, coro, **options: _Task(coro, loop=loop, **options))
        self.set_exception_handler(self._on_exception)
        world.loop = self

    def time(self) -> float:
        """Return the virtual time, seconds."""
        return self.world.now

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Connect through the simulated network."""
        del options
        transport = await self._network.connect(self)
        protocol = protocol_factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        del host, port
        return transport, protocol

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run a function in a thread of the world."""
        del executor
        future = self.create_future()

        def report(act: Callable[[Any], None], result: Any) -> None:
            if not self.is_closed():
                self.call_soon(lambda: future.cancelled() or act(result))

        def work() -> None:
            try:
                result = func(*args)
            except greenlet.GreenletExit:
                raise
            except BaseException as exc:  # noqa: BLE001 - it belongs to the caller
                report(future.set_exception, exc)
            else:
                report(future.set_result, result)

        self.world.spawn(work)
        return future

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        """Note a handler."""
        self._signals[sig] = lambda *_: self.call_soon(callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Forget a handler."""
        return self._signals.pop(sig, None) is not None

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """Nothing is read but what the world delivers."""
        del fd, callback, args

    def remove_reader(self, fd: Any) -> bool:
        """Nothing is read."""
        del fd
        return True

    def _on_exception(self, _loop: object, context: dict[str, Any]) -> None:
        if not self.world.dead:
            self.world.violated(f"the loop caught: {context['message']}: {context.get('exception')!r}")

    def _write_to_self(self) -> None:
        """Nothing has to be woken: all happens in one thread."""

    def _process_events(self, event_list: object) -> None:
        """Nothing: the world calls back by itself."""
